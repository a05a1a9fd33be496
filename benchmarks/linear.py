"""least-squares on linear problems: with the strength that it chooses, and with the best there is.

    python -m benchmarks.linear

Prints the table of docs/algorithms/least-squares.md. The scene is 64 x 64, made of constant parts.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from algorithms.base import LinearSample
from algorithms.linear import PenaltyName
from algorithms.reconstructors.least_squares import LeastSquares
from physics.primitives.base import LinearPrimitive
from physics.primitives.build import build
from physics.primitives.detector import Noise, NoiseName
from physics.primitives.projection import ParallelBeam
from runner.scoring.metrics import psnr_db

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


def main() -> None:
    """Print a line for each problem and penalty."""
    torch.set_num_threads(1)
    truth = scene()
    print("| problem | penalty | PSNR of y [dB] | chosen [dB] | best [dB] | CPU s |")
    print("|---|---|---|---|---|---|")
    for name, (notation, values, noise) in PROBLEMS.items():
        symbols = {**values, "g": 1.0, "eta": Noise(NoiseName.GAUSSIAN, noise)}
        model = build(notation, symbols, domain=truth.shape)
        assert isinstance(model, LinearPrimitive)
        y = model.sample(torch.as_tensor(truth), np.random.default_rng(0))
        sample = LinearSample(name, y, model)
        given = f"{psnr_db(y, truth):.1f}" if y.shape == truth.shape else "-"
        for penalty in PenaltyName:
            began = time.process_time()
            chosen = LeastSquares(penalty=penalty.value).reconstruct_linear(sample)
            seconds = time.process_time() - began
            best = max(
                psnr_db(method.reconstruct_linear(sample).x_hat, truth)
                for method in (
                    LeastSquares(penalty=penalty.value, strength=float(s)) for s in STRENGTHS
                )
            )
            found = psnr_db(chosen.x_hat, truth)
            guess = " (a guess)" if "warning" in chosen.diagnostics else ""
            print(
                f"| {name} | {penalty} | {given} | {found:.1f}{guess} | {best:.1f}"
                f" | {seconds:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
