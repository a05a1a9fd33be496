"""strain: the lattice of every pattern, and how it differs from a reference.

Disks by correlation with the probe's own pattern and a maximum-likelihood fit (`template`,
`disks`), a lattice by weighted least squares (`tracking`, `lattice`), strain and rotation by polar
decomposition (`deformation`). Places are taken to A^-1 by the calibrated detector geometry first,
so that a camera length or an ellipse is not taken for strain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from algorithms.analysis.base import Map, Maps
from algorithms.analysis.deformation import (
    COMPONENTS,
    deformation_gradient,
    matched,
    median_reference,
    polar,
    strain_errors,
)
from algorithms.analysis.lattice import Lattice, orders_within
from algorithms.analysis.patterns import FirstLook, electron_blocks
from algorithms.analysis.suited import disk_diameter_invA, lattice_of
from algorithms.analysis.tracking import Tracker
from algorithms.base import Sample, unsuited
from schemas.findings import ContractError, refuse
from schemas.spec import MismatchSpec

Float64 = NDArray[np.float64]
Pair = tuple[float, float]

LEAST_MEAN_E = 1.5
"""Disks with fewer electrons than this in the average pattern are not sought [electrons]."""

WORST_ERROR = 0.02
"""A position whose strain is less certain than this is not valid."""

LARGEST_STRAIN = 0.15
"""A given lattice that the found one is strained against by more is another lattice."""

ERROR_NAMES = tuple(f"{name}_error" for name in COMPONENTS)


@dataclass(frozen=True)
class Strain:
    """Strain and rotation maps.

    Attributes:
        lattice_invA: reference lattice: two reciprocal vectors as (g_y, g_x) [A^-1]; None takes the
            median over the scan, or over `region`.
        region: (first row, last row, first column, last column) of scan positions, the last ones
            excluded, whose median is the reference; None: the whole scan.
        least_disks: diffracted disks that a valid position needs.
        least_significance: electrons of a disk over their standard error, below which it is not
            used.
    """

    lattice_invA: tuple[Pair, Pair] | None = None
    region: tuple[int, int, int, int] | None = None
    least_disks: int = 4
    least_significance: float = 4.0

    def analyse(self, sample: Sample, spec: MismatchSpec) -> Maps:
        """e_xx, e_yy, e_xy, theta, their errors, the number of disks, and the misfit.

        Raises:
            ContractError: SAMPLE_UNSUITED: no disks apart on a lattice; USAGE: a bad parameter.
        """
        self._check(sample)
        look = FirstLook.of(sample, spec)
        lattice, _ = lattice_of(sample, spec, look)
        tracker = Tracker(
            look.template,
            lattice,
            _bright_orders(look, lattice),
            look.usable,
            look.variance_e,
            self.least_significance,
        )
        found = _Found.of(sample, tracker)
        return self._maps(sample, tracker, found)

    def _check(self, sample: Sample) -> None:
        if self.region is None:
            return
        if self.lattice_invA is not None:
            raise refuse(
                "USAGE",
                "region",
                expected="one reference: lattice_invA, or the median of a region",
                found="both",
                hint="leave one of them out",
            )
        top, bottom, left, right = self.region
        ny, nx = sample.scan_shape
        if not (0 <= top < bottom <= ny and 0 <= left < right <= nx):
            raise refuse(
                "USAGE",
                "region",
                expected=f"(first row, last row, first column, last column) within {ny} x {nx}",
                found=str(self.region),
                hint="positions are counted from 0, and the last ones are excluded",
            )

    def _maps(self, sample: Sample, tracker: Tracker, found: _Found) -> Maps:
        shape, start = sample.scan_shape, tracker.start
        scale = tracker.template.frequency_scale_invA(sample.operator.detector_pixel_invA)
        basis = found.basis * scale[:, None]
        covariance = found.covariance * (scale**2)[:, None, None]
        valid = found.determined & (found.disks - 1 >= self.least_disks)
        valid &= np.linalg.det(basis) * np.linalg.det(start.basis) > 0
        if not valid.any():
            raise self._too_few(sample, found)
        reference = self._reference(basis, valid, start.basis * scale[:, None], sample)
        safe = np.where(valid[:, None, None], basis, reference)
        strain = polar(deformation_gradient(safe, reference))
        errors = strain_errors(safe, np.where(valid[:, None, None, None], covariance, 0), reference)
        # A misfit beyond the noise widens the errors: the disks are not quite the probe's copies.
        errors *= np.sqrt(np.maximum(found.chi_square, 1.0))[:, None]
        valid &= (errors[:, :3] <= WORST_ERROR).all(axis=1)
        if not valid.any():
            raise self._too_few(sample, found)
        degrees = np.array([1, 1, 1, 180 / np.pi])
        maps: dict[str, Map] = {}
        words = ("strain along x", "strain along y", "shear strain", "rotation from +x to +y")
        for column, (name, word) in enumerate(zip(COMPONENTS, words, strict=True)):
            unit = "deg" if name == "theta" else ""
            for title, values, signed in (
                (name, strain, True),
                (ERROR_NAMES[column], errors, False),
            ):
                field = np.where(valid, values[:, column] * degrees[column], 0.0)
                text = word if signed else f"standard error of {name}"
                maps[title] = Map(field.reshape(shape), unit, text, signed)
        disks = np.where(valid, found.disks, 0)
        maps["disks"] = Map(disks.reshape(shape), "", "disks used, the direct beam among them")
        misfit = np.where(valid, found.chi_square, 0.0)
        maps["chi_square"] = Map(misfit.reshape(shape), "", "reduced chi-square of the lattice fit")
        return Maps(maps, valid.reshape(shape), self._diagnostics(sample, found, reference, valid))

    def _too_few(self, sample: Sample, found: _Found) -> ContractError:
        """SAMPLE_UNSUITED: no position has a lattice that is certain enough."""
        return unsuited(
            sample,
            needs=f"{self.least_disks} diffracted disks at a position, each"
            f" {self.least_significance:g} times its standard error, and a strain certain to"
            f" {WORST_ERROR:g}",
            found=f"at most {int(found.disks.max()) - 1} disks at any of {len(found.disks)}"
            " positions",
            instead="more dose, or a lower --set least_significance=3",
        )

    def _reference(
        self, basis: Float64, valid: NDArray[np.bool_], start: Float64, sample: Sample
    ) -> Float64:
        """The reference lattice G_0 (2, 2) [A^-1]."""
        if self.lattice_invA is not None:
            given = np.array(self.lattice_invA, dtype=np.float64).T
            middle = median_reference(basis[valid], start)
            reference = matched(given, middle)
            self._check_given(reference, middle)
            return reference
        chosen = valid.copy()
        if self.region is not None:
            top, bottom, left, right = self.region
            inside = np.zeros(sample.scan_shape, dtype=bool)
            inside[top:bottom, left:right] = True
            chosen &= inside.ravel()
        if not chosen.any():
            raise refuse(
                "USAGE",
                "region",
                expected="a region with valid positions",
                found=f"none of the {valid.sum()} valid positions lies in {self.region}",
                hint="choose another region, or leave it out for the median of the whole scan",
            )
        return median_reference(basis[chosen], start)

    def _check_given(self, reference: Float64, found: Float64) -> None:
        """Refuse a given lattice that is another one, whatever it is called."""
        strain = polar(deformation_gradient(found, reference))[:3]
        if np.abs(strain).max() > LARGEST_STRAIN:
            raise refuse(
                "USAGE",
                "lattice_invA",
                expected=f"the specimen's lattice, strained by {LARGEST_STRAIN:g} at most: near"
                f" {np.round(found.T, 4).tolist()} A^-1",
                found=f"{self.lattice_invA}, a strain of {np.abs(strain).max():.2f}",
                hint="two reciprocal vectors as (g_y, g_x), lengths 1/d in A^-1, of the same cell",
            )

    def _diagnostics(
        self, sample: Sample, found: _Found, reference: Float64, valid: NDArray[np.bool_]
    ) -> dict[str, Any]:
        how = "given" if self.lattice_invA else "median of a region" if self.region else "median"
        return {
            "reference": how,
            "reference_lattice_invA": reference.T.tolist(),
            "disk_diameter_invA": disk_diameter_invA(sample),
            "shortest_reflection_invA": float(np.linalg.norm(reference, axis=0).min()),
            "disks_sought": found.sought,
            "median_disks": float(np.median(found.disks[valid])),
            "median_chi_square": float(np.median(found.chi_square[valid])),
            "valid_positions": int(valid.sum()),
        }


@dataclass(frozen=True, eq=False)
class _Found:
    """Lattices of all patterns, in detector pixels; N positions.

    Attributes:
        basis: (N, 2, 2).
        covariance: (N, 2, 2, 2) of (G_1, G_2), for each axis y, x.
        chi_square: (N,).
        disks: (N,) how many were used.
        determined: (N,).
        sought: how many were looked for.
    """

    basis: Float64
    covariance: Float64
    chi_square: Float64
    disks: NDArray[np.int_]
    determined: NDArray[np.bool_]
    sought: int

    @classmethod
    def of(cls, sample: Sample, tracker: Tracker) -> _Found:
        """One pass over the scan, block by block."""
        blocks = electron_blocks(sample, tracker.usable)
        parts = [tracker.lattices(block) for block in blocks]
        return cls(
            np.concatenate([part.basis for part in parts]),
            np.concatenate([part.covariance[:, :, 1:, 1:] for part in parts]),
            np.concatenate([part.chi_square for part in parts]),
            np.concatenate([part.used.sum(axis=1) for part in parts]),
            np.concatenate([part.determined for part in parts]),
            len(tracker.orders),
        )


def _bright_orders(look: FirstLook, lattice: Lattice) -> NDArray[np.int_]:
    """Disks (M, 2) that the average pattern shows."""
    orders = orders_within(lattice, look.template)
    at = np.rint(lattice.places(orders)).astype(np.int_)
    electrons = look.template.correlate(look.average[None])[0][at[:, 0], at[:, 1]]
    bright = electrons >= LEAST_MEAN_E
    bright[0] = True
    return np.asarray(orders[bright])
