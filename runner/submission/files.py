"""The files of a submission's folder: which of them are its own, and what is wrong with them."""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

from runner.files.hdf5 import sha256_of
from runner.submission.manifest import Manifest
from schemas.findings import Finding, finding, refuse

LEFT_OUT = frozenset(
    {".git", ".venv", "venv", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"}
    | {"data", "dry-run", "dist", ".ipynb_checkpoints", ".DS_Store"}
)
"""Names that are no part of a submission: what tools and runs leave behind."""

PICKLED = frozenset({".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib"})
"""Ends of names of files that are loaded by pickle, which runs whatever code they hold."""

LFS_POINTER = b"version https://git-lfs.github.com/spec/"
READ_BYTES = 1 << 20


def own_files(folder: Path) -> list[Path]:
    """Files of a submission, relative to its folder, in order; git's ignored ones are left out.

    Raises:
        ContractError: PACK_LINK, for everything that is no plain file.
    """
    ignored = _ignored(folder)
    found, odd = [], []
    for path in sorted(_walk(folder, folder, ignored), key=lambda entry: entry.as_posix()):
        name = path.relative_to(folder)
        if stat.S_ISREG(path.lstat().st_mode):
            found.append(name)
        else:
            odd.append(name.as_posix())
    if odd:
        raise refuse(
            "PACK_LINK",
            str(folder),
            expected="plain files and folders",
            found=", ".join(odd[:10]),
            hint="put the file itself there, or name the link in .gitignore",
        )
    return found


def weights_findings(manifest: Manifest) -> Iterator[Finding]:
    """Whether every file of weights is there, is the declared one, and can be loaded safely."""
    for index, entry in enumerate(manifest.submission.weights):
        path = manifest.folder / entry.file
        where = manifest.where("weights", index, "file")
        if path.suffix.lower() in PICKLED:
            yield finding(
                "WEIGHTS_PICKLED",
                where,
                expected="numbers alone: .npz, .npy or .safetensors",
                found=entry.file,
                hint="np.savez('weights.npz', **{name: value.numpy() for name, value in"
                " net.state_dict().items()}), and np.load('weights.npz', allow_pickle=False)",
            )
        if not path.is_file():
            yield finding(
                "WEIGHTS_MISSING",
                where,
                expected=f"the file {entry.file}",
                found="nothing of that name",
                hint="add it to the folder, or take it out of submission.toml",
            )
        elif path.read_bytes()[: len(LFS_POINTER)] == LFS_POINTER:
            yield finding(
                "WEIGHTS_MISSING",
                where,
                expected="the weights themselves",
                found="a pointer of Git LFS",
                hint="git lfs pull; in CI, let the checkout fetch LFS files",
            )
        elif (digest := sha256_of(path)) != entry.sha256:
            yield finding(
                "WEIGHTS_CHANGED",
                manifest.where("weights", index, "sha256"),
                expected=entry.sha256,
                found=digest,
                hint="if the new file is the right one, write its sha256 into submission.toml",
            )


def script_findings(folder: Path) -> Iterator[Finding]:
    """Scripts with Windows line ends: Linux looks for a program whose name ends with one."""
    for name in own_files(folder):
        with (folder / name).open("rb") as stream:
            start = stream.read(READ_BYTES)
        first, newline, _ = start.partition(b"\n")
        if first.startswith(b"#!") and newline and first.endswith(b"\r"):
            yield finding(
                "SCRIPT_CRLF",
                f"{name.as_posix()}:1",
                expected="lines that end in \\n",
                found="lines that end in \\r\\n",
                hint="sed -i 's/\\r$//' FILE, and `* text=auto eol=lf` in .gitattributes",
            )


def _walk(top: Path, folder: Path, ignored: frozenset[str]) -> Iterator[Path]:
    """Everything below a folder but folders themselves; what is left out is not looked into."""
    for path in folder.iterdir():
        name = path.relative_to(top).as_posix()
        if path.name in LEFT_OUT or path.suffix == ".pyc" or name in ignored:
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _walk(top, path, ignored)
        else:
            yield path


def _ignored(folder: Path) -> frozenset[str]:
    """Paths that git ignores here; none where git is absent or the folder is in no repository."""
    command = ["git", "-C", str(folder), "ls-files", "--others", "--ignored"]
    command += ["--exclude-standard", "--directory", "-z"]
    try:
        listed = subprocess.run(command, capture_output=True, check=False, timeout=60)
    except OSError:
        return frozenset()
    if listed.returncode != 0:
        return frozenset()
    names = listed.stdout.decode("utf-8", "surrogateescape").split("\0")
    return frozenset(name.rstrip("/") for name in names if name)
