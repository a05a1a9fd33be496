"""The networks by name. Each makes x of a `NetworkInput`; its first weights change nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

import torch
from torch import Tensor, nn

from algorithms.networks.inputs import IMAGES, NetworkInput
from algorithms.networks.layers import ResidualBlock, at_any_size, over_orientations
from algorithms.networks.pyramid import STRIDE, BlockOf, Pyramid

DataStep = Callable[[Tensor], Tensor]
"""x (B, H, W) -> the step by which the likelihood would change it, (B, H, W), its mean 0."""


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
    """

    def __init__(self, width: int, block: BlockOf) -> None:
        super().__init__()
        self.pyramid = Pyramid(IMAGES, width, block)

    def forward(
        self, given: NetworkInput, step: DataStep, *, periodic: bool = True, turned: bool = False
    ) -> Tensor:
        """x (B, H, W); the likelihood is not asked."""
        change = _change(self.pyramid, given.images, given.condition, periodic, turned)
        return given.images[:, 0] + change[:, 0]


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

    def forward(
        self, given: NetworkInput, step: DataStep, *, periodic: bool = True, turned: bool = False
    ) -> Tensor:
        """x (B, H, W); the likelihood is asked once a stage."""
        x = given.images[:, 0]
        for stage in self.stages:
            images = torch.cat([torch.stack([x, x + step(x)], dim=1), given.images], dim=1)
            x = x + _change(stage, images, given.condition, periodic, turned)[:, 0]
        return x


def _change(
    pyramid: nn.Module, images: Tensor, condition: Tensor, periodic: bool, turned: bool
) -> Tensor:
    """What a pyramid would add, (B, 1, H, W), for images of any size."""

    def apply(shown: Tensor) -> Tensor:
        return at_any_size(
            lambda fitting: pyramid(fitting, condition), shown, STRIDE, periodic=periodic
        )

    return over_orientations(apply, images) if turned else apply(images)


NETWORKS: Mapping[str, Callable[[int], nn.Module]] = MappingProxyType(
    {
        "dncnn-ed": lambda width: Denoiser(width, ResidualBlock),
        "physed": Unrolled,
    }
)
"""width -> network."""
