"""Run with `python -m pytest`: one small sample, in seconds."""

import tomllib
from pathlib import Path

import pytest

from runner.container.run import RunOptions, run_challenge
from runner.pipeline.smoke import build_smoke
from runner.scoring.validate import validate_result
from runner.tiers.build import TierFiles

ROOT = Path(__file__).parents[1]
ALGORITHM = (
    f"{ROOT}/{tomllib.loads((ROOT / 'submission.toml').read_text('utf-8'))['run']['algorithm']}"
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> TierFiles:
    return build_smoke(tmp_path_factory.mktemp("smoke"))


def test_the_result_is_valid(files: TierFiles, tmp_path: Path) -> None:
    result = run_challenge(files.challenge, tmp_path, RunOptions(ALGORITHM, quiet=True))
    _, findings = validate_result(result, files.challenge)
    assert not findings


def test_the_same_seed_gives_the_same_image(files: TierFiles, tmp_path: Path) -> None:
    images = []
    for name in ("one", "two"):
        result = run_challenge(files.challenge, tmp_path / name, RunOptions(ALGORITHM, quiet=True))
        answer, _ = validate_result(result, files.challenge)
        images.append(answer.samples["sample_00"].x_hat.tobytes())
    assert images[0] == images[1]
