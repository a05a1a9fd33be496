"""The samples of our public tier, written down as every package can read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.peers.adapters.exchange import Problem
from physics.operator import ForwardOperator
from runner.files.challenge import ChallengeSample, open_challenge
from runner.tiers.build import build_tier
from runner.tiers.recipes import default_recipe
from runner.tiers.simulate import simulate
from schemas.challenge import Tier
from schemas.spec import MismatchSpec

NOMINAL, MISMATCHED = "nominal", "mismatched"
"""Data of scenario I, and of scenarios II and III (contract, section 5)."""

NOMINAL_NOISE_STREAM = 1
"""Tells the noise of nominal data from every other use of the seed."""

WELL_SEEN = 0.9
"""Least illumination, relative to its largest, of a pixel that images are compared on. The object
is periodic, but most packages do not know that: at the scan's rim they have fewer electrons."""


@dataclass(frozen=True)
class Scene:
    """One specimen.

    Attributes:
        name: sample name and what it shows.
        files: {data: problem file}.
        check: problem file that holds the true phase and noiseless nominal patterns.
        x_true: (H, W).
        phase_scale_rad: phase where x is 1 [rad].
        region: (H, W) bool, pixels that images are compared on.
        patterns: number of patterns in the scan.
    """

    name: str
    files: Mapping[str, Path]
    check: Path
    x_true: NDArray[np.float32]
    phase_scale_rad: float
    region: NDArray[np.bool_]
    patterns: int


def build_scenes(folder: Path, *, scenes: int, seed: int, finer: int = 1) -> list[Scene]:
    """Build the public tier and write a problem file for each scene and each kind of data.

    Args:
        folder: where the files go.
        scenes: number of scenes.
        seed: of the tier.
        finer: divides the scan's step, and multiplies its positions along each axis.
    """
    recipe = default_recipe(Tier.PUBLIC, seed=seed, scenes=scenes)
    if finer > 1:
        profile = recipe.profile
        (ny, nx), step = profile.scan_shape, profile.scan_step_px // finer
        scan = {"scan_shape": (finer * ny, finer * nx), "scan_step_px": step}
        recipe = recipe.model_copy(update={"profile": profile.model_copy(update=scan)})
    files = build_tier(recipe, folder)
    with open_challenge(files.truth) as truth:
        return [
            _scene(folder, sample, np.random.default_rng([NOMINAL_NOISE_STREAM, seed, number]))
            for number, sample in enumerate(truth)
        ]


def _scene(folder: Path, mismatched: ChallengeSample, rng: np.random.Generator) -> Scene:
    x_true, spec = mismatched.x_true, mismatched.true_spec
    assert x_true is not None
    assert spec is not None
    ny, nx, *_ = mismatched.y.shape
    y = simulate(x_true, mismatched.operator, MismatchSpec(), scan_shape=(ny, nx), rng=rng)
    nominal = replace(mismatched, y=y)
    files = {
        NOMINAL: folder / f"{nominal.name}_nominal.npz",
        MISMATCHED: folder / f"{nominal.name}_mismatched.npz",
    }
    for data, sample in ((NOMINAL, nominal), (MISMATCHED, mismatched)):
        _problem(sample, spec).save(files[data])
    forward = ForwardOperator(nominal.operator, dtype=torch.float64)
    attrs = nominal.operator.attrs
    phase = attrs.phase_scale_rad * x_true.astype(np.float64)
    expected = forward.expected(forward.tensor(phase), MismatchSpec()).numpy()
    check = folder / f"{nominal.name}_check.npz"
    blank = _problem(nominal, spec)
    counts = expected.reshape(blank.counts.shape).astype(np.float32)
    replace(blank, counts=counts, phase=phase).save(check)
    return Scene(
        name=f"{nominal.name} ({nominal.metadata.scene})",
        files=files,
        check=check,
        x_true=x_true,
        phase_scale_rad=attrs.phase_scale_rad,
        region=_region(blank),
        patterns=ny * nx,
    )


def _problem(sample: ChallengeSample, spec: MismatchSpec) -> Problem:
    attrs = sample.operator.attrs
    ny, nx, *_ = sample.y.shape
    shared: dict[str, Any] = {
        name: getattr(attrs, name)
        for name in (
            *("object_shape", "sampling_A", "energy_eV", "wavelength_A", "semiangle_mrad"),
            *("C10_A", "dose_e", "phase_scale_rad"),
        )
    }
    return Problem(
        counts=sample.y.read(0, ny * nx).reshape(sample.y.shape),
        probe=sample.operator.probe,
        positions_px=sample.operator.positions_px,
        true_spec=spec.vector(),
        **shared,
    )


def _region(problem: Problem) -> NDArray[np.bool_]:
    """Pixels of the object (H, W) that are well seen even if it does not wrap."""
    n, (height, width) = problem.window, problem.object_shape
    light = np.zeros((height + 2 * n, width + 2 * n))
    power = np.abs(problem.probe) ** 2
    for row, col in problem.positions_px.astype(int) + n - n // 2:
        light[row : row + n, col : col + n] += power
    seen: NDArray[np.bool_] = light[n : n + height, n : n + width] >= WELL_SEEN * light.max()
    return seen
