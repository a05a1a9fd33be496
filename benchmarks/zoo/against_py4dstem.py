"""Direct methods of this project and of py4DSTEM on the same data, conventions made equal.

    python -m benchmarks.zoo.against_py4dstem [--scenes N] [--seed N] [--finer N] [--cache FOLDER]
        [--methods NAME ...] [--page]

Nominal detector, counts with their noise. Each method is a line of `COMPARISONS`: what we call, and
what its adapter is told. Images are compared by Pearson's correlation, which no constant and no
scale changes: at the pixels of theirs, wherever ours are finer, and within twice the aperture's
radius, beyond which there is noise alone.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from algorithms.base import Sample
from algorithms.idpc import center_of_mass, integrate
from algorithms.pixels import PixelStatistics
from algorithms.reconstructors.dm import DifferenceMap, ExitWaves
from algorithms.reconstructors.idpc import Idpc
from algorithms.reconstructors.parallax import Parallax
from algorithms.reconstructors.ssb import Ssb
from algorithms.reconstructors.wdd import Wdd, deconvolve
from algorithms.scan_transform import Aliases, Raster
from algorithms.set_projection import SetProjection
from algorithms.side_bands import Unknowns, measured_side_bands
from algorithms.tilted_images import TiltedImages
from algorithms.wiener import band_of
from benchmarks import page
from benchmarks.peers.adapters.exchange import Problem
from benchmarks.peers.adapters.our_sample import sample_of
from benchmarks.peers.environments import make_environment
from benchmarks.peers.launch import Cores, call_adapter
from benchmarks.peers.packages import DEFAULT_CACHE, PEERS, Entry
from benchmarks.peers.problems import NOMINAL, Scene, build_scenes
from schemas.spec import MismatchSpec

Float64 = NDArray[np.float64]

PY4DSTEM = replace(
    next(package for package in PEERS if package.name == "py4DSTEM"),
    adapter="with_py4dstem_direct.py",
)

CORES = Cores(1)

PAGE = page.DOCS / "algorithms" / "against-py4dstem.md"


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


def _sum_of_side_bands(sample: Sample) -> Float64:
    """Their sum before it is divided by their number, as py4DSTEM leaves it."""
    raster = Raster.of(sample)
    aliases = Aliases.of(sample, raster, folded=False)
    sums = measured_side_bands(sample, NOMINAL_DETECTOR, raster, aliases, Unknowns.TEXTBOOK)
    image = aliases.to_object(aliases.unfold(sums.projection), sample.object_shape)
    return np.asarray(image.real)


def _plain_deconvolution(sample: Sample) -> Float64:
    """The phase of the deconvolved transmission, not divided by the filter's own transfer."""
    raster = Raster.of(sample)
    aliases = Aliases.of(sample, raster, folded=False)
    # Theirs is relative to the aperture's share of the detector, not to its square.
    epsilon = EPSILON * sample.operator.window**2 / (np.pi * sample.operator.disk_radius_px**2)
    found = deconvolve(sample, NOMINAL_DETECTOR, raster, aliases, epsilon, textbook=True)
    image = aliases.to_object(aliases.unfold(found.equations.projection), sample.object_shape)
    return np.asarray(torch.angle(found.direct_projection + image))


Advance = Callable[[SetProjection, ExitWaves, torch.Tensor], object]


def _projected(sample: Sample, advance: Advance) -> Float64:
    """Projections of the exit waves from a flat phase: no pattern kept apart, the plain modulus."""
    scan = SetProjection.of(sample, NOMINAL_DETECTOR, shift=0.0, patterns_bytes=sample.memory_bytes)
    scan = replace(scan, apart=torch.zeros_like(scan.apart), start=torch.zeros_like(scan.start))
    waves = ExitWaves(scan)
    phase = scan.start
    for _ in range(ITERATIONS):
        advance(scan, waves, phase)
        phase = waves.object_phase(phase)
    return np.asarray(phase.double())


def _relaxed(sample: Sample) -> Float64:
    """RAAR as `dm` does it."""
    return _projected(sample, lambda _, waves, phase: waves.step(phase, RAAR_BETA))


def _flipped(sample: Sample) -> Float64:
    """What py4DSTEM calls charge flipping: psi <- P_A (2 P_B psi - psi)."""
    return _projected(sample, _flip)


def _flip(scan: SetProjection, waves: ExitWaves, phase: torch.Tensor) -> None:
    transmission = scan.operator.transmission(phase)
    for block, prepared in scan.stream.blocks():
        made = scan.operator.exit_waves(transmission, scan.far, block)
        waves.psi[block] = waves.with_modulus(2 * made - waves.psi[block], prepared)


ITERATIONS = 10
"""Of projections between sets, where both make as many."""

RAAR_BETA = 0.9
"""The default of `dm`."""

EPSILON = 0.01
"""Constant of the Wiener filter, relative to the ambiguity function's peak, as py4DSTEM advises."""

PARALLAX = {"method": "parallax", "threshold": 0.5, "sigma_px": 0.125}

PROJECTIONS = {"method": "projections", "iterations": ITERATIONS}

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
    "SSB, the textbook's sum": Comparison(
        _sum_of_side_bands, {"method": "ssb", "compensated": True}
    ),
    "SSB, each at its defaults": Comparison(
        lambda sample: Ssb().phase(sample, NOMINAL_DETECTOR).phase.numpy(),
        {"method": "ssb", "compensated": True},
    ),
    "WDD, the textbook's deconvolution": Comparison(
        _plain_deconvolution, {"method": "wdd", "epsilon": EPSILON}
    ),
    "WDD, each at its defaults": Comparison(
        lambda sample: Wdd().phase(sample, NOMINAL_DETECTOR).phase.numpy(),
        {"method": "wdd", "epsilon": EPSILON},
    ),
    "difference map (RAAR), as many iterations": Comparison(
        _relaxed, {**PROJECTIONS, "scheme": "RAAR", "parameter": RAAR_BETA}
    ),
    "difference map (RAAR), each at its end": Comparison(
        lambda sample: DifferenceMap().reconstruct(sample, NOMINAL_DETECTOR).x_hat,
        {**PROJECTIONS, "scheme": "RAAR", "parameter": RAAR_BETA, "iterations": 30},
    ),
    "charge flipping of exit waves": Comparison(
        _flipped, {**PROJECTIONS, "scheme": "SUPERFLIP", "parameter": None}
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


def within_band(image: Float64, band: float) -> Float64:
    """A periodic image (H, W) without what is finer than `band` [cycles/pixel]: noise alone."""
    rows, cols = (np.fft.fftfreq(side) for side in image.shape)
    seen = np.hypot(rows[:, None], cols[None, :]) <= band
    return np.fft.ifft2(np.fft.fft2(image) * seen).real


def compare(comparison: Comparison, sample: Sample, scene: Scene, python: Path) -> list[float]:
    """Correlations of ours with theirs, ours with the truth, theirs with the truth."""
    entry = Entry("", NOMINAL, PY4DSTEM, comparison.theirs)
    result = call_adapter(entry, "reconstruct", scene.files[NOMINAL], python, CORES)
    theirs = result["images"][-1].astype(np.float64)
    band = band_of(sample) * sample.object_shape[0] / theirs.shape[0]
    ours, theirs, truth = (
        within_band(at_pixels_of(image, theirs), band)
        for image in (comparison.ours(sample), theirs, scene.x_true.astype(np.float64))
    )
    return [correlation(ours, theirs), correlation(ours, truth), correlation(theirs, truth)]


def table(options: argparse.Namespace) -> str:
    """Every method on every scene, as a Markdown table."""
    python = make_environment(PY4DSTEM, options.cache, None)
    lines = [HEADER]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for scene in build_scenes(
            folder, scenes=options.scenes, seed=options.seed, finer=options.finer
        ):
            sample = sample_of(Problem.load(scene.files[NOMINAL]), periodic=True)
            for method in options.methods:
                figures = compare(COMPARISONS[method], sample, scene, python)
                cells = (method, scene.name, *(f"{figure:.3f}" for figure in figures))
                lines.append(f"| {' | '.join(cells)} |")
                print(lines[-1], flush=True)
    return "\n".join(lines)


def main() -> None:
    """Compare; with `--page`, put the table into the documentation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="where environments lie")
    parser.add_argument("--finer", type=int, default=1, help="divides the scan's step")
    parser.add_argument("--methods", nargs="*", default=list(COMPARISONS))
    parser.add_argument("--page", action="store_true", help=f"write {PAGE.name}")
    options = parser.parse_args()
    made = table(options)
    if options.page:
        page.put("against-py4dstem", made, PAGE)


if __name__ == "__main__":
    main()
