"""Training: the same recipe and data give the same bytes, interrupted or not."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from algorithms.networks.diffusion import Diffusion
from algorithms.networks.models import NETWORKS
from runner.files.hdf5 import make_folder
from runner.training import checkpoint, losses
from runner.training.adversary import Adversary
from runner.training.checkpoint import CHECKPOINT_NAME, Point, Stamp
from runner.training.recipes import TrainRecipe
from runner.training.shards import Scenes, read_manifest, read_scenes
from schemas.findings import refuse

LOWEST_RATE = 0.01
"""Learning rate at the end, relative to the largest."""


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Attributes:
        step: steps taken.
        steps: steps in all.
        loss: mean of the last steps.
        seconds_left: at the present speed [s].
        point: the newest point of the curves, after a validation.
    """

    step: int
    steps: int
    loss: float
    seconds_left: float
    point: Point | None


@dataclass
class Training:
    """The state of a training.

    Attributes:
        method: name of the network.
        recipe: every number of the training.
        data_sha256: of the data set's manifest.
        folder: where the state is kept.
        device: what is trained on; on "cpu" the same recipe gives the same bytes.
    """

    method: str
    recipe: TrainRecipe
    data_sha256: str
    folder: Path
    device: torch.device
    step: int = 0
    curve: list[Point] = field(default_factory=list)

    def __post_init__(self) -> None:
        torch.manual_seed(self.recipe.seed)
        self.network = NETWORKS[self.method](self.recipe.width).to(self.device)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), weight_decay=self.recipe.weight_decay
        )
        self.adversary = (
            Adversary(self.recipe, self.device) if self.recipe.adversarial > 0 else None
        )

    @property
    def learners(self) -> checkpoint.Learners:
        """Everything that changes as it learns."""
        learners: dict[str, nn.Module | torch.optim.AdamW] = {
            "network": self.network,
            "average": self.average,
            "optimiser": self.optimiser,
        }
        if self.adversary is not None:
            learners["adversary"] = self.adversary.network
            learners["adversary_optimiser"] = self.adversary.optimiser
        return learners

    @property
    def stamp(self) -> Stamp:
        """What it is of, and how far it is."""
        return Stamp(
            method=self.method,
            recipe=self.recipe,
            data_sha256=self.data_sha256,
            step=self.step,
            curve=tuple(self.curve),
        )

    def save(self) -> None:
        """Keep the state."""
        path = self.folder / CHECKPOINT_NAME
        checkpoint.save(path, self.stamp, self.learners)

    def resume(self) -> None:
        """Go on from the state that is there, if one is.

        Raises:
            ContractError: USAGE, it is of another training.
        """
        path = self.folder / CHECKPOINT_NAME
        if not path.is_file():
            return
        found = checkpoint.read_stamp(path)
        begun = found.model_copy(update={"step": 0, "curve": ()})
        if begun != self.stamp.model_copy(update={"step": 0, "curve": ()}):
            raise refuse(
                "USAGE",
                str(path),
                expected="the state of this very training: method, recipe and data",
                found=f"{found.method}, step {found.step}, of another recipe or other data",
                hint="choose another --out, or remove the file",
            )
        checkpoint.load(path, self.learners)
        self.step, self.curve = found.step, list(found.curve)


def train(
    method: str,
    recipe: TrainRecipe,
    data: Path,
    folder: Path,
    *,
    device: str = "cpu",
    stop_after: int | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Training:
    """Train a network on a data set; goes on where an earlier call was interrupted.

    Args:
        method: name of the network.
        recipe: every number of the training.
        data: folder of `make_data`.
        folder: for the state.
        device: torch device.
        stop_after: steps after which to stop early.
        progress: told after every step.

    Raises:
        ContractError: data that are missing or damaged, a state of another training.
    """
    make_folder(folder)
    manifest, sha256 = read_manifest(data)
    scenes, kept_apart = (read_scenes(data, manifest, name) for name in ("train", "validation"))
    training = Training(method, recipe, sha256, folder, torch.device(device))
    training.resume()
    last = recipe.steps if stop_after is None else min(recipe.steps, stop_after)
    began, first, recent = time.monotonic(), training.step, []
    while training.step < last:
        recent.append(_step(training, scenes))
        training.step += 1
        point = None
        if training.step % recipe.validate_every == 0 or training.step == recipe.steps:
            psnr = validate(training.average, kept_apart, training.device, centred=True)
            point = Point(
                step=training.step,
                loss=sum(recent) / len(recent),
                validation_psnr_db=float(psnr.mean()),
            )
            training.curve.append(point)
            training.save()
            recent = []
        speed = (training.step - first) / (time.monotonic() - began)
        told = point.loss if point else sum(recent) / len(recent)
        left = (recipe.steps - training.step) / speed
        progress(Progress(training.step, recipe.steps, told, left, point))
    return training


def validate(
    network: nn.Module, scenes: Scenes, device: torch.device, *, centred: bool = False
) -> Tensor:
    """PSNR of each scene, (S,) [dB].

    Args:
        network: what is validated.
        scenes: never trained on.
        device: torch device.
        centred: the mean of x is given, as `settle` teaches it at the end.
    """
    found = []
    with torch.no_grad():
        for number in range(len(scenes)):
            batch = losses.batch_of(scenes, np.array([number]), None, device)
            x = network(batch.given, batch.step)
            if centred:
                x = x + (batch.x - x).mean(dim=(1, 2), keepdim=True)
            found.append(losses.psnr_db(x, batch.x))
    return torch.cat(found).cpu()


def learning_rate(recipe: TrainRecipe, step: int) -> float:
    """Rises over the warm-up, then falls as a cosine."""
    if step < recipe.warm_up:
        return recipe.learning_rate * (step + 1) / recipe.warm_up
    share = (step - recipe.warm_up) / max(1, recipe.steps - recipe.warm_up)
    return recipe.learning_rate * (
        LOWEST_RATE + (1 - LOWEST_RATE) * (1 + math.cos(math.pi * share)) / 2
    )


def _step(training: Training, scenes: Scenes) -> float:
    """One step; returns its loss."""
    recipe = training.recipe
    chosen = _chosen(len(scenes), recipe, training.step)
    rng = np.random.default_rng([recipe.seed, 1, training.step])
    batch = losses.batch_of(scenes, chosen, rng, training.device)
    for group in training.optimiser.param_groups:
        group["lr"] = learning_rate(recipe, training.step)
    training.optimiser.zero_grad()
    random = torch.Generator().manual_seed(int(rng.integers(2**63)))
    value = _objective(training, batch, random)
    if not torch.isfinite(value):
        raise refuse(
            "USAGE",
            f"{training.method}, step {training.step}",
            expected="a finite loss",
            found=f"{float(value.detach())}: the training has diverged",
            hint="lower learning_rate or raise warm_up in the recipe, and choose another --out",
        )
    value.backward()  # type: ignore[no-untyped-call]
    for part in training.network.children():  # apart: none is to slow down another
        nn.utils.clip_grad_norm_(part.parameters(), recipe.clip)
    training.optimiser.step()
    # At first the average follows quickly: it would remember weights that mean nothing.
    decay = min(recipe.average, (1 + training.step) / (10 + training.step))
    with torch.no_grad():
        for kept, new in zip(
            training.average.parameters(), training.network.parameters(), strict=True
        ):
            kept.lerp_(new, 1 - decay)
    return float(value.detach())


def _objective(training: Training, batch: losses.Batch, random: torch.Generator) -> Tensor:
    """What a network learns from: a prior from specimens alone, any other from what it answers."""
    network, recipe, adversary = training.network, training.recipe, training.adversary
    if isinstance(network, Diffusion):
        return losses.denoising(network, batch, random)
    x = network(batch.given, batch.step)
    if training.step < recipe.unpaired * recipe.steps:
        value = batch.misfit(x).mean()
    else:
        value = losses.loss(x, batch.x)
    if adversary is not None:
        adversary.learn(batch.x.roll(1, 0), x)
        value = value + recipe.adversarial * adversary.displeasure(x)
    return value


def _chosen(
    count: int, recipe: TrainRecipe, step: int
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Scenes of a step: every scene once an epoch, in an order of the epoch's own."""
    places = step * recipe.batch + np.arange(recipe.batch)
    epochs = {int(e): _order(count, recipe.seed, int(e)) for e in np.unique(places // count)}
    return np.array([epochs[int(place // count)][place % count] for place in places])


def _order(count: int, seed: int, epoch: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.random.default_rng([seed, 0, epoch]).permutation(count)
