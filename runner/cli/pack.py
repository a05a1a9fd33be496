"""`stem4d pack`: what a server takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from runner.submission.manifest import Manifest
    from runner.submission.pack import Kind
    from schemas.score import ScoreCard


@click.command()
@click.argument(
    "folder", type=click.Path(path_type=Path, file_okay=False, exists=True), default=Path()
)
@click.option(
    "--as",
    "kind",
    type=click.Choice(["zip", "tar.gz", "image"]),
    default="zip",
    show_default=True,
    help="The source folder as an archive of at most 50 MB, or the image as a tar.",
)
@click.option("--image", help="Image to write.  [default: that of submission.toml]")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the archive and score-report.json.  [default: FOLDER/dist]",
)
@click.option(
    "--card",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="score.json of a dry run to report.  [default: what submission.toml declares]",
)
def pack(
    *, folder: Path, kind: Kind, image: str | None, out: Path | None, card: Path | None
) -> None:
    """Make what a server takes of a submission's FOLDER, and the report of its score.

    The same folder gives the same bytes: files in order, with fixed times, owners and modes.
    """
    from runner.cli.output import note
    from runner.files.hdf5 import atomic_path, make_folder, sha256_of
    from runner.submission.files import weights_findings
    from runner.submission.manifest import load_manifest
    from runner.submission.pack import REPORT_NAME, score_report
    from schemas.findings import ContractError

    manifest = load_manifest(folder)
    if findings := tuple(weights_findings(manifest)):
        raise ContractError(findings)
    report = score_report(manifest, _card(card))
    target = out or folder / "dist"
    make_folder(target)
    archive = _archive(manifest, kind, image, target)
    with atomic_path(target / REPORT_NAME) as temporary:
        temporary.write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
    note(f"{archive}: {archive.stat().st_size} bytes, sha256 {sha256_of(archive)}")
    click.echo(archive)
    click.echo(target / REPORT_NAME)


def _archive(manifest: Manifest, kind: Kind, image: str | None, target: Path) -> Path:
    from runner.cli.output import note
    from runner.submission.pack import pack_folder, pack_image

    run = manifest.submission.run
    stem = run.image.rpartition("/")[2].replace(":", "-")
    if kind == "image":
        from runner.harness.docker_engine import connect

        path = target / f"{stem}.tar"
        with connect() as engine:
            pack_image(engine.saved(image or run.image), path)
        return path
    path = target / f"{stem}.{kind}"
    for name in pack_folder(manifest.folder, path, kind):
        note(f"  {name}")
    return path


def _card(path: Path | None) -> ScoreCard | None:
    from pydantic import ValidationError

    from schemas.base import StrictJSONError, record_from_json
    from schemas.findings import refuse
    from schemas.score import ScoreCard

    if path is None:
        return None
    try:
        return record_from_json(ScoreCard, path.read_bytes(), max_bytes=1 << 24)
    except (StrictJSONError, ValidationError) as error:
        raise refuse(
            "USAGE",
            str(path),
            expected="the score.json of a dry run",
            found=" ".join(str(error).split())[:300],
            hint="`stem4d dry-run` writes dry-run/score.json",
        ) from error
