"""From patterns to the crystal's average cell: what `pedt` and `microed` share.

1. The lattice, found and indexed in the scan's spectrum (`lattice.search`).
2. Intensities of its reflections, from the position-averaged pattern (`lattice.disks`).
3. Phases of the lowest ones from the centre of mass (`lattice.placement`), which settle origin and
   hand; the others by charge flipping (`phasing`), as high-resolution images extend their phases
   with diffraction's magnitudes (Fan et al., Ultramicroscopy 36, 361 (1991)).
4. The magnitudes are those of exp(i phi), not of phi: corrected by the ratio of the two in the cell
   that was found, and phased again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from algorithms.base import Reconstruction, Sample
from algorithms.lattice.cell import UnitCell
from algorithms.lattice.disks import Reflections, fit_disks
from algorithms.lattice.lattice import Lattice, nonzero
from algorithms.lattice.placement import CentreOfMassNodes
from algorithms.lattice.search import index
from algorithms.lattice.spectrum import ScanSpectrum
from algorithms.lattice.structure import Search, observed, solve_structure
from algorithms.pixels import PixelStatistics
from algorithms.reconstructors.baseline import CpuBaseline
from schemas.spec import MismatchSpec

FALLBACK = "cpu-baseline"
"""What is done with a specimen that has no lattice."""

BACKGROUND_PERCENTILE = 0.1
"""Percentile of x that is put to 0. An averaged cell has next to no noise, which would bias its
minimum; but a map of scales may overshoot at a few pixels."""

WRONG_CHI_SQUARE = 3.0
"""Reduced chi-square of the averaged pattern's fit by disks above which the nodes are not where the
disks are. Crystals have 0.7 to 1.1, a lattice folded by the scan 16."""

DISKS_ELSEWHERE = (
    "a lattice in the scan, but the averaged pattern's disks are not at its nodes (reduced"
    " chi-square {:.1f})"
)
WARNING = "{why}; the image is that of " + FALLBACK + ", made without a cell"


@dataclass(frozen=True, eq=False)
class Crystal:
    """The average cell of a specimen, and how it was found.

    Attributes:
        cell: at its place in the field.
        reflections: observed intensities.
        diagnostics: for people.
    """

    cell: UnitCell
    reflections: Reflections
    diagnostics: dict[str, Any]


def solve_crystal(sample: Sample, spec: MismatchSpec, search: Search) -> Crystal | Reconstruction:
    """The crystal's cell; or, where there is no lattice, the named fallback's image, said so."""
    statistics = PixelStatistics.of(sample.y)
    usable = statistics.usable(sample.operator.attrs.gain)
    spectrum = ScanSpectrum.of(sample, spec, usable)
    indexing = index(spectrum)
    if indexing is None:
        return fall_back(
            sample, spec, {"found": False}, "no lattice: the field is too small for one"
        )
    told: dict[str, Any] = {"lattice": indexing.report()}
    if not indexing.found:
        return fall_back(sample, spec, told, indexing.why_not())

    def fitted(lattice: Lattice) -> Reflections:
        whole = whole_cells(sample, lattice)
        return fit_disks(statistics.mean, statistics.count, sample, whole, spec, usable)

    reflections = fitted(indexing.lattice)
    if reflections.chi_square > WRONG_CHI_SQUARE:
        folds = [fitted(lattice) for lattice in spectrum.folds(indexing.lattice)]
        reflections = min([reflections, *folds], key=lambda fit: fit.chi_square)
    seen = observed(reflections)
    told |= {
        "cell_vectors_A": reflections.lattice.vectors.tolist(),
        "disk_fit_chi_square": reflections.chi_square,
        "reflections": int(seen.sum()),
    }
    if reflections.chi_square > WRONG_CHI_SQUARE:
        return fall_back(sample, spec, told, DISKS_ELSEWHERE.format(reflections.chi_square))
    if not (seen & nonzero(reflections.indices)).any():
        return fall_back(sample, spec, told, "a lattice, but no reflection above the noise")
    measured = CentreOfMassNodes.of(sample, reflections.lattice, spec, usable)
    cell, phasing = solve_structure(reflections, measured, search)
    told |= {
        "resolution_A": 1 / float(reflections.lengths[seen].max()),
        "phases_from_centre_of_mass": int(measured.trusted.sum()),
        "phasing": {
            "figure_of_merit": phasing.figure_of_merit,
            "converged": phasing.converged,
            "agreement": phasing.agreement,
        },
        "correlation_with_centre_of_mass": measured.correlation(cell),
    }
    return Crystal(cell, reflections, told)


def fall_back(sample: Sample, spec: MismatchSpec, told: dict[str, Any], why: str) -> Reconstruction:
    """The fallback's image of a specimen without a lattice, with what was found and a warning."""
    image = CpuBaseline().reconstruct(sample, spec)
    warning = WARNING.format(why=why)
    return replace(image, diagnostics={**told, "fallback": FALLBACK, "warning": warning})


def whole_cells(sample: Sample, lattice: Lattice) -> Lattice:
    """The lattice, made to repeat with a supercell where it nearly does."""
    attrs = sample.operator.attrs
    if not attrs.periodic:
        return lattice
    height, width = (side * attrs.sampling_A for side in attrs.object_shape)
    return lattice.in_box((height, width)) or lattice


def x_of(phase: NDArray[np.floating[Any]], sample: Sample) -> NDArray[np.float32]:
    """x (H, W) in [0, 1] of a phase (H, W) [rad] that is known but for a constant."""
    x = phase / sample.operator.attrs.phase_scale_rad
    shifted = x - np.percentile(x, BACKGROUND_PERCENTILE)
    return np.asarray(np.clip(shifted, 0.0, 1.0), dtype=np.float32)
