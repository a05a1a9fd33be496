"""P(e-): the electron probe through a thin specimen, at every scan position.

The first stage of 4D-STEM's chain. In the transmission t it is linear, psi_R = P(r - R) t(r); in
the object x it is not, t = exp(i phase_scale x) (contract, section 1).
"""

from __future__ import annotations

import torch
from torch import Tensor

from physics.ideal import IdealOperator
from physics.operator import FarField, ForwardOperator
from physics.primitives.base import Shape, check, complex_dtype

_NO_RAMP = FarField(None, None, None, 1.0)
"""Exit waves without the phase that an FFT's centring wants: what follows centres by itself."""


class ScanIllumination:
    """psi_R = P(r - R) t(r) on the window of each scan position: linear in t.

    Args:
        ideal: probe, positions and sampling of the sample.
        index: which positions of the flattened scan; all by default.
    """

    def __init__(self, ideal: IdealOperator, index: slice = slice(None)) -> None:
        self._ideal, self._index = ideal, index
        count, n = len(ideal.positions_px[index]), ideal.window
        self._shape = Shape(ideal.attrs.object_shape, (count, n, n))
        self._models: dict[tuple[torch.dtype, torch.device], ForwardOperator] = {}

    @property
    def shape(self) -> Shape:
        """(H, W) to (positions, n, n)."""
        return self._shape

    def forward(self, x: Tensor) -> Tensor:
        """Exit waves of a transmission, (..., positions, n, n) complex."""
        check(x, self.shape.domain, self)
        model = self._model(x)
        flat = x.to(complex_dtype(x)).reshape(-1, *self.shape.domain)
        waves = torch.stack([model.exit_waves(one, _NO_RAMP, self._index) for one in flat])
        return waves.reshape(*x.shape[:-2], *self.shape.range)

    def adjoint(self, y: Tensor) -> Tensor:
        """sum_R conj(P(r - R)) psi_R(r), (..., H, W) complex."""
        check(y, self.shape.range, self)
        model = self._model(y)
        flat = y.to(complex_dtype(y)).reshape(-1, *self.shape.range)
        images = torch.stack([model.exit_waves_adjoint(w, _NO_RAMP, self._index) for w in flat])
        return images.reshape(*y.shape[:-3], *self.shape.domain)

    def _model(self, x: Tensor) -> ForwardOperator:
        """The operator in the precision and on the device of `x`, made once."""
        key = (complex_dtype(x).to_real(), x.device)
        if key not in self._models:
            self._models[key] = ForwardOperator(self._ideal, dtype=key[0], device=key[1])
        return self._models[key]


class ExitWaves:
    """P(e-): exit waves of a phase object, psi_R = P(r - R) exp(i phase_scale x). Not linear.

    Args:
        ideal: probe, positions, sampling and `phase_scale_rad` of the sample.
        index: which positions of the flattened scan; all by default.
    """

    def __init__(self, ideal: IdealOperator, index: slice = slice(None)) -> None:
        self.illumination = ScanIllumination(ideal, index)
        self._phase_scale_rad = ideal.attrs.phase_scale_rad

    @property
    def shape(self) -> Shape:
        """(H, W) to (positions, n, n)."""
        return self.illumination.shape

    def forward(self, x: Tensor) -> Tensor:
        """Exit waves of an object x (real, 1 is a phase of `phase_scale_rad`)."""
        check(x, self.shape.domain, self)
        if x.is_complex():
            raise ValueError("ExitWaves takes a real object, not a complex one")
        phase = self._phase_scale_rad * x
        return self.illumination.forward(torch.polar(torch.ones_like(phase), phase))
