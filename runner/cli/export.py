"""`stem4d export`: the images of a result in the formats that people use."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("result", type=click.Path(path_type=Path))
@click.option(
    "--against",
    "challenge",
    type=click.Path(path_type=Path),
    required=True,
    help="Challenge file that the result answers: it knows the pixel's size.",
)
@click.option(
    "--to",
    type=click.Choice(("tiff", "png", "emd", "hspy", "zspy")),
    default="tiff",
    show_default=True,
    help="Format.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("export"),
    show_default=True,
    help="Folder, a file for each sample.",
)
@click.option("--phase", is_flag=True, help="The phase [rad] instead of x_hat in [0, 1].")
def export(result: Path, challenge: Path, to: str, out: Path, phase: bool) -> None:
    """Write the images of RESULT with calibrated axes; prints the paths.

    Needs the extra `formats` but for PNG and zspy.
    """
    from runner.report.export import calibrated_images
    from runner.report.export import export as write

    for path in write(calibrated_images(result, challenge, phase=phase), to, out):
        click.echo(path)
