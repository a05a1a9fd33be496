"""Every built-in algorithm and calibrator on the public tier, as one table.

    python -m benchmarks.public_tier [--scenes N] [--seed N] > docs/public-tier.md

Runs in this process, one after the other; `oracle` reads the truth that the public file holds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from runner.container.run import RunOptions, run_challenge
from runner.scoring.score import score_result
from runner.tiers.build import build_tier
from runner.tiers.recipes import default_recipe
from schemas.challenge import Tier, Track
from schemas.score import ScoreCard

ALGORITHMS = (
    "ptychography+oracle",
    "ptychography+gradient",
    "ptychography+pacbed",
    "ptychography+midpoint",
    "ptychography+none",
    "cpu-baseline+oracle",
    "cpu-baseline+gradient",
    "cpu-baseline+none",
)

HEADER = """| algorithm | score | PSNR [dB] | SSIM | consistency | dL % | dc px | eps | s |
|---|---|---|---|---|---|---|---|---|"""


def row(card: ScoreCard) -> str:
    """One line of the table; spec errors are root mean squares over the samples."""
    error = card.spec_error
    seconds = [sample.seconds for sample in card.samples if sample.seconds is not None]
    return (
        f"| {card.algorithm} | {card.score:.3f} | {card.psnr_db:.2f} | {card.ssim:.3f}"
        f" | {card.consistency:.3f} | {error['camera_length']:.4f} | {error['center_offset']:.5f}"
        f" | {error['elliptical_distortion']:.6f} | {sum(seconds) / len(seconds):.1f} |"
    )


def main() -> None:
    """Build the tier, run, score, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(HEADER)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipe = default_recipe(Tier.PUBLIC, seed=options.seed, scenes=options.scenes)
        files = build_tier(recipe, folder)
        for algorithm in ALGORITHMS:
            run = RunOptions(algorithm=algorithm, quiet=True)
            result = run_challenge(files.challenge, folder / algorithm, run)
            print(row(score_result(result, files.truth, Track.BLIND)))
            sys.stdout.flush()


if __name__ == "__main__":
    main()
