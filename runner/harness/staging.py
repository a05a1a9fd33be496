"""The folder of one run on the host, and how to look into it while strangers write there.

    stem4d-XXXXXXXX/          ours alone (0700)
        owner                 the process that it belongs to
        input/challenge.h5    readable by the container's user
        output/               writable by everybody: the container's user is not ours

What the container writes is looked at by file handle, one folder at a time, and no link is
followed: a name may become something else between two calls.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from runner.files.hdf5 import make_folder, output_error
from runner.harness.owner import is_dead, this_process

PREFIX = "stem4d-"
OWNER_NAME = "owner"
BLOCK_BYTES = 512
"""Unit of st_blocks [bytes], whatever the file system's own is (POSIX)."""

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


@dataclass(frozen=True)
class Staging:
    """Paths of one run."""

    folder: Path
    challenge: Path
    output: Path


@dataclass(frozen=True)
class Usage:
    """What lies in a folder.

    Attributes:
        bytes: sum over the files, of what each pretends to hold or does, whichever is more.
        files: files, folders and everything else that has a name.
        hidden: there is a folder that cannot be looked into.
    """

    bytes: int
    files: int
    hidden: bool


@contextmanager
def staged(challenge: Path, root: Path) -> Iterator[Staging]:
    """A run's own folder below `root`, gone at the end.

    Raises:
        ContractError: `root` cannot be written to, or is full.
    """
    make_folder(root)
    try:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
    except OSError as error:
        raise output_error(root, error) from error
    try:
        try:
            yield _filled(folder, challenge)
        except OSError as error:
            raise output_error(folder, error) from error
    finally:
        _remove(folder)


def remove_abandoned(root: Path) -> int:
    """Remove what runs of dead processes left below `root`; returns how many there were."""
    abandoned = [
        folder
        for folder in root.glob(f"{PREFIX}*")
        if (owner := folder / OWNER_NAME).is_file() and is_dead(owner.read_text(encoding="utf-8"))
    ]
    for folder in abandoned:
        _remove(folder)
    return len(abandoned)


def usage(folder: Path, *, most_files: int) -> Usage:
    """What lies below a folder; the count ends soon after `most_files`, however many there are."""
    handle = os.open(folder, FOLDER_FLAGS)
    try:
        return _usage(handle, most_files)
    finally:
        os.close(handle)


def read_start(folder: Path, name: str, most_bytes: int) -> bytes:
    """The first bytes of a regular file in a folder; b"" when there is none, or something else."""
    try:
        handle = os.open(folder / name, FILE_FLAGS)
    except OSError:
        return b""
    try:
        return os.read(handle, most_bytes) if stat.S_ISREG(os.fstat(handle).st_mode) else b""
    finally:
        os.close(handle)


def copy_out(source: Path, target: Path, most_bytes: int) -> str | None:
    """Copy a regular file of one link; returns what it is instead, when it is anything else.

    Raises:
        FileNotFoundError: there is nothing of that name.
    """
    try:
        handle = os.open(source, FILE_FLAGS)
    except FileNotFoundError:
        raise
    except OSError as error:
        return error.strerror or str(error)
    try:
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode):
            return "a link, a pipe or another special file"
        if info.st_nlink != 1:
            return "a file with a second name"
        if info.st_size > most_bytes:
            return f"{info.st_size} bytes"
        temporary = target.with_name(f".{target.name}.tmp")
        with open(handle, "rb", closefd=False) as stream, temporary.open("wb") as copy:
            shutil.copyfileobj(stream, copy)
        temporary.replace(target)
        return None
    finally:
        os.close(handle)


def _filled(folder: Path, source: Path) -> Staging:
    (folder / OWNER_NAME).write_text(this_process().text(), encoding="utf-8")
    staging = Staging(folder, folder / "input" / "challenge.h5", folder / "output")
    staging.challenge.parent.mkdir()
    staging.output.mkdir()
    staging.output.chmod(0o777)
    _provide(source, staging.challenge)
    return staging


def _provide(source: Path, target: Path) -> None:
    """The challenge under its neutral name: a second name where that serves, else a copy."""
    if source.stat().st_mode & stat.S_IROTH:
        try:
            target.hardlink_to(source.resolve())
        except OSError as error:
            # Another file system, or one without links, or another user's file.
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
                raise
        else:
            return
    shutil.copyfile(source, target)
    target.chmod(0o644)


def _usage(handle: int, most_files: int) -> Usage:
    total, files, hidden = 0, 0, False
    with os.scandir(handle) as entries:
        for entry in entries:
            files += 1
            try:
                info = os.stat(entry.name, dir_fd=handle, follow_symlinks=False)
            except FileNotFoundError:  # removed since it was listed
                continue
            total += max(info.st_size, info.st_blocks * BLOCK_BYTES)
            if stat.S_ISDIR(info.st_mode) and files <= most_files:
                below = _below(handle, entry.name, most_files - files)
                total += below.bytes
                files += below.files
                hidden = hidden or below.hidden
            if files > most_files:
                break
    return Usage(total, files, hidden)


def _below(parent: int, name: str, most_files: int) -> Usage:
    try:
        handle = os.open(name, FOLDER_FLAGS, dir_fd=parent)
    except PermissionError:
        return Usage(0, 0, hidden=True)
    except OSError:  # removed, or something else by now: the next look will see
        return Usage(0, 0, hidden=False)
    try:
        return _usage(handle, most_files)
    except PermissionError:
        return Usage(0, 0, hidden=True)
    finally:
        os.close(handle)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        warnings.warn(
            f"{folder} holds files that only the container's user may delete", stacklevel=2
        )
