"""From a datacube to a challenge file: centre the detector, measure the noise, write the operator.

Counts are never resampled, rolled or scaled. The detector is moved by whole pixels, by choosing
which square of it is kept; what is left of the disk's centre is divided between the mismatch
parameter `center_offset` (the same on both axes, left for the calibrator) and a beam tilt of the
probe (half the difference of the axes, which that one parameter cannot describe).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from algorithms.base import Sample
from algorithms.calibrators.pacbed import fit_disk
from physics.geometry import Ellipse
from physics.ideal import IdealOperator
from runner.files.challenge import ChallengeSample, write_challenge
from runner.tiers.build import DATASET_VERSION
from runner.tiers.imported.datacube import (
    CubePatterns,
    Datacube,
    DetectorWindow,
    Layout,
    cropped,
)
from runner.tiers.imported.formats import open_datacube
from runner.tiers.imported.instrument import ideal_operator, tilted
from runner.tiers.imported.measure import (
    Multiplicity,
    aperture_amplitude,
    average_pattern,
    find_disk,
    mean_radius,
    measure_multiplicity,
)
from runner.tiers.imported.options import ApertureModel, ImportOptions
from runner.tiers.imported.report import ImportReport, NoiseReport
from schemas.base import CONTRACT_VERSION, VARIANT
from schemas.challenge import ChallengeAttrs, SampleMetadata
from schemas.findings import refuse

SAMPLE_NAME = "sample_00"

RADIUS_TOLERANCE = 0.2
"""Largest relative deviation of the disk's radius from semi-angle / detector pixel: more is a wrong
number or axis, not a detector's mismatch."""

SMALLEST_WINDOW = 8
"""Least side of the detector [binned pixels]."""

Float64 = NDArray[np.float64]
Tell = Callable[[str], None]


@dataclass(frozen=True)
class _Measured:
    """The patterns to import, and what one can say of them before any model.

    Attributes:
        patterns: cropped, binned, not yet read.
        raw_disk: the bright-field disk on the raw detector.
        average: position-averaged pattern (n, n) [counts].
        disk: the bright-field disk of `average`.
        noise: counts per electron; None where the dark field does not tell.
        gain: counts per electron that the challenge file states.
    """

    patterns: CubePatterns
    raw_disk: Ellipse
    average: Float64
    disk: Ellipse
    noise: Multiplicity | None
    gain: float


@dataclass(frozen=True)
class _Center:
    """Where the optical axis lies, from pixel n//2 [binned pixels].

    Attributes:
        offset: what both axes share.
        tilt: (rows, columns), the rest.
    """

    offset: float
    tilt: tuple[float, float]

    @classmethod
    def of(cls, row: float, column: float) -> _Center:
        """A position divided into the two parts."""
        mean = (row + column) / 2
        return cls(mean, (row - mean, column - mean))


def import_scan(
    source: Path, target: Path, options: ImportOptions, *, progress: Tell = lambda _: None
) -> ImportReport:
    """Write the challenge file `target` from the datacube in `source`.

    The cube is read a scan row at a time, three times: average pattern, noise, copy.

    Args:
        source: file with the datacube: HDF5, or a suffix of `formats.READERS`.
        target: challenge file of one sample; its folder is made when it is not there.
        options: what to take, and the instrument's numbers.
        progress: told one line for each stage.

    Raises:
        ContractError: no such dataset, a wrong shape, options that contradict the data, or an
            output folder that cannot be written.
    """
    with open_datacube(source, options.layout or Layout(), options.scan_shape) as cube:
        measured = _measure(cube, options, progress)
        operator, center = _operator(measured, options)
        report = _report(target, measured, operator, center, options)
        progress(f"writing {target}")
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(target, measured.patterns, operator, report, options)
    return report


def _measure(cube: Datacube, options: ImportOptions, progress: Tell) -> _Measured:
    scan = cropped("--scan-crop", options.scan_crop, cube.shape[:2])
    progress(f"average pattern of {cube.name}, {cube.shape}")
    raw = average_pattern(cube, scan)
    raw_disk = find_disk(raw)
    window = _window(cube, options, options.center_px or (raw_disk.center_y, raw_disk.center_x))
    patterns = CubePatterns(cube, *scan, window)
    average = _binned(raw, window)
    disk = find_disk(average)
    _check_radius(disk, options, cube.name)
    progress("noise: counts per electron")
    noise = measure_multiplicity(patterns, average, disk, options.instrument.read_noise)
    return _Measured(patterns, raw_disk, average, disk, noise, _gain(noise, options.gain))


def _operator(measured: _Measured, options: ImportOptions) -> tuple[IdealOperator, _Center]:
    window = measured.patterns.window
    amplitude = None
    if options.aperture == ApertureModel.MEASURED:
        radius = options.instrument.disk_radius_px(window.bin)
        amplitude = aperture_amplitude(measured.average, measured.disk, radius)
    untilted = ideal_operator(
        options.instrument,
        scan_shape=measured.patterns.shape[:2],
        window=window.size,
        binning=window.bin,
        phase_scale_rad=options.phase_scale_rad,
        dose_e=float(measured.average.sum()) / measured.gain,
        gain=measured.gain,
        amplitude=amplitude,
    )
    if options.center_px is None:
        sample = Sample(SAMPLE_NAME, measured.patterns, untilted, options.ranges)
        center = _fitted_center(measured.average, sample)
    else:
        center = _stated_center(options.center_px, window)
    return replace(untilted, probe=tilted(untilted.probe, center.tilt)), center


def _report(
    target: Path,
    measured: _Measured,
    operator: IdealOperator,
    center: _Center,
    options: ImportOptions,
) -> ImportReport:
    noise, window = measured.noise, measured.patterns.window
    return ImportReport(
        challenge=str(target),
        y_shape=measured.patterns.shape,
        detector_origin=(window.top, window.left),
        disk_center_px=(measured.raw_disk.center_y, measured.raw_disk.center_x),
        disk_radius_px=mean_radius(measured.disk),
        disk_radius_nominal_px=options.instrument.disk_radius_px(window.bin),
        center_offset_px=center.offset,
        tilt_px=center.tilt,
        noise=NoiseReport(
            counts_per_pattern=float(measured.average.sum()),
            multiplicity=None if noise is None else noise.value,
            multiplicity_error=None if noise is None else noise.standard_error,
            pixel_fano=None if noise is None else noise.pixel,
            gain=measured.gain,
        ),
        operator=operator.attrs,
    )


def _write(
    target: Path,
    patterns: CubePatterns,
    operator: IdealOperator,
    report: ImportReport,
    options: ImportOptions,
) -> None:
    attrs = ChallengeAttrs(
        variant=VARIANT,
        tier="blind",
        version=DATASET_VERSION,
        contract_version=CONTRACT_VERSION,
    )
    metadata = SampleMetadata(
        scene=options.scene,
        shape=patterns.shape,
        noise_model="measured",
        description=" ".join(report.remarks()),
    )
    sample = ChallengeSample(SAMPLE_NAME, patterns, operator, options.ranges, metadata)
    write_challenge(target, attrs, [sample])


def _window(cube: Datacube, options: ImportOptions, center: tuple[float, float]) -> DetectorWindow:
    """The square of the detector whose pixel n//2 is nearest to the optical axis.

    Raises:
        ContractError: USAGE, the square that was asked for does not fit.
    """
    b = options.bin
    rows, columns = cropped("--detector-crop", options.detector_crop, cube.shape[2:])
    # Binned pixel j covers raw pixels origin + j b ... origin + j b + b - 1.
    middle = [round(axis - (b - 1) / 2) for axis in center]
    before = min(middle[0] - rows[0], middle[1] - columns[0]) // b
    after = min(rows[1] - middle[0], columns[1] - middle[1]) // b
    largest = max(0, 2 * min(before, after))
    size = largest if options.detector_size is None else options.detector_size
    if size < SMALLEST_WINDOW or size // 2 > before or size - size // 2 > after:
        raise refuse(
            "USAGE",
            "--detector-size, --detector-crop, --center, --bin",
            expected=f"a square of {SMALLEST_WINDOW} binned pixels or more around the optical axis;"
            f" {largest} fit",
            found=f"{size} around ({center[0]:.1f}, {center[1]:.1f}) of a detector with rows"
            f" {rows[0]}:{rows[1]}, columns {columns[0]}:{columns[1]}",
            hint="take another square; if the axis is not there, check --axes and --center",
        )
    return DetectorWindow(middle[0] - size // 2 * b, middle[1] - size // 2 * b, size, b)


def _binned(raw: Float64, window: DetectorWindow) -> Float64:
    """The window of a raw pattern, summed into bins."""
    n, b = window.size, window.bin
    part = raw[slice(*window.rows), slice(*window.columns)]
    binned: Float64 = part.reshape(n, b, n, b).sum(axis=(1, 3))
    return binned


def _check_radius(disk: Ellipse, options: ImportOptions, where: str) -> None:
    """Raise when the disk is not the aperture's."""
    nominal, seen = options.instrument.disk_radius_px(options.bin), mean_radius(disk)
    if abs(seen / nominal - 1) > RADIUS_TOLERANCE:
        raise refuse(
            "INPUT_INCONSISTENT",
            where,
            expected=f"a bright-field disk of {nominal:.1f} pixels (semi-angle / detector pixel)",
            found=f"the average pattern has one of {seen:.1f} pixels around"
            f" ({disk.center_y:.1f}, {disk.center_x:.1f}) of the window",
            hint="check --axes (scan and detector exchanged?), --semiangle and --detector-pixel",
        )


def _gain(noise: Multiplicity | None, given: float | None) -> float:
    if given is not None:
        return given
    if noise is None:
        raise refuse(
            "USAGE",
            "--gain",
            expected="counts per electron: the dark field is too small or too empty to measure it",
            found="no --gain",
            hint="give --gain; it is 1 for a detector that counts every electron once",
        )
    return noise.value


def _fitted_center(average: Float64, sample: Sample) -> _Center:
    """The centre as a likelihood would put it.

    `fit_disk` has one offset for both axes. On the pattern it finds their mean, on the pattern
    mirrored in its columns about n//2 half of their difference.
    """
    mean, half_difference = (
        fit_disk(pattern, sample)[0].center_offset
        for pattern in (average, np.roll(average[:, ::-1], 1, axis=1))
    )
    return _Center(mean, (half_difference, -half_difference))


def _stated_center(center_px: tuple[float, float], window: DetectorWindow) -> _Center:
    """The centre from a position on the raw detector."""
    row, column = (
        (axis - (window.bin - 1) / 2 - origin) / window.bin - window.size // 2
        for axis, origin in zip(center_px, (window.top, window.left), strict=True)
    )
    return _Center.of(row, column)
