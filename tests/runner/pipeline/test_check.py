"""Checks of a result without truth, and the thinning that they hold electrons out by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from physics.ideal import ArrayPatterns
from physics.thinning import NotCountsError, ThinnedPatterns
from runner.files.hdf5 import sha256_of
from runner.pipeline.check import CheckReport, check_result
from runner.scoring.metrics import residual
from schemas.spec import MismatchSpec
from tests.runner.small import SmallTier, true_answers, write_answers, write_small_tier


@pytest.fixture(scope="module")
def tier(tmp_path_factory: pytest.TempPathFactory) -> SmallTier:
    return write_small_tier(tmp_path_factory.mktemp("tier"), "dev")


def checked(tier: SmallTier, folder: Path, change=lambda x, spec: (x, spec)) -> CheckReport:
    answers = {name: change(*answer) for name, answer in true_answers(tier).items()}
    path = write_answers(folder / "r.h5", answers, input_sha256=sha256_of(tier.challenge))
    return check_result(path, tier.challenge)


def test_the_truth_leaves_noise_alone(tier: SmallTier, tmp_path: Path) -> None:
    report = checked(tier, tmp_path)
    assert not report.findings
    for one, sample in zip(report.samples, tier.samples, strict=True):
        assert abs(one.chi_square - 1) < 5 * one.chi_square_sigma
        assert one.consistency == pytest.approx(one.ceiling, abs=0.01)
        assert one.consistency > one.consistency_ideal > 0
        assert not one.remarks
        want = residual(sample.y, sample.operator, sample.x_true, sample.true_spec)
        assert one.consistency == pytest.approx(want.consistency, abs=1e-5)


@pytest.mark.parametrize(
    ("change", "remark"),
    [
        (lambda x, spec: (1 - x.T, spec), "less than no specimen"),
        (lambda x, spec: (x, MismatchSpec(center_offset=2.0)), "neither model nor noise"),
        (lambda x, spec: (0.3 * x, spec), "neither model nor noise"),
    ],
)
def test_wrong_answers_are_told(tier: SmallTier, tmp_path: Path, change, remark: str) -> None:
    report = checked(tier, tmp_path, change)
    assert all(any(remark in told for told in one.remarks) for one in report.samples)


def test_held_out_electrons_tell_a_worse_method(tier: SmallTier, tmp_path: Path) -> None:
    code = "import numpy as np\nfrom algorithms.base import Reconstruction\n\n\nclass Flat:\n"
    code += "    def reconstruct(self, sample, spec):\n"
    code += "        return Reconstruction(np.zeros(sample.object_shape))\n"
    (tmp_path / "flat.py").write_text(code)
    answers = true_answers(tier)
    path = write_answers(tmp_path / "r.h5", answers, input_sha256=sha256_of(tier.challenge))
    good, flat = (
        check_result(path, tier.challenge, held_out=name).samples[0].held_out
        for name in ("ptychography+gradient", f"{tmp_path}/flat.py:Flat+gradient")
    )
    assert good.chi_square_given < good.chi_square_held_out < flat.chi_square_held_out
    assert good.gain_nats > 0.01 > abs(flat.gain_nats)
    assert good.chi_square_held_out == pytest.approx(1.0, abs=0.1)


# --- thinning


def test_parts_are_independent_poisson_and_add_up() -> None:
    rng = np.random.default_rng(0)
    counts = 2.0 * rng.poisson(6.0, (20, 20, 8, 8)).astype(np.float32)
    whole = ArrayPatterns(counts)
    kept, rest = (ThinnedPatterns(whole, 0.7, 2.0, 5, rest) for rest in (False, True))
    a, b = kept.read(0, 400), rest.read(0, 400)
    np.testing.assert_array_equal(a + b, counts.reshape(-1, 8, 8))
    np.testing.assert_array_equal(kept.read(37, 61), a[37:61])
    for part, mean in ((a / 2, 0.7 * 6), (b / 2, 0.3 * 6)):
        assert part.mean() == pytest.approx(mean, rel=0.02)
        assert part.var() / part.mean() == pytest.approx(1.0, abs=0.03)
    assert stats.pearsonr(a.ravel(), b.ravel()).pvalue > 1e-3


@pytest.mark.parametrize("value", [0.5, -1.0])
def test_what_is_no_electron_is_not_divided(value: float) -> None:
    whole = ArrayPatterns(np.full((1, 1, 4, 4), value, dtype=np.float32))
    with pytest.raises(NotCountsError):
        ThinnedPatterns(whole, 0.5, 1.0, 0).read(0, 1)
