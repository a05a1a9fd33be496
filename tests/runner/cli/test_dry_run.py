"""`stem4d dry-run` on a small tier: one command from data to score and picture."""

from __future__ import annotations

import contextlib
import shlex
import shutil
from pathlib import Path

import pytest

import runner.pipeline.backend as backend
from runner.files.challenge import open_challenge
from runner.files.result import read_result
from runner.harness.options import Job, docker_arguments, options_of
from runner.submission.scaffold import make_submission
from schemas import ResourceLimits, ScoreCard, record_from_json

FAST = "cpu-baseline+midpoint"


@pytest.fixture
def call(small_challenge, tmp_path: Path, monkeypatch) -> list[object]:
    """The command's arguments, in a folder whose public tier is there and small."""
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    for kind in ("challenge", "truth"):
        shutil.copy(small_challenge.path, f"data/electron_diffraction_{kind}_public.h5")
    return ["dry-run", "--algorithm", FAST]


def test_from_data_to_score_and_picture(stem4d, call) -> None:
    done = stem4d(*call, "--no-docker", "--json")
    assert done.code == 0, done.err
    card = record_from_json(ScoreCard, done.out)
    assert (card.tier, card.backend, card.algorithm) == ("public", "process", FAST)
    assert card.score > 0.2
    assert {path.name for path in Path("dry-run").iterdir()} == {
        "challenge.h5",
        "progress.jsonl",
        "figures",
        "report.html",
        "report.png",
        "result.h5",
        "run.json",
        "scenario-I.h5",
        "scenario-II.h5",
        "scenarios.json",
        "score.json",
    }
    truth = "data/electron_diffraction_truth_public.h5"
    scored = stem4d("score", "dry-run/result.h5", "--truth", truth, "--json").json()
    assert scored["score"] == card.score
    valid = stem4d("validate", "dry-run/result.h5", "--against", truth)
    assert valid.code == 0, valid.err
    assert "rank" in done.err
    assert "this process" in done.err
    assert done.err.count("by its counts: consistency") == len(card.samples)


def test_tables_for_people(stem4d, call) -> None:
    done = stem4d(*call, "--no-docker")
    assert done.code == 0, done.err
    assert "scene_01" in done.out
    assert "CPU_baseline" in done.out
    assert "19.81" in done.out, "the page's mean of scenario I"
    plain = stem4d(*call, "--no-docker", "--no-report")
    assert "CPU_baseline" not in plain.out
    assert not Path("dry-run/report.png").exists(), "a picture of an earlier run"
    assert not Path("dry-run/report.html").exists(), "a page of an earlier run"
    assert not list(Path("dry-run/figures").iterdir()), "figures of an earlier run"


def test_two_runs_give_the_same_answer(stem4d, call) -> None:
    cards = []
    for out in ("one", "two"):
        done = stem4d(*call, "--no-docker", "--no-report", "--json", "--out", out)
        cards.append(done.json() | {"seconds": None})
    for card in cards:
        for sample in card["samples"]:
            sample["seconds"] = None
    assert cards[0] == cards[1]


def test_without_an_engine_it_says_so_and_goes_on(stem4d, call, monkeypatch) -> None:
    monkeypatch.setattr(backend, "image_or_reason", lambda _: "ENGINE_UNREACHABLE: nobody")
    done = stem4d(*call, "--no-report", "--json")
    assert done.code == 0, done.err
    assert done.json()["backend"] == "process"
    assert "ENGINE_UNREACHABLE: nobody" in done.err


def test_a_container_that_was_asked_for_is_not_replaced(stem4d, call, monkeypatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    done = stem4d(*call, "--image", "stem4d:none")
    assert done.code == 5
    assert "ENGINE_UNREACHABLE" in done.err


def test_an_unknown_algorithm(stem4d, call) -> None:
    done = stem4d("dry-run", "--no-docker", "--algorithm", "magic")
    assert done.code == 2
    assert "ALGORITHM_UNKNOWN" in done.err
    assert "cpu-baseline" in done.err


def test_an_algorithm_that_fails_is_scored_for_what_it_finished(stem4d, call) -> None:
    Path("half.py").write_text(
        "import numpy as np\n"
        "from algorithms.base import Reconstruction\n"
        "from schemas.spec import MismatchSpec\n"
        "class Half:\n"
        "    def solve(self, sample):\n"
        "        if sample.name == 'sample_01':\n"
        "            raise ZeroDivisionError('by design')\n"
        "        return Reconstruction(np.zeros(sample.object_shape), MismatchSpec())\n"
    )
    done = stem4d("dry-run", "--no-docker", "--no-report", "--algorithm", "half.py:Half", "--json")
    assert done.code == 1
    assert [entry["code"] for entry in done.json()["findings"]] == [
        "ALGORITHM_FAILED",
        "RESULT_SAMPLE_MISSING",
    ]
    assert done.json()["samples"][1]["score"] == 0.0
    assert "half.py:7" in done.err


def test_options_that_exclude_each_other(stem4d, call) -> None:
    done = stem4d(*call, "--no-docker", "--image", "stem4d:latest")
    assert done.code == 2
    assert "exclude" in done.err


def test_limits_that_cannot_be_read(stem4d, call) -> None:
    Path("limits.toml").write_text("memory_mib = 1")
    done = stem4d(*call, "--no-docker", "--limits", "limits.toml")
    assert done.code == 2
    assert "memory_mib" in done.err


@pytest.mark.docker
def test_container_and_process_agree(stem4d, call, image: str) -> None:
    inside = stem4d(*call, "--image", image, "--no-report", "--out", "inside", "--json")
    assert inside.code == 0, inside.err
    outside = stem4d(*call, "--no-docker", "--no-report", "--out", "outside", "--json")
    assert inside.json()["backend"] == "container"
    assert inside.json()["score"] == outside.json()["score"]
    with open_challenge(Path("inside/challenge.h5")) as file:
        (one, _), (two, _) = (
            read_result(Path(d, "result.h5"), file) for d in ("inside", "outside")
        )
    for name, sample in one.samples.items():
        assert sample.x_hat.tobytes() == two.samples[name].x_hat.tobytes()
        assert sample.corrected_spec == two.samples[name].corrected_spec


def test_smoke_comes_first_and_fails_early(stem4d, tmp_path, monkeypatch) -> None:
    """Nothing long is begun, not even the data are built."""
    monkeypatch.chdir(tmp_path)
    Path("bad.py").write_text("class Bad:\n    def solve(self, sample):\n        return 1\n")
    done = stem4d("dry-run", "--no-docker", "--algorithm", "bad.py:Bad")
    assert done.code == 1
    assert "ALGORITHM_OUTPUT" in done.err
    assert not Path("data").exists()
    assert list(Path("dry-run").iterdir()) == []


def test_a_method_for_one_size_can_leave_smoke_out(stem4d, call) -> None:
    Path("fixed.py").write_text(
        "import numpy as np\n"
        "from algorithms.base import Reconstruction\n"
        "from schemas.spec import MismatchSpec\n"
        "class Fixed:\n"
        "    def solve(self, sample):\n"
        "        return Reconstruction(np.zeros((32, 32)), MismatchSpec())\n"
    )
    words = ("dry-run", "--no-docker", "--no-report", "--algorithm", "fixed.py:Fixed")
    assert stem4d(*words).code == 1
    assert stem4d(*words, "--no-smoke").code == 0


def test_limits_before_and_use_after(stem4d, call) -> None:
    Path("limits.toml").write_text("memory_mib = 4321\n")
    done = stem4d(*call, "--no-docker", "--no-report", "--limits", "limits.toml")
    assert done.code == 0, done.err
    before, _, _ = done.err.partition("smoke:")
    assert "4321 MiB memory" in before
    used = {line[:24].strip(): line.split()[-3:] for line in done.out.splitlines()}
    limit, peak, percent = map(float, used["peak memory [MiB]"])
    assert limit == 4321
    assert percent == pytest.approx(100 * peak / limit, abs=0.51)
    assert "forecast: about" in done.err


def test_the_command_by_hand_is_the_sandbox_own(stem4d, call) -> None:
    Path("limits.toml").write_text("memory_mib = 4321\n")
    done = stem4d(*call, "--image", "mine", "--limits", "limits.toml", "--print-command")
    assert done.code == 0, done.err
    words = shlex.split(done.out)
    job = Job(
        "mine",
        Path("dry-run/challenge.h5"),
        Path("dry-run/by-hand"),
        ResourceLimits(memory_mib=4321),
        FAST,
    )
    assert words == ["docker", "run", "--rm", *docker_arguments(options_of(job, runtime=""))]
    assert Path("dry-run/challenge.h5").is_file()
    assert Path("dry-run/by-hand").stat().st_mode & 0o777 == 0o777


def test_a_file_of_this_machine_is_not_looked_for_in_the_image(stem4d, call, monkeypatch) -> None:
    monkeypatch.setattr(backend, "image_or_reason", lambda _: None)
    done = stem4d("dry-run", "--no-report", "--algorithm", "no/such.py:Method")
    assert done.code == 2
    assert "in no image" in done.err


def test_the_submission_in_this_folder_is_run(stem4d, call) -> None:
    make_submission(Path("new"), "joint")
    shutil.copytree("data", "new/data")
    with contextlib.chdir("new"):
        done = stem4d("dry-run", "--no-docker", "--no-report", "--json")
    assert done.code == 0, done.err
    assert done.json()["algorithm"] == "my_method.py:MyMethod"
