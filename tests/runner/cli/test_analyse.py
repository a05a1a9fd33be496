"""`stem4d analyse` on a small nanobeam file, as a person or a script calls it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from physics.ideal import ArrayPatterns
from runner.files.analysis import read_analysis
from runner.files.challenge import ChallengeSample, open_challenge, write_challenge
from runner.files.hdf5 import sha256_of
from runner.pipeline.analyse import AnalysisReport
from runner.tiers.examples import Deformation, DeformedCrystal, ExampleFiles, build_example
from schemas import record_from_json
from tests.helpers.nanobeam import nanobeam

CRYSTAL = DeformedCrystal(deformation=Deformation.of(xx=0.01, yy=-0.004, rotation_deg=2.0))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> ExampleFiles:
    with pytest.MonkeyPatch.context() as patch:
        scan = nanobeam(CRYSTAL, (4, 5))
        patch.setattr("runner.tiers.examples.build.EXAMPLES", {"small": ("", scan)})
        return build_example("small", tmp_path_factory.mktemp("small"), seed=1, dose_e=None)


def test_maps_a_picture_and_a_report(stem4d, small: ExampleFiles, tmp_path: Path) -> None:
    output = tmp_path / "new" / "folder"
    lattice = "lattice_invA=[[0.0, 0.490436], [0.490436, 0.0]]"
    options = ("--set", lattice, "--truth", small.truth, "--out", output)
    done = stem4d("analyse", small.challenge, *options, "--json")
    assert done.code == 0, done.err
    report = record_from_json(AnalysisReport, done.out)
    (summary,) = report.samples
    assert (summary.valid, summary.positions) == (20, 20)
    for name, true in (("e_xx", 0.01), ("e_yy", -0.004), ("theta", 2.0)):
        # Twenty patterns tell the camera length, and so the strain, to a thousandth.
        tolerance = 0.1 if name == "theta" else 3e-3
        assert summary.maps[name].median == pytest.approx(true, abs=tolerance)
        error = summary.maps[name].error
        assert error is not None
        assert abs(error.offset) < tolerance
    assert (output / "analysis.png").stat().st_size > 10000
    found = read_analysis(output / "analysis.h5")
    assert found.provenance.input_sha256 == sha256_of(small.challenge)
    assert found.provenance.algorithm == "strain+pacbed"
    parameters = found.provenance.parameters["analysis"]
    assert parameters["lattice_invA"] == [[0.0, 0.490436], [0.490436, 0.0]]
    maps = found.samples["sample_00"].maps
    assert np.median(maps["e_xx"].values) == pytest.approx(summary.maps["e_xx"].median)
    assert {path.name for path in output.iterdir()} == {"analysis.h5", "analysis.png"}


def test_a_table_for_people(stem4d, small: ExampleFiles, tmp_path: Path) -> None:
    method = ("--method", "orientation", "--set", "crystal=gold", "--calibrator", "oracle")
    done = stem4d("analyse", small.challenge, *method, "--out", tmp_path)
    assert done.code == 0, done.err
    for word in ("orientation+oracle", "20 of 20 positions", "reliability", "deg"):
        assert word in done.out
    assert "analysis.h5" in done.err
    assert read_analysis(tmp_path / "analysis.h5").attrs.method == "orientation"


def test_samples_that_cannot_be_served_are_told_and_others_are(
    stem4d, small: ExampleFiles, tmp_path: Path
) -> None:
    """A file with one good sample and one without electrons beyond the direct beam."""
    mixed = tmp_path / "mixed.h5"
    with open_challenge(small.challenge) as challenge:
        attrs = challenge.attrs
        (good,) = challenge
        vacuum = replace(good, name="sample_01", y=_direct_beam_alone(good))
        write_challenge(mixed, attrs, [good, vacuum])
    done = stem4d("analyse", mixed, "--out", tmp_path / "out")
    assert done.code == 1
    assert "SAMPLE_UNSUITED at sample_01" in done.err
    assert list(read_analysis(tmp_path / "out" / "analysis.h5").samples) == ["sample_00"]


def _direct_beam_alone(sample: ChallengeSample) -> ArrayPatterns:
    counts = sample.y.read(0, 20).reshape(sample.y.shape).copy()
    rows, cols = np.mgrid[:160, :160]
    counts[..., np.hypot(rows - 80, cols - 80) > 12] = 0
    return ArrayPatterns(counts)


def test_convergent_beams_are_refused_and_nothing_is_written(
    stem4d, small_challenge, tmp_path: Path
) -> None:
    done = stem4d("analyse", small_challenge.path, "--out", tmp_path / "out")
    assert done.code == 1
    assert "SAMPLE_UNSUITED" in done.err
    assert "stem4d tiers example strained-crystal" in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "code", "word"),
    [
        (("--method", "tarot"), 2, "strain, orientation"),
        (("--method", "strain", "--set", "crystal=gold"), 2, "lattice_invA"),
        (("--set", "least_disks=many"), 2, "least_disks"),
        (("--set", "least_disks"), 2, "KEY=VALUE"),
        (("--calibrator", "tarot"), 2, "pacbed"),
        (("--sample", "sample_77"), 2, "sample_00"),
        (("--truth", "none.h5"), 3, "RESULT_NOT_FOUND"),
    ],
)
def test_what_cannot_be_done_is_said(
    stem4d, small: ExampleFiles, tmp_path: Path, options, code: int, word: str
) -> None:
    done = stem4d("analyse", small.challenge, *options, "--out", tmp_path / "out")
    assert done.code == code
    assert word in done.err
    assert done.out == ""
    assert not (tmp_path / "out").exists()


def test_a_truth_of_another_scan_is_refused(
    stem4d, small: ExampleFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "runner.tiers.examples.build.EXAMPLES", {"other": ("", nanobeam(CRYSTAL, (2, 2)))}
    )
    other = build_example("other", tmp_path, seed=1, dose_e=None)
    done = stem4d("analyse", small.challenge, "--truth", other.truth, "--out", tmp_path / "out")
    assert done.code == 4
    assert "4 x 5 positions" in done.err


def test_analyses_are_listed(stem4d) -> None:
    listed = stem4d("algorithms", "--json").json()
    assert set(listed["analyses"]) == {"strain", "orientation"}
