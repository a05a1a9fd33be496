"""A finished training as the files that ship: weights, their card, the curves."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from algorithms.networks.weights import (
    NETWORK_PREFIX,
    SHARE_NAME,
    TrainedRange,
    WeightsCard,
)
from physics.curvature import FrequencyBins
from runner.files.hdf5 import atomic_path, make_folder, sha256_of
from runner.training import losses
from runner.training.recipes import DataRecipe
from runner.training.settle import settle_constant
from runner.training.shards import Scenes, read_manifest, read_scenes
from runner.training.trainer import Training, validate

SHARE_BINS = 33
"""Frequencies, from 0 to Nyquist, at which the data's share is measured."""

LEAST_POWER = 1e-12
"""Relative power of a step below which there is none to take a share of."""


def export(training: Training, data: Path, folder: Path) -> WeightsCard:
    """Settle the constant; write `METHOD.safetensors`, `METHOD.json` and `METHOD.csv`.

    Args:
        training: finished, or as far as it came.
        data: the data set that it was trained on.
        folder: made when it is not there.
    """
    make_folder(folder)
    manifest, data_sha256 = read_manifest(data)
    seen, scenes = (read_scenes(data, manifest, name) for name in ("train", "validation"))
    network, method = training.average, training.method
    settle_constant(network, seen, training.recipe.seed, training.device)
    tensors = {
        f"{NETWORK_PREFIX}{name}": value.detach().cpu().contiguous()
        for name, value in network.state_dict().items()
    }
    tensors[SHARE_NAME] = data_share(training, scenes)
    target = folder / f"{method}.safetensors"
    with atomic_path(target) as path:
        save_file(tensors, path, metadata={"method": method})
    psnr = validate(network, scenes, training.device)
    card = WeightsCard(
        method=method,
        width=training.recipe.width,
        parameters=sum(value.numel() for value in network.parameters()),
        sha256=sha256_of(target),
        data_sha256=data_sha256,
        commit=_commit(),
        steps=training.step,
        validation_psnr_db=round(float(psnr.mean()), 3),
        plain_psnr_db=round(float(_plain(scenes).mean()), 3),
        recipe=training.recipe.model_dump(mode="json"),
        trained=_range(manifest.recipe, seen),
    )
    with atomic_path(folder / f"{method}.json") as path:
        text = json.dumps(card.model_dump(mode="json"), indent=1)
        path.write_text(text + "\n", encoding="utf-8")
    rows = ["step,loss,validation_psnr_db"]
    rows += [f"{p.step},{p.loss:.5f},{p.validation_psnr_db:.4f}" for p in training.curve]
    with atomic_path(folder / f"{method}.csv") as path:
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return card


def data_share(training: Training, scenes: Scenes) -> Tensor:
    """w(k): the share of a step towards the likeliest image that brings x nearest to the truth.

    Least squares over all coefficients of a ring and all scenes, each scene by its own noise:
    sum Re(conj(step) (truth - x)) / sum |step|^2. See `algorithms.learned.consistency`.
    """
    height, width = scenes.x.shape[1:]
    nyquist = max(height, width) / 2
    ring = FrequencyBins.of((height, width), torch.device("cpu")).ring
    place = (ring / nyquist * (SHARE_BINS - 1)).round().long().clamp_max(SHARE_BINS - 1).flatten()
    along, power = (torch.zeros(SHARE_BINS, dtype=torch.float64) for _ in range(2))
    for number in range(len(scenes)):
        batch = losses.batch_of(scenes, np.array([number]), None, training.device)
        with torch.no_grad():
            x = training.average(batch.given, batch.step)
            step, missing = (
                torch.fft.fft2(image)[0].flatten().cpu() for image in (batch.step(x), batch.x - x)
            )
        squared = step.abs().square().double()
        scale = squared.sum()
        along.index_add_(0, place, (step.conj() * missing).real.double() / scale)
        power.index_add_(0, place, squared / scale)
    share = torch.where(power > LEAST_POWER, along / power.clamp_min(LEAST_POWER), 0.0)
    return share.clamp(0.0, 1.0).float()


def _plain(scenes: Scenes) -> Tensor:
    """PSNR of plain ptychography on each scene, (S,) [dB]."""
    found = []
    for number in range(len(scenes)):
        batch = losses.batch_of(scenes, np.array([number]), None, torch.device("cpu"))
        found.append(losses.psnr_db(losses.plain(batch.given), batch.x))
    return torch.cat(found)


def _range(recipe: DataRecipe, scenes: Scenes) -> TrainedRange:
    profile, noise = recipe.profile, scenes.condition[:, 1]
    scale = scenes.phase_scale_rad
    return TrainedRange(
        energy_eV=profile.energy_eV,
        semiangle_mrad=profile.semiangle_mrad,
        C10_A=profile.C10_A,
        sampling_A=profile.sampling_A,
        phase_rad=(round(float(scale.min()), 4), round(float(scale.max()), 4)),
        noise=(round(float(noise.min()), 4), round(float(noise.max()), 4)),
    )


def _commit() -> str:
    """The commit of the code, where it lies in a git repository."""
    place = Path(__file__).parent
    found = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=place, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "unknown"
