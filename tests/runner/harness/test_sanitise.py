"""Identity, determinism, seals, and what the sanitiser tells its caller."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from runner.files.canonical import write_canonical
from runner.files.challenge import open_challenge
from runner.files.hdf5 import sha256_of
from runner.files.result import ResultFile, SampleResult, read_result, write_result
from runner.files.rules import expected_of
from runner.harness.sanitise import Sanitised, sanitise
from runner.harness.seal import check_seal, read_key, seal_path
from runner.scoring.score import score_result
from schemas import ContractError, ExitCode, RunInfo, SampleRun
from tests.helpers.damage import drop, put
from tests.runner.small import Answers, SmallChallenge

KEY = b"an organiser's key of 32 bytes!!"
NONCE = "c0ffee"


@pytest.fixture
def whole(
    write_result_file: Callable[[Answers], Path], answers: Answers, small_challenge: SmallChallenge
) -> ResultFile:
    """An honest result in memory, with the run's nonce."""
    with open_challenge(small_challenge.path) as challenge:
        result, findings = read_result(write_result_file(answers), challenge)
    assert result is not None
    assert not findings
    return replace(result, provenance=result.provenance.model_copy(update={"nonce": NONCE}))


@pytest.fixture
def judge(small_challenge: SmallChallenge, tmp_path: Path) -> Callable[..., Sanitised]:
    """Write a result, sanitise it into `canonical.h5`."""

    def call(result: ResultFile, **more: object) -> Sanitised:
        path = tmp_path / "result.h5"
        write_result(path, result)
        options = {"nonce": NONCE, **more}
        return sanitise(path, small_challenge.path, tmp_path / "canonical.h5", **options)

    return call


def test_what_varies_from_run_to_run_is_not_the_identity(judge, whole, tmp_path) -> None:
    first = judge(whole)
    content = (tmp_path / "canonical.h5").read_bytes()
    assert first.identity == first.sha256 == sha256_of(tmp_path / "canonical.h5")
    time.sleep(1.1)  # HDF5's times have whole seconds
    later = RunInfo(
        started_utc="2030-01-01T00:00:00Z",
        host="elsewhere",
        device="cuda",
        threads=64,
        setup_seconds=9.0,
        peak_memory_mib=7.0,
        samples={"sample_00": SampleRun(seconds=99.0)},
    )
    samples = {
        name: replace(sample, diagnostics={"seconds": time.time()})
        for name, sample in whole.samples.items()
    }
    provenance = whole.provenance.model_copy(update={"nonce": "of the second run"})
    second = judge(ResultFile(whole.attrs, provenance, later, samples), nonce="of the second run")
    assert second.sha256 == first.sha256
    assert (tmp_path / "canonical.h5").read_bytes() == content
    assert second.run_info == later
    assert second.provenance == provenance


@pytest.mark.parametrize("what", ["pixel", "sign of a zero", "spec", "seed", "a sample less"])
def test_what_is_judged_is_the_identity(judge, whole: ResultFile, what: str) -> None:
    sample = whole.samples["sample_00"]
    x_hat = sample.x_hat.copy()
    x_hat[0, 0] = 0.0
    whole = replace(whole, samples={**whole.samples, "sample_00": replace(sample, x_hat=x_hat)})
    first = judge(whole)
    other_x, other_spec, provenance = x_hat.copy(), dict(sample.corrected_spec), whole.provenance
    names = list(whole.samples)
    if what == "pixel":
        other_x[5, 6] = np.nextafter(other_x[5, 6], np.float32(2))
    elif what == "sign of a zero":
        other_x[0, 0] = -0.0
    elif what == "spec":
        other_spec["camera_length"] = float(np.nextafter(other_spec["camera_length"], 0.0))
    elif what == "seed":
        provenance = provenance.model_copy(update={"seed": 1})
    else:
        names = names[:1]
    samples = {**whole.samples, "sample_00": SampleResult(other_x, other_spec)}
    second = judge(
        replace(whole, provenance=provenance, samples={name: samples[name] for name in names})
    )
    assert first.accepted
    assert second.accepted
    assert second.sha256 != first.sha256


def test_canonical_again_is_the_same(judge, whole, small_challenge, tmp_path) -> None:
    """What the canonical file holds, rewritten, gives the same bytes."""
    judge(whole)
    canonical, again = tmp_path / "canonical.h5", tmp_path / "again.h5"
    with open_challenge(small_challenge.path) as challenge:
        read, findings = read_result(canonical, challenge)
        assert read is not None
        assert not findings
        write_canonical(again, read, expected_of(challenge))
    assert again.read_bytes() == canonical.read_bytes()
    with h5py.File(canonical) as file:
        assert all(file[f"{name}/x_hat"].chunks is None for name in file), "no compression"


def test_the_canonical_file_is_scored_as_the_result_is(
    judge, whole, small_challenge, tmp_path
) -> None:
    judge(whole)
    ours = score_result(tmp_path / "canonical.h5", small_challenge.path)
    theirs = score_result(tmp_path / "result.h5", small_challenge.path)
    assert ours.score == theirs.score
    assert ours.algorithm == theirs.algorithm
    assert [s.psnr_db for s in ours.samples] == [s.psnr_db for s in theirs.samples]


def test_large_images_are_written_whole(tmp_path: Path, whole: ResultFile, small_challenge) -> None:
    """A result of 50 MB may inflate to more; its canonical form is not compressed."""
    with open_challenge(small_challenge.path) as challenge:
        asked = expected_of(challenge)["sample_00"].model_copy(update={"shape": (4096, 4096)})
    image = np.zeros((4096, 4096), np.float32)
    sample = SampleResult(image, whole.samples["sample_00"].corrected_spec)
    digest = write_canonical(
        tmp_path / "big.h5", replace(whole, samples={"sample_00": sample}), {"sample_00": asked}
    )
    assert digest == sha256_of(tmp_path / "big.h5")
    assert (tmp_path / "big.h5").stat().st_size > image.nbytes


def test_values_that_did_not_reach_the_disk_are_noticed(
    whole: ResultFile, small_challenge, tmp_path, monkeypatch
) -> None:
    import runner.files.canonical as module

    real = module.read_answers

    def read(path, expected):
        with h5py.File(path, "r+") as file:
            file["sample_01/x_hat"][3, 3] += 1e-3
        return real(path, expected)

    monkeypatch.setattr(module, "read_answers", read)
    with open_challenge(small_challenge.path) as challenge:
        asked = expected_of(challenge)
    with pytest.raises(ContractError) as failure:
        write_canonical(tmp_path / "canonical.h5", whole, asked)
    assert failure.value.exit_code == ExitCode.INFRASTRUCTURE
    assert not list(tmp_path.glob("*canonical*"))


def test_all_faults_at_once(judge, whole, small_challenge, tmp_path) -> None:
    """Another run's, another input's, without its cost, and two samples that are wrong."""
    path = tmp_path / "result.h5"
    write_result(path, whole)
    with h5py.File(path, "r+") as file:
        stated = json.loads(file.attrs["provenance"])
        put("/@provenance", json.dumps({**stated, "nonce": None, "input_sha256": "1" * 64}))(file)
        drop("/@run_info")(file)
        file["sample_00/x_hat"][1, 1] = np.nan
        drop("sample_01@corrected_spec")(file)
    judged = sanitise(path, small_challenge.path, tmp_path / "canonical.h5", nonce=NONCE)
    assert [entry.code for entry in judged.findings] == [
        "RESULT_NONCE",
        "RESULT_OTHER_INPUT",
        "RESULT_MISSING_ITEM",
        "RESULT_NOT_FINITE",
        "RESULT_SPEC",
    ]
    assert not judged.accepted
    assert judged.sha256 is None


def test_a_challenge_that_cannot_be_read_is_an_error(judge, whole, tmp_path) -> None:
    path = tmp_path / "result.h5"
    write_result(path, whole)
    with pytest.raises(ContractError) as failure:
        sanitise(path, tmp_path / "none.h5", tmp_path / "canonical.h5", nonce=None)
    assert failure.value.exit_code == ExitCode.INPUT


def test_a_folder_without_room_is_not_the_submission_s_fault(
    judge, whole, small_challenge, tmp_path
) -> None:
    path = tmp_path / "result.h5"
    write_result(path, whole)
    with pytest.raises(ContractError) as failure:
        sanitise(path, small_challenge.path, tmp_path / "no" / "canonical.h5", nonce=NONCE)
    assert failure.value.exit_code == ExitCode.USAGE


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_we_may_not_read(judge, whole, small_challenge, tmp_path) -> None:
    path = tmp_path / "result.h5"
    write_result(path, whole)
    path.chmod(0)
    judged = sanitise(path, small_challenge.path, tmp_path / "canonical.h5", nonce=NONCE)
    assert [entry.code for entry in judged.findings] == ["RESULT_NOT_FOUND"]


# --- seals ----------------------------------------------------------------------------------------


def test_a_seal_proves_the_file_and_the_run(judge, whole, small_challenge, tmp_path) -> None:
    judged = judge(whole, hmac_key=KEY)
    seal = check_seal(tmp_path / "canonical.h5", KEY)
    assert seal.sha256 == judged.sha256
    assert seal.nonce == NONCE
    assert seal.input_sha256 == sha256_of(small_challenge.path)


def test_no_key_no_seal(judge, whole, tmp_path) -> None:
    judge(whole, hmac_key=KEY)
    judge(whole)
    assert not seal_path(tmp_path / "canonical.h5").exists(), "that of the earlier run is gone"


@pytest.mark.parametrize("what", ["file", "nonce", "sha256", "key", "signature", "no seal", "text"])
def test_a_broken_seal_is_noticed(judge, whole, tmp_path, what: str) -> None:
    judge(whole, hmac_key=KEY)
    canonical, key = tmp_path / "canonical.h5", KEY
    seal = seal_path(canonical)
    stated = json.loads(seal.read_text())
    if what == "file":
        with h5py.File(canonical, "r+") as file:
            file["sample_00/x_hat"][0, 0] += 0.5
    elif what == "key":
        key = KEY[::-1]
    elif what == "no seal":
        seal.unlink()
    elif what == "text":
        seal.write_text("sealed!")
    else:
        name = {"signature": "hmac_sha256"}.get(what, what)
        changed = "0" * 64 if what != "nonce" else "decaf"
        seal.write_text(json.dumps({**stated, name: changed}))
    with pytest.raises(ContractError) as failure:
        check_seal(canonical, key)
    (entry,) = failure.value.findings
    assert entry.code == "SEAL_BROKEN"
    assert not entry.counts_against_quota


def test_a_key_is_read_without_its_line_end(tmp_path) -> None:
    (tmp_path / "key").write_bytes(KEY + b"\r\n")
    assert read_key(tmp_path / "key") == KEY
    (tmp_path / "key").write_bytes(b"short\n")
    for path in (tmp_path / "key", tmp_path / "none", tmp_path):
        with pytest.raises(ContractError) as failure:
            read_key(path)
        assert failure.value.exit_code == ExitCode.USAGE


def test_the_result_itself_is_not_overwritten(judge, whole, small_challenge, tmp_path) -> None:
    path = tmp_path / "result.h5"
    write_result(path, whole)
    with pytest.raises(ValueError, match="overwrite"):
        sanitise(path, small_challenge.path, path, nonce=NONCE)
    assert path.exists()


def test_a_reader_that_cannot_be_started_is_an_error(
    judge, whole, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "no-python"))
    with pytest.raises(ContractError) as failure:
        judge(whole)
    assert failure.value.exit_code == ExitCode.INFRASTRUCTURE


def test_a_short_key_is_refused(judge, whole, tmp_path) -> None:
    with pytest.raises(ValueError, match="16"):
        judge(whole, hmac_key=b"short")
    assert not (tmp_path / "canonical.h5").exists()
