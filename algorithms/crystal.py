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
from algorithms.lattice.search import Indexing, index
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

NO_LATTICE = (
    "no lattice: the best one holds {share:.2f} of the scattered power beyond chance (a lattice has"
    " {least:g}), {significance:.0f} standard deviations above noise (at least {sigmas:g});"
    " the image is that of " + FALLBACK + ", made without a cell"
)


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
    indexing = index(ScanSpectrum.of(sample, spec, usable))
    if indexing is None or not indexing.found:
        return fall_back(sample, spec, indexing)
    lattice = whole_cells(sample, indexing.lattice)
    reflections = fit_disks(statistics.mean, statistics.count, sample, lattice, spec, usable)
    seen = observed(reflections)
    measured = CentreOfMassNodes.of(sample, lattice, spec, usable)
    if not (seen & nonzero(reflections.indices)).any():
        return fall_back(sample, spec, indexing)
    cell, phasing = solve_structure(reflections, measured, search)
    diagnostics = {
        "lattice": indexing.report(),
        "whole_cells": lattice is not indexing.lattice,
        "reflections": int(seen.sum()),
        "resolution_A": 1 / float(reflections.lengths[seen].max()),
        "disk_fit_chi_square": reflections.chi_square,
        "phases_from_centre_of_mass": int(measured.trusted.sum()),
        "phasing": {
            "figure_of_merit": phasing.figure_of_merit,
            "converged": phasing.converged,
            "agreement": phasing.agreement,
        },
        "correlation_with_centre_of_mass": measured.correlation(cell),
    }
    return Crystal(cell, reflections, diagnostics)


def fall_back(sample: Sample, spec: MismatchSpec, indexing: Indexing | None) -> Reconstruction:
    """The fallback's image of a specimen without a lattice, with what was found and a warning."""
    image = CpuBaseline().reconstruct(sample, spec)
    found: dict[str, Any] = {"found": False} if indexing is None else indexing.report()
    warning = NO_LATTICE.format(
        share=0.0 if indexing is None else indexing.share,
        least=found.get("least_share", 0.0),
        significance=0.0 if indexing is None else indexing.significance,
        sigmas=found.get("least_significance", 0.0),
    )
    return replace(image, diagnostics={"lattice": found, "fallback": FALLBACK, "warning": warning})


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
