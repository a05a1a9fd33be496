"""Trains `my_method.network` on simulated scenes and writes weights.npz: `python train.py`.

The scenes are those of the public tier's families, of other seeds than the public tier's own, so
that its score says something. Needs stem4d on this machine, not only in the image.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
from my_method import WEIGHTS, network, starting_image

from algorithms.base import Sample
from runner.files.challenge import ChallengeSample, open_challenge
from runner.tiers.build import build_tier
from runner.tiers.recipes import default_recipe
from schemas.challenge import Tier

SEEDS = range(1000, 1004)
SCENES_A_SEED = 4
STEPS = 300
BATCH = 2
RATE = 2e-3


def pair(sample: ChallengeSample) -> tuple[np.ndarray, np.ndarray]:
    """The image that the network is given, and the truth."""
    assert sample.x_true is not None
    assert sample.true_spec is not None
    seen = Sample(sample.name, sample.y, sample.operator, sample.ranges)
    return starting_image(seen, sample.true_spec), sample.x_true


def training_pairs() -> tuple[torch.Tensor, torch.Tensor]:
    """(scenes, 1, H, W) twice: what is given, and what is wanted."""
    pairs = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in SEEDS:
            recipe = default_recipe(Tier.PUBLIC, seed=seed, scenes=SCENES_A_SEED)
            files = build_tier(recipe, Path(folder) / str(seed))
            with open_challenge(files.truth) as file:
                pairs += [pair(sample) for sample in file]
    given, wanted = (
        torch.from_numpy(np.stack(images))[:, None] for images in zip(*pairs, strict=True)
    )
    return given, wanted


def main() -> None:
    """Adam on the mean squared error, with shifted and turned copies."""
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    given, wanted = training_pairs()
    net = network()
    optimiser = torch.optim.Adam(net.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for step in range(STEPS):
        chosen = torch.from_numpy(generator.choice(len(given), BATCH, replace=False))
        shift = tuple(int(pixels) for pixels in generator.integers(0, given.shape[-1], 2))
        turns = int(generator.integers(4))
        image, truth = (
            torch.rot90(torch.roll(images[chosen], shift, (2, 3)), turns, (2, 3))
            for images in (given, wanted)
        )
        loss = (image + net(image) - truth).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 99:
            print(f"step {step + 1} of {STEPS}: {-10 * torch.log10(loss).item():.2f} dB")
    np.savez(WEIGHTS, **{name: value.numpy() for name, value in net.state_dict().items()})


if __name__ == "__main__":
    main()
