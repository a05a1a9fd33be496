"""A small challenge, and `docker run` as a person types it."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from physics.ideal import ArrayPatterns
from runner.files.challenge import ChallengeSample, write_challenge
from runner.tiers.simulate import ideal_operator, simulate
from runner.tiers.strip import strip
from schemas.base import CONTRACT_VERSION, VARIANT
from schemas.challenge import ChallengeAttrs, SampleMetadata, Tier
from schemas.recipes import SPEC_RANGES, Profile
from schemas.spec import MismatchSpec

PROFILE = Profile(object_shape=(64, 64), window=32, scan_shape=(8, 8), scan_step_px=8)
"""Two hundred times less data than the default: seconds, not minutes."""

SAMPLES = 2
TIMEOUT_S = 120.0

DockerRun = Callable[..., subprocess.CompletedProcess[str]]
BuildSubmission = Callable[[str], str]


def _sample(index: int) -> ChallengeSample:
    rng = np.random.default_rng(index)
    rows, cols = np.mgrid[0:64, 0:64] * (2 * np.pi / 64)
    x = (0.25 * (2 + np.sin((3 + index) * rows) + np.sin(5 * cols))).astype(np.float32)
    spec = MismatchSpec(camera_length=1.13, center_offset=0.47, elliptical_distortion=0.0023)
    operator = ideal_operator(PROFILE, phase_scale_rad=0.3)
    y: ArrayPatterns = simulate(x, operator, spec, scan_shape=PROFILE.scan_shape, rng=rng)
    metadata = SampleMetadata(scene="waves", shape=y.shape, noise_model="poisson")
    ranges = SPEC_RANGES[Tier.PUBLIC]
    return ChallengeSample(f"sample_{index:02d}", y, operator, ranges, metadata, x, spec)


@pytest.fixture(scope="session")
def challenge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stripped challenge file of two small samples, alone in its folder."""
    folder = tmp_path_factory.mktemp("challenge")
    attrs = ChallengeAttrs(
        variant=VARIANT, tier="public", version="1.0", contract_version=CONTRACT_VERSION
    )
    write_challenge(folder / "public.h5", attrs, [_sample(index) for index in range(SAMPLES)])
    (folder / "input").mkdir()
    return strip(folder / "public.h5", folder / "input" / "challenge.h5")


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """A folder that the container's user may write to."""
    folder = tmp_path / "output"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


@pytest.fixture
def docker_run(image: str) -> Iterator[DockerRun]:
    """`docker run` with the contract's options, `source` at /input and `output` at /output."""
    names: list[str] = []

    def run(
        *arguments: str,
        source: Path | None = None,
        output: Path | None = None,
        options: Sequence[str] = (),
        use: str = image,
    ) -> subprocess.CompletedProcess[str]:
        name = f"stem4d-test-{uuid.uuid4().hex[:12]}"
        names.append(name)
        fixed = ["--name", name, "--network", "none", "--read-only", "--user", "1000:1000"]
        fixed += ["--tmpfs", "/tmp:exec", "--cpus", "2", "--env", "OMP_NUM_THREADS=2"]
        if source is not None:
            fixed += ["--mount", f"type=bind,source={source},target=/input,readonly"]
        if output is not None:
            fixed += ["--mount", f"type=bind,source={output},target=/output"]
        return subprocess.run(
            ["docker", "run", *fixed, *options, use, *arguments],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    yield run
    if names:
        subprocess.run(["docker", "rm", "--force", *names], capture_output=True, check=False)


@pytest.fixture
def build_submission(image: str, tmp_path: Path) -> Iterator[BuildSubmission]:
    """A participant's image: the submission image, one file and one line."""
    tags: list[str] = []

    def build(source: str) -> str:
        folder = tmp_path / "submission"
        folder.mkdir(exist_ok=True)
        (folder / "method.py").write_text(source, encoding="utf-8")
        (folder / "Dockerfile").write_text(
            f"FROM {image}\nCOPY method.py .\nENV STEM4D_ALGORITHM=/app/method.py:Method\n",
            encoding="utf-8",
        )
        tag = f"stem4d-test:{uuid.uuid4().hex[:12]}"
        subprocess.run(
            ["docker", "build", "--quiet", "--network", "none", "--tag", tag, str(folder)],
            check=True,
            capture_output=True,
        )
        tags.append(tag)
        return tag

    yield build
    if tags:
        subprocess.run(["docker", "rmi", "--force", *tags], capture_output=True, check=False)
