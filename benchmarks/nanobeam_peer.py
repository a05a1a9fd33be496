"""Strain by py4DSTEM and by this project, on the same patterns.

    python -m venv PEER && PEER/bin/pip install py4dstem==0.14.18
    python -m benchmarks.nanobeam_peer --python PEER/bin/python

The scan of `stem4d tiers example strained-crystal` on the nominal detector, so that calibration is
out of the comparison; both take the median over the scan as reference. Errors are over positions
that are valid for both and 2 nm or more from the hole, less their median; `slope` is that of
measured against true strain, 1 if nothing is biased.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from algorithms.analysis.deformation import COMPONENTS
from algorithms.analysis.strain import Strain
from algorithms.base import Sample
from benchmarks.nanobeam import FAR_A
from physics.operator import vacuum_pattern
from runner.tiers.examples import EXAMPLES
from schemas.spec import MismatchSpec

ADAPTER = Path(__file__).parent / "peers" / "adapters" / "strain_py4dstem.py"
SETTINGS = (("flat", "0.001"), ("flat", "0.003"), ("flat", "0.01"), ("sigmoid", "0.003"))
"""(kernel, least share of the direct beam) that the peer is given: it is not told the best."""

Fields = dict[str, NDArray[np.float64]]


def ours(sample: Sample) -> tuple[Fields, NDArray[np.bool_], float]:
    """Maps (N,), where they are valid, and seconds."""
    began = time.perf_counter()
    maps = Strain().analyse(sample, MismatchSpec())
    seconds = time.perf_counter() - began
    return {n: maps.maps[n].values.ravel() for n in COMPONENTS}, maps.valid.ravel(), seconds


def theirs(
    sample: Sample, python: Path, settings: tuple[str, str]
) -> tuple[Fields, NDArray[np.bool_], float]:
    """The same of the peer."""
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / "scan.npz", Path(name) / "found.npz"
        np.savez(
            source,
            counts=sample.counts().reshape(sample.y.shape),
            probe=vacuum_pattern(sample.operator, MismatchSpec()),
            radius=sample.operator.disk_radius_px,
        )
        command = [str(python), str(ADAPTER), str(source), str(target), *settings]
        subprocess.run(command, check=True, capture_output=True)
        found = np.load(target)
        fields = {n: found[n].ravel() for n in COMPONENTS}
        fields["theta"] = np.rad2deg(fields["theta"])
        return fields, found["mask"].ravel().astype(bool), float(found["seconds"])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    _, scan = EXAMPLES["strained-crystal"]
    source = scan.measured(MismatchSpec(), seed=options.seed)
    sample = Sample(source.name, source.y, source.operator, source.ranges)
    truth, there = scan.specimen.truth(scan.points_A())
    far = there & (scan.specimen.hole.distance(scan.points_A()) > FAR_A)
    rows = {"this project": ours(sample)}
    for settings in SETTINGS:
        rows[f"py4DSTEM, {', '.join(settings)}"] = theirs(sample, options.python, settings)
    both = far & np.logical_and.reduce([valid for _, valid, _ in rows.values()])
    print(f"{both.sum()} positions")
    print("| method | " + " | ".join(f"{n} rms" for n in COMPONENTS) + " | slopes | s |")
    print("|---" * 7 + "|")
    for name, (fields, _, seconds) in rows.items():
        errors, slopes = [], []
        for component in COMPONENTS:
            true, found = truth[component].values[both], fields[component][both]
            off = found - true
            errors.append(float(np.sqrt(np.mean((off - np.median(off)) ** 2))))
            if component != "e_xy":  # as good as constant over this scan
                slopes.append(float(np.polyfit(true, found, 1)[0]))
        cells = [*(f"{e:.5f}" for e in errors[:3]), f"{errors[3]:.3f} deg"]
        cells.append(", ".join(f"{slope:.3f}" for slope in slopes))
        print(f"| {name} | {' | '.join(cells)} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
