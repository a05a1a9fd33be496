"""The common form: three scales of features, blocks of any kind at each, joined by sums."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from algorithms.networks.layers import Embedding, PeriodicConv, Standardised

FINEST = 2
"""Pixels (each way) that become channels at the finest scale: x is some two pixels sharp."""

STRIDE = 8
"""Sides of an image must be multiples of it, and shifts by it are exact: two scales more."""

BlockOf = Callable[[int], nn.Module]
"""channels -> a module of (features (B, C, H, W), embedded (B, E)) -> (B, C, H, W)."""


class Scale(nn.Module):
    """Blocks one after the other."""

    def __init__(self, block: BlockOf, channels: int, count: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(block(channels) for _ in range(count))

    def forward(self, features: Tensor, embedded: Tensor) -> Tensor:
        """(B, C, H, W), (B, EMBEDDING) -> (B, C, H, W)."""
        for block in self.blocks:
            features = block(features, embedded)
        return features


class Pyramid(nn.Module):
    """Images to a change of the first one; begins as no change.

    Args:
        images: number of images that come in.
        width: channels at the finest scale; two and four times as many at the others.
        block: makes a block.
        blocks: blocks at each scale, on the way down and up; the last is the turning point.
        usual: what of the condition is usual; None: of a `NetworkInput`.
    """

    def __init__(
        self,
        images: int,
        width: int,
        block: BlockOf,
        blocks: tuple[int, int, int] = (2, 2, 3),
        usual: Standardised | None = None,
    ) -> None:
        super().__init__()
        fine, middle, coarse = width, 2 * width, 4 * width
        self.embedding = Embedding(usual or Standardised())
        self.unshuffle, self.shuffle = nn.PixelUnshuffle(FINEST), nn.PixelShuffle(FINEST)
        self.first = PeriodicConv(images * FINEST**2, fine)
        self.down = nn.ModuleList([Scale(block, fine, blocks[0]), Scale(block, middle, blocks[1])])
        self.coarser = nn.ModuleList(
            [nn.Conv2d(fine, middle, 2, stride=2), nn.Conv2d(middle, coarse, 2, stride=2)]
        )
        self.turn = Scale(block, coarse, blocks[2])
        self.finer = nn.ModuleList(
            [nn.ConvTranspose2d(coarse, middle, 2, 2), nn.ConvTranspose2d(middle, fine, 2, 2)]
        )
        self.up = nn.ModuleList([Scale(block, middle, blocks[1]), Scale(block, fine, blocks[0])])
        self.last = PeriodicConv(fine, FINEST**2)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def forward(self, images: Tensor, condition: Tensor) -> Tensor:
        """Images (B, I, H, W), condition (B, n) -> what is to be added to x, (B, 1, H, W)."""
        embedded = self.embedding(condition)
        features = self.first(self.unshuffle(images))
        kept = []
        for scale, coarser in zip(self.down, self.coarser, strict=True):
            features = scale(features, embedded)
            kept.append(features)
            features = coarser(features)
        features = self.turn(features, embedded)
        for scale, finer in zip(self.up, self.finer, strict=True):
            features = scale(finer(features) + kept.pop(), embedded)
        change: Tensor = self.shuffle(self.last(features))
        return change
