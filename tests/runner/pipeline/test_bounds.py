"""The bounds of a small file: how they scale, where they are evaluated, what they agree with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runner.files.challenge import open_challenge, write_challenge
from runner.pipeline.bounds import BoundsReport, bounds
from runner.scoring.score import score_result
from runner.tiers.strip import strip
from schemas import ContractError
from schemas.spec import PARAMETERS
from tests.runner.small import SPECS, SmallChallenge, make_sample


def silent(_: str) -> None:
    """Nobody listens."""


@pytest.fixture(scope="module")
def report(small_challenge: SmallChallenge) -> BoundsReport:
    return bounds(small_challenge.path, None, (), silent)


def test_an_unknown_specimen_never_helps(report: BoundsReport) -> None:
    for entry in report.samples:
        assert entry.point == "truth"
        for name in PARAMETERS:
            assert 0 < entry.known[name] <= entry.joint[name] * (1 + 1e-6)
    assert report.estimator is None


def test_bounds_shrink_with_the_root_of_the_dose(small_challenge, tmp_path: Path) -> None:
    path = tmp_path / "doses.h5"
    samples = [
        replace(make_sample(0, SPECS[0], dose_e=dose), name=f"sample_{number:02d}")
        for number, dose in enumerate((500.0, 8000.0))
    ]
    with open_challenge(small_challenge.path) as file:
        write_challenge(path, file.attrs, samples)
    low, high = bounds(path, None, (), silent).samples
    assert (low.dose_e, high.dose_e) == (500.0, 8000.0)
    assert low.ceiling < high.ceiling
    for kind in ("known", "joint"):
        for name in PARAMETERS:
            assert getattr(low, kind)[name] == pytest.approx(
                4 * getattr(high, kind)[name], rel=2e-2
            )


def test_the_ceiling_is_that_of_the_score(
    report: BoundsReport, small_challenge, answers, write_result_file
) -> None:
    card = score_result(write_result_file(answers), small_challenge.path)
    for entry, sample in zip(report.samples, card.samples, strict=True):
        assert entry.consistency == pytest.approx(sample.consistency_ceiling, abs=1e-5)
        assert entry.ceiling == pytest.approx(entry.consistency, abs=5e-3)
        assert entry.chi_square == pytest.approx(1.0, abs=0.05)


def test_a_blind_file_is_judged_at_its_estimate(
    report: BoundsReport, small_challenge, tmp_path: Path
) -> None:
    """The bound depends little on where exactly it is evaluated."""
    view = strip(small_challenge.path, tmp_path / "view.h5")
    said: list[str] = []
    blind = bounds(view, None, ("sample_01",), said.append)
    (entry,) = blind.samples
    assert entry.point == "estimate"
    assert blind.estimator == "ptychography+gradient"
    assert any("no truth" in line for line in said)
    for name in PARAMETERS:
        assert entry.spec[name] == pytest.approx(
            report.samples[1].spec[name], abs=6 * report.samples[1].joint[name]
        )
        assert entry.known[name] == pytest.approx(report.samples[1].known[name], rel=0.1)
    told = bounds(view, small_challenge.path, ("sample_01",), silent)
    assert told.samples == report.samples[1:]


def test_a_sample_that_is_not_there(small_challenge) -> None:
    with pytest.raises(ContractError, match="sample_00, sample_01") as failure:
        bounds(small_challenge.path, None, ("sample_07",), silent)
    assert failure.value.findings[0].code == "USAGE"
