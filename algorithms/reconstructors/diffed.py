"""Specimens that the counts allow, drawn by a diffusion: their mean and their spread.

docs/algorithms/diffed.md; the diffusion is `algorithms.networks.diffusion`.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from algorithms.base import Sample
from algorithms.learned.method import Answer, Learned
from algorithms.learned.plain import Plain
from algorithms.networks.diffusion import Diffusion
from algorithms.networks.inputs import NetworkInput
from algorithms.networks.step import parabola_step
from algorithms.networks.weights import Trained
from schemas.spec import MismatchSpec

MOST_PIXELS = 40_000
"""Of the map of uncertainty, which has to fit into the diagnostics."""

NORMAL = 1.48
"""Standard deviation of a normal distribution, over the error that half of it is within."""


@dataclass(frozen=True)
class DiffEd(Learned):
    """Specimens drawn from what the counts allow; their mean is x_hat.

    Attributes:
        samples: how many.
    """

    samples: int = 16
    networks: ClassVar[tuple[str, ...]] = ("diffed",)

    def apply(
        self,
        trained: Trained,
        given: NetworkInput,
        sample: Sample,
        spec: MismatchSpec,
        plain: Plain,
    ) -> Answer:
        """Their mean; their spread in the diagnostics.

        The network says the mean in one go as well, all orientations together: as near to the truth
        as the samples' own, and the mean of both is nearer where either fails.
        """
        attrs = sample.operator.attrs
        _, slope = plain.objective.gradient(plain.likeliest, spec)
        scale = attrs.phase_scale_rad
        step = parabola_step(plain.likeliest, slope, plain.curvature, scale)
        network = trained.network.to(plain.image.device)
        assert isinstance(network, Diffusion)
        with torch.no_grad():
            found = network.samples(given, step, self.samples, periodic=attrs.periodic)
            once = network(given, step, periodic=attrs.periodic, turned=self.turned)
            x, usual = network.constant.placed((once + found.mean(dim=0)) / 2, given)
        spread = found.std(dim=0) if self.samples > 1 else torch.zeros_like(found[0])
        spread = torch.hypot(spread, NORMAL * usual)
        return Answer(scale * x[0], {"uncertainty": uncertainty_map(spread)})


def uncertainty_map(spread: Tensor) -> dict[str, Any]:
    """A map (H, W) in few characters: a byte a pixel (255: `largest`), one pixel in `stride`.

    `uncertainty_of` reads it again.
    """
    stride = 1
    while spread[::stride, ::stride].numel() > MOST_PIXELS:
        stride += 1
    coarse = spread[::stride, ::stride]
    largest = float(coarse.max().clamp_min(1e-6))
    levels = (coarse / largest * 255).round().to(torch.uint8).cpu().numpy()
    return {
        "mean": float(spread.mean()),
        "largest": largest,
        "shape": list(levels.shape),
        "stride": stride,
        "base64": base64.b64encode(levels.tobytes()).decode("ascii"),
    }


def uncertainty_of(told: dict[str, Any]) -> Tensor:
    """The map (h, w) that `uncertainty_map` told, in units of x."""
    levels = torch.frombuffer(bytearray(base64.b64decode(told["base64"])), dtype=torch.uint8)
    spread: Tensor = levels.reshape(told["shape"]).float() * told["largest"] / 255
    return spread
