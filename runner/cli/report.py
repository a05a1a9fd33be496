"""`stem4d report`: the page of a run."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--challenge",
    type=click.Path(path_type=Path),
    help="Challenge file that the run answered.  [default: challenge.h5 in FOLDER]",
)
@click.option(
    "--truth",
    type=click.Path(path_type=Path),
    help="Truth file.  [default: the one that FOLDER's run.json names, or the challenge file that"
    " was named where it holds the truth; without truth the page leaves out what needs it]",
)
@click.option("--no-bounds", is_flag=True, help="Leave the Cramer-Rao bound out; seconds a sample.")
@click.option("--no-figures", is_flag=True, help="Write no PNG and SVG into FOLDER/figures.")
def report(
    *, folder: Path, challenge: Path | None, truth: Path | None, no_bounds: bool, no_figures: bool
) -> None:
    """Write FOLDER/report.html from the files of a run: dry-run's, or run's with --challenge.

    One self-contained page: score, images, patterns, parameters, resources, findings. The path of
    the page is printed. There is none for the hidden tier.
    """
    from runner.cli.output import note
    from runner.pipeline.report import ReportPlan, make_report

    plan = ReportPlan(folder, challenge, truth, bounds=not no_bounds, figures=not no_figures)
    click.echo(str(make_report(plan, note)))
