"""Challenge files of any size: one simulated supercell, repeated, each pattern with its own noise.

Only the expected patterns of one supercell are computed and held; counts are drawn when they are
read, so a file of any size is written in the memory of one scan row.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from physics.noise import draw_counts
from physics.operator import ForwardOperator
from runner.files.challenge import ChallengeSample, open_challenge, write_challenge
from runner.tiers.build import DATASET_VERSION, build_tier
from runner.tiers.recipes import default_recipe
from runner.tiers.simulate import ideal_operator
from schemas.base import CONTRACT_VERSION, VARIANT
from schemas.challenge import ChallengeAttrs, SampleMetadata, Tier


@dataclass(frozen=True)
class TiledPatterns:
    """Patterns of a scan over a repeated supercell, drawn when they are read.

    Attributes:
        expected: (cell, cell, K, K) expected electrons of one supercell's scan.
        tiles: repetitions of it along each axis.
        seed: of the noise; each pattern has its own stream, whatever block it is read in.
    """

    expected: NDArray[np.float64]
    tiles: int
    seed: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(Ny, Nx, Ky, Kx)."""
        cell, _, ky, kx = self.expected.shape
        return cell * self.tiles, cell * self.tiles, ky, kx

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Patterns `start` to `stop - 1`, (B, Ky, Kx) counts."""
        _, nx, ky, kx = self.shape
        cell = len(self.expected)
        counts = np.empty((stop - start, ky, kx), dtype=np.float32)
        for place in range(start, stop):
            rng = np.random.default_rng([self.seed, place])
            expected = self.expected[place // nx % cell, place % nx % cell]
            counts[place - start] = draw_counts(expected, gain=1.0, read_noise=0.0, rng=rng)
        return counts


def tiled_sample(tiles: int, *, window: int, seed: int = 0) -> ChallengeSample:
    """The public tier's first scene, repeated `tiles` x `tiles` times, with its truth.

    Args:
        tiles: repetitions of the supercell (128 x 128 pixels, 32 x 32 positions) along each axis.
        window: side of the probe window and of the detector [pixels].
        seed: seed of scene, spec and noise.
    """
    recipe = default_recipe(Tier.PUBLIC, seed=seed, scenes=1)
    with tempfile.TemporaryDirectory() as folder:
        files = build_tier(recipe, Path(folder))
        with open_challenge(files.truth) as truth:
            scene = truth.sample(truth.names[0])
    assert scene.x_true is not None
    assert scene.true_spec is not None
    phase_scale_rad = scene.operator.attrs.phase_scale_rad
    profile = recipe.profile.model_copy(update={"window": window})
    cell = ForwardOperator(ideal_operator(profile, phase_scale_rad))
    expected = cell.expected(cell.tensor(phase_scale_rad * scene.x_true), scene.true_spec)
    patterns = TiledPatterns(
        expected.double().numpy().reshape(*profile.scan_shape, window, window), tiles, seed
    )
    repeated = profile.model_copy(
        update={
            "object_shape": tuple(tiles * side for side in profile.object_shape),
            "scan_shape": tuple(tiles * side for side in profile.scan_shape),
        }
    )
    return ChallengeSample(
        name=scene.name,
        y=patterns,
        operator=ideal_operator(repeated, phase_scale_rad),
        ranges=scene.ranges,
        metadata=SampleMetadata(
            scene=scene.metadata.scene, shape=patterns.shape, noise_model="poisson"
        ),
        x_true=np.tile(scene.x_true, (tiles, tiles)),
        true_spec=scene.true_spec,
    )


def write_tiled_challenge(path: Path, tiles: int, *, window: int, seed: int = 0) -> None:
    """A public challenge file of one such sample, truth included."""
    attrs = ChallengeAttrs(
        variant=VARIANT,
        tier=Tier.PUBLIC.value,
        version=DATASET_VERSION,
        contract_version=CONTRACT_VERSION,
    )
    write_challenge(path, attrs, [tiled_sample(tiles, window=window, seed=seed)])
