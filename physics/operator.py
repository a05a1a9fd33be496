r"""The forward operator of 4D-STEM with a distorted detector, exact and differentiable.

    t = exp(i phi),  psi_R(j) = P(j) t(R + j - n//2),  psi^_R(d) = (A_y psi_R A_x^T)(d)
    I_R(d) = dose * dq/dd * |psi^_R(d)|^2,   A[d, j] = exp(-2 pi i q(d) (j - n//2) / n) / sqrt(n)

(contract, section 1). The detector's map is separable, so the far field at the distorted
frequencies q(d) is two small matrix products: nothing is interpolated. On the nominal detector the
same sum is an FFT. Derivatives are analytic: with G = (dL/dI) psi^, chi = A^H G,
dL/dphi = 2 dose dq/dd Im(chi conj(psi)).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from physics.geometry import DetectorGeometry
from physics.ideal import IdealOperator
from schemas.spec import MismatchSpec

DEFAULT_BATCH = 64
"""Patterns of 64 x 64 pixels per batch: they stay in the CPU's cache."""

BATCH_PIXELS = DEFAULT_BATCH * 64**2
"""Detector pixels per batch, whatever the size of a pattern."""

DEVICE_BATCHES = 32
"""Batches at once on a GPU, whose many cores a small one would leave idle."""


UNSEEN = 0.3
"""Singular values of A below this share of the largest count as 0: a frequency that the detector
does not see. At the published mismatches nearly all are within 2 % of one value; one to three are
larger by the square root of 2 (seen twice) or next to 0, and hardly any lies between."""


def batches(count: int, size: int = DEFAULT_BATCH) -> Iterator[slice]:
    """Slices that cover `range(count)` in order."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def dft_matrix(q: NDArray[np.float64], n: int) -> NDArray[np.complex128]:
    """A[d, j] = exp(-2 pi i q(d) (j - n//2) / n) / sqrt(n): the far field at frequencies q.

    Args:
        q: spatial frequency of each detector row or column [nominal pixels], (K,).
        n: side of the probe window [pixels].
    """
    matrix: NDArray[np.complex128] = np.exp(
        -2j * np.pi / n * np.outer(q, np.arange(n) - n // 2)
    ) / math.sqrt(n)
    return matrix


def vacuum_pattern(ideal: IdealOperator, spec: MismatchSpec) -> NDArray[np.float64]:
    """Pattern (Ky, Kx) of the probe without a specimen, for one electron."""
    pattern: NDArray[np.float64] = tilted_vacuum_patterns(ideal, spec, np.zeros((1, 2)))[0]
    return pattern


def tilted_vacuum_patterns(
    ideal: IdealOperator, spec: MismatchSpec, tilts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Patterns (J, Ky, Kx) of the probe scattered by plane waves, each for one electron.

    Args:
        ideal: whose probe it is.
        spec: the detector.
        tilts: (J, 2) frequencies (q_y, q_x) by which the beam is tilted [nominal pixels].
    """
    geometry = DetectorGeometry(ideal.window, spec)
    probe = ideal.probe.astype(np.complex128)
    patterns = np.empty((len(tilts), ideal.window, ideal.window))
    for pattern, tilt in zip(patterns, tilts, strict=True):
        left, right = (
            dft_matrix(q - along, ideal.window)
            for q, along in zip(geometry.frequencies(), tilt, strict=True)
        )
        wave = left @ probe @ right.T
        pattern[:] = geometry.area_element * (wave.real**2 + wave.imag**2)
    return patterns


@dataclass(frozen=True)
class PseudoInverse:
    """From detector waves back to the window, (A_y^+, A_x^+T).

    A distorted detector's A is not unitary: it sees a part of the frequencies, or some of them
    twice. What it does not see comes back as 0. On the nominal detector it is the adjoint.

    Attributes:
        left: (n, n), or None for the nominal detector.
        right: (n, n), likewise.
    """

    left: Tensor | None
    right: Tensor | None

    def __call__(self, waves: Tensor) -> Tensor:
        """Detector waves (B, Ky, Kx) to the smallest exit waves (B, n, n) that are nearest."""
        if self.left is None or self.right is None:
            psi: Tensor = torch.fft.ifft2(waves, norm="ortho")
        else:
            psi = self.left @ waves @ self.right
        return psi


@dataclass(frozen=True)
class FarField:
    """The far field of one detector geometry.

    Attributes:
        left: A_y (n, n), or None for the nominal detector, where an FFT does the same.
        right: A_x^T (n, n), likewise.
        ramp: (n, n) phase that puts q = 0 at n//2 of an FFT, a part of the probe; or None.
        weight: dose * dq/dd [electrons].
    """

    left: Tensor | None
    right: Tensor | None
    ramp: Tensor | None
    weight: float

    def forward(self, psi: Tensor) -> Tensor:
        """Exit waves (B, n, n) to detector waves (B, Ky, Kx)."""
        if self.left is None or self.right is None:
            waves: Tensor = torch.fft.fft2(psi, norm="ortho")
        else:
            waves = self.left @ psi @ self.right
        return waves

    def adjoint(self, waves: Tensor) -> Tensor:
        """Detector waves (B, Ky, Kx) back to the window (B, n, n)."""
        if self.left is None or self.right is None:
            psi: Tensor = torch.fft.ifft2(waves, norm="ortho")
        else:
            psi = self.left.mH @ waves @ self.right.mH
        return psi

    def pseudo_inverse(self) -> PseudoInverse:
        """The way back that undoes `forward` for all that the detector sees."""
        if self.left is None or self.right is None:
            return PseudoInverse(None, None)
        left, right = (
            torch.linalg.pinv(matrix.to(torch.complex128), rtol=UNSEEN).to(matrix.dtype)
            for matrix in (self.left, self.right)
        )
        return PseudoInverse(left, right)

    def intensity(self, waves: Tensor) -> Tensor:
        """Expected electrons (B, Ky, Kx) of detector waves."""
        return self.weight * (waves.real.square() + waves.imag.square())


@dataclass(frozen=True)
class SpecField:
    """The far field of one detector geometry, and how it moves with the spec.

    Attributes:
        far: the far field, by matrices even where the detector is nominal.
        left: A_y (n, n).
        right: A_x^T (n, n).
        left_slope: dA_y/dq_y, (n, n).
        right_slope: dA_x^T/dq_x, (n, n).
        jacobian_y: dq_y/dp of every detector row, (3, n), for dL [%], dc [pixels], eps.
        jacobian_x: dq_x/dp of every detector column, likewise.
        log_area: dlog(dq/dd)/dp, (3,).
    """

    far: FarField
    left: Tensor
    right: Tensor
    left_slope: Tensor
    right_slope: Tensor
    jacobian_y: Tensor
    jacobian_x: Tensor
    log_area: Tensor

    def derivatives(self, psi: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of exit waves (B, n, n): detector waves and I (B, Ky, Kx), dI/dp (3, B, Ky, Kx)."""
        half = self.left @ psi
        psi_hat = half @ self.right
        along_y = self.left_slope @ psi @ self.right
        along_x = half @ self.right_slope
        intensity = self.far.intensity(psi_hat)
        twice = 2 * self.far.weight
        by_qy = twice * (psi_hat.real * along_y.real + psi_hat.imag * along_y.imag)
        by_qx = twice * (psi_hat.real * along_x.real + psi_hat.imag * along_x.imag)
        derivatives = [
            by_qy * along_rows[:, None] + by_qx * along_cols[None, :] + intensity * area
            for along_rows, along_cols, area in zip(
                self.jacobian_y, self.jacobian_x, self.log_area, strict=True
            )
        ]
        return psi_hat, intensity, torch.stack(derivatives)


class ForwardOperator:
    """Expected electrons of a phase object, for any mismatch, in batches over the scan.

    Args:
        ideal: probe, positions and instrument of the sample.
        dtype: torch.float32 or torch.float64, of phases and intensities.
        device: torch device.

    Attributes:
        batch: patterns that are best worked on at once.

    Phases `phi` are (H, W) [rad]; `phi = phase_scale_rad * x`. Intensities are electrons, before
    the detector's gain. `index` is a slice or a tensor of flattened scan positions.
    """

    def __init__(
        self,
        ideal: IdealOperator,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        self.ideal = ideal
        self.dtype = dtype
        self.device = torch.device(device)
        self._complex = torch.complex64 if dtype == torch.float32 else torch.complex128
        self._probe = torch.as_tensor(ideal.probe).to(self.device, self._complex)
        rows, cols = torch.as_tensor(ideal.positions_px, dtype=torch.float64).to(self.device).T
        whole_rows, whole_cols = rows.round(), cols.round()
        n = ideal.window
        self._row = whole_rows.long() - n // 2
        self._col = whole_cols.long() - n // 2
        fraction = torch.stack([rows - whole_rows, cols - whole_cols], dim=1)
        self._fraction = fraction if bool((fraction != 0).any()) else None
        self._window = torch.arange(n, device=self.device)
        together = 1 if self.device.type == "cpu" else DEVICE_BATCHES
        self.batch = max(1, together * BATCH_PIXELS // n**2)

    @property
    def count(self) -> int:
        """Number of scan positions."""
        return len(self._row)

    @property
    def object_shape(self) -> tuple[int, int]:
        """(H, W) of the object [pixels]."""
        return self.ideal.attrs.object_shape

    def tensor(self, values: ArrayLike) -> Tensor:
        """Real values as a tensor of this operator's dtype and device."""
        return torch.as_tensor(np.asarray(values)).to(self.device, self.dtype)

    def far_field(self, spec: MismatchSpec) -> FarField:
        """The far field of a detector geometry; make it once, use it for every batch."""
        n, dose = self.ideal.window, self.ideal.attrs.dose_e
        if spec.is_nominal:
            axis = torch.arange(n, device=self.device, dtype=torch.float64) * (n // 2) / n
            ramp = torch.exp(2j * math.pi * (axis[:, None] + axis[None, :]))
            return FarField(None, None, ramp.to(self._complex), dose)
        geometry = DetectorGeometry(n, spec)
        left, right = self._matrices(geometry)
        return FarField(left, right, None, dose * geometry.area_element)

    def spec_field(self, spec: MismatchSpec) -> SpecField:
        """The far field and its slopes; make it once, use it for every batch."""
        geometry = DetectorGeometry(self.ideal.window, spec)
        left, right = self._matrices(geometry)
        slope = -2j * math.pi * (self._window.to(self.dtype) - self.ideal.window // 2)
        slope = slope / self.ideal.window
        jacobian_y, jacobian_x = (self.tensor(part) for part in geometry.frequency_jacobian())
        return SpecField(
            FarField(left, right, None, self.ideal.attrs.dose_e * geometry.area_element),
            left,
            right,
            left * slope,
            slope[:, None] * right,
            jacobian_y,
            jacobian_x,
            self.tensor(geometry.log_area_gradient()),
        )

    def exit_waves(self, transmission: Tensor, far: FarField, index: slice | Tensor) -> Tensor:
        """psi = P(r - R) t(r) on the windows of `index`: (B, n, n) complex."""
        flat = self._flat_index(index).reshape(-1)
        n = self.ideal.window
        windows = transmission.reshape(-1).index_select(0, flat).reshape(-1, n, n)
        return windows * self._probes(far, index)

    def exit_waves_adjoint(self, psi: Tensor, far: FarField, index: slice | Tensor) -> Tensor:
        """sum_R conj(P(r - R)) psi_R(r) of exit waves (B, n, n): (H, W) complex."""
        height, width = self.object_shape
        values = (psi * self._probes(far, index).conj()).reshape(-1)
        empty = psi.new_zeros(height * width)
        image = empty.index_add(0, self._flat_index(index).reshape(-1), values)
        return image.reshape(height, width)

    def transmission(self, phi: Tensor) -> Tensor:
        """t = exp(i phi), (H, W) complex."""
        return torch.polar(torch.ones_like(phi), phi)

    def expected(
        self, phi: Tensor, spec: MismatchSpec, index: slice | Tensor = slice(None)
    ) -> Tensor:
        """Expected electrons I (B, Ky, Kx); differentiable in `phi` by autograd as well."""
        far = self.far_field(spec)
        return far.intensity(far.forward(self.exit_waves(self.transmission(phi), far, index)))

    def pull_back(
        self,
        psi: Tensor,
        psi_hat: Tensor,
        slope: Tensor,
        far: FarField,
        index: slice | Tensor,
        *,
        into: Tensor,
    ) -> None:
        """Add dL/dphi (H, W) of a loss with dL/dI = `slope` (B, Ky, Kx), for one batch.

        Args:
            psi: exit waves of the batch, (B, n, n).
            psi_hat: their far field, (B, Ky, Kx).
            slope: dL/dI, (B, Ky, Kx).
            far: the far field that made `psi_hat`.
            index: the batch.
            into: (H, W), where it is added: an object may be far larger than what a batch meets.
        """
        chi = far.adjoint(slope * psi_hat)
        local = chi.imag * psi.real - chi.real * psi.imag
        self._scatter((2 * far.weight) * local, index, into)

    def directional(
        self, psi: Tensor, psi_hat: Tensor, direction: Tensor, far: FarField, index: slice | Tensor
    ) -> Tensor:
        """Derivative of I (B, Ky, Kx) along a phase change `direction` (H, W): the jvp in phi."""
        n = self.ideal.window
        step = direction.reshape(-1).index_select(0, self._flat_index(index).reshape(-1))
        moved = far.forward(torch.complex(-psi.imag, psi.real) * step.reshape(-1, n, n))
        return (2 * far.weight) * (psi_hat.real * moved.real + psi_hat.imag * moved.imag)

    def spec_derivatives(
        self, phi: Tensor, spec: MismatchSpec, index: slice | Tensor = slice(None)
    ) -> tuple[Tensor, Tensor]:
        """I (B, Ky, Kx) and its derivatives (3, B, Ky, Kx) for dL [%], dc [pixels], eps [-]."""
        field = self.spec_field(spec)
        psi = self.exit_waves(self.transmission(phi), field.far, index)
        _, intensity, derivatives = field.derivatives(psi)
        return intensity, derivatives

    def illumination(self, chosen: Tensor | None = None) -> Tensor:
        """Sum over the scan of |P(r - R)|^2, (H, W): probe windows' coverage of the object.

        Args:
            chosen: flattened scan positions; None: all of them.
        """
        total = self.tensor(np.zeros(self.object_shape))
        far = FarField(None, None, None, 1.0)
        for part in batches(self.count if chosen is None else len(chosen), self.batch):
            index = part if chosen is None else chosen[part]
            probes = self._probes(far, index)
            size = len(self._row[index])
            weights = probes.real.square() + probes.imag.square()
            self._scatter(weights.expand(size, -1, -1).contiguous(), index, total)
        return total

    def back_to_object(
        self, psi: Tensor, far: FarField, index: slice | Tensor, *, into: Tensor
    ) -> None:
        """Add conj(P) psi of exit waves (B, n, n) to the object: the adjoint of `exit_waves` in t.

        Args:
            psi: exit waves of the batch.
            far: the far field that they belong to.
            index: the batch.
            into: (H, W) complex, where it is added.
        """
        self._scatter(psi * self._probes(far, index).conj(), index, into)

    def _matrices(self, geometry: DetectorGeometry) -> tuple[Tensor, Tensor]:
        """(A_y, A_x^T), each (n, n); computed in float64."""
        n = self.ideal.window
        left, right = (dft_matrix(q, n) for q in geometry.frequencies())
        return (
            torch.as_tensor(left).to(self.device, self._complex),
            torch.as_tensor(right.T.copy()).to(self.device, self._complex),
        )

    def _flat_index(self, index: slice | Tensor) -> Tensor:
        """Flattened object pixels of the windows, (B, n, n); wrapped when periodic."""
        height, width = self.object_shape
        rows = self._row[index][:, None] + self._window
        cols = self._col[index][:, None] + self._window
        if self.ideal.attrs.periodic:
            rows, cols = rows % height, cols % width
        flat: Tensor = (rows * width)[:, :, None] + cols[:, None, :]
        return flat

    def _scatter(self, values: Tensor, index: slice | Tensor, into: Tensor) -> None:
        """Add windows (B, n, n) to the object (H, W)."""
        into.view(-1).index_add_(0, self._flat_index(index).reshape(-1), values.reshape(-1))

    def _probes(self, far: FarField, index: slice | Tensor) -> Tensor:
        """The probe on each window: (n, n), or (B, n, n) shifted by the positions' fractions."""
        if self._fraction is None:
            return self._probe if far.ramp is None else self._probe * far.ramp
        n = self.ideal.window
        q = torch.fft.fftfreq(n, device=self.device, dtype=torch.float64)
        rows, cols = self._fraction[index].T
        ramp = torch.exp(
            -2j * math.pi * (rows[:, None, None] * q[:, None] + cols[:, None, None] * q[None, :])
        ).to(self._complex)
        shifted: Tensor = torch.fft.ifft2(torch.fft.fft2(self._probe) * ramp)
        return shifted if far.ramp is None else shifted * far.ramp
