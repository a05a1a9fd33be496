"""What `phasegan-ed` is trained against: a network that tells specimens from what it makes.

Hinge losses (Lim & Ye, 2017; Miyato, Kataoka, Koyama & Yoshida, ICLR 2018) on patches (Isola, Zhu,
Zhou & Efros, CVPR 2017), its layers spectrally normalised so that it cannot run away. It sees
specimens of other scenes than those that are reconstructed: no pair is told. It does not ship.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from runner.training.recipes import TrainRecipe

WIDTH = 16
"""Channels of its first layer; two and four times as many in the next two."""

MOMENTA = (0.5, 0.9)
"""Of its optimiser: a short memory, for what it judges changes all the time."""


class Discriminator(nn.Module):
    """x (B, H, W) to a verdict on each patch of some 20 pixels, (B, 1, h, w); positive: real."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        channels = (1, width, 2 * width, 4 * width)
        layers: list[nn.Module] = []
        for before, after in pairwise(channels):
            layers += [_conv(before, after, 4, 2), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, _conv(channels[-1], 1, 3, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W) -> (B, 1, h, w)."""
        verdict: Tensor = self.layers(x[:, None])
        return verdict


class Adversary:
    """The discriminator as it learns.

    Args:
        recipe: of the training.
        device: what is trained on.
    """

    def __init__(self, recipe: TrainRecipe, device: torch.device) -> None:
        self.network = Discriminator().to(device)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=recipe.learning_rate, betas=MOMENTA, weight_decay=0.0
        )

    def learn(self, real: Tensor, made: Tensor) -> None:
        """One step: specimens (B, H, W), and what was made of counts."""
        self.optimiser.zero_grad()
        for sign, images in ((1, real), (-1, made.detach())):
            (1 - sign * self.network(images)).relu().mean().backward()
        self.optimiser.step()

    def displeasure(self, made: Tensor) -> Tensor:
        """How little it takes what was made for real; a scalar."""
        unreal: Tensor = -self.network(made)
        return unreal.mean()


def _conv(before: int, after: int, side: int, stride: int) -> nn.Module:
    layer = nn.Conv2d(before, after, side, stride, padding=(side - 1) // 2, padding_mode="circular")
    return spectral_norm(layer)
