"""least-squares on linear problems: with the strength that it chooses, and with the best there is.

    python -m benchmarks.linear [--picture-only]

Prints the table of docs/algorithms/least-squares.md, which takes minutes, and draws its picture.
The scene is 64 x 64, made of constant parts.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from algorithms.base import LinearSample
from algorithms.linear import PenaltyName
from algorithms.reconstructors.least_squares import LeastSquares
from physics.primitives.base import LinearPrimitive
from physics.primitives.build import build
from physics.primitives.detector import Noise, NoiseName
from physics.primitives.projection import ParallelBeam
from runner.scoring.metrics import psnr_db

PICTURE = Path(__file__).parents[1] / "docs" / "algorithms" / "images" / "least-squares.png"

SIDE = 64
STRENGTHS = 10.0 ** np.arange(-5, 0.6, 0.25)

AXIS = np.arange(9) - 4
PSF = np.exp(-(AXIS[:, None] ** 2 + AXIS[None, :] ** 2) / (2 * 1.8**2))

PROBLEMS = {
    # name: (notation, values of its symbols, noise in units of x = 1)
    "noise": ("D(g, eta)", {}, 0.1),
    "blur": ("C(psf) -> D(g, eta)", {"psf": PSF / PSF.sum()}, 0.02),
    "30 views": (
        "Pi(views) -> D(g, eta)",
        {"views": ParallelBeam(tuple(np.arange(0.0, 180.0, 6.0)), 95)},
        0.5,
    ),
}


def scene() -> np.ndarray:
    """A disk, a bar and a hole on an empty background."""
    row, col = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    image = np.where(np.hypot(row, col) < 24, 0.5, 0.0)
    image[(np.abs(row - 5) < 6) & (np.abs(col + 8) < 5)] = 1.0
    image[np.hypot(row + 9, col - 9) < 5] = 0.2
    return image


def problem(name: str, truth: np.ndarray) -> LinearSample:
    """The noisy measurement of a problem."""
    notation, values, noise = PROBLEMS[name]
    symbols = {**values, "g": 1.0, "eta": Noise(NoiseName.GAUSSIAN, noise)}
    model = build(notation, symbols, domain=truth.shape)
    assert isinstance(model, LinearPrimitive)
    y = model.sample(torch.as_tensor(truth), np.random.default_rng(0))
    return LinearSample(name, y, model)


def table(truth: np.ndarray) -> None:
    """Print a line for each problem and penalty."""
    print("| problem | penalty | PSNR of y [dB] | chosen [dB] | best [dB] | CPU s |")
    print("|---|---|---|---|---|---|")
    for name in PROBLEMS:
        sample = problem(name, truth)
        given = f"{psnr_db(sample.y, truth):.1f}" if sample.y.shape == truth.shape else "-"
        for penalty in PenaltyName:
            began = time.process_time()
            chosen = LeastSquares(penalty=penalty.value).reconstruct_linear(sample)
            seconds = time.process_time() - began
            methods = [LeastSquares(penalty=penalty.value, strength=float(s)) for s in STRENGTHS]
            best = max(psnr_db(m.reconstruct_linear(sample).x_hat, truth) for m in methods)
            guess = " (a guess)" if "warning" in chosen.diagnostics else ""
            print(
                f"| {name} | {penalty} | {given} | {psnr_db(chosen.x_hat, truth):.1f}{guess}"
                f" | {best:.1f} | {seconds:.1f} |",
                flush=True,
            )


def picture(truth: np.ndarray) -> None:
    """Measurement and result of each problem, the truth beside them."""
    figure = Figure(figsize=(9.0, 4.4), layout="constrained")
    axes = figure.subplots(2, len(PROBLEMS) + 1)
    for (above, below), name in zip(axes.T, PROBLEMS, strict=False):
        sample = problem(name, truth)
        found = LeastSquares().reconstruct_linear(sample).x_hat
        above.imshow(sample.y, cmap="gray", aspect="auto")
        above.set_title(f"y: {name}")
        below.imshow(found, cmap="gray", vmin=0, vmax=1)
        below.set_title(f"x_hat: {psnr_db(found, truth):.1f} dB")
    axes[1, -1].imshow(truth, cmap="gray", vmin=0, vmax=1)
    axes[1, -1].set_title("truth")
    for one in axes.flat:
        one.set_axis_off()
    figure.savefig(PICTURE, dpi=80)
    print(f"picture {PICTURE}")


def main() -> None:
    """Print the table, draw the picture."""
    parser = argparse.ArgumentParser(description="least-squares on linear problems")
    parser.add_argument("--picture-only", action="store_true")
    torch.set_num_threads(1)
    truth = scene()
    if not parser.parse_args().picture_only:
        table(truth)
    picture(truth)


if __name__ == "__main__":
    main()
