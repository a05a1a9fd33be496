r"""A diffusion over specimens whose noise is that of the counts, and samples of what they allow.

To first order the counts show x under Gaussian noise of a known spectrum, 1/F (F: the Fisher
information of each Fourier coefficient). Take that very noise, made fainter by a level s, for the
noise of a diffusion:

    z_s = x + s n,   n ~ N(0, 1/F)

Then what was measured is z_1, and to run the diffusion backwards from there to s = 0, fresh noise
included, draws from the distribution of x given the counts: there is nothing else to lead it by
(Kawar, Vaksman & Elad, ICCV workshops 2021, for white noise; in the basis of a measurement: the
same, NeurIPS 2021). What is learned is the mean of x given z_s, at every level.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from algorithms.networks.constant import Constant
from algorithms.networks.inputs import IMAGES, NetworkInput
from algorithms.networks.layers import (
    ResidualBlock,
    Standardised,
    at_any_size,
    in_orientation,
    over_orientations,
)
from algorithms.networks.pyramid import STRIDE, Pyramid
from algorithms.networks.step import DataStep
from algorithms.prior import signal_power
from physics.curvature import FrequencyBins, blur

LEAST = 0.08
"""Level at which the denoiser's answer is the sample: fainter noise hides nothing."""

UNSEEN = 0.3
"""Standard deviation of x, as white noise, before the counts. What they do not show begins so."""

BLUR_PX = 1.0
"""The second image that the network is shown is blurred by this, as `network_input` has it."""

CONDITION = ((-2.5, -2.45, -2.25, -0.2), (0.55, 0.55, 0.55, 0.3))
"""About the mean and the spread of what it is told: the noise in three bands, the phase scale."""

MOST_PIXELS = 1 << 20
"""Pixels of samples that go through the network together: some 300 MiB of features."""


class Diffusion(nn.Module):
    """The diffusion as a reconstruction.

    Args:
        width: channels at the finest scale.
        levels: levels of noise that a sample goes through. Between two of them the specimen is
            taken for known, so that few make the samples too alike: 16 by some per cent.
    """

    def __init__(self, width: int, levels: int = 16) -> None:
        super().__init__()
        self.levels = levels
        self.pyramid = Pyramid(IMAGES, width, ResidualBlock, usual=Standardised(*CONDITION))
        self.constant = Constant()

    def forward(
        self, given: NetworkInput, step: DataStep, *, periodic: bool = True, turned: bool = False
    ) -> Tensor:
        """x (B, H, W) in one go: its mean, given the counts; with `turned`, of all orientations."""
        random = torch.Generator().manual_seed(0)
        noisy = begun(given.images[:, 0], step, random)
        ones = torch.ones(len(noisy)).to(noisy)

        def once(turned_images: Tensor) -> Tensor:
            made = self.denoise(
                turned_images[:, 0], ones, step.information, given.condition, periodic=periodic
            )
            return made[:, None]

        images = noisy[:, None]
        x: Tensor = (over_orientations(once, images) if turned else once(images))[:, 0]
        return self.constant.placed(x, given)[0]

    def samples(
        self, given: NetworkInput, step: DataStep, count: int, *, periodic: bool = True
    ) -> Tensor:
        """Specimens that the counts of one sample allow, (count, H, W); the same ones each time.

        Without a constant: each has the mean 0. They come in pairs of opposite noise, so that their
        mean hardly depends on it.
        """
        random = torch.Generator().manual_seed(0)
        pairs = -(-count // 2)
        information = step.information.expand(pairs, -1, -1)

        def fresh(noise: Callable[[Tensor, torch.Generator], Tensor]) -> Tensor:
            drawn = noise(information, random)
            return torch.cat([drawn, -drawn])

        x = seen(given.images[:, 0], step) + fresh(unseen)
        at_once = max(1, MOST_PIXELS // x[0].numel())
        levels = torch.logspace(0.0, torch.tensor(LEAST).log10(), self.levels).tolist()
        for number, (level, following) in enumerate(zip(levels, [*levels[1:], 0.0], strict=True)):
            denoised = partial(
                self._denoised, level=level, given=given, step=step, periodic=periodic
            )
            parts = [
                in_orientation(denoised, part, number % 4, flip=number % 8 >= 4)
                for part in torch.split(x, at_once)
            ]
            clean = torch.cat(parts)
            kept = (following / level) ** 2
            x = clean + kept * (x - clean) + following * (1 - kept) ** 0.5 * fresh(coloured)
        return x[:count]

    def _denoised(
        self, x: Tensor, *, level: float, given: NetworkInput, step: DataStep, periodic: bool
    ) -> Tensor:
        """`denoise` of several states of one sample at one level."""
        levels = torch.full((len(x),), level).to(x)
        condition = given.condition.expand(len(x), -1)
        return self.denoise(x, levels, step.information, condition, periodic=periodic)

    def denoise(
        self,
        noisy: Tensor,
        level: Tensor,
        information: Tensor,
        condition: Tensor,
        *,
        periodic: bool = True,
    ) -> Tensor:
        """The mean of all specimens that may hide under the noise, (B, H, W), its own mean 0.

        Args:
            noisy: z_s, (B, H, W).
            level: s, (B,).
            information: F of each Fourier coefficient, (B, H, W) or (1, H, W).
            condition: of a `NetworkInput`: the noise is that of level 1, (B, 4).
            periodic: whether the specimens are.
        """
        if information.shape[-2:] == noisy.shape[:-3:-1]:  # F goes by |k|: a turned image's is
            information = information.transpose(-2, -1)  # that of the other axis
        images = _shown(noisy, level[:, None, None].square() * variance_of(information))
        told = torch.cat([condition[:, :-1] + level.log10()[:, None], condition[:, -1:]], dim=1)
        change = at_any_size(
            lambda fitting: self.pyramid(fitting, told), images, STRIDE, periodic=periodic
        )
        return _centred(images[:, 0] + level[:, None, None] * change[:, 0])


def begun(around: Tensor, step: DataStep, random: torch.Generator) -> Tensor:
    """z_1 (B, H, W), what the counts say.

    Args:
        around: an x from which the likelihood's step is short; it is told nothing else by it.
        step: the likelihood.
        random: for what they do not say.
    """
    return seen(around, step) + unseen(step.information.expand_as(around), random)


def seen(around: Tensor, step: DataStep) -> Tensor:
    """z_1 (B, H, W) without what the counts do not say, see `begun`."""
    return _centred(around + step(around, UNSEEN**-2))


def unseen(information: Tensor, random: torch.Generator) -> Tensor:
    """What the counts do not say, drawn, of the shape of F (B, H, W)."""
    white = torch.randn(information.shape, generator=random).to(information)
    drawn = torch.fft.ifft2(torch.fft.fft2(white) * variance_of(information)).real / UNSEEN
    return _centred(drawn)


def coloured(information: Tensor, random: torch.Generator) -> Tensor:
    """Noise n as that of the counts, of the shape of F (B, H, W)."""
    white = torch.randn(information.shape, generator=random).to(information)
    noise: Tensor = torch.fft.ifft2(torch.fft.fft2(white) * variance_of(information).sqrt()).real
    return _centred(noise)


def variance_of(information: Tensor) -> Tensor:
    """Variance of each Fourier coefficient's noise, as that of white noise of x, (B, H, W)."""
    return 1 / (information + UNSEEN**-2)


def _shown(noisy: Tensor, variance: Tensor) -> Tensor:
    """What the network sees of z_s: under a spectral prior of its own, and blurred (B, 2, H, W)."""
    height, width = noisy.shape[-2:]
    bins = FrequencyBins.of((height, width), noisy.device)
    transform = torch.fft.fft2(noisy)
    power = transform.abs().square() / (height * width)
    signal = torch.stack([signal_power(*both, bins) for both in zip(power, variance, strict=True)])
    under_prior = torch.fft.ifft2(transform * signal / (signal + variance)).real
    return torch.stack([under_prior, blur(noisy, BLUR_PX)], dim=1)


def _centred(x: Tensor) -> Tensor:
    return x - x.mean(dim=(-2, -1), keepdim=True)
