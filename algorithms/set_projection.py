"""What set projections share: the start, patterns kept apart, when to stop, the image at last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from algorithms.base import Reconstruction, Sample
from algorithms.idpc import integrated_phase
from algorithms.modulus import Modulus
from algorithms.pixels import PixelStatistics
from algorithms.prior import pin_background
from algorithms.stream import PatternStream
from physics.curvature import scan_window
from physics.gauge import Gauge
from physics.operator import FarField, ForwardOperator
from schemas.spec import MismatchSpec

HELD_OUT = 16
"""One pattern in this many is kept apart, to tell when an image begins to fit the noise."""


@dataclass(frozen=True)
class SetProjection:
    """One sample, ready for projections.

    Attributes:
        operator: the forward operator.
        far: the detector.
        modulus: the modulus constraint.
        stream: the patterns, prepared for it.
        apart: (Ny*Nx,) of bool, patterns that no update sees.
        start: (H, W) [rad], the integrated centre of mass. Not the calibrator's phase: that holds
            the noise already that stopping early keeps out.
        illumination: (H, W), sum over the scan of |P|^2.
        window: (H, W), weight of each pixel: beyond the scan an image holds nothing.
        gauge: takes a ramp out that belongs to the detector's centre.
    """

    operator: ForwardOperator
    far: FarField
    modulus: Modulus
    stream: PatternStream
    apart: Tensor
    start: Tensor
    illumination: Tensor
    window: Tensor
    gauge: Gauge

    @classmethod
    def of(
        cls, sample: Sample, spec: MismatchSpec, *, shift: float, patterns_bytes: int
    ) -> SetProjection:
        """Of a sample and a detector.

        Args:
            sample: the measurement.
            spec: the detector.
            shift: electrons added to model and data under the root (`Modulus`).
            patterns_bytes: memory that the patterns may take; beyond it they are read in each pass.
        """
        attrs = sample.operator.attrs
        usable = PixelStatistics.of(sample.y).usable(attrs.gain)
        operator = ForwardOperator(sample.operator, device=sample.device)
        modulus = Modulus.of(sample, None if usable.all() else operator.tensor(usable), shift)
        begun = integrated_phase(sample, spec, usable)
        illumination = operator.illumination()
        window = scan_window(illumination / illumination.max(), operator.count)
        apart = torch.zeros(operator.count, dtype=torch.bool)
        apart[HELD_OUT // 2 :: HELD_OUT] = True
        return cls(
            operator,
            operator.far_field(spec),
            modulus,
            PatternStream(
                sample.y,
                lambda counts: modulus.likelihood.prepare(operator.tensor(counts)),
                budget_bytes=patterns_bytes,
            ),
            apart.to(operator.device),
            operator.tensor(begun),
            illumination,
            window,
            Gauge.of(window, periodic=attrs.periodic),
        )

    def result(self, rule: StopRule, diagnostics: Mapping[str, Any]) -> Reconstruction:
        """The best image: no net ramp, background at 0."""
        scale_rad = self.operator.ideal.attrs.phase_scale_rad
        x = pin_background(self.gauge.project(rule.best) / scale_rad, self.window)
        told = {"held_out_losses": rule.losses, "best_pass": rule.best_pass, **diagnostics}
        return Reconstruction(x.cpu().numpy(), diagnostics=told)


class StopRule:
    """Keeps the image that patterns kept apart like best, and says when to stop.

    Args:
        patience: passes without a better image after which it is enough.
    """

    def __init__(self, patience: int) -> None:
        self.losses: list[float] = []
        self._patience = patience
        self._best: Tensor | None = None

    @property
    def best(self) -> Tensor:
        """The best image, (H, W); there is one after the first pass."""
        assert self._best is not None
        return self._best

    @property
    def best_pass(self) -> int:
        """Number of the pass that made the best image, from 0."""
        return self.losses.index(min(self.losses))

    def goes_on(self, image: Tensor, loss: float) -> bool:
        """Take note of an image (H, W) and of the loss that the patterns kept apart give it."""
        if not self.losses or loss < min(self.losses):
            self._best = image.clone()
        self.losses.append(loss)
        return len(self.losses) - 1 - self.best_pass < self._patience
