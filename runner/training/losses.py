"""What a network is trained to, and how a batch of scenes is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from algorithms.networks.diffusion import LEAST, Diffusion, begun, coloured
from algorithms.networks.inputs import NetworkInput
from algorithms.networks.plain import with_background_at_zero
from algorithms.networks.step import DataStep
from physics.curvature import FrequencyBins
from runner.training.shards import Scenes

SETTLED_MSE = 1e-5
"""Mean squared error that is good enough: 50 dB. Better scenes are pulled at no further."""


LEAST_MISFIT = 0.1
"""Of 3/2 + e; the parabola of faint counts may go below what the likelihood itself can."""


@dataclass(frozen=True)
class Batch:
    """Scenes as a network is given them, and their truth.

    Attributes:
        given: what it is given.
        x: the truth, (B, H, W).
        step: what the likelihood would do to an x, on its parabola about the truth.
        misfit: how much less likely an x makes the counts than the truth does, (B,): ln(3/2 + e),
            e being -log L a pixel above the truth's, which is -1/2 at the least.
    """

    given: NetworkInput
    x: Tensor
    step: DataStep
    misfit: Callable[[Tensor], Tensor]


def batch_of(
    scenes: Scenes,
    chosen: np.ndarray[tuple[int], np.dtype[np.int64]],
    rng: np.random.Generator | None,
    device: torch.device,
) -> Batch:
    """Some scenes; with a generator, each shifted, turned and flipped at random."""
    images = np.concatenate(
        [scenes.images[chosen], scenes.x[chosen, None], scenes.slope[chosen, None]], axis=1
    )
    if rng is not None:
        images = np.stack([_moved(image, rng) for image in images])
    stack = torch.as_tensor(np.ascontiguousarray(images)).to(device)
    condition = torch.as_tensor(scenes.condition[chosen]).to(device)
    scale = torch.as_tensor(scenes.phase_scale_rad[chosen]).to(device)[:, None, None]
    spectrum = torch.as_tensor(scenes.spectrum[chosen]).to(device)
    x, slope = stack[:, 2], stack[:, 3]
    ring = FrequencyBins.of((x.shape[1], x.shape[2]), device).ring
    information = spectrum[:, ring]

    def by_x(estimate: Tensor) -> Tensor:
        move = torch.fft.fft2(scale * (estimate - x))
        transform: Tensor = scale * (information * move + torch.fft.fft2(slope))
        return transform

    def misfit(estimate: Tensor) -> Tensor:
        move = scale * (estimate - x)
        pull = torch.fft.ifft2(information * torch.fft.fft2(move)).real
        excess: Tensor = (move * (slope + pull / 2)).mean(dim=(1, 2))
        return (1.5 + excess).clamp_min(LEAST_MISFIT).log()

    step = DataStep(by_x, scale.square() * information)
    return Batch(NetworkInput(stack[:, :2], condition), x, step, misfit)


def loss(estimate: Tensor, x: Tensor) -> Tensor:
    """Mean of ln(variance of the error): the image but for its constant, see `settle`."""
    varying = (estimate - x).var(dim=(1, 2), correction=0)
    return (varying + SETTLED_MSE).log().mean()


def denoising(network: Diffusion, batch: Batch, random: torch.Generator) -> Tensor:
    """What a diffusion learns from: specimens under the counts' noise of any level.

    Of the noise of a sample at level s, the share s^2 is still that of the counts, and the rest was
    drawn on the way: so here, as the counts' own is not quite Gaussian.
    """
    level = LEAST ** torch.rand(len(batch.x), generator=random).square().to(batch.x)
    s = level[:, None, None]
    of_counts = begun(batch.x, batch.step, random) - batch.x
    drawn = coloured(batch.step.information, random)
    noisy = batch.x + s * (s * of_counts + (1 - s.square()).sqrt() * drawn)
    found = network.denoise(noisy, level, batch.step.information, batch.given.condition)
    return loss(found, batch.x)


def psnr_db(estimate: Tensor, x: Tensor) -> Tensor:
    """PSNR of each image of [0, 1], (B,) [dB]."""
    errors = (estimate.clamp(0.0, 1.0) - x).square().mean(dim=(1, 2))
    return -10 * errors.log10()


def plain(given: NetworkInput) -> Tensor:
    """x (B, H, W) as ptychography itself would give it: its background put to 0."""
    return with_background_at_zero(given.images)[:, 0].clamp(0.0, 1.0)


def _moved(
    images: np.ndarray[tuple[int, int, int], np.dtype[np.float32]], rng: np.random.Generator
) -> np.ndarray[tuple[int, int, int], np.dtype[np.float32]]:
    """All images of a scene, moved alike."""
    height, width = images.shape[1:]
    shift = (int(rng.integers(height)), int(rng.integers(width)))
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))
    moved = np.roll(images, shift, axis=(1, 2))
    moved = np.rot90(moved, turns if height == width else 2 * (turns // 2), axes=(1, 2))
    return moved[..., ::-1] if flip else moved
