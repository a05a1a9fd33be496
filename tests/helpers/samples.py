"""Small simulated measurements, as an algorithm gets them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from algorithms.base import Sample
from physics.ideal import IdealOperator
from runner.tiers.simulate import simulate
from runner.tiers.specimens.made_up import round_atoms
from schemas.challenge import Tier
from schemas.recipes import SPEC_RANGES
from schemas.spec import MismatchSpec, SpecRanges

PUBLIC_RANGES = SPEC_RANGES[Tier.PUBLIC]


def atoms(
    shape: tuple[int, int] = (48, 48), *, count: int = 40, width_px: float = 1.4, seed: int = 0
) -> NDArray[np.float32]:
    """Round atoms at random places of a supercell, on a background of 0; the highest is 1."""
    rng = np.random.default_rng(seed)
    return round_atoms(shape, count=count, width_px=width_px, rng=rng)


def measured(
    ideal: IdealOperator,
    x: NDArray[np.float32],
    spec: MismatchSpec,
    *,
    seed: int = 0,
    ranges: SpecRanges = PUBLIC_RANGES,
    true_spec: MismatchSpec | None = None,
) -> Sample:
    """The sample of a raster over `x`, with its noise drawn from `seed`."""
    rows, cols = (len(np.unique(axis)) for axis in ideal.positions_px.T)
    y = simulate(x, ideal, spec, scan_shape=(rows, cols), rng=np.random.default_rng(seed))
    return Sample("sample_00", y, ideal, ranges, true_spec=true_spec)
