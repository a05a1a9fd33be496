"""Strain and orientation of nanobeam scans against the truth: figures, and the pages' pictures.

    python -m benchmarks.nanobeam [--seeds 3] [--pictures docs/algorithms/images]

The scans are those of `stem4d tiers example`: gold (001), 3.3 nm, by the exact operator, on a
detector with camera length +3 %, centre +1.3 pixels, ellipse +0.8 %. Errors are root mean squares
of map minus truth over the valid positions; `far` leaves out those within 2 nm of the hole.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from algorithms.analysis.base import Maps
from algorithms.analysis.deformation import COMPONENTS
from algorithms.analysis.orientation import Orientation
from algorithms.analysis.strain import Strain
from algorithms.base import Sample
from algorithms.registry import load_calibrator
from physics.zone_axis import zone_axes
from runner.files.analysis import AnalysedSample, StoredMap
from runner.report.maps import save_maps
from runner.tiers.examples import EXAMPLES, NanobeamScan
from runner.tiers.examples.nanobeam import TrueMap
from schemas.analysis import AnalysedAttrs, MapAttrs
from schemas.spec import MismatchSpec

SPEC = MismatchSpec(camera_length=3.0, center_offset=1.3, elliptical_distortion=0.008)
DOSES_E = (8000.0, 4000.0, 2000.0, 1000.0)
CALIBRATORS = ("none", "pacbed", "oracle")
GOLD_INVA = tuple((float(y), float(x)) for y, x in zone_axes("gold")[0].reciprocal_invA)
FAR_A = 20.0
"""Distance from the hole's rim beyond which a probe meets next to nothing of it [A]."""


def measured(scan: NanobeamScan, dose_e: float, seed: int) -> tuple[NanobeamScan, Sample]:
    """The scan at a dose, and its sample."""
    profile = scan.profile.model_copy(update={"dose_e": dose_e})
    scan = NanobeamScan(scan.specimen, profile)
    source = scan.measured(SPEC, seed=seed)
    return scan, Sample(source.name, source.y, source.operator, source.ranges, true_spec=SPEC)


def errors(maps: Maps, scan: NanobeamScan, *, far: bool) -> NDArray[np.float64]:
    """(N, 4) strain and rotation [deg] minus truth."""
    points = scan.points_A()
    truth, there = scan.specimen.truth(points)
    used = maps.valid.ravel() & there
    if far:
        used &= scan.specimen.hole.distance(points) > FAR_A
    return np.stack([(maps.maps[n].values.ravel() - truth[n].values)[used] for n in COMPONENTS], 1)


def rms(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Root mean square of each column."""
    return np.asarray(np.sqrt(np.mean(np.square(values), axis=0)))


def strain_rows(seeds: int) -> Iterator[str]:
    """Errors by dose."""
    _, scan = EXAMPLES["strained-crystal"]
    four = ("e_xx", "e_yy", "e_xy", "theta [deg]")
    away = [f"far: {name}" for name in four]
    yield from _head("dose [e]", "seeds", "valid", *four, *away, "predicted e_xx", "s")
    for dose in DOSES_E:
        every, far, predicted, valid, seconds = [], [], [], [], []
        for seed in range(seeds):
            at_dose, sample = measured(scan, dose, seed)
            begin = time.perf_counter()
            spec = load_calibrator("pacbed").estimate(sample).spec
            maps = Strain(lattice_invA=GOLD_INVA).analyse(sample, spec)
            seconds.append(time.perf_counter() - begin)
            every.append(rms(errors(maps, at_dose, far=False)))
            far.append(rms(errors(maps, at_dose, far=True)))
            predicted.append(rms(maps.maps["e_xx_error"].values[maps.valid][:, None])[0])
            valid.append(int(maps.valid.sum()))
        cells = [*_cells(every), *_cells(far)]
        yield (
            f"| {dose:g} | 0-{seeds - 1} | {np.mean(valid):.0f} of 400 | {' | '.join(cells)}"
            f" | {np.mean(predicted):.5f} | {np.mean(seconds):.1f} |"
        )


def mismatch_rows() -> Iterator[str]:
    """What a detector that is not corrected does, by calibrator and reference."""
    _, scan = EXAMPLES["strained-crystal"]
    at_dose, sample = measured(scan, 8000.0, 0)
    means = ("mean e_xx", "mean e_yy")
    spreads = ("rms e_xx", "rms e_yy", "rms e_xy", "rms theta [deg]")
    yield from _head("calibrator", "reference", *means, *spreads)
    for name in CALIBRATORS:
        spec = load_calibrator(name).estimate(sample).spec
        for title, lattice in (("given lattice", GOLD_INVA), ("median", None)):
            off = errors(Strain(lattice_invA=lattice).analyse(sample, spec), at_dose, far=False)
            mean = off.mean(axis=0)
            if lattice is None:  # the truth is against gold at rest: another reference
                off = off - np.median(off, axis=0)
                means = "(free) | (free)"
            else:
                means = f"{mean[0]:+.4f} | {mean[1]:+.4f}"
            cells = " | ".join(_cells([rms(off)]))
            yield f"| {name} | {title} | {means} | {cells} |"


def orientation_rows(seeds: int) -> Iterator[str]:
    """Zones and rotations by dose and distance to the next grain boundary."""
    _, scan = EXAMPLES["gold-grains"]
    where = ("dose [e]", "distance to a boundary [A]", "positions", "valid", "zone right")
    yield from _head(*where, "rms rotation [deg]", "worst [deg]", "median reliability")
    for dose in DOSES_E:
        found = []
        for seed in range(seeds):
            at_dose, sample = measured(scan, dose, seed)
            spec = load_calibrator("pacbed").estimate(sample).spec
            found.append(Orientation(crystal="gold").analyse(sample, spec))
        truth, _ = at_dose.specimen.truth(at_dose.points_A())
        for low, high in ((0.0, 10.0), (10.0, 20.0), (20.0, np.inf)):
            inside = (truth["boundary"].values >= low) & (truth["boundary"].values < high)
            yield _orientation_row(dose, (low, high), inside, found, truth)


def _orientation_row(
    dose: float,
    span: tuple[float, float],
    inside: NDArray[np.bool_],
    found: list[Maps],
    truth: Mapping[str, TrueMap],
) -> str:
    valid = np.concatenate([maps.valid.ravel()[inside] for maps in found])
    zone, rotation, reliability = (
        np.concatenate([maps.maps[n].values.ravel()[inside] for maps in found])
        for n in ("zone", "rotation", "reliability")
    )
    right = valid & (zone == np.tile(truth["zone"].values[inside], len(found)))
    off = (rotation - np.tile(truth["rotation"].values[inside], len(found)))[right]
    return (
        f"| {dose:g} | {span[0]:g} to {span[1]:g} | {len(valid)} | {valid.sum()}"
        f" | {100 * right.sum() / max(valid.sum(), 1):.1f} % | {np.sqrt(np.mean(off**2)):.3f}"
        f" | {np.abs(off).max():.2f} | {np.median(reliability[valid]):.2f} |"
    )


def _head(*columns: str) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield "|" + "---|" * len(columns)


def _cells(rows: list[NDArray[np.float64]]) -> list[str]:
    """Means over the seeds, strains with five decimals and the rotation with three."""
    mean = np.mean(rows, axis=0)
    return [*(f"{value:.5f}" for value in mean[:3]), f"{mean[3]:.3f}"]


def pictures(folder: Path) -> None:
    """The maps beside the truth, as the pages show them."""
    for name, method, example, shown in (
        ("strain", Strain(lattice_invA=GOLD_INVA), "strained-crystal", COMPONENTS),
        ("orientation", Orientation(crystal="gold"), "gold-grains", ("rotation", "zone")),
    ):
        scan, sample = measured(EXAMPLES[example][1], 8000.0, 0)
        maps = method.analyse(sample, load_calibrator("pacbed").estimate(sample).spec)
        truth, there = scan.specimen.truth(scan.points_A())
        shape, step = scan.profile.scan_shape, scan.profile.scan_step_px * scan.profile.sampling_A
        attrs = AnalysedAttrs(
            scan_step_y_A=step, scan_step_x_A=step, calibrator="pacbed", corrected_spec={}
        )
        known, found = {}, {}
        for title in shown:
            entry = maps.maps[title]
            drawn = MapAttrs(
                unit=entry.unit, description="", signed=entry.signed, labels=entry.labels
            )
            known[title] = StoredMap(truth[title].values.reshape(shape), drawn)
            found[title] = StoredMap(entry.values, drawn)
        rows = {
            "truth": AnalysedSample(attrs, known, there.reshape(shape)),
            "measured": AnalysedSample(attrs, found, maps.valid),
        }
        title = f"{example}, {scan.profile.dose_e:g} electrons a pattern"
        save_maps(folder / f"{name}.png", rows, title=title)


def main() -> None:
    """Print the tables; draw the pictures where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    if options.pictures is not None:
        options.pictures.mkdir(parents=True, exist_ok=True)
        pictures(options.pictures)
    for title, lines in (
        ("strain by dose", strain_rows(options.seeds)),
        ("what calibration does", mismatch_rows()),
        ("orientation by dose and distance to a boundary", orientation_rows(options.seeds)),
    ):
        print(f"\n{title}\n")
        for line in lines:
            print(line, flush=True)


if __name__ == "__main__":
    main()
