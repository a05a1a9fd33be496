"""The constant of x, which no count tells: what the levels of a clean image say of it.

x is 0 where it is least and 1 where it is most. Were a mean-free image the truth, its least value
would tell the constant; of one that is nearly so all levels do, and how nearly it is so depends on
the noise. The image that the network began with is asked too: it has no opinion on what a
background looks like. Levels have no place: a shift, turn or flip of an image changes nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from algorithms.networks.inputs import NetworkInput
from algorithms.networks.layers import Standardised

LEVELS = (
    *(0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.35, 0.5),
    *(0.65, 0.8, 0.9, 0.97, 0.99, 0.997, 0.999, 1.0),
)
"""Shares of the pixels that are darker than the levels looked at."""

BACKGROUND = LEVELS.index(0.01)
"""The level that plain ptychography holds for 0; the network says how far it is from it."""

LEVEL_SCALE = 0.3
"""About the spread of a level over the training data."""

HIDDEN = 48

USUAL_ERROR = 0.01
"""Error of the mean that is expected before a training."""

MOST_UNSURE = 3.0
"""Logarithm of how much larger or smaller it may be."""


class Constant(nn.Module):
    """What the network made, and what it began with, to the mean of x."""

    def __init__(self) -> None:
        super().__init__()
        self.usual = Standardised()
        self.layers = nn.Sequential(
            nn.Linear(2 * len(LEVELS) + self.usual.count, HIDDEN),
            nn.SiLU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.SiLU(),
            nn.Linear(HIDDEN, 2),
        )
        self.begin()

    def begin(self) -> None:
        """Draw first weights; they say what plain ptychography does."""
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                layer.reset_parameters()
        last = self.layers[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, made: Tensor, begun: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, H, W) whose means do not matter, and their condition (B, 4).

        Returns:
            The mean of x and its error, see `mean_of`.
        """
        return self.mean_of(self.told(made, begun, condition))

    def placed(self, images: Tensor, given: NetworkInput) -> tuple[Tensor, Tensor]:
        """Images (B, H, W) with the mean of x, and its error, (B,); it is trained by itself."""
        mean, error = self(images.detach(), given.images[:, 0], given.condition)
        return images + (mean - images.mean(dim=(1, 2)))[:, None, None], error

    def told(self, made: Tensor, begun: Tensor, condition: Tensor) -> Tensor:
        """All that it goes by, (B, n)."""
        both = [_levels(images) / LEVEL_SCALE for images in (made, begun)]
        return torch.cat([*both, self.usual(condition)], dim=1)

    def mean_of(self, told: Tensor) -> tuple[Tensor, Tensor]:
        """`told` (B, n) -> the mean of x, and its error: in half of all cases it is less, (B,)."""
        return self.said(self.layers(told), told)

    def said(self, answer: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        """What the layers' answer (B, 2) means; see `mean_of`."""
        change, wider = answer.unbind(dim=1)
        error = USUAL_ERROR * (MOST_UNSURE * torch.tanh(wider / MOST_UNSURE)).exp()
        return change - LEVEL_SCALE * told[:, BACKGROUND], error


def _levels(images: Tensor) -> Tensor:
    """Levels of images (B, H, W) about their means, (B, levels)."""
    flat = images.flatten(1)
    levels = torch.quantile(flat, images.new_tensor(LEVELS), dim=1).T
    return levels - flat.mean(dim=1, keepdim=True)
