"""Blocks with attention in place of plain convolutions, each beginning as the identity.

Both are exact on periodic images: windows are shifted around the edges, depthwise convolutions are
circular.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from algorithms.networks.layers import Modulation, PeriodicConv

HEAD_CHANNELS = 16
"""Channels that attend together."""

WIDER = 2
"""Channels inside a feed-forward layer, relative to those outside."""

WINDOW = 8
"""Side of a window of attention [places of its scale]."""


class TransposedBlock(nn.Module):
    """Attention of channels to one another over the whole image, then a gated feed-forward layer.

    Each channel is made of those that look alike, all places taken together: a lattice's far atoms
    speak for one another at a cost linear in the pixels (Restormer: Zamir, Arora, Khan, Hayat, Khan
    & Yang, CVPR 2022).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = max(1, channels // HEAD_CHANNELS)
        inner = WIDER * channels
        self.modulation = Modulation(channels)
        self.before = nn.ModuleList([ChannelNorm(channels), ChannelNorm(channels)])
        self.triple = nn.Conv2d(channels, 3 * channels, 1)
        self.near = PeriodicConv(3 * channels, 3 * channels, groups=3 * channels)
        self.temperature = nn.Parameter(torch.ones(self.heads, 1, 1))
        self.joined = nn.Conv2d(channels, channels, 1)
        self.wide = nn.Conv2d(channels, 2 * inner, 1)
        self.wide_near = PeriodicConv(2 * inner, 2 * inner, groups=2 * inner)
        self.narrow = nn.Conv2d(inner, channels, 1)
        _silence(self.joined, self.narrow)

    def forward(self, features: Tensor, embedded: Tensor) -> Tensor:
        """(B, C, H, W), (B, EMBEDDING) -> (B, C, H, W)."""
        first, second = self.before
        told = self.modulation(first(features), embedded)
        features = features + self.joined(self._attended(told))
        gate, value = self.wide_near(self.wide(second(features))).chunk(2, dim=1)
        changed: Tensor = features + self.narrow(nn.functional.gelu(gate) * value)
        return changed

    def _attended(self, features: Tensor) -> Tensor:
        count, channels, height, width = features.shape
        triple = self.near(self.triple(features)).reshape(count, 3, self.heads, -1, height * width)
        query, key, value = triple.unbind(1)
        query, key = (nn.functional.normalize(one, dim=-1) for one in (query, key))
        weight = (query @ key.transpose(-2, -1) * self.temperature).softmax(dim=-1)
        attended: Tensor = (weight @ value).reshape(count, channels, height, width)
        return attended


class WindowBlock(nn.Module):
    """Attention within windows, then within windows shifted by half: Liu et al., ICCV 2021 (Swin).

    As SwinIR has it (Liang, Cao, Sun, Zhang, Van Gool & Timofte, ICCV workshops 2021): with a
    convolution at the end, and the identity beside all.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.modulation = Modulation(channels)
        self.layers = nn.ModuleList(WindowLayer(channels, shift) for shift in (0, WINDOW // 2))
        self.last = PeriodicConv(channels, channels)
        _silence(self.last)

    def forward(self, features: Tensor, embedded: Tensor) -> Tensor:
        """(B, C, H, W), (B, EMBEDDING) -> (B, C, H, W); sides are multiples of `WINDOW`."""
        inner = self.modulation(features, embedded)
        for layer in self.layers:
            inner = layer(inner)
        changed: Tensor = features + self.last(inner)
        return changed


class WindowLayer(nn.Module):
    """Attention of the places of a window to one another, and a feed-forward layer."""

    places: Tensor

    def __init__(self, channels: int, shift: int) -> None:
        super().__init__()
        self.shift, self.heads = shift, max(1, channels // HEAD_CHANNELS)
        self.before = nn.ModuleList([nn.LayerNorm(channels), nn.LayerNorm(channels)])
        self.triple = nn.Linear(channels, 3 * channels)
        self.joined = nn.Linear(channels, channels)
        self.wide = nn.Linear(channels, WIDER * channels)
        self.narrow = nn.Linear(WIDER * channels, channels)
        self.bias = nn.Parameter(torch.zeros((2 * WINDOW - 1) ** 2, self.heads))
        side = torch.arange(WINDOW)
        rows, cols = (axis.flatten() for axis in torch.meshgrid(side, side, indexing="ij"))
        apart = (2 * WINDOW - 1) * (rows[:, None] - rows + WINDOW - 1) + (
            cols[:, None] - cols + WINDOW - 1
        )
        self.register_buffer("places", apart, persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        count, channels, height, width = features.shape
        moved = features.roll((-self.shift, -self.shift), dims=(2, 3))
        grid = (count, channels, height // WINDOW, WINDOW, width // WINDOW, WINDOW)
        tokens = moved.reshape(grid).permute(0, 2, 4, 3, 5, 1).reshape(-1, WINDOW**2, channels)
        first, second = self.before
        tokens = tokens + self.joined(self._attended(first(tokens)))
        tokens = tokens + self.narrow(nn.functional.gelu(self.wide(second(tokens))))
        apart = tokens.reshape(count, height // WINDOW, width // WINDOW, WINDOW, WINDOW, channels)
        back: Tensor = apart.permute(0, 5, 1, 3, 2, 4).reshape(count, channels, height, width)
        return back.roll((self.shift, self.shift), dims=(2, 3))

    def _attended(self, tokens: Tensor) -> Tensor:
        windows, places, channels = tokens.shape
        triple = self.triple(tokens).reshape(windows, places, 3, self.heads, -1)
        query, key, value = triple.permute(2, 0, 3, 1, 4)
        bias = self.bias[self.places].permute(2, 0, 1)
        attended = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        joined: Tensor = attended.transpose(1, 2).reshape(windows, places, channels)
        return joined


class ChannelNorm(nn.Module):
    """Each place's features at mean 0 and variance 1 over the channels, then scaled."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        normed: Tensor = self.norm(features.permute(0, 2, 3, 1))
        return normed.permute(0, 3, 1, 2)


def _silence(*layers: nn.Conv2d) -> None:
    """First weights of 0: the block begins as the identity."""
    for layer in layers:
        nn.init.zeros_(layer.weight)
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
