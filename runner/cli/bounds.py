"""`stem4d bounds`: how well a sample's electrons tell the detector, at best."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table

    from runner.pipeline.bounds import BoundsReport, SampleBounds

SHORT = {
    "camera_length": ("dL", "%", 5),
    "center_offset": ("dc", "px", 6),
    "elliptical_distortion": ("eps", "", 7),
}
"""Symbol, unit and decimals of each mismatch parameter."""


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--sample", "names", metavar="NAME", multiple=True, help="Only this sample; repeatable."
)
@click.option(
    "--truth",
    type=click.Path(path_type=Path),
    help="The organiser's truth file.  [default: FILE itself; without truth, the estimate]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def bounds(file: Path, names: tuple[str, ...], truth: Path | None, as_json: bool) -> None:
    """Print the Cramer-Rao bound of the detector for each sample of FILE.

    One sigma of camera length, centre offset and ellipticity that no unbiased method can beat, with
    the specimen known and with it unknown; and the ceiling, the consistency that the counts' noise
    leaves possible. At the truth where it is known, else at the estimate of ptychography+gradient.
    """
    from runner.cli.output import note, print_record, print_tables
    from runner.pipeline.bounds import bounds as compute

    report = compute(file, truth, names, note)
    if as_json:
        print_record(report)
        return
    print_tables(_table(report))
    note(_strongest(report))
    if report.estimator:
        note(f"estimate: by {report.estimator}, for want of a truth; --truth names one")


def _table(report: BoundsReport) -> Table:
    from runner.cli.output import make_table

    headings = [f"{symbol} {unit}".strip() for symbol, unit, _ in SHORT.values()]
    columns = [
        "sample",
        "scene",
        "at",
        "dose e",
        *(f"x known\n{heading}" for heading in headings),
        *(f"x unknown\n{heading}" for heading in headings),
        "ceiling",
    ]
    rows = [_row(entry) for entry in report.samples]
    return make_table("Cramer-Rao bound, one sigma", columns, rows, left=3)


def _row(entry: SampleBounds) -> list[str]:
    return [
        entry.sample,
        entry.scene,
        entry.point,
        f"{entry.dose_e:g}",
        *_sigmas(entry.known),
        *_sigmas(entry.joint),
        f"{entry.ceiling:.4f}",
    ]


def _sigmas(sigma: dict[str, float]) -> list[str]:
    return [f"{sigma[name]:.{digits}f}" for name, (_, _, digits) in SHORT.items()]


def _strongest(report: BoundsReport) -> str:
    """The two parameters that are the hardest to tell apart, in any sample."""
    value, pair, sample = max(
        (
            (value, pair, entry.sample)
            for entry in report.samples
            for pair, value in entry.correlation.items()
        ),
        key=lambda found: abs(found[0]),
    )
    one, two = (SHORT[name][0] for name in pair.split(","))
    return f"x unknown: strongest correlation {value:+.2f}, of {one} and {two} in {sample}"
