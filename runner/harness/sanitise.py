"""Stage 3: a stranger's result file becomes a canonical one, or a list of what is wrong.

The file is parsed by a process that may well die of it (`expendable`). What that process says is
checked here against the same rules, number by number, before this process writes the canonical file
from the numbers alone. A sample that is missing or invalid is left out, and scores 0; a file with a
hostile structure, of another run or of another input is refused whole.
"""

from __future__ import annotations

import errno
import hmac
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGXCPU
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
from pydantic import ValidationError

from runner.files.canonical import write_canonical
from runner.files.challenge import open_challenge
from runner.files.hdf5 import explain, sha256_of
from runner.files.result import (
    ResultFile,
    SampleResult,
    run_info_missing,
    too_large,
)
from runner.files.rules import expected_of, image_fault, spec_fault, variant_fault
from runner.harness import wire
from runner.harness.reader import Reader, Reading
from runner.harness.seal import check_key, seal_path, write_seal
from schemas.base import RecordT, StrictJSONError, json_text, record_from_json
from schemas.findings import Blame, ContractError, Finding, finding, refuse
from schemas.limits import SanitiserLimits
from schemas.result import MAX_RESULT_BYTES, Provenance, ResultAttrs, RunInfo


@dataclass(frozen=True)
class Sanitised:
    """What became of one result file.

    Attributes:
        accepted: there is a canonical file, with at least one sample.
        sha256: sha256 of the canonical file; None when nothing was accepted.
        samples: names of the samples in it; every other one scores 0.
        provenance: what the submission says of itself, the nonce included; None likewise.
        run_info: what it says of its cost, which nobody has checked; None likewise.
        findings: everything that is wrong with the file, or with samples of it.
        child_peak_mib: peak resident memory of the process that read it [MiB].
        seconds: wall time of the whole step [s].
    """

    accepted: bool
    sha256: str | None = None
    samples: tuple[str, ...] = ()
    provenance: Provenance | None = None
    run_info: RunInfo | None = None
    findings: tuple[Finding, ...] = ()
    child_peak_mib: float = 0.0
    seconds: float = 0.0

    @property
    def identity(self) -> str | None:
        """The submission's identity (contract, section 7): sha256 of the canonical file."""
        return self.sha256


def sanitise(
    result: Path,
    challenge_view: Path,
    canonical: Path,
    *,
    nonce: str | None,
    limits: SanitiserLimits = SanitiserLimits(),
    hmac_key: bytes | None = None,
) -> Sanitised:
    """Turn one result file into its canonical form.

    Args:
        result: what the container left; the container must be gone.
        challenge_view: the file that the container was given.
        canonical: the file to write; what was there is removed first.
        nonce: token that the container was given; None asks for none.
        limits: what the process that reads the file may use.
        hmac_key: key of a seal beside the canonical file; None makes no seal.

    Raises:
        ContractError: the challenge file cannot be read, the canonical one cannot be written, or
            the reader does not start.
        ValueError: the key is too short, or the result would be overwritten.
    """
    with Sanitiser(challenge_view, limits) as sanitiser:
        return sanitiser.judge(result, canonical, nonce=nonce, hmac_key=hmac_key)


class Sanitiser:
    """Judges many results of one challenge with one warmed reader. Use it in a `with` block.

    Args:
        challenge_view: the file that the containers were given.
        limits: what the process that reads a file may use.
        reader: what starts that process; None starts the usual one.
    """

    def __init__(
        self,
        challenge_view: Path,
        limits: SanitiserLimits = SanitiserLimits(),
        reader: Reader | None = None,
    ) -> None:
        with open_challenge(challenge_view) as challenge:
            self._expected = expected_of(challenge)
        self._input_sha256 = sha256_of(challenge_view)
        self._limits = limits
        self._reader = reader or Reader()

    def __enter__(self) -> Self:
        self._reader.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._reader.__exit__(kind, error, trace)

    def judge(
        self,
        result: Path,
        canonical: Path,
        *,
        nonce: str | None = None,
        hmac_key: bytes | None = None,
    ) -> Sanitised:
        """One result; see `sanitise`."""
        begin = time.monotonic()
        if hmac_key is not None:
            check_key(hmac_key)
        if canonical.exists() and _same_place(canonical, result):
            raise ValueError(f"{canonical} would overwrite the result itself")
        canonical.unlink(missing_ok=True)
        seal_path(canonical).unlink(missing_ok=True)
        peak_mib = 0.0
        try:
            with (
                _opened(result) as file,
                os.fdopen(os.memfd_create("images"), "rb") as images,
            ):
                task = wire.Task(name=result.name, expected=self._expected, limits=self._limits)
                reading = self._reader.read(task, file, images.fileno())
                peak_mib = reading.outcome.peak_mib
                answer = _believable(task, reading)
                answers = _rebuilt(task, answer, images)
        except ContractError as error:
            return _refused(error.findings, peak_mib, begin)
        faults = _of_another_run(result.name, answers, nonce, self._input_sha256)
        if answers is None or faults or not answers.samples:
            return _refused((*faults, *answer.findings), peak_mib, begin)
        digest = write_canonical(canonical, answers, self._expected)
        if hmac_key is not None:
            write_seal(
                canonical,
                sha256=digest,
                input_sha256=self._input_sha256,
                nonce=nonce,
                key=hmac_key,
            )
        return Sanitised(
            accepted=True,
            sha256=digest,
            samples=tuple(sorted(answers.samples)),
            provenance=answers.provenance,
            run_info=answers.run_info,
            findings=answer.findings,
            child_peak_mib=peak_mib,
            seconds=time.monotonic() - begin,
        )


def _refused(findings: tuple[Finding, ...], peak_mib: float, begin: float) -> Sanitised:
    assert findings, "nothing is refused without a reason"
    return Sanitised(
        accepted=False,
        findings=findings,
        child_peak_mib=peak_mib,
        seconds=time.monotonic() - begin,
    )


def _same_place(one: Path, two: Path) -> bool:
    """Whether two paths name one file, by their folders alone: no link of a stranger counts."""
    return one.name == two.name and one.parent.samefile(two.parent)


# --- the file as the container left it ------------------------------------------------------------


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """The result file, open for reading, if it is a plain file with one name and not too large.

    Raises:
        ContractError: RESULT_NOT_FOUND, RESULT_NOT_REGULAR or RESULT_TOO_LARGE.
    """
    try:
        # A link is not followed, a pipe not waited for; opening a device may already do something.
        if not stat.S_ISREG(path.lstat().st_mode):
            raise _not_regular(path, "a link, pipe, folder, socket or device")
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _not_regular(path, "a link") from error
        raise refuse(
            "RESULT_NOT_FOUND",
            path.name,
            expected="a result file that others may read",
            found=error.strerror or type(error).__name__,
            hint="write /output/result.h5 with mode 0644; stem4d's own writer does",
        ) from error
    try:
        info = os.fstat(file)
        if not stat.S_ISREG(info.st_mode) or info.st_nlink != 1:
            raise _not_regular(path, f"a file with {info.st_nlink} names, or no plain file")
        if info.st_size > MAX_RESULT_BYTES:
            raise ContractError(too_large(path.name, info.st_size))
        yield file
    finally:
        os.close(file)


def _not_regular(path: Path, found: str) -> ContractError:
    return refuse(
        "RESULT_NOT_REGULAR",
        path.name,
        expected="a plain file with one name",
        found=found,
        hint="write the file itself to /output; stem4d's own writer does",
    )


# --- what the reader says of it -------------------------------------------------------------------


def _believable(task: wire.Task, reading: Reading) -> wire.Answer:
    """The reader's answer, if it ended well and speaks as agreed.

    Raises:
        ContractError: INTERNAL, it never came to the file; RESULT_UNREADABLE, it ended otherwise.
    """
    outcome = reading.outcome
    if not outcome.ready:
        raise refuse(
            "INTERNAL",
            task.name,
            expected="a reader that is confined before it opens the file",
            found=f"exit code {outcome.exit_code}",
            hint="the reader needs Linux, and as root the right to become another user",
        )
    limits = task.limits
    if outcome.too_slow:
        raise _unreadable(task.name, f"still reading after {limits.wall_s:g} s")
    if outcome.too_long:
        raise _unreadable(task.name, f"an answer of more than {limits.message_kib} KiB")
    if outcome.exit_code == -SIGXCPU:
        raise _unreadable(task.name, f"more than {limits.cpu_s} s of CPU time")
    if outcome.exit_code == wire.OUT_OF_MEMORY:
        raise _unreadable(task.name, f"more than {limits.memory_mib} MiB of memory")
    if outcome.exit_code < 0:
        raise _unreadable(task.name, f"the reader ended by signal {-outcome.exit_code}")
    if outcome.exit_code != 0:
        raise _unreadable(task.name, f"the reader ended with exit code {outcome.exit_code}")
    try:
        answer = record_from_json(wire.Answer, reading.answer, max_bytes=limits.message_kib << 10)
    except (StrictJSONError, ValidationError) as error:
        raise _unreadable(task.name, f"no answer as agreed: {explain(error)[:500]}") from error
    if any(entry.blame is not Blame.RESULT for entry in answer.findings):
        raise _unreadable(task.name, "findings that are not the result's")
    return answer


def _rebuilt(task: wire.Task, answer: wire.Answer, images: BinaryIO) -> ResultFile | None:
    """The answers from the reader's numbers, checked anew; None when nothing can be used.

    Raises:
        ContractError: RESULT_UNREADABLE, the numbers break a rule, so the reader was not itself.
    """
    if answer.attrs is None or answer.provenance is None:
        if not answer.findings:
            raise _unreadable(task.name, "neither answers nor a reason")
        return None
    try:
        attrs = _record(ResultAttrs, answer.attrs)
        provenance = _record(Provenance, answer.provenance)
        run_info = None if answer.run_info is None else _record(RunInfo, answer.run_info)
    except (StrictJSONError, ValidationError) as error:
        raise _unreadable(task.name, f"records that are none: {explain(error)[:500]}") from error
    if (fault := variant_fault(attrs.variant, task.expected, task.name)) is not None:
        raise _unreadable(task.name, f"{fault.code}: {fault.found}")
    samples = {}
    images.seek(0)
    for name, spec in answer.specs.items():
        expected = task.expected.get(name)
        if expected is None:
            raise _unreadable(task.name, f"a sample that was not asked for: {name[:64]}")
        raw = images.read(expected.image_bytes)
        if len(raw) != expected.image_bytes:
            raise _unreadable(task.name, f"{len(raw)} bytes of the image of {name}")
        x_hat = np.frombuffer(raw, dtype="<f4").reshape(expected.shape)
        fault = image_fault(x_hat, name) or spec_fault(spec, expected.ranges, name)
        if fault is not None:
            raise _unreadable(task.name, f"{fault.code}: {fault.found}"[:500])
        samples[name] = SampleResult(x_hat, spec)
    if images.read(1):
        raise _unreadable(task.name, "more numbers than images")
    if len(samples) < len(task.expected) and not answer.findings:
        raise _unreadable(task.name, "samples are left out without a reason")
    return ResultFile(attrs, provenance, run_info, samples)


def _record(model: type[RecordT], text: str) -> RecordT:
    """A record from its canonical JSON: other JSON of it might be too long to be written."""
    record = record_from_json(model, text)
    if json_text(record) != text:
        raise StrictJSONError("not the canonical JSON")
    return record


def _of_another_run(
    name: str, answers: ResultFile | None, nonce: str | None, input_sha256: str
) -> tuple[Finding, ...]:
    """Why these answers are not those of the run that was asked for, if they are not."""
    if answers is None:
        return ()
    faults = []
    given = answers.provenance.nonce
    if nonce is not None and not hmac.compare_digest((given or "").encode(), nonce.encode()):
        faults.append(
            finding(
                "RESULT_NONCE",
                f"{name}:/@provenance",
                expected="the token that this run was given (STEM4D_NONCE)",
                found="none" if given is None else "another",
                hint="write the result in this run, with the token of its environment",
            )
        )
    if answers.provenance.input_sha256 != input_sha256:
        faults.append(
            finding(
                "RESULT_OTHER_INPUT",
                f"{name}:/@provenance",
                expected="input_sha256 of the file that this run was given",
                found=answers.provenance.input_sha256,
                hint="run the algorithm on this very file, and write its sha256",
            )
        )
    if answers.run_info is None:
        faults.append(run_info_missing(name))
    return tuple(faults)


def _unreadable(name: str, found: str) -> ContractError:
    return refuse(
        "RESULT_UNREADABLE",
        name,
        expected="a file that a reader survives, within its limits",
        found=found,
        hint="write the file with h5py as docs/contract.md says; `stem4d validate` reads it here",
    )
