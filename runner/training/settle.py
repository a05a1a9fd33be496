"""The constant, learned when the network has ended: from its own answers on all training scenes.

Were both learned at once, the error of the constant, the same in every pixel, would drown all else
in one error; and apart, it would chase answers that still change.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from algorithms.networks.constant import Constant
from runner.training import losses
from runner.training.shards import Scenes

STEPS, BATCH = 3000, 256
RATE, DECAY = 2e-3, 1e-2
"""Learning rate, which falls as a cosine, and weight decay of AdamW."""

LEAST_SPREAD = 1e-3
"""Of what the constant is told: less is not told at all."""


def settle_constant(network: nn.Module, scenes: Scenes, seed: int, device: torch.device) -> None:
    """Teach a network's constant; all its other weights stay.

    It begins anew, so that nothing of the training before is in it. What it is told is standardised
    over the scenes, and the first layer changed at the end so that it need not be any more. Raw
    levels are nearly alike: learned from them, the error on scenes of the tiers was a quarter more.

    The likeliest are learned, if errors are distributed as Cauchy's: most are small, and a scene
    whose constant cannot be told pulls at nothing.
    """
    constant = network.constant
    assert isinstance(constant, Constant)
    told, mean = _all_answers(network, constant, scenes, device)
    spread, middle = torch.std_mean(told, dim=0)
    spread = spread.clamp_min(LEAST_SPREAD)
    alike = (told - middle) / spread
    torch.manual_seed(seed)
    constant.begin()
    constant.requires_grad_(True)
    optimiser = torch.optim.AdamW(constant.parameters(), lr=RATE, weight_decay=DECAY)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for _ in range(STEPS):
        chosen = torch.randint(len(told), (BATCH,)).to(device)
        found, usual = constant.said(constant.layers(alike[chosen]), told[chosen])
        unlikely = usual.log() + ((found - mean[chosen]) / usual).square().log1p()
        optimiser.zero_grad()
        unlikely.mean().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        falling.step()
    constant.requires_grad_(False)
    first = constant.layers[0]
    assert isinstance(first, nn.Linear)
    first.weight.copy_(first.weight / spread)
    first.bias.copy_(first.bias - first.weight @ middle)


def _all_answers(
    network: nn.Module, constant: Constant, scenes: Scenes, device: torch.device
) -> tuple[Tensor, Tensor]:
    """(What the constant is told of each scene, (S, n); the mean of x, (S,))."""
    told, mean = [], []
    with torch.no_grad():
        for number in range(len(scenes)):
            batch = losses.batch_of(scenes, np.array([number]), None, device)
            made = network(batch.given, batch.step)
            told.append(constant.told(made, batch.given.images[:, 0], batch.given.condition))
            mean.append(batch.x.mean(dim=(1, 2)))
    return torch.cat(told), torch.cat(mean)
