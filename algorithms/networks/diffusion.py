"""A diffusion prior over specimens, and samples of it that the counts lead.

The network is a denoiser of specimens at every level of noise, in the scaling of Karras, Aittala,
Aila & Laine (NeurIPS 2022): nothing of any measurement is learned. A sample begins as the
ptychographic image under much noise; at each level the denoiser's answer is moved towards the
counts as far as its own error allows, and noise of the next level is put back (DiffPIR: Zhu, Zhang,
Liang, Cao, Wen, Timofte & Van Gool, CVPR workshops 2023; that move in closed form: Song, Vahdat,
Mardani & Kautz, ICLR 2023).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from algorithms.networks.inputs import NetworkInput
from algorithms.networks.layers import ResidualBlock, Standardised, at_any_size, in_orientation
from algorithms.networks.plain import with_background_at_zero
from algorithms.networks.pyramid import STRIDE, Pyramid
from algorithms.networks.step import DataStep

LEVELS = (0.006, 1.0)
"""Noise that the denoiser knows, least and largest, in units of x."""

MEAN, SPREAD = 0.25, 0.25
"""About the mean and the spread of x over specimens."""

CONDITION = ((-1.1, -0.2), (0.4, 0.3))
"""About the mean and the spread of log10 of the level and of the phase scale."""

BEGIN = 0.1
"""Noise that a sample begins with: what ptychography shows beside it is kept, or found again."""

TRUST = 1.2
"""Error of the denoiser's answer, relative to the noise taken off, that counts are weighed against.
This, `BEGIN` and `FRESH` are what was best on seven validation scenes."""

FRESH = 1.0
"""Share of the noise put back, as a variance, that is new; the rest is what was taken off."""


class Diffusion(nn.Module):
    """The prior as a reconstruction: the mean of some samples.

    Args:
        width: channels at the finest scale.
        levels: levels of noise that a sample goes through.
        samples: samples of which the mean is taken.
    """

    def __init__(self, width: int, levels: int = 16, samples: int = 1) -> None:
        super().__init__()
        self.levels, self.count = levels, samples
        self.pyramid = Pyramid(1, width, ResidualBlock, usual=Standardised(*CONDITION))

    def forward(
        self, given: NetworkInput, step: DataStep, *, periodic: bool = True, turned: bool = False
    ) -> Tensor:
        """x (B, H, W); `turned` changes nothing, for each sample is turned as it goes."""
        return self.samples(given, step, self.count, periodic=periodic).mean(dim=0)

    def samples(
        self, given: NetworkInput, step: DataStep, count: int, *, periodic: bool = True
    ) -> Tensor:
        """Specimens that the counts allow, (count, B, H, W); the same ones each time."""
        begin = with_background_at_zero(given.images)[:, 0]
        random = torch.Generator().manual_seed(0)
        scale = given.condition[:, -1]
        return torch.stack(
            [self._sample(begin, scale, step, periodic, random) for _ in range(count)]
        )

    def denoise(
        self, noisy: Tensor, level: Tensor, log10_scale: Tensor, *, periodic: bool = True
    ) -> Tensor:
        """The mean of all specimens that may hide under a noise.

        Args:
            noisy: specimens with white noise, (B, H, W).
            level: its standard deviation, (B,).
            log10_scale: log10 of the phase where x is 1 [rad], (B,).
            periodic: whether the specimens are.
        """
        total = (level.square() + SPREAD**2)[:, None, None]
        condition = torch.stack([level.log10(), log10_scale], dim=1)
        centred = noisy - MEAN
        change = at_any_size(
            lambda fitting: self.pyramid(fitting, condition),
            (centred / total.sqrt())[:, None],
            STRIDE,
            periodic=periodic,
        )[:, 0]
        kept = centred * SPREAD**2 / total
        found: Tensor = MEAN + kept + change * (level[:, None, None] * SPREAD / total.sqrt())
        return found

    def _sample(
        self,
        begin: Tensor,
        log10_scale: Tensor,
        step: DataStep,
        periodic: bool,
        random: torch.Generator,
    ) -> Tensor:
        """One sample, (B, H, W)."""

        def noise() -> Tensor:
            return torch.randn(begin.shape, generator=random).to(begin)

        levels = torch.logspace(
            torch.tensor(BEGIN).log10(), torch.tensor(LEVELS[0]).log10(), self.levels
        ).tolist()
        x = begin + BEGIN * noise()
        for level, following in zip(levels, [*levels[1:], 0.0], strict=True):
            clean = self._turned(x, level, log10_scale, periodic, random)
            clean = clean + step(clean, 1 / (TRUST * level) ** 2)
            taken = (x - clean) / level
            x = clean + following * ((1 - FRESH) ** 0.5 * taken + FRESH**0.5 * noise())
        return x

    def _turned(
        self,
        x: Tensor,
        level: float,
        log10_scale: Tensor,
        periodic: bool,
        random: torch.Generator,
    ) -> Tensor:
        """The denoiser's answer in one of the eight orientations, drawn anew each time."""
        drawn = int(torch.randint(8, (), generator=random))
        levels = torch.full_like(log10_scale, level)
        return in_orientation(
            lambda turned: self.denoise(turned, levels, log10_scale, periodic=periodic),
            x,
            drawn % 4,
            flip=drawn >= 4,
        )
