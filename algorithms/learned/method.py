"""A learned reconstruction of one sample.

1. Plain ptychography: the likeliest phase, and that under its spectral prior.
2. The network makes x of both, in all orientations, constant included; of several, the mean with
   the median of their constants.
3. Where the counts contradict its image in a place, they are believed (`algorithms.prior`).
4. Steps towards the counts that cannot make the likelihood worse (`consistency`).
5. The guard: the better explanation of the two is returned (`guard`).
6. A spec that was found together with a phase is found once more, with this one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from algorithms.base import Reconstruction, Sample
from algorithms.calibrators.gradient import gauss_newton
from algorithms.learned.consistency import towards_counts
from algorithms.learned.guard import Verdict, things_told
from algorithms.learned.plain import Plain
from algorithms.networks.inputs import NetworkInput, network_input, resolution_px
from algorithms.networks.step import data_step
from algorithms.networks.weights import Trained, TrainedRange, read_weights, shipped
from algorithms.prior import believe_contradictions, pin_background
from algorithms.reconstructors.ptychography import Ptychography
from schemas.operator import OperatorAttrs
from schemas.spec import MismatchSpec

DOUBT = (
    "the network's image explains the counts worse than plain ptychography's ({excess:.2f} times"
    " the excess that chance gives the truth, against {plain:.2f}): such a specimen is not what it"
    " was trained on; plain ptychography's image is returned"
)

NEARLY = 0.02
"""Relative difference of an instrument's number from that of the training that makes none."""


@dataclass(frozen=True)
class Answer:
    """What a network makes of a sample.

    Attributes:
        phi: the phase, (H, W) [rad].
        diagnostics: what else it has to say.
    """

    phi: Tensor
    diagnostics: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Learned:
    """What the learned reconstructors have in common; each names its network, or several.

    Attributes:
        turned: the network's answer is averaged over the image's eight orientations.
        consistency_steps: steps towards the counts at most.
        weights: folder of weights of one's own, as `stem4d train` leaves them; None: those that
            ship.
    """

    turned: bool = True
    consistency_steps: int = 2
    weights: str | None = None
    networks: ClassVar[tuple[str, ...]]

    def setup(self) -> None:
        """Read the weights."""
        self.trained()

    def trained(self) -> tuple[Trained, ...]:
        """The networks and their weights.

        Raises:
            ContractError: WEIGHTS_INVALID.
        """
        if self.weights is None:
            return tuple(shipped(name) for name in self.networks)
        return tuple(read_weights(Path(self.weights), name) for name in self.networks)

    def reconstruct(self, sample: Sample, spec: MismatchSpec) -> Reconstruction:
        """x_hat (H, W) in [0, 1]; and the spec once more, where a phase came with it."""
        fit, diagnostics = Ptychography().fitted(sample, spec)
        return self.finish(sample, spec, Plain.of(fit), diagnostics)

    def finish(
        self, sample: Sample, spec: MismatchSpec, plain: Plain, diagnostics: dict[str, Any]
    ) -> Reconstruction:
        """The same, from where plain ptychography ended."""
        scale = sample.operator.attrs.phase_scale_rad
        plain_x = pin_background(plain.image / scale, plain.curvature.window)
        if sample.seconds_left <= 0:
            told = {"network": {"warning": "no time was left for the network"}}
            return Reconstruction(plain_x.cpu().numpy(), diagnostics=diagnostics | told)
        members = self.trained()
        attrs = sample.operator.attrs
        given = network_input(plain.image, plain.likeliest, plain.curvature, attrs)
        answers = [self.apply(member, given, sample, spec, plain) for member in members]
        made = joined(torch.stack([answer.phi for answer in answers]))
        resolution = resolution_px(attrs)
        made = believe_contradictions(made, plain.likeliest, plain.curvature.window, resolution)
        share = torch.stack([member.data_share for member in members]).mean(dim=0)
        consistent = towards_counts(
            made, spec, plain.objective, plain.curvature, share, self.consistency_steps
        )
        verdict = Verdict(
            things_told(plain.curvature),
            plain.objective.loss(plain.likeliest, spec),
            plain.objective.loss(plain.image, spec),
            consistent.after,
        )
        phi = consistent.phi if verdict.believed else plain.image
        x = (consistent.phi / scale).clamp(0.0, 1.0) if verdict.believed else plain_x
        refined = None
        if sample.phase is not None and sample.seconds_left > 0:
            found = plain.objective.spec_information(phi, spec)
            refined, _ = gauss_newton(found, spec, sample)
        learned: dict[str, Any] = {
            "weights": {member.card.method: member.card.sha256 for member in members},
            "loss_of_network": consistent.before,
            "loss": consistent.after,
            "excess": verdict.excess,
            "excess_of_plain": verdict.excess_of_plain,
            "believed": verdict.believed,
            "unlike_training": unlike_training(members[0].card.trained, attrs, given),
        }
        for answer in answers:
            learned |= answer.diagnostics
        if not verdict.believed:
            learned["warning"] = DOUBT.format(excess=verdict.excess, plain=verdict.excess_of_plain)
        return Reconstruction(x.cpu().numpy(), refined, diagnostics | {"network": learned})

    def apply(
        self,
        trained: Trained,
        given: NetworkInput,
        sample: Sample,
        spec: MismatchSpec,
        plain: Plain,
    ) -> Answer:
        """What one network makes of a sample."""
        attrs = sample.operator.attrs
        step = data_step(
            lambda phi: plain.objective.gradient(phi, spec)[1],
            plain.curvature,
            attrs.phase_scale_rad,
        )
        network = trained.network.to(plain.image.device)
        with torch.no_grad():
            x: Tensor = network(given, step, periodic=attrs.periodic, turned=self.turned)
        return Answer(attrs.phase_scale_rad * x[0])


def joined(images: Tensor) -> Tensor:
    """The mean of images (N, H, W), with the median of their means.

    One network in a few misjudges the constant of a kind of specimen by far.
    """
    together: Tensor = images.mean(dim=0)
    constants = images.mean(dim=(1, 2)).sort().values
    middle = (constants[(len(constants) - 1) // 2] + constants[len(constants) // 2]) / 2
    return together - together.mean() + middle


def unlike_training(known: TrainedRange, attrs: OperatorAttrs, given: NetworkInput) -> list[str]:
    """In what a sample differs from all that a network was trained on; for people."""
    found = [
        f"{name} {getattr(attrs, name):g}, trained at {getattr(known, name):g}"
        for name in ("energy_eV", "semiangle_mrad", "C10_A", "sampling_A")
        if abs(getattr(attrs, name) - getattr(known, name)) > NEARLY * abs(getattr(known, name))
    ]
    ranges = {
        "phase_scale_rad": (attrs.phase_scale_rad, known.phase_rad),
        "log10 noise": (float(given.condition[0, 1]), known.noise),
    }
    for name, (value, (low, high)) in ranges.items():
        if not low <= value <= high:
            found.append(f"{name} {value:.3g}, trained from {low:.3g} to {high:.3g}")
    return found
