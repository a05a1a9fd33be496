"""The networks by name: each makes x of a `NetworkInput`.

Their first weights change nothing but the constant, which they guess as plain ptychography does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

import torch
from torch import Tensor, nn

from algorithms.networks.attention import WINDOW, TransposedBlock, WindowBlock
from algorithms.networks.constant import Constant
from algorithms.networks.diffusion import Diffusion
from algorithms.networks.inputs import IMAGES, NetworkInput
from algorithms.networks.layers import ResidualBlock, at_any_size, over_orientations
from algorithms.networks.plain import with_background_at_zero
from algorithms.networks.pyramid import STRIDE, BlockOf, Pyramid
from algorithms.networks.step import DataStep


class Network(Protocol):
    """What all networks are called with."""

    def __call__(
        self, given: NetworkInput, step: DataStep, *, periodic: bool = True, turned: bool = False
    ) -> Tensor:
        """x (B, H, W), its constant included; with `turned`, averaged over all orientations."""


class Denoiser(nn.Module):
    """One pyramid: the noise of the first image is found, and taken off.

    Residual learning of the noise (Zhang, Zuo, Chen, Meng & Zhang, IEEE Trans. Image Process. 26,
    3142 (2017)), told its level (FFDNet: the same, 27, 4608 (2018)), on three scales (Ronneberger,
    Fischer & Brox, MICCAI 2015).

    Args:
        width: channels at the finest scale.
        block: what the pyramid is made of.
        blocks: how many at each scale.
        stride: sides of an image must be multiples of it.
    """

    def __init__(
        self,
        width: int,
        block: BlockOf,
        blocks: tuple[int, int, int] = (2, 2, 3),
        stride: int = STRIDE,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.pyramid = Pyramid(IMAGES, width, block, blocks)
        self.constant = Constant()

    def forward(
        self, given: NetworkInput, step: DataStep, *, periodic: bool = True, turned: bool = False
    ) -> Tensor:
        """x (B, H, W); the likelihood is not asked."""
        images, condition = with_background_at_zero(given.images), given.condition
        change = _change(self.pyramid, self.stride, images, condition, periodic, turned)
        return self.constant.placed(images[:, 0] + change[:, 0], given)[0]


class Unrolled(nn.Module):
    """Steps of the likelihood with a learned proximal map after each, trained as one.

    x <- R_k(x, x + step(x), images): learned proximal gradient descent (Adler & Oktem, IEEE Trans.
    Med. Imaging 37, 1322 (2018); Monga, Li & Eldar, IEEE Signal Process. Mag. 38, 18 (2021)).

    Args:
        width: channels at the finest scale.
        stages: steps, each with weights of its own.
    """

    def __init__(self, width: int, stages: int = 2) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            Pyramid(IMAGES + 2, width, ResidualBlock, (1, 1, 2)) for _ in range(stages)
        )
        self.constant = Constant()

    def forward(
        self, given: NetworkInput, step: DataStep, *, periodic: bool = True, turned: bool = False
    ) -> Tensor:
        """x (B, H, W); the likelihood is asked once a stage."""
        shown = with_background_at_zero(given.images)
        x = shown[:, 0]
        for stage in self.stages:
            images = torch.cat([torch.stack([x, x + step(x)], dim=1), shown], dim=1)
            x = x + _change(stage, STRIDE, images, given.condition, periodic, turned)[:, 0]
        return self.constant.placed(x, given)[0]


def _change(
    pyramid: nn.Module,
    stride: int,
    images: Tensor,
    condition: Tensor,
    periodic: bool,
    turned: bool,
) -> Tensor:
    """What a pyramid would add, (B, 1, H, W), for images of any size."""

    def apply(shown: Tensor) -> Tensor:
        return at_any_size(
            lambda fitting: pyramid(fitting, condition), shown, stride, periodic=periodic
        )

    return over_orientations(apply, images) if turned else apply(images)


NETWORKS: Mapping[str, Callable[[int], nn.Module]] = MappingProxyType(
    {
        "dncnn-ed": lambda width: Denoiser(width, ResidualBlock),
        "phasegan-ed": lambda width: Denoiser(width, ResidualBlock, (1, 2, 3)),
        "transed": lambda width: Denoiser(width, TransposedBlock, (1, 2, 2)),
        "swined": lambda width: Denoiser(width, WindowBlock, (1, 1, 2), STRIDE * WINDOW),
        "physed": Unrolled,
        "diffed": Diffusion,
    }
)
"""width -> network."""
