"""More than one crystal under the beam? Nanobeam patterns that one lattice does not index.

Overlapping grains give two lattices A and B in one pattern; double diffraction adds the sums
g_A + g_B, which neither has. Within one crystal double diffraction falls on its own lattice, where
only known structure factors can tell it (Hirsch et al., Electron Microscopy of Thin Crystals).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from algorithms.analysis.disks import Disks
from algorithms.analysis.lattice import average_disks, find_lattice
from algorithms.analysis.suited import LARGEST_BOX, LEAST_RADIUS_PX
from algorithms.analysis.template import ProbeTemplate
from physics.ideal import IdealOperator, Patterns
from runner.report.checks.record import Check, judged, not_judged
from schemas.spec import MismatchSpec

Float64 = NDArray[np.float64]

LOOKED_AT = 36
"""Patterns that are looked at, evenly over the scan."""

LEAST_DISKS = 5
"""Diffracted disks without which a pattern is not judged."""

ON_LATTICE = 0.15
"""A disk is on a lattice when its indices are this near to whole numbers."""

MOST_OFF = 0.1
"""Most weight (root of the electrons) of a pattern's disks that may be off its lattice."""

MOST_PATTERNS = 0.2
"""Share of the patterns with two lattices above which the scan is suspected: where grains lie side
by side, the beam straddles their boundary now and then."""

SUM_TOLERANCE_PX = 1.0
"""Distance of a disk from a sum g_A + g_B within which it is taken for one [pixels]."""


def off_lattice_share(vectors: Float64, electrons: Float64, basis: Float64) -> float:
    """Share of the disks' weight (root of the electrons) that a lattice does not index.

    Args:
        vectors: (M, 2) disks, from the direct beam [pixels].
        electrons: (M,) in each.
        basis: (2, 2), columns are the lattice's vectors [pixels].
    """
    weight = np.sqrt(np.maximum(electrons, 0.0))
    off = ~on_lattice(vectors, basis)
    return float(weight[off].sum() / weight.sum())


def on_lattice(vectors: Float64, basis: Float64) -> NDArray[np.bool_]:
    """(M,) whether a disk's indices are whole numbers, nearly."""
    indices = vectors @ np.linalg.inv(basis).T
    return np.asarray(np.abs(indices - np.rint(indices)).max(axis=1) < ON_LATTICE)


def sums(first: Float64, second: Float64, rest: Float64) -> NDArray[np.bool_]:
    """(R,) which of the vectors `rest` are a sum g_A + g_B of one each of `first` and `second`."""
    if not (len(first) and len(second) and len(rest)):
        return np.zeros(len(rest), dtype=bool)
    both = (first[:, None] + second[None]).reshape(-1, 2)
    nearest = np.linalg.norm(rest[:, None] - both[None], axis=2).min(axis=1)
    return np.asarray(nearest < SUM_TOLERANCE_PX)


def overlap(y: Patterns, operator: IdealOperator, usable: NDArray[np.bool_]) -> Check:
    """How many patterns need a second lattice, and whether sums of two lattices are seen."""
    name, expected = "one crystal at a time", "patterns that one lattice indexes"
    template = ProbeTemplate.of(operator, MismatchSpec())
    radius = operator.disk_radius_px
    if radius < LEAST_RADIUS_PX or LARGEST_BOX * template.side > operator.window:
        return not_judged(
            name,
            found=f"disks of {radius:.1f} pixels in radius on {operator.window}: they do not stand"
            " apart as a nanobeam's do",
            expected=expected,
            hint="compare the reconstruction's power spectrum with the structures that you expect",
        )
    ny, nx, *_ = y.shape
    chosen = np.unique(np.linspace(0, ny * nx - 1, min(LOOKED_AT, ny * nx)).round().astype(int))
    judged_count = two = 0
    doubled = 0
    shares = []
    for index in chosen:
        pattern = y.read(int(index), int(index) + 1)[0].astype(np.float64) / operator.attrs.gain
        found = average_disks(pattern, template, usable)
        if len(found.centers) <= LEAST_DISKS:
            continue
        judged_count += 1
        share, has_sums = _second_lattice(found)
        shares.append(share)
        two += share > MOST_OFF
        doubled += has_sums
    if judged_count < math.ceil(len(chosen) / 4):
        return not_judged(
            name,
            found=f"only {judged_count} of {len(chosen)} patterns have {LEAST_DISKS} disks apart or"
            " more",
            expected=expected,
        )
    portion = two / judged_count
    text = (
        f"{two} of {judged_count} patterns leave more than {100 * MOST_OFF:.0f} % of their disks"
        f" off one lattice (median {100 * float(np.median(shares)):.0f} %)"
    )
    if doubled:
        text += f"; {doubled} show sums of two lattices: double diffraction"
    return judged(
        name,
        good=portion <= MOST_PATTERNS,
        found=text,
        expected=f"{100 * MOST_PATTERNS:.0f} % of the patterns or fewer",
        hint="overlapping grains, or double diffraction between them: index each lattice by itself,"
        " compare with patterns simulated for both, and do not take sums g_A + g_B for a third"
        " phase",
        figures={"patterns_with_two": portion, "with_sums": doubled / judged_count},
    )


def _second_lattice(disks: Disks) -> tuple[float, bool]:
    """(share of the disks off the best lattice, whether what is left holds sums of two lattices).

    No lattice at all explains most disks where two do: all are off then.
    """
    vectors, electrons = disks.centers[1:] - disks.centers[0], disks.electrons[1:]
    lattice = find_lattice(disks)
    if lattice is None:
        return 1.0, False
    on = on_lattice(vectors, lattice.basis)
    share = off_lattice_share(vectors, electrons, lattice.basis)
    others = vectors[~on]
    if len(others) < LEAST_DISKS:
        return share, False
    second = find_lattice(
        Disks(
            np.concatenate([disks.centers[:1], disks.centers[1:][~on]]),
            np.concatenate([disks.sigma[:1], disks.sigma[1:][~on]]),
            np.concatenate([disks.electrons[:1], electrons[~on]]),
            np.concatenate([disks.significance[:1], disks.significance[1:][~on]]),
        )
    )
    if second is None:
        return share, False
    of_second = on_lattice(others, second.basis)
    left = sums(vectors[on], others[of_second], others[~of_second])
    return share, bool(left.any())
