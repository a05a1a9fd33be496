"""The program that reads strangers' files: it forks a process for each, which may well die of it.

    python -I -c "...; main()" ROOT CHANNEL

It waits for tasks on a socket. For each it forks a child, which gives up all rights that reading
does not need, parses the file, and writes images as plain numbers to one open file and everything
else as JSON to a pipe. This process never looks at the file or at the answer; it measures, ends
what is too slow, and hands on. Whatever happens in the child, it can say numbers and no more: the
sanitiser checks them once more, and no HDF5 of the stranger's ever reaches it.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import os
import resource
import select
import signal
import socket
import sys
import time
from typing import NoReturn

import h5py
import numpy as np
from h5py import h5f, h5p

from runner.files.result import ResultFile, read_open_result
from runner.files.structure import SUPERBLOCK_BYTES, check_superblock
from runner.harness import wire
from schemas.base import json_text
from schemas.findings import ContractError, Finding, refuse

READY = b"R"
"""First byte of a child's answer: it was confined, so what follows is the file's doing."""

UNUSED_ID = 65533
"""User and group of the child where we are root: an id that no account has (Debian's policy keeps
65000 to 65533 free)."""

PR_SET_NO_NEW_PRIVS = 38
"""From linux/prctl.h."""

IMAGE_COPIES = 2
"""How often the images may lie in memory: as read, and one more while they are looked at."""

MAX_FINDINGS = 200
"""Findings that are told one by one; the rest are counted."""

REAP_S = 0.0005
"""Time between two looks at a child that has said all and must now end [s]."""


def main() -> None:
    """Serve tasks until the channel closes."""
    channel = socket.socket(fileno=int(sys.argv[2]))
    gc.freeze()  # children share what is loaded already
    while True:
        try:
            block, files = wire.receive(channel, files=2)
        except EOFError:
            return
        task = wire.Task.model_validate_json(block)
        result, images = files
        outcome, answer = supervise(task, result, images, channel)
        os.close(result)
        os.close(images)
        wire.send(channel, outcome.model_dump_json().encode())
        wire.send(channel, answer)


def supervise(
    task: wire.Task, result: int, images: int, channel: socket.socket
) -> tuple[wire.Outcome, bytes]:
    """Let a child read; returns how it ended, and the bytes that it answered."""
    ours, theirs = os.pipe()
    begin = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os.close(ours)
        channel.close()
        be_the_child(task, result, images, theirs)
    os.close(theirs)
    deadline = begin + task.limits.wall_s
    answer, too_slow, too_long = _listen(ours, deadline, task.limits.message_kib << 10)
    os.close(ours)
    status, usage = _reap(pid, begin if too_slow or too_long else deadline)
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGKILL and time.monotonic() > deadline:
        too_slow = True
    return wire.Outcome(
        ready=answer.startswith(READY),
        exit_code=code,
        too_slow=too_slow,
        too_long=too_long,
        peak_mib=usage.ru_maxrss / 1024.0,
        seconds=time.monotonic() - begin,
    ), answer[len(READY) :]


def _listen(pipe: int, deadline: float, cap: int) -> tuple[bytes, bool, bool]:
    """What comes through a pipe until it closes; whether it came too late, or was too long."""
    parts: list[bytes] = []
    length = 0
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return b"".join(parts), True, False
        part = os.read(pipe, 1 << 16)
        if not part:
            return b"".join(parts), False, False
        parts.append(part)
        length += len(part)
        if length > cap:
            return b"".join(parts), False, True


def _reap(pid: int, deadline: float) -> tuple[int, resource.struct_rusage]:
    """Wait for a child, and end it at the deadline."""
    while True:
        done, status, usage = os.wait4(pid, os.WNOHANG)
        if done:
            return status, usage
        if time.monotonic() >= deadline:
            os.kill(pid, signal.SIGKILL)
            _, status, usage = os.wait4(pid, 0)
            return status, usage
        time.sleep(REAP_S)


# --- the child ------------------------------------------------------------------------------------


def be_the_child(task: wire.Task, result: int, images: int, pipe: int) -> NoReturn:
    """Read the file, answer, end. Nothing of the program around it runs after this."""
    code = 1
    try:
        confine(task)
        _write_all(pipe, READY)
        _write_all(pipe, answer_to(task, result, images).model_dump_json().encode())
        code = 0
    except MemoryError:
        code = wire.OUT_OF_MEMORY
    except OSError as error:
        code = wire.OUT_OF_MEMORY if error.errno == errno.ENOMEM else 1
    finally:
        os._exit(code)


def confine(task: wire.Task) -> None:
    """Give up what reading does not need: files, processes, rights, memory and time without end.

    No file can be opened after this, whatever the stranger's file names.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    os.close(nothing)
    page = resource.getpagesize()
    with open("/proc/self/statm", "rb", buffering=0) as statm:  # noqa: PTH123 - unbuffered
        now = int(statm.read().split()[0]) * page
    memory = now + (task.limits.memory_mib << 20) + IMAGE_COPIES * task.image_bytes
    cpu = task.limits.cpu_s
    for kind, soft, hard in (
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_CPU, cpu, cpu + 1),
        (resource.RLIMIT_FSIZE, task.image_bytes, task.image_bytes),
        (resource.RLIMIT_NPROC, 0, 0),
        (resource.RLIMIT_AS, memory, memory),
        (resource.RLIMIT_NOFILE, 0, 0),
    ):
        resource.setrlimit(kind, (soft, hard))
    if ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError("no_new_privs is refused")
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(UNUSED_ID, UNUSED_ID, UNUSED_ID)
        os.setresuid(UNUSED_ID, UNUSED_ID, UNUSED_ID)


def answer_to(task: wire.Task, result: int, images: int) -> wire.Answer:
    """Read the open file `result`; the good samples' images go to the open file `images`."""
    try:
        found, findings = _read(task, result)
    except ContractError as error:
        found, findings = None, error.findings
    told = _told(findings, task.name)
    if found is None:
        return wire.Answer(attrs=None, provenance=None, run_info=None, specs={}, findings=told)
    for sample in found.samples.values():
        _write_all(images, np.ascontiguousarray(sample.x_hat).data.cast("B"))
    return wire.Answer(
        attrs=json_text(found.attrs),
        provenance=json_text(found.provenance),
        run_info=None if found.run_info is None else json_text(found.run_info),
        specs={name: dict(sample.corrected_spec) for name, sample in found.samples.items()},
        findings=told,
    )


def _read(task: wire.Task, result: int) -> tuple[ResultFile | None, tuple[Finding, ...]]:
    size = os.fstat(result).st_size
    content = os.pread(result, size, 0)
    check_superblock(content[:SUPERBLOCK_BYTES], size, task.name)
    access = h5p.create(h5p.FILE_ACCESS)
    # HDF5 gets the bytes, not the file: there is nothing that it could be made to open.
    access.set_fapl_core(1 << 20, False)
    access.set_file_image(content)
    try:
        file = h5py.File(h5f.open(b"result", h5f.ACC_RDONLY, access))
    except (OSError, RuntimeError, ValueError) as error:
        raise refuse(
            "RESULT_NOT_HDF5",
            task.name,
            expected="a complete HDF5 file",
            found=f"{size} bytes that HDF5 cannot open: {error}",
            hint="the file may be truncated or of another kind: write it again",
        ) from error
    return read_open_result(file, task.name, task.expected)


def _told(findings: tuple[Finding, ...], name: str) -> tuple[Finding, ...]:
    if len(findings) <= MAX_FINDINGS:
        return findings
    rest = refuse(
        "RESULT_TOO_MANY_ITEMS",
        name,
        expected=f"at most {MAX_FINDINGS} findings",
        found=f"{len(findings)}",
        hint="mend those that are named, and look again",
    )
    return (*findings[:MAX_FINDINGS], *rest.findings)


def _write_all(file: int, content: bytes | memoryview) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]
