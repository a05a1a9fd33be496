"""The container end to end: a result as in this process; every failure with its code and advice.

Each failure is asked for its exit code, for a message that says what to do, and for an output
folder that holds no half-written result.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from runner.files.challenge import open_challenge
from runner.files.result import ResultFile, read_result
from schemas.findings import ExitCode

pytestmark = pytest.mark.docker

FAST = "cpu-baseline+midpoint"
"""An algorithm of one pass: what is tested here is the way, not the picture."""

SLOW = '''
import time
import numpy as np
from algorithms.base import Reconstruction, Sample
from schemas.spec import MismatchSpec

class Method:
    """Answers the first sample at once, and does not come to an end with the second."""

    def solve(self, sample: Sample) -> Reconstruction:
        if sample.name != "sample_00":
            SECOND
        return Reconstruction(np.zeros(sample.object_shape, np.float32), MismatchSpec())
'''

SAMPLES = 2
TIMEOUT_S = 120.0

DockerRun = Callable[..., subprocess.CompletedProcess[str]]


def result_in(output: Path, challenge: Path) -> ResultFile:
    """The result, valid but for samples that are missing; no other file but progress."""
    assert {path.name for path in output.iterdir()} <= {"result.h5", "progress.jsonl"}
    with open_challenge(challenge) as opened:
        result, findings = read_result(output / "result.h5", opened)
    assert {item.code for item in findings} <= {"RESULT_SAMPLE_MISSING"}
    assert result is not None
    return result


def test_same_bytes_as_in_this_process(
    docker_run: DockerRun, challenge: Path, output: Path, tmp_path: Path
) -> None:
    done = docker_run(
        source=challenge.parent, output=output, options=["--env", f"STEM4D_ALGORITHM={FAST}"]
    )
    assert done.returncode == ExitCode.DONE, done.stderr
    inside = result_in(output, challenge)
    assert len(inside.samples) == SAMPLES

    here = tmp_path / "here"
    here.mkdir()
    subprocess.run(
        [sys.executable, "-m", "runner.container", str(challenge), str(here), "--algorithm", FAST],
        check=True,
        timeout=TIMEOUT_S,
        env={**os.environ, "OMP_NUM_THREADS": "2"},
    )
    outside = result_in(here, challenge)
    for name, sample in inside.samples.items():
        assert sample.x_hat.tobytes() == outside.samples[name].x_hat.tobytes()
        assert sample.corrected_spec == outside.samples[name].corrected_spec


@pytest.mark.slow
def test_no_argument_at_all(docker_run: DockerRun, challenge: Path, output: Path) -> None:
    """The image's own default algorithm, as a server starts it."""
    done = docker_run(source=challenge.parent, output=output)
    assert done.returncode == ExitCode.DONE, done.stderr
    assert len(result_in(output, challenge).samples) == SAMPLES
    assert len((output / "progress.jsonl").read_text().splitlines()) == SAMPLES


def test_help(docker_run: DockerRun) -> None:
    done = docker_run("--help")
    assert done.returncode == ExitCode.DONE
    for option in ("--input", "--output", "--algorithm"):
        assert option in done.stdout


def refused(
    done: subprocess.CompletedProcess[str], code: ExitCode, *words: str, output: Path | None = None
) -> None:
    """The exit code; a finding with its four parts and these words; no sample in the output."""
    assert done.returncode == code, f"{done.returncode}\n{done.stderr}"
    for word in ("expected:", "found:", "do:", *words):
        assert word in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    if output is not None:
        assert {path.name for path in output.iterdir()} <= {"result.h5", "progress.jsonl"}
        if (output / "result.h5").exists():
            with h5py.File(output / "result.h5") as file:
                assert list(file) == []


def test_nothing_mounted(docker_run: DockerRun, output: Path) -> None:
    done = docker_run(output=output)
    refused(done, ExitCode.INPUT, "INPUT_NOT_FOUND", "/input", output=output)


def test_mounted_at_the_wrong_place(docker_run: DockerRun, challenge: Path, output: Path) -> None:
    options = ["--mount", f"type=bind,source={challenge.parent},target=/data"]
    done = docker_run(output=output, options=options)
    refused(done, ExitCode.INPUT, "INPUT_NOT_FOUND", "/input", output=output)


def test_empty_input(docker_run: DockerRun, tmp_path: Path, output: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    done = docker_run(source=empty, output=output)
    refused(done, ExitCode.INPUT, "INPUT_NOT_FOUND", "/input", output=output)


@pytest.fixture
def damaged(challenge: Path, tmp_path: Path) -> Path:
    """A copy of the challenge to be damaged."""
    folder = tmp_path / "damaged"
    folder.mkdir()
    return Path(shutil.copy(challenge, folder / "challenge.h5"))


def test_two_inputs(docker_run: DockerRun, damaged: Path, output: Path) -> None:
    shutil.copy(damaged, damaged.with_name("another.h5"))
    refused(
        docker_run(source=damaged.parent, output=output),
        ExitCode.INPUT,
        "INPUT_AMBIGUOUS",
        "another.h5",
        output=output,
    )


def test_truncated_input(docker_run: DockerRun, damaged: Path, output: Path) -> None:
    os.truncate(damaged, damaged.stat().st_size // 2)
    done = docker_run(source=damaged.parent, output=output)
    refused(done, ExitCode.INPUT, "INPUT_NOT_HDF5", "challenge.h5", output=output)


def test_missing_operator(docker_run: DockerRun, damaged: Path, output: Path) -> None:
    with h5py.File(damaged, "r+") as file:
        del file["sample_00/H_ideal"]
    done = docker_run(source=damaged.parent, output=output)
    refused(done, ExitCode.INPUT, "INPUT_MISSING_ITEM", "H_ideal", "sample_00", output=output)


def test_unknown_algorithm(docker_run: DockerRun, challenge: Path, output: Path) -> None:
    done = docker_run("--algorithm", "magic", source=challenge.parent, output=output)
    refused(done, ExitCode.USAGE, "ALGORITHM_UNKNOWN", "magic", "ptychography", output=output)


def test_read_only_output(docker_run: DockerRun, challenge: Path, output: Path) -> None:
    options = ["--mount", f"type=bind,source={output},target=/output,readonly"]
    done = docker_run("--algorithm", FAST, source=challenge.parent, options=options)
    refused(done, ExitCode.USAGE, "OUTPUT_NOT_WRITABLE", "/output", "chmod 777", output=output)


def test_output_of_another_user(docker_run: DockerRun, challenge: Path, output: Path) -> None:
    output.chmod(0o755)
    if os.getuid() == 1000:
        pytest.skip("this user is the container's user")
    done = docker_run("--algorithm", FAST, source=challenge.parent, output=output)
    refused(done, ExitCode.USAGE, "OUTPUT_NOT_WRITABLE", "1000", output=output)


def test_stopped_in_the_middle(
    docker_run: DockerRun, build_submission: Any, challenge: Path, output: Path
) -> None:
    """SIGTERM during the second sample: the first is kept, in a valid file."""
    submission = build_submission(SLOW.replace("SECOND", "time.sleep(600)"))
    docker_run(
        source=challenge.parent, output=output, options=["--init", "--detach"], use=submission
    )
    container = _container_of(submission)
    progress = output / "progress.jsonl"
    deadline = time.monotonic() + TIMEOUT_S
    while not (progress.exists() and progress.read_text()):
        assert time.monotonic() < deadline, _log_of(container)
        time.sleep(0.1)
    begun = time.monotonic()
    subprocess.run(["docker", "stop", "--time", "30", container], check=True, capture_output=True)
    assert time.monotonic() - begun < 15.0, "it must end by itself, not be killed"
    assert _exit_code_of(container) == ExitCode.ALGORITHM
    assert "STOPPED" in _log_of(container)
    assert list(result_in(output, challenge).samples) == ["sample_00"]


def test_out_of_memory(
    docker_run: DockerRun, build_submission: Any, challenge: Path, output: Path
) -> None:
    """Killed by the kernel in the second sample: the first is kept, in a valid file."""
    submission = build_submission(SLOW.replace("SECOND", "np.ones(1 << 30)"))
    limit = ["--memory", "700m", "--memory-swap", "700m"]
    done = docker_run(source=challenge.parent, output=output, options=limit, use=submission)
    assert done.returncode in (137, ExitCode.ALGORITHM), done.stderr
    assert list(result_in(output, challenge).samples) == ["sample_00"]


def test_an_error_of_the_algorithm(
    docker_run: DockerRun, build_submission: Any, challenge: Path, output: Path
) -> None:
    submission = build_submission(SLOW.replace("SECOND", "raise KeyError('no such plan')"))
    done = docker_run(source=challenge.parent, output=output, use=submission)
    assert done.returncode == ExitCode.ALGORITHM
    assert "ALGORITHM_FAILED" in done.stderr
    assert "no such plan" in done.stderr
    assert "method.py" in done.stderr, "the participant sees where"
    assert list(result_in(output, challenge).samples) == ["sample_00"]


def test_nan_is_not_written(
    docker_run: DockerRun, build_submission: Any, challenge: Path, output: Path
) -> None:
    second = (
        "return Reconstruction(np.full(sample.object_shape, np.nan, np.float32), MismatchSpec())"
    )
    submission = build_submission(SLOW.replace("SECOND", second))
    done = docker_run(source=challenge.parent, output=output, use=submission)
    assert done.returncode in (ExitCode.ALGORITHM, ExitCode.RESULT)
    result = result_in(output, challenge)
    assert list(result.samples) == ["sample_00"]
    assert np.isfinite(result.samples["sample_00"].x_hat).all()


def _container_of(image: str) -> str:
    return _docker("ps", "--quiet", "--filter", f"ancestor={image}")


def _exit_code_of(container: str) -> int:
    return int(_docker("inspect", "--format", "{{.State.ExitCode}}", container))


def _log_of(container: str) -> str:
    done = subprocess.run(["docker", "logs", container], capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def _docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()
