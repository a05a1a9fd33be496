"""Direct methods of this project and of py4DSTEM on the same data, conventions made equal.

    python -m benchmarks.zoo.against_py4dstem [--scenes N] [--seed N] [--cache FOLDER]

Nominal detector, counts with their noise. Each method is a line of `COMPARISONS`: what we call, and
what its adapter is told. Images are compared by Pearson's correlation, which no constant and no
scale changes: at the pixels of theirs, wherever ours are finer.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from algorithms.base import Sample
from algorithms.idpc import center_of_mass, integrate
from algorithms.pixels import PixelStatistics
from algorithms.reconstructors.idpc import Idpc
from algorithms.reconstructors.parallax import Parallax
from algorithms.tilted_images import TiltedImages
from benchmarks.peers.adapters.exchange import Problem
from benchmarks.peers.adapters.our_sample import sample_of
from benchmarks.peers.environments import make_environment
from benchmarks.peers.launch import Cores, call_adapter
from benchmarks.peers.packages import DEFAULT_CACHE, PEERS, Entry
from benchmarks.peers.problems import NOMINAL, build_scenes
from schemas.spec import MismatchSpec

Float64 = NDArray[np.float64]

PY4DSTEM = replace(
    next(package for package in PEERS if package.name == "py4DSTEM"),
    adapter="with_py4dstem_direct.py",
)

CORES = Cores(1)


@dataclass(frozen=True)
class Comparison:
    """One method, made by both.

    Attributes:
        ours: phase (H, W) of a sample on its nominal detector; unit and constant are free.
        theirs: the adapter's settings; "method" names a function of `with_py4dstem_direct`.
    """

    ours: Callable[[Sample], Float64]
    theirs: Mapping[str, Any]


NOMINAL_DETECTOR = MismatchSpec()


def _all_pixels(sample: Sample) -> NDArray[np.bool_]:
    return np.ones(sample.y.shape[2:], dtype=np.bool_)


def _integrated_once(sample: Sample) -> Float64:
    """The centre of mass at the scan's own points, integrated by one Fourier transform."""
    momentum = center_of_mass(sample, NOMINAL_DETECTOR, _all_pixels(sample))
    field = (momentum - momentum.mean(axis=0)).T.reshape(2, *sample.scan_shape)
    step_px = float(sample.operator.positions_px[1, 1] - sample.operator.positions_px[0, 1])
    return integrate(field, step_px * sample.operator.attrs.sampling_A)


def _aligned(sample: Sample) -> Float64:
    tilted = TiltedImages.of(sample.operator, NOMINAL_DETECTOR, _all_pixels(sample))
    return tilted.aligned(sample, PixelStatistics.of(sample.y).mean)


PARALLAX = {"method": "parallax", "threshold": 0.5, "sigma_px": 0.125}

COMPARISONS: Mapping[str, Comparison] = {
    "iDPC, one Fourier integration": Comparison(
        _integrated_once, {"method": "dpc", "padding_factor": 1, "max_iter": 1}
    ),
    "iDPC, each at its defaults": Comparison(
        lambda sample: Idpc().phase(sample, NOMINAL_DETECTOR).phase,
        {"method": "dpc", "padding_factor": 2, "max_iter": 64},
    ),
    "parallax, aligned bright field": Comparison(_aligned, {**PARALLAX, "corrected": False}),
    "parallax, each one's phase": Comparison(
        lambda sample: Parallax().phase(sample, NOMINAL_DETECTOR)[0].phase,
        {**PARALLAX, "corrected": True},
    ),
}
"""{method: what both call}."""

HEADER = """| method | scene | ours and theirs | ours and truth | theirs and truth |
|---|---|---|---|---|"""


def correlation(left: Float64, right: Float64) -> float:
    """Pearson's correlation of two images of one shape."""
    return float(np.corrcoef(left.ravel(), right.ravel())[0, 1])


def at_pixels_of(image: Float64, coarse: Float64) -> Float64:
    """The pixels of an image (H, W) at which a coarser one (h, w) of the same field lies."""
    steps = [fine // few for fine, few in zip(image.shape, coarse.shape, strict=True)]
    return image[:: steps[0], :: steps[1]]


def main() -> None:
    """Build the scenes, run both, print the correlations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="where environments lie")
    parser.add_argument("--methods", nargs="*", default=list(COMPARISONS))
    options = parser.parse_args()
    python = make_environment(PY4DSTEM, options.cache, None)
    print(HEADER)
    with tempfile.TemporaryDirectory() as name:
        for scene in build_scenes(Path(name), scenes=options.scenes, seed=options.seed):
            problem = Problem.load(scene.files[NOMINAL])
            sample = sample_of(problem, periodic=True)
            for method in options.methods:
                comparison = COMPARISONS[method]
                entry = Entry(method, NOMINAL, PY4DSTEM, comparison.theirs)
                result = call_adapter(entry, "reconstruct", scene.files[NOMINAL], python, CORES)
                theirs = result["images"][-1].astype(np.float64)
                ours = at_pixels_of(comparison.ours(sample), theirs)
                truth = at_pixels_of(scene.x_true.astype(np.float64), theirs)
                figures = (
                    correlation(ours, theirs),
                    correlation(ours, truth),
                    correlation(theirs, truth),
                )
                print(
                    f"| {method} | {scene.name} | " + " | ".join(f"{f:.3f}" for f in figures) + " |"
                )


if __name__ == "__main__":
    main()
