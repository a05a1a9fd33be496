"""What a server takes: the folder as an archive, or the image as a file; same input, same bytes.

Order, times, owners and modes are fixed. What is left to vary: the deflate of another zlib gives
other bytes of the same content (the tar inside a .tar.gz is the same), and an image that is built
again is another image, for its layers hold the times of their files. The bytes are those of one
image's id.
"""

from __future__ import annotations

import gzip
import stat
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Literal

from runner.files.hdf5 import atomic_path
from runner.submission.files import own_files
from runner.submission.manifest import Manifest
from schemas.findings import refuse
from schemas.score import ScoreCard
from schemas.submission import ScoreReport

Kind = Literal["zip", "tar.gz", "image"]
KINDS: tuple[Kind, ...] = ("zip", "tar.gz", "image")

MAX_ARCHIVE_BYTES = 50_000_000
"""Largest archive of a source folder; 50 MB, in the smaller of the two senses of the word."""

ZIP_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip file can say."""

REPORT_NAME = "score-report.json"
LEVEL = 9


def pack_folder(folder: Path, target: Path, kind: Literal["zip", "tar.gz"]) -> tuple[Path, ...]:
    """Put a submission's files into an archive; returns their names.

    Raises:
        ContractError: PACK_LINK, PACK_TOO_LARGE; the archive cannot be written.
    """
    names = own_files(folder)
    with atomic_path(target) as temporary:
        write = _zip if kind == "zip" else _tar_gz
        write(folder, names, temporary)
        size = temporary.stat().st_size
        if size > MAX_ARCHIVE_BYTES:
            largest = max(names, key=lambda name: (folder / name).stat().st_size)
            raise refuse(
                "PACK_TOO_LARGE",
                str(target),
                expected=f"at most {MAX_ARCHIVE_BYTES} bytes",
                found=f"{size} bytes; the largest file is {largest}",
                hint="name in .gitignore what is not needed, or submit an image (--as image)",
            )
    return tuple(names)


def pack_image(saved: Iterable[bytes], target: Path) -> None:
    """Write what `docker save` gives, in a fixed order and with fixed times.

    Raises:
        ContractError: the file cannot be written.
    """
    raw = target.with_name(f".{target.name}.saved")
    try:
        with raw.open("wb") as stream:
            stream.writelines(saved)
        with (
            atomic_path(target) as temporary,
            tarfile.open(raw) as source,
            tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as packed,
        ):
            for member in sorted(source.getmembers(), key=lambda entry: entry.name):
                content = source.extractfile(member) if member.isreg() else None
                packed.addfile(_plain(member), content)
    finally:
        raw.unlink(missing_ok=True)


def score_report(manifest: Manifest, card: ScoreCard | None) -> ScoreReport:
    """The report of a score: of a card, or else the declared one of the public tier.

    Raises:
        ContractError: SCORE_NOT_DECLARED, there is neither.
    """
    method, public = manifest.submission.method, manifest.submission.public
    if card is not None:
        tier, psnr, ssim = card.tier, card.psnr_db, card.ssim
    elif public is not None:
        tier, psnr, ssim = "public", public.psnr, public.ssim
    else:
        tier, psnr, ssim = "public", None, None
    if psnr is None or ssim is None:
        raise refuse(
            "SCORE_NOT_DECLARED",
            manifest.where("public"),
            expected="a table [public] with psnr, ssim and score",
            found="none",
            hint="`stem4d validate .` says what to write there",
        )
    return ScoreReport.model_validate(
        {
            "variant_key": manifest.submission.run.variant_key,
            "tier_name": tier,
            "method_name": method.name,
            "method_description": method.description,
            "paper_url": method.paper_url,
            "code_url": method.code_url,
            "reported_psnr": round(psnr, 4),
            "reported_ssim": round(ssim, 4),
        }
    )


def _zip(folder: Path, names: Iterable[Path], target: Path) -> None:
    with zipfile.ZipFile(target, "w") as archive:
        for name in names:
            entry = zipfile.ZipInfo(name.as_posix(), ZIP_TIME)
            entry.create_system = 3  # Unix, wherever it is made
            entry.external_attr = (stat.S_IFREG | _mode(folder / name)) << 16
            content = (folder / name).read_bytes()
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED, compresslevel=LEVEL)


def _tar_gz(folder: Path, names: Iterable[Path], target: Path) -> None:
    with (
        target.open("wb") as raw,
        gzip.GzipFile("", "wb", LEVEL, raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in names:
            _add(archive, folder / name, name)


def _add(archive: tarfile.TarFile, path: Path, name: Path) -> None:
    entry = tarfile.TarInfo(name.as_posix())
    entry.size, entry.mode = path.stat().st_size, _mode(path)
    with path.open("rb") as stream:
        content: IO[bytes] = stream
        archive.addfile(entry, content)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """The same member without times and owners."""
    plain = tarfile.TarInfo(member.name)
    plain.type, plain.linkname, plain.size = member.type, member.linkname, member.size
    plain.mode = 0o755 if member.isdir() else 0o644
    return plain


def _mode(path: Path) -> int:
    """0755 of what may be executed, 0644 of the rest, whatever the umask was."""
    return 0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644
