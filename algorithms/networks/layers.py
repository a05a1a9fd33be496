"""Layers that all networks share: periodic convolutions, conditioning, and any image size."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

CONDITION_MEAN = (-2.0, -1.95, -1.75, -0.2)
CONDITION_SCALE = (0.35, 0.35, 0.35, 0.3)
"""About the mean and the spread of the training data's conditions."""

MOST_UNUSUAL = 3.0
"""Spreads from the mean beyond which a condition is told no further: there is nothing to learn."""

EMBEDDING = 32
"""Numbers that the condition is turned into."""

MARGIN = 16
"""Pixels around an image that is not whole periods of a network's stride: about what its finer
scales reach."""


class PeriodicConv(nn.Conv2d):
    """A convolution of periodic images: a shift of what goes in shifts what comes out."""

    def __init__(self, channels_in: int, channels_out: int, side: int = 3, groups: int = 1) -> None:
        super().__init__(
            channels_in,
            channels_out,
            side,
            padding=side // 2,
            padding_mode="circular" if side > 1 else "zeros",
            groups=groups,
        )


class Standardised(nn.Module):
    """The condition (B, n) in spreads from its mean, clipped."""

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        mean: tuple[float, ...] = CONDITION_MEAN,
        scale: tuple[float, ...] = CONDITION_SCALE,
    ) -> None:
        super().__init__()
        self.count = len(mean)
        self.register_buffer("mean", torch.tensor(mean), persistent=False)
        self.register_buffer("scale", torch.tensor(scale), persistent=False)

    def forward(self, condition: Tensor) -> Tensor:
        """(B, n) -> (B, n)."""
        return ((condition - self.mean) / self.scale).clamp(-MOST_UNUSUAL, MOST_UNUSUAL)


class Embedding(nn.Module):
    """The condition (B, n) as a vector (B, EMBEDDING) that every block is told."""

    def __init__(self, usual: Standardised) -> None:
        super().__init__()
        self.usual = usual
        self.layers = nn.Sequential(
            nn.Linear(usual.count, EMBEDDING), nn.SiLU(), nn.Linear(EMBEDDING, EMBEDDING)
        )

    def forward(self, condition: Tensor) -> Tensor:
        """(B, n) -> (B, EMBEDDING)."""
        embedded: Tensor = self.layers(self.usual(condition))
        return embedded


class Modulation(nn.Module):
    """Features scaled and shifted by the condition, and by what the whole image looks like."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.from_condition = nn.Linear(EMBEDDING, 2 * channels)
        self.from_image = nn.Linear(2 * channels, 2 * channels)
        for layer in (self.from_condition, self.from_image):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor, embedded: Tensor) -> Tensor:
        """(B, C, H, W), (B, EMBEDDING) -> (B, C, H, W)."""
        whole = torch.cat([features.mean(dim=(2, 3)), features.amax(dim=(2, 3))], dim=1)
        both = self.from_condition(embedded) + self.from_image(whole)
        scale, shift = both[:, :, None, None].chunk(2, dim=1)
        # Bounded, so that blocks one after the other cannot run away.
        moved: Tensor = features * (1 + torch.tanh(scale)) + shift
        return moved


class ResidualBlock(nn.Module):
    """Two convolutions beside the identity, modulated in between; begins as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = PeriodicConv(channels, channels)
        self.modulation = Modulation(channels)
        self.second = PeriodicConv(channels, channels)
        nn.init.zeros_(self.second.weight)
        assert self.second.bias is not None
        nn.init.zeros_(self.second.bias)

    def forward(self, features: Tensor, embedded: Tensor) -> Tensor:
        """(B, C, H, W), (B, EMBEDDING) -> (B, C, H, W)."""
        inner = self.modulation(self.first(features), embedded)
        changed: Tensor = features + self.second(nn.functional.silu(inner))
        return changed


def at_any_size(
    network: Callable[[Tensor], Tensor], images: Tensor, stride: int, *, periodic: bool
) -> Tensor:
    """Apply a periodic network whose sides must be multiples of `stride` to any image.

    An image that does not fit is continued beyond its edges: periodically, or mirrored where it is
    not periodic; the margin is cut off again.

    Args:
        network: (B, C, h, w) -> (B, c, h, w).
        images: (B, C, H, W).
        stride: of the network.
        periodic: whether the images are.
    """
    height, width = images.shape[-2:]
    if periodic and height % stride == 0 and width % stride == 0:
        return network(images)
    rows, cols = (_continued(side, stride, periodic, images.device) for side in (height, width))
    result = network(images[..., rows, :][..., cols])
    return result[..., MARGIN : MARGIN + height, MARGIN : MARGIN + width]


def over_orientations(network: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """The mean of what a network makes of an image in its eight orientations, turned back.

    Nature has no preferred one, and a network's errors differ from one to the next.
    """
    total = torch.zeros_like(images[:, :1])
    for turns in range(4):
        for flip in (False, True):
            total += in_orientation(network, images, turns, flip=flip)
    return total / 8


def in_orientation(
    network: Callable[[Tensor], Tensor], images: Tensor, turns: int, *, flip: bool
) -> Tensor:
    """What a network makes of images (..., H, W) that are turned and flipped, turned back."""
    turned = images.rot90(turns, (-2, -1))
    made = network(turned.flip(-1) if flip else turned)
    return (made.flip(-1) if flip else made).rot90(-turns, (-2, -1))


def _continued(side: int, stride: int, periodic: bool, device: torch.device) -> Tensor:
    """Indices into an axis that continue it on both ends to a multiple of the stride."""
    total = -(-(side + 2 * MARGIN) // stride) * stride
    index = torch.arange(-MARGIN, total - MARGIN, device=device)
    if periodic or side == 1:
        return index % side
    period = 2 * (side - 1)
    index = index % period
    return torch.where(index < side, index, period - index)
