"""A measurement with all effects: counts, and the ideal operator that knows of none of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics.ideal import ArrayPatterns, IdealOperator
from physics.noise import draw_counts
from runner.tiers.realism.coherence import CONFIGURATIONS, focus_points, source_points
from runner.tiers.realism.detector import draw_clusters
from runner.tiers.realism.levels import Effects
from runner.tiers.realism.multislice import Beam, expected_fractions
from runner.tiers.realism.slices import Slices
from runner.tiers.realism.thick import ThickSpecimen
from runner.tiers.simulate import ideal_operator
from schemas.recipes import Profile
from schemas.spec import MismatchSpec

Float64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Streams:
    """One generator for each random thing, so that an effect alone is the one of the level.

    Attributes:
        film: how the pieces of an amorphous film lie.
        phonons: displacements of the atoms.
        jitter: errors of the scan positions.
        descan: direction of the pattern's drift.
    """

    film: np.random.Generator
    phonons: np.random.Generator
    jitter: np.random.Generator
    descan: np.random.Generator

    @classmethod
    def of(cls, seed: np.random.SeedSequence) -> Streams:
        """Four independent generators."""
        return cls(*(np.random.default_rng(child) for child in seed.spawn(4)))


def measure(
    thick: ThickSpecimen,
    profile: Profile,
    spec: MismatchSpec,
    effects: Effects,
    streams: Streams,
    noise: np.random.Generator,
) -> tuple[IdealOperator, ArrayPatterns]:
    """The ideal operator and the counts of a specimen.

    The operator states the profile, with the mean counts per electron in its gain. `spec` is what
    the patterns have on average over the scan: the drift adds nothing to it.
    """
    stated = profile.model_copy(update={"gain": profile.gain * effects.counts_per_electron})
    operator = ideal_operator(stated, thick.specimen.phase_scale_rad)
    electrons = profile.dose_e * expected(thick, operator, profile, spec, effects, streams)
    if effects.clustered:
        counts = profile.gain * draw_clusters(
            electrons,
            counts_per_electron=effects.counts_per_electron,
            point_spread_px=effects.point_spread_px,
            rng=noise,
        )
        if profile.read_noise > 0:
            counts += noise.normal(0.0, profile.read_noise, counts.shape)
    else:
        counts = draw_counts(electrons, gain=profile.gain, read_noise=profile.read_noise, rng=noise)
    n = operator.window
    return operator, ArrayPatterns(counts.astype(np.float32).reshape(*profile.scan_shape, n, n))


def expected(
    thick: ThickSpecimen,
    operator: IdealOperator,
    profile: Profile,
    spec: MismatchSpec,
    effects: Effects,
    streams: Streams,
) -> Float64:
    """Expected share of the beam on every pixel, (Ny*Nx, n, n), before the detector's spread."""
    slices = Slices.of(thick, single=not effects.multislice)
    count = len(operator.positions_px)
    jitter = effects.jitter_A / profile.sampling_A * streams.jitter.normal(size=(count, 2))
    positions = operator.positions_px.astype(np.float64) + jitter
    shift = descan(profile.scan_shape, effects.descan_px, streams.descan)
    configurations = CONFIGURATIONS if effects.incoherent else 1
    source = effects.source_A / profile.sampling_A * source_points(count)
    focus = effects.focal_spread_A * focus_points()
    still = None if effects.phonons else slices.phases(None)
    total = np.zeros((count, operator.window, operator.window))
    for number in range(configurations):
        phases = slices.phases(streams.phonons) if still is None else still
        beam = Beam(positions + source[number], shift, float(focus[number]))
        total += expected_fractions(operator, phases, slices.spacing_A, spec, beam)
    return total / configurations


def descan(scan_shape: tuple[int, int], span_px: float, rng: np.random.Generator) -> Float64:
    """Shift of every pattern, (Ny*Nx, 2) [detector pixels]; zero on average over the scan.

    Linear in the scan position, as a descan that does not quite follow the scan leaves it: from one
    end of the scan to the other by `span_px` on each detector axis, in a direction that is drawn.
    """
    rows, cols = (np.linspace(-0.5, 0.5, side) if side > 1 else np.zeros(1) for side in scan_shape)
    angles = rng.uniform(0.0, 2 * np.pi, size=2)
    place = np.stack(np.meshgrid(rows, cols, indexing="ij"), axis=-1).reshape(-1, 2)
    shift: Float64 = span_px * place @ np.stack([np.cos(angles), np.sin(angles)])
    return shift
