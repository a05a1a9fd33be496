"""Smoke: one small sample first, so that what cannot work is told in seconds."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from algorithms.base import UNSUITED
from runner.files.challenge import ChallengeSample, write_challenge
from runner.files.hdf5 import make_folder
from runner.pipeline.backend import Backend
from runner.pipeline.scenarios import Say
from runner.scoring.validate import validate_result
from runner.tiers.build import DATASET_VERSION, TierFiles
from runner.tiers.simulate import ideal_operator, simulate
from runner.tiers.specimens.made_up import round_atoms
from runner.tiers.strip import strip
from schemas.base import CONTRACT_VERSION, VARIANT
from schemas.challenge import ChallengeAttrs, SampleMetadata, Tier
from schemas.findings import ContractError, Finding, finding
from schemas.recipes import DOSE_E, SPEC_RANGES, Profile
from schemas.spec import MismatchSpec

SMOKE_PROFILE = Profile(dose_e=DOSE_E[Tier.PUBLIC], object_shape=(64, 64), scan_shape=(16, 16))
"""A quarter of the tier's pixels and positions; detector, dose and scan step are the tier's."""

ATOMS, ATOM_PX, PHASE_SCALE_RAD = 40, 2.0, 1.0
"""Of the made-up specimen: Gaussian atoms, their width [object pixels], its largest phase [rad]."""

SPEC = MismatchSpec(camera_length=1.3, center_offset=0.7, elliptical_distortion=0.004)
"""Of the made-up detector: within the ranges of every tier."""


def build_smoke(folder: Path) -> TierFiles:
    """One sample like those of the public tier, a quarter as large; made in a moment.

    Its specimen is made up, for no crystal is periodic in so small a box as well as another one.

    Raises:
        ContractError: the folder cannot be written to.
    """
    make_folder(folder)
    rng = np.random.default_rng(0)
    x = round_atoms(SMOKE_PROFILE.object_shape, count=ATOMS, width_px=ATOM_PX, rng=rng)
    operator = ideal_operator(SMOKE_PROFILE, PHASE_SCALE_RAD)
    y = simulate(x, operator, SPEC, scan_shape=SMOKE_PROFILE.scan_shape, rng=rng)
    sample = ChallengeSample(
        name="sample_00",
        y=y,
        operator=operator,
        ranges=SPEC_RANGES[Tier.PUBLIC],
        metadata=SampleMetadata(scene="smoke", shape=y.shape, noise_model="poisson"),
        x_true=x,
        true_spec=SPEC,
    )
    attrs = ChallengeAttrs(
        variant=VARIANT,
        tier="public",
        version=DATASET_VERSION,
        contract_version=CONTRACT_VERSION,
    )
    path = folder / "smoke.h5"
    write_challenge(path, attrs, [sample])
    return TierFiles(path, path)


def smoke(out: Path, backend: Backend, *, algorithm: str | None, seed: int, say: Say) -> None:
    """Run the submission on one small sample and check its result.

    Args:
        out: folder of the dry run; nothing of the smoke run stays in it.
        backend: what runs the submission.
        algorithm: algorithm by name; None leaves the choice to the image.
        seed: seed of the algorithm.
        say: told that it begins, and how it went.

    Raises:
        ContractError: everything that is wrong, before anything long was begun.
    """
    with tempfile.TemporaryDirectory(dir=out, prefix=".smoke-") as name:
        folder = Path(name)
        files = build_smoke(folder / "data")
        view = strip(files.challenge, folder / "challenge.h5")
        height, width = SMOKE_PROFILE.object_shape
        say(f"smoke: one sample of {height}x{width} pixels first, to fail early")
        run = backend.run(view, folder / "out", algorithm=algorithm, seed=seed)
        if run.findings and all(item.code == UNSUITED for item in run.findings):
            say(f"smoke: left out, {run.findings[0].found}")
            return
        faults: tuple[Finding, ...] = ()
        if run.result is not None:
            _, faults = validate_result(run.result, view)
    if findings := run.findings or faults or (() if run.result else (no_result(),)):
        raise ContractError(findings)
    say(f"smoke: passed in {run.seconds:.1f} s")


def no_result() -> Finding:
    """A run that ended well and left nothing."""
    return finding(
        "RESULT_NOT_FOUND",
        "/output/result.h5",
        expected="a result file from a run that ended with exit code 0",
        found="nothing",
        hint="write /output/result.h5; `FROM stem4d:latest` does it with an ENTRYPOINT of its own,"
        " so do not replace that",
    )
