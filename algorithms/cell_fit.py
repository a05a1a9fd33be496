r"""The content of a crystal's cell, refined against all patterns with the exact operator.

    phi(r) = s(r) c(r),   c(r) = sum_g F_g exp(2 pi i g.r),   s(r) = 1 + slow waves

c is the cell and s the scale of the place: a crystal's patterns are scaled frame by frame before
they are merged (Shi et al., eLife 2, e01345 (2013)), since a frame's crystal may be thicker than
another's. Both are linear in phi, so that their slopes follow from the phase's:
dL/dF_g = <dL/dphi s exp(-2 pi i g.r)>, dL/ds_k = <dL/dphi c exp(-2 pi i k.r)>.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from algorithms.base import Sample
from algorithms.descent import AcceleratedDescent
from algorithms.lattice.cell import UnitCell, plane_waves
from algorithms.lattice.lattice import Float64, Int64, half_plane, nonzero
from algorithms.objective import Objective
from physics.curvature import Curvature
from schemas.spec import MismatchSpec

RIGID_STEPS = 3
"""Gauss-Newton steps of scale, displacement parameter and origin: the third moves next to none."""

SHARPEST_B_A2 = 3.0
"""Largest change of the displacement parameter in a step [A^2]: six times a typical crystal's."""

LEAST_CURVATURE = 0.1
"""Least curvature that a step is scaled by, relative to the spectrum's peak."""


@dataclass(frozen=True, eq=False)
class RigidParameters:
    """What is refined of a cell as a whole.

    Attributes:
        scale: factor of its phase.
        B_A2: displacement parameter added to every atom's own [A^2].
        origin_A: (y, x) by which it was moved [A].
        sigmas: standard errors of the four, by the Fisher information: scale, B, y, x.
    """

    scale: float
    B_A2: float
    origin_A: tuple[float, float]
    sigmas: tuple[float, float, float, float]


class Waves:
    """Sums of plane waves on the field, and back.

    Args:
        frequencies: (K, 2) [A^-1], one of each pair g, -g; (0, 0) may be among them.
        like: a tensor (H, W) of the field.
        sampling_A: the field's pixel [A].
    """

    def __init__(self, frequencies: Float64, like: Tensor, sampling_A: float) -> None:
        shape = (like.shape[0], like.shape[1])
        rows, cols = plane_waves(frequencies, shape, sampling_A)
        dtype = torch.complex64 if like.dtype == torch.float32 else torch.complex128
        self._rows, self._cols = (torch.as_tensor(w).to(like.device, dtype) for w in (rows, cols))

    def image(self, amplitudes: Tensor) -> Tensor:
        """Re sum_k a_k exp(2 pi i k.r), (H, W), of a (K,) complex."""
        image: Tensor = ((self._rows.T * amplitudes) @ self._cols).real
        return image

    def adjoint(self, image: Tensor) -> Tensor:
        """sum_r image(r) exp(-2 pi i k.r), (K,): the slope in Re a and Im a of image . Re(...)."""
        along = image.to(self._rows.dtype) @ self._cols.mH
        return (self._rows.conj() * along.T).sum(dim=1)


class CellFit:
    """A cell, and the scale of its places, fitted to all patterns step by step.

    Args:
        objective: the sample's likelihood.
        sample: the sample.
        cell: the cell to begin with.
        spec: the calibrated detector.
        scale_reach_invA: highest frequency of the scale's map [A^-1]; 0: one scale for all.
    """

    def __init__(
        self,
        objective: Objective,
        sample: Sample,
        cell: UnitCell,
        spec: MismatchSpec,
        *,
        scale_reach_invA: float,
    ) -> None:
        self._objective, self._sample, self._spec = objective, sample, spec
        attrs = sample.operator.attrs
        cell = cell.extended(_whole_disks_invA(sample))
        kept = half_plane(cell.indices)
        self._lattice, self._indices = cell.lattice, cell.indices[kept]
        field = objective.operator.tensor(np.zeros(attrs.object_shape))
        self._nodes = Waves(cell.lattice.frequencies(self._indices), field, attrs.sampling_A)
        slow = _slow_frequencies(attrs.object_shape, attrs.sampling_A, scale_reach_invA)
        self._slow = Waves(slow, field, attrs.sampling_A)
        self._twice = _pairs_twice(self._indices)
        amplitudes = torch.as_tensor(cell.coefficients[kept] * self._twice)
        begun = torch.cat([amplitudes, torch.zeros(len(slow), dtype=amplitudes.dtype)])
        self._theta = torch.view_as_real(begun).to(field.device, field.dtype)
        self._descent: AcceleratedDescent | None = None

    @property
    def cell(self) -> UnitCell:
        """The cell as it is now; where the scale is 1."""
        half = torch.view_as_complex(self._theta)[: len(self._indices)].cpu().numpy()
        half = half.astype(np.complex128) / self._twice
        others = nonzero(self._indices)
        return UnitCell(
            self._lattice,
            np.concatenate([self._indices, -self._indices[others]]),
            np.concatenate([half, half[others].conj()]),
        )

    @property
    def phase(self) -> Tensor:
        """s(r) c(r), (H, W) [rad]."""
        cell, scale = self._fields(self._theta)
        return cell * scale

    @property
    def scale(self) -> Tensor:
        """s(r), (H, W), of mean 1."""
        return self._fields(self._theta)[1]

    def run(self, steps: int) -> list[float]:
        """Take steps of accelerated descent; fewer when the deadline is reached; the losses."""
        if self._descent is None:
            self._descent = AcceleratedDescent(self._theta, self._precondition())
        losses: list[float] = []
        for _ in range(steps):
            if self._sample.seconds_left <= 0:
                break
            losses.append(self._descent.step(self._gradient))
        self._theta = self._descent.phi
        return losses

    def _fields(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """(c, s), each (H, W)."""
        amplitudes = torch.view_as_complex(theta.contiguous())
        count = len(self._indices)
        return (
            self._nodes.image(amplitudes[:count]),
            1 + self._slow.image(amplitudes[count:]),
        )

    def _gradient(self, theta: Tensor) -> tuple[float, Tensor]:
        cell, scale = self._fields(theta)
        loss, slope = self._objective.gradient(cell * scale, self._spec)
        slopes = torch.cat([self._nodes.adjoint(slope * scale), self._slow.adjoint(slope * cell)])
        return loss, torch.view_as_real(slopes)

    def _precondition(self) -> Callable[[Tensor], Tensor]:
        """Slope -> step, from the phase's Fisher information as a spectrum.

        A wave of amplitude a has the curvature H W C(g) / 2; times the mean square of s. A wave of
        s moves all nodes at once: the sum of theirs, weighted by |F_g|^2.
        """
        generator = torch.Generator().manual_seed(self._sample.seed)
        phase = self.phase
        curvature = Curvature.estimate(self._objective.information(phase, self._spec), generator)
        attrs = self._sample.operator.attrs
        of_nodes = _at(curvature, self._lattice.frequencies(self._indices), attrs.sampling_A)
        half = phase.numel() / 2 * float(curvature.coverage.mean())
        strength = torch.view_as_complex(self._theta)[: len(self._indices)].abs().square()
        by_node = half * float(self.scale.square().mean()) * of_nodes
        by_scale = half * float((strength * of_nodes)[self._twice > 1].sum()) / 2
        count = len(self._theta) - len(self._indices)
        each = torch.cat([by_node, by_node.new_full((count,), by_scale)])[:, None]
        return lambda slope: slope / each


def refine_rigid(
    objective: Objective, sample: Sample, cell: UnitCell, spec: MismatchSpec
) -> tuple[UnitCell, RigidParameters]:
    """Scale, displacement parameter and origin of a cell: Gauss-Newton on all patterns."""
    attrs = sample.operator.attrs
    found = np.array([1.0, 0.0, 0.0, 0.0])
    fisher = np.eye(4)
    for number in range(RIGID_STEPS):
        if number > 0 and sample.seconds_left <= 0:
            break
        moved = _rigid(cell, found)
        phi = objective.operator.tensor(moved.image(attrs.object_shape, attrs.sampling_A))
        _, slope = objective.gradient(phi, spec)
        ways = torch.stack(
            [
                objective.operator.tensor(way.image(attrs.object_shape, attrs.sampling_A))
                for way in _ways(moved, found[0])
            ]
        )
        products = objective.information(phi, spec).product(ways)
        fisher = (ways.flatten(1) @ products.flatten(1).T).double().cpu().numpy()
        pull = (ways.flatten(1) @ slope.reshape(-1)).double().cpu().numpy()
        step = -np.linalg.solve(fisher, pull)
        step *= min(1.0, SHARPEST_B_A2 / max(abs(step[1]), 1e-30))
        found = found + step
    sigmas = np.sqrt(np.diag(np.linalg.inv(fisher)))
    parameters = RigidParameters(
        float(found[0]),
        float(found[1]),
        (float(found[2]), float(found[3])),
        (float(sigmas[0]), float(sigmas[1]), float(sigmas[2]), float(sigmas[3])),
    )
    return _rigid(cell, found), parameters


def _rigid(cell: UnitCell, found: Float64) -> UnitCell:
    fractions = cell.lattice.basis @ found[2:]
    return cell.smeared(float(found[1]), float(found[0])).moved(fractions)


def _ways(cell: UnitCell, scale: float) -> list[UnitCell]:
    """Derivatives of a cell's content with scale, B [A^2] and origin (y, x) [A]."""
    nodes = cell.lattice.frequencies(cell.indices)
    squares = (nodes**2).sum(axis=1)
    factors = [1 / scale + 0j, -squares / 4, *(-2j * np.pi * along for along in nodes.T)]
    return [UnitCell(cell.lattice, cell.indices, cell.coefficients * factor) for factor in factors]


def _whole_disks_invA(sample: Sample) -> float:
    """Highest frequency whose disk lies on the detector as a whole [A^-1]."""
    ideal = sample.operator
    return (ideal.window / 2 - ideal.disk_radius_px) * ideal.detector_pixel_invA


def _pairs_twice(indices: Int64) -> Float64:
    """(K,) how many nodes an amplitude stands for: 2, and 1 for (0, 0)."""
    return np.where(nonzero(indices), 2.0, 1.0)


def _slow_frequencies(
    shape: tuple[int, int], sampling_A: float, reach_invA: float
) -> NDArray[np.float64]:
    """(K, 2) frequencies of the field up to `reach_invA`, one of each pair, 0 apart [A^-1]."""
    extent = np.array(shape) * sampling_A
    spans = [np.arange(-math.ceil(reach_invA * e), math.ceil(reach_invA * e) + 1) for e in extent]
    turns = np.stack(np.meshgrid(*spans, indexing="ij"), axis=-1).reshape(-1, 2)
    turns = turns[half_plane(turns) & nonzero(turns)]
    frequencies = turns / extent
    near = np.linalg.norm(frequencies, axis=1) <= reach_invA
    return np.asarray(frequencies[near], dtype=np.float64)


def _at(curvature: Curvature, frequencies: Float64, sampling_A: float) -> Tensor:
    """(K,) the curvature's spectrum at frequencies, bounded from below."""
    longest = max(curvature.coverage.shape) * sampling_A
    rings = np.rint(np.linalg.norm(frequencies, axis=1) * longest).astype(int)
    spectrum = torch.maximum(curvature.spectrum, curvature.spectrum.roll(-1))
    floor = LEAST_CURVATURE * float(spectrum.max())
    within = torch.as_tensor(np.minimum(rings, len(spectrum) - 1), device=spectrum.device)
    return spectrum.clamp_min(floor)[within]
