"""A problem file's scan as an algorithm of this project sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from algorithms.base import Sample
from physics.ideal import ArrayPatterns, IdealOperator
from schemas.challenge import Tier
from schemas.operator import MODEL_NAME, OperatorAttrs
from schemas.recipes import SPEC_RANGES

if TYPE_CHECKING:
    from benchmarks.peers.adapters.exchange import Problem


def sample_of(problem: Problem, *, periodic: bool) -> Sample:
    """The problem as an algorithm of ours sees it.

    Args:
        problem: the scan.
        periodic: False lays the object out without wrapping, as most peers do it.
    """
    before = 0 if periodic else problem.window // 2
    shape = tuple(side + 2 * before for side in problem.object_shape)
    attrs = OperatorAttrs(
        energy_eV=problem.energy_eV,
        wavelength_A=problem.wavelength_A,
        semiangle_mrad=problem.semiangle_mrad,
        C10_A=problem.C10_A,
        Cs_A=0.0,
        sampling_A=problem.sampling_A,
        phase_scale_rad=problem.phase_scale_rad,
        dose_e=problem.dose_e,
        gain=1.0,
        read_noise=0.0,
        periodic=periodic,
        object_shape=(shape[0], shape[1]),
        model=MODEL_NAME,
    )
    positions = (problem.positions_px + before).astype(np.float32)
    operator = IdealOperator(attrs, problem.probe, positions)
    y = ArrayPatterns(problem.counts)
    return Sample("sample_00", y, operator, SPEC_RANGES[Tier.PUBLIC])
