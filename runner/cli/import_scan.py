"""`stem4d import`: a real scan becomes a challenge file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from schemas.spec import SpecRanges

Pair = tuple[float, float]
Crop = tuple[tuple[int, int], tuple[int, int]]

POSITIVE = click.FloatRange(min=0.0, min_open=True)


def _crop(_context: click.Context, _option: click.Parameter, text: str | None) -> Crop | None:
    """START:STOP,START:STOP of rows and columns."""
    if text is None:
        return None
    try:
        (y0, y1), (x0, x1) = ([int(end) for end in part.split(":")] for part in text.split(","))
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not Y0:Y1,X0:X1 in whole numbers") from error
    return (y0, y1), (x0, x1)


def _pair(_context: click.Context, _option: click.Parameter, text: str | None) -> Pair | None:
    """Two finite numbers, A,B."""
    if text is None:
        return None
    try:
        first, second = (float(part) for part in text.split(","))
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not two numbers, A,B") from error
    if not (math.isfinite(first) and math.isfinite(second)):
        raise click.BadParameter(f"{text!r} is not finite")
    return first, second


def _range(context: click.Context, option: click.Parameter, text: str) -> Pair | None:
    """Two finite numbers, the smaller first."""
    pair = _pair(context, option, text)
    if pair is not None and pair[0] >= pair[1]:
        raise click.BadParameter(f"{text!r} is not MIN,MAX with MIN below MAX")
    return pair


@click.command()
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--dataset", metavar="PATH", help="Datacube in IN [default: its only 4-D dataset]")
@click.option(
    "--axes",
    default="scan_y,scan_x,det_y,det_x",
    show_default=True,
    help="The array's axes, slowest first; exchange det_y and det_x for a transposed detector",
)
@click.option("--flip", "flips", metavar="AXIS", multiple=True, help="Axis to reverse; repeatable")
@click.option(
    "--scan-shape",
    type=(click.IntRange(min=1), click.IntRange(min=1)),
    metavar="NY NX",
    help="Scan of a file that holds a mere stack of patterns (.mib without its .hdr)",
)
@click.option(
    "--scan-crop",
    callback=_crop,
    metavar="Y0:Y1,X0:X1",
    help="Scan positions to take [default: all]",
)
@click.option(
    "--detector-crop",
    callback=_crop,
    metavar="Y0:Y1,X0:X1",
    help="Raw detector pixels to take [default: all]",
)
@click.option(
    "--detector-size",
    type=click.IntRange(min=1),
    metavar="N",
    help="Side of the square around the optical axis, binned pixels [default: the largest]",
)
@click.option(
    "--bin",
    "binning",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Sum this many raw detector pixels along each axis",
)
@click.option(
    "--center",
    callback=_pair,
    metavar="ROW,COLUMN",
    help="Optical axis, raw pixels [default: measured]",
)
@click.option("--energy", type=POSITIVE, required=True, help="Beam energy [eV]")
@click.option("--semiangle", type=POSITIVE, required=True, help="Convergence semi-angle [mrad]")
@click.option("--c10", type=float, required=True, help="C10 [A] = -defocus; positive for overfocus")
@click.option("--cs", type=float, default=0.0, show_default=True, help="Spherical aberration [A]")
@click.option("--scan-step", type=POSITIVE, required=True, help="Step of the scan [A]")
@click.option(
    "--rotation",
    type=float,
    default=0.0,
    show_default=True,
    help="Scan against detector [degrees], counter-clockwise with row 0 on top",
)
@click.option(
    "--detector-pixel", type=POSITIVE, required=True, help="Angle of a raw detector pixel [mrad]"
)
@click.option("--gain", type=POSITIVE, help="Counts per electron [default: measured]")
@click.option(
    "--read-noise",
    type=click.FloatRange(min=0.0),
    default=0.0,
    show_default=True,
    help="Standard deviation [counts]",
)
@click.option(
    "--aperture",
    type=click.Choice(["measured", "round"]),
    default="measured",
    show_default=True,
    help="The probe's: the average pattern's radial profile, or a sharp disk",
)
@click.option(
    "--phase-scale",
    type=POSITIVE,
    default=round(math.pi, 6),
    show_default=True,
    help="Phase of x = 1 [rad]; what is thicker is clipped",
)
@click.option(
    "--camera-length-range",
    callback=_range,
    metavar="MIN,MAX",
    default="-8,8",
    show_default=True,
    help="To search [%]",
)
@click.option(
    "--center-offset-range",
    callback=_range,
    metavar="MIN,MAX",
    default="-2,2",
    show_default=True,
    help="[pixels]",
)
@click.option(
    "--ellipse-range",
    callback=_range,
    metavar="MIN,MAX",
    default="-0.04,0.04",
    show_default=True,
    help="[-]",
)
@click.option("--scene", default="imported scan", show_default=True, help="Name of the scene")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as one JSON object")
def import_scan(
    source: Path,
    target: Path,
    dataset: str | None,
    axes: str,
    flips: tuple[str, ...],
    scan_shape: tuple[int, int] | None,
    scan_crop: Crop | None,
    detector_crop: Crop | None,
    detector_size: int | None,
    binning: int,
    center: Pair | None,
    energy: float,
    semiangle: float,
    c10: float,
    cs: float,
    scan_step: float,
    rotation: float,
    detector_pixel: float,
    gain: float | None,
    read_noise: float,
    aperture: str,
    phase_scale: float,
    camera_length_range: Pair,
    center_offset_range: Pair,
    ellipse_range: Pair,
    scene: str,
    as_json: bool,
) -> None:
    """Make the challenge file OUT from the 4-D datacube in the file IN.

    IN is HDF5 (py4DSTEM's .h5 and HyperSpy's .hspy are), or .mib, .blo, .dm3, .dm4 or EMPAD's .xml,
    which need the extra `formats`.

    The cube is read a scan row at a time, and its counts are copied as they are. docs/import.md
    states every convention and shows a real scan.
    """
    from runner.tiers.imported import ApertureModel, ImportOptions, Instrument, Layout
    from runner.tiers.imported import import_scan as run_import

    options = ImportOptions(
        instrument=Instrument(
            energy_eV=energy,
            semiangle_mrad=semiangle,
            C10_A=c10,
            Cs_A=cs,
            scan_step_A=scan_step,
            rotation_deg=rotation,
            detector_pixel_mrad=detector_pixel,
            read_noise=read_noise,
        ),
        layout=Layout(dataset, tuple(name.strip() for name in axes.split(",")), flips),
        scan_shape=scan_shape,
        scan_crop=scan_crop,
        detector_crop=detector_crop,
        detector_size=detector_size,
        bin=binning,
        center_px=center,
        gain=gain,
        aperture=ApertureModel(aperture),
        phase_scale_rad=phase_scale,
        ranges=_ranges(camera_length_range, center_offset_range, ellipse_range),
        scene=scene,
    )
    report = run_import(source, target, options, progress=lambda text: click.echo(text, err=True))
    for line in report.remarks():
        click.echo(line, err=True)
    click.echo(report.model_dump_json(indent=2) if as_json else report.challenge)


def _ranges(*values: Pair) -> SpecRanges:
    """The spec ranges, in the order of the parameters."""
    from runner.tiers.imported import DEFAULT_RANGES
    from schemas.spec import SpecRange, SpecRanges

    return SpecRanges(
        tuple(
            SpecRange(name=entry.name, min=low, max=high, unit=entry.unit)
            for entry, (low, high) in zip(DEFAULT_RANGES.root, values, strict=True)
        )
    )
