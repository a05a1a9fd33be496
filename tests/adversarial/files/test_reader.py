"""Readers that die, lie or try to get out: what a file could make of the process that parses it.

The real reader runs, in its real confinement; only what parses the file is replaced by code that
stands for a stranger who has taken the process over.
"""

from __future__ import annotations

import os
import signal
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.harness import wire
from runner.harness.reader import Reader
from runner.harness.sanitise import Sanitised, Sanitiser
from schemas.limits import SanitiserLimits
from tests.adversarial.files.workshop import Workshop
from tests.helpers.watch import watched

LIMITS = SanitiserLimits(memory_mib=64, cpu_s=1, wall_s=1.5, message_kib=64)

DEATHS = {
    "crash": ("os.kill(os.getpid(), signal.SIGSEGV)", "signal 11"),
    "abort": ("os.abort()", "signal 6"),
    "killed": ("os.kill(os.getpid(), signal.SIGKILL)", "signal 9"),
    "a signal without a name": ("os.kill(os.getpid(), 40)", "signal 40"),
    "exception": ("raise KeyError('x')", "exit code 1"),
    "end without a word": ("os._exit(0)", "no answer"),
    "endless sleep": ("time.sleep(3600)", "still reading"),
    "sleep behind closed doors": ("os.closerange(0, 100); time.sleep(3600)", "still reading"),
    "memory": ("return [bytearray(1 << 20) for _ in range(1000)]", "MiB of memory"),
    "memory of numpy": ("return np.ones(1 << 28)", "MiB of memory"),
    "flood": ("while True: os.write(pipe(), bytes(1 << 16))", "an answer of more than"),
    "garbage": ("os.write(pipe(), b'{\"attrs\":'); os._exit(0)", "no answer"),
    "more numbers than images": (
        "answer = honest(task, result, images); os.write(images, bytes(4)); return answer",
        "exit code 1",
    ),
}

LIES = {
    "neither answers nor findings": "return wire.Answer(attrs=None, provenance=None, run_info=None,"
    " specs={}, findings=())",
    "a sample that was not asked for": "return changed(specs={**answer.specs, 'sample_09': {}})",
    "a sample left out without a word": "os.ftruncate(images, 4096); return changed(specs=first)",
    "too few numbers": "os.ftruncate(images, 5000); return answer",
    "too many numbers": "return changed(specs=first)",
    "NaN": "os.pwrite(images, np.full(4, np.nan, 'f4').tobytes(), 64); return answer",
    "huge numbers": "os.pwrite(images, np.full(4, 1e30, 'f4').tobytes(), 64); return answer",
    "a spec out of its range": "return changed(specs=with_length(99.0))",
    "a spec that is no number": "return changed(specs=with_length(float('nan')))",
    "another variant": "return changed(attrs=answer.attrs.replace('electron', 'neutron'))",
    "no provenance": "return changed(provenance='{}')",
    "text that grows when it is written": "return changed(provenance=answer.provenance.replace("
    "'\"parameters\":{}', '\"parameters\":{\"a\":\"' + 'é' * 20_000 + '\"}'))",
    "loose JSON": "return changed(provenance=answer.provenance + ' {}')",
    "a fault of ours": "return changed(findings=(finding('INTERNAL', 'x', expected='', found='',"
    " hint=''),))",
}

ATTEMPTS = {
    "open a file": "open('/etc/passwd')",
    "open the secret": "open('{secret}')",
    "make a file": "open('/tmp/stem4d-escape', 'w')",
    "a socket": "import _socket; _socket.socket(2, 1, 0)",
    "a pipe": "os.pipe()",
    "a process": "os._exit(0) if os.fork() == 0 else None",
    "the user who started it": "os.setuid(0)",
    "more files": "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))",
    "more memory": "resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))",
    "end the program above it": "os.kill(os.getppid(), 9)",
    "speak for the program above it": "os.fstat(int(sys.argv[2]))",
    "a large file": "os.pwrite(images, b'x', 1 << 30)",
}

NEED_ROOT = {"the user who started it", "end the program above it"}
"""Where we are no other user than root, the reader cannot become another than we are."""

ATTEMPT = """
    try:
        {code}
    except (OSError, ValueError):
        return honest(task, result, images)  # it did not succeed
    os._exit(77)
"""

LIE = """
    answer = honest(task, result, images)
    first = dict([*answer.specs.items()][:1])
    changed = lambda **fields: answer.model_copy(update=fields)
    length = lambda spec, value: spec | dict(camera_length=value)
    with_length = lambda value: {{n: length(s, value) for n, s in answer.specs.items()}}
    {code}
"""

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import os, resource, signal, stat, time
import numpy as np
from runner.harness import expendable, wire
from schemas.findings import finding
honest = expendable.answer_to

def pipe():
    for number in range(3, 64):
        try:
            if stat.S_ISFIFO(os.fstat(number).st_mode):
                return number
        except OSError:
            continue

def answer_to(task, result, images):
    scope = dict(globals())
    exec(CODE[task.name], scope)
    return scope["stranger"](task, result, images)

expendable.answer_to = answer_to
"""


def stranger(template: str, code: str) -> str:
    """A function of the stranger's."""
    body = textwrap.indent(textwrap.dedent(template.format(code=code)), "    ")
    return f"def stranger(task, result, images):\n{body}"


@pytest.fixture(scope="module")
def captured(workshop: Workshop) -> Iterator[Sanitiser]:
    """A sanitiser with a reader that does what the name of the file says."""
    code = {name: stranger("{code}", body) for name, (body, _) in DEATHS.items()}
    code |= {name: stranger(LIE, body) for name, body in LIES.items()}
    code |= {name: stranger(ATTEMPT, body) for name, body in ATTEMPTS.items()}
    code["honest"] = stranger("{code}", "return honest(task, result, images)")
    program = f"{PROGRAM}\nCODE = {code!r}\nexpendable.main()"
    program = program.replace("{secret}", str(workshop.secret))
    with Sanitiser(workshop.view, LIMITS, Reader(program)) as sanitiser:
        yield sanitiser


def judge(shop: Workshop, sanitiser: Sanitiser, name: str) -> Sanitised:
    """Judge the honest result under this name."""
    canonical = shop.folder / "canonical.h5"
    path = shop.copy()
    judged = sanitiser.judge(path.rename(path.with_name(name)), canonical)
    assert judged.accepted == canonical.exists()
    return judged


def test_the_honest_reader_is_believed(shop: Workshop, captured: Sanitiser) -> None:
    assert judge(shop, captured, "honest").accepted


@pytest.mark.parametrize("death", sorted(DEATHS))
def test_a_reader_that_dies_is_a_finding(shop: Workshop, captured: Sanitiser, death: str) -> None:
    begin = time.monotonic()
    judged = judge(shop, captured, death)
    assert time.monotonic() - begin < LIMITS.wall_s + 5
    (entry,) = judged.findings
    assert entry.code == "RESULT_UNREADABLE"
    assert DEATHS[death][1] in entry.found
    assert judged.child_peak_mib < 80 + LIMITS.memory_mib
    assert judge(shop, captured, "honest").accepted, "the next one does not suffer for it"


@pytest.mark.parametrize("lie", sorted(LIES))
def test_a_reader_that_lies_is_not_believed(shop: Workshop, captured: Sanitiser, lie: str) -> None:
    """The stranger can only say numbers, and those are checked."""
    (entry,) = judge(shop, captured, lie).findings
    assert entry.code == "RESULT_UNREADABLE"


@pytest.mark.parametrize("attempt", sorted(ATTEMPTS))
def test_the_reader_cannot_get_out(shop: Workshop, captured: Sanitiser, attempt: str) -> None:
    """An attempt that raises is followed by an honest answer; one that succeeds, by its end."""
    if attempt in NEED_ROOT and os.geteuid() != 0:
        pytest.skip("the reader becomes another user only where we are root")
    with watched(shop.secret) as touched:
        judged = judge(shop, captured, attempt)
        assert not touched()
    assert judged.accepted, judged.findings[0].found


def judge_with(shop: Workshop, program: str, limits: SanitiserLimits = LIMITS) -> Sanitised:
    with Sanitiser(shop.view, limits, Reader(program)) as sanitiser:
        return judge(shop, sanitiser, "result.h5")


def test_time_that_is_computed_away(shop: Workshop) -> None:
    """A second of CPU time may last long on a busy machine, so the wall is far."""
    code = {"result.h5": stranger("{code}", "while True: pass")}
    patient = LIMITS.model_copy(update={"wall_s": 60.0})
    program = f"{PROGRAM}\nCODE = {code!r}\nexpendable.main()"
    (entry,) = judge_with(shop, program, patient).findings
    assert entry.code == "RESULT_UNREADABLE"
    assert "CPU time" in entry.found


def test_a_reader_that_cannot_be_confined_is_our_fault(shop: Workshop) -> None:
    """No attempt is charged, and the file was not looked at."""
    refused = "def confine(task):\n    raise OSError('no right to')\nexpendable.confine = confine\n"
    (entry,) = judge_with(shop, f"{PROGRAM}\nCODE = {{}}\n{refused}expendable.main()").findings
    assert entry.code == "INTERNAL"
    assert not entry.counts_against_quota


@pytest.mark.parametrize("program", ["raise SystemExit('not today')", "import no_such_module"])
def test_a_reader_that_does_not_start_is_our_fault(shop: Workshop, program: str) -> None:
    (entry,) = judge_with(shop, program).findings
    assert entry.code == "INTERNAL"
    assert "not today" in entry.found or "no_such_module" in entry.found


def test_the_reader_knows_nothing_of_ours(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a key in the environment, nor a program in the folder where we happen to stand."""
    monkeypatch.setenv("STEM4D_HMAC_KEY", "s3cret")
    monkeypatch.setenv("PYTHONPATH", str(shop.folder))
    (shop.folder / "numpy.py").write_text("raise SystemExit('of another numpy')")
    monkeypatch.chdir(shop.folder)
    body = "assert 'STEM4D_HMAC_KEY' not in os.environ; return honest(task, result, images)"
    code = {"result.h5": stranger("{code}", body)}
    assert judge_with(shop, f"{PROGRAM}\nCODE = {code!r}\nexpendable.main()").accepted
    (shop.folder / "numpy.py").unlink()


def processes() -> Iterator[tuple[int, int, int]]:
    """(process, parent, session) of everything that runs here."""
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name in brackets may hold anything; what follows it does not (proc(5)).
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # ended since it was listed
        yield int(entry.parent.name), int(fields[1]), int(fields[3])


def reader_of_ours(before: set[int]) -> int:
    """The one process of ours that leads a session and was not there before."""
    (reader,) = {
        process
        for process, parent, session in processes()
        if parent == os.getpid() and session == process and process not in before
    }
    return reader


def test_no_process_is_left(shop: Workshop) -> None:
    """A reader is a session of its own; nothing of that session outlives it."""
    before = {process for process, _, _ in processes()}
    with Sanitiser(shop.view, LIMITS) as sanitiser:
        assert judge(shop, sanitiser, "result.h5").accepted
        reader = reader_of_ours(before)
    assert reader not in {session for _, _, session in processes()}


def test_a_reader_that_is_ended_from_outside_is_replaced(shop: Workshop) -> None:
    """The file in hand costs no attempt; the next one is read."""
    before = {process for process, _, _ in processes()}
    with Sanitiser(shop.view, LIMITS) as sanitiser:
        assert judge(shop, sanitiser, "result.h5").accepted
        os.kill(reader_of_ours(before), signal.SIGKILL)
        (entry,) = judge(shop, sanitiser, "result.h5").findings
        assert entry.code == "INTERNAL"
        assert not entry.counts_against_quota
        assert judge(shop, sanitiser, "result.h5").accepted


def test_an_interrupted_reading_answers_for_no_other_file(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to the first file must not be taken for the second one's."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with Sanitiser(shop.view, LIMITS) as sanitiser:
        with monkeypatch.context() as patch:
            patch.setattr(wire, "receive", interrupted)
            with pytest.raises(KeyboardInterrupt):
                judge(shop, sanitiser, "first.h5")
        shop.garbled(at=0, put=b"no HDF5.")
        path = shop.result
        second = sanitiser.judge(path, shop.folder / "canonical.h5")
        assert [entry.code for entry in second.findings] == ["RESULT_NOT_HDF5"]
        assert judge(shop, sanitiser, "third.h5").accepted
