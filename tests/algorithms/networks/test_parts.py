"""Parts of the networks: blocks, the constant, the likelihood's step, the diffusion prior."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from algorithms.networks.attention import WINDOW, TransposedBlock, WindowBlock, WindowLayer
from algorithms.networks.constant import Constant
from algorithms.networks.diffusion import LEVELS, MEAN, SPREAD, Diffusion
from algorithms.networks.inputs import NetworkInput
from algorithms.networks.layers import EMBEDDING, ResidualBlock
from algorithms.networks.pyramid import BlockOf
from algorithms.networks.step import DataStep, data_step, parabola_step
from physics.curvature import Curvature, FrequencyBins

SIDE = 32
CONDITION = torch.tensor([[-2.0, -2.1, -1.7, -0.3]])
BLOCKS = [ResidualBlock, TransposedBlock, WindowBlock]


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _shaken(module: torch.nn.Module) -> torch.nn.Module:
    torch.manual_seed(3)
    with torch.no_grad():
        for value in module.parameters():
            value.add_(0.1 * torch.randn(value.shape))
    return module.requires_grad_(False)


def _curvature(information: float = 50.0) -> Curvature:
    bins = FrequencyBins.of((SIDE, SIDE), torch.device("cpu"))
    falling = information * torch.exp(-torch.arange(len(bins.count)) / 6.0)
    flat = torch.ones(SIDE, SIDE)
    return Curvature(falling, flat, flat, bins)


# --- blocks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_begins_as_the_identity_and_then_does_something(block: BlockOf) -> None:
    features, embedded = _random(2, 16, 16, 24), _random(2, EMBEDDING, seed=1)
    made = block(16)
    assert torch.equal(made(features, embedded), features)
    assert not torch.allclose(_shaken(made)(features, embedded), features, atol=1e-3)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_sees_no_edge_of_a_periodic_image(block: BlockOf) -> None:
    features, embedded = _random(1, 16, 16, 24), _random(1, EMBEDDING, seed=1)
    made, shift = _shaken(block(16)), (WINDOW, -2 * WINDOW)
    here, there = (made(one, embedded) for one in (features, features.roll(shift, (2, 3))))
    assert torch.allclose(there, here.roll(shift, (2, 3)), atol=1e-5)


def test_a_window_hears_its_neighbours_through_the_shifted_one() -> None:
    layers = [layer for layer in WindowBlock(16).layers if isinstance(layer, WindowLayer)]
    assert [layer.shift for layer in layers] == [0, WINDOW // 2]
    torch.manual_seed(0)
    first, second = (WindowLayer(16, shift).requires_grad_(False) for shift in (0, WINDOW // 2))
    features = _random(1, 16, 4 * WINDOW, 4 * WINDOW)
    touched = features.clone()
    touched[:, :, 1, 1] += 1.0

    def reached(*layers: WindowLayer) -> Tensor:
        here, there = features, touched
        for layer in layers:
            here, there = layer(here), layer(there)
        return (there - here).abs().amax(dim=(0, 1)) > 0

    alone, both = reached(first), reached(first, second)
    assert int(alone.sum()) == int(alone[:WINDOW, :WINDOW].sum()) > 1
    assert int(both.sum()) > 2 * int(alone.sum())
    half = WINDOW // 2
    assert bool(both[-half:, -half:].any())  # around the edge
    assert not bool(both[WINDOW + half : -half, WINDOW + half : -half].any())


# --- the constant ---------------------------------------------------------------------------------


def test_the_constant_has_no_place_and_no_mean_comes_in() -> None:
    constant, images = _shaken(Constant()), 0.2 * _random(1, 20, 20)
    begun = images + 0.1
    here = constant(images, begun, CONDITION)
    for moved in (images.roll(5, 2), images.rot90(1, (1, 2)), images.flip(1), images - 3.0):
        assert torch.allclose(constant(moved, begun, CONDITION), here, atol=1e-5)
    assert not torch.allclose(constant(1.5 * images, begun, CONDITION), here, atol=1e-3)
    assert not torch.allclose(constant(images, 1.5 * begun, CONDITION), here, atol=1e-3)


def test_the_constant_begins_with_the_background_at_zero() -> None:
    images = 0.2 * _random(1, 40, 40)
    mean = float(Constant()(images, images, CONDITION).detach())
    least = images - images.mean() + mean
    assert float((least < 0).float().mean()) == pytest.approx(0.01, abs=0.002)


# --- the likelihood's step ------------------------------------------------------------------------


def _parabola(x: Tensor, scale: float, information: float = 50.0) -> tuple[DataStep, Tensor]:
    """The step on a parabola whose best is x, and F in units of x, (H, W)."""
    curvature = _curvature(information)
    step = parabola_step(scale * x, torch.zeros(SIDE, SIDE), curvature, scale)
    return step, curvature.spectrum[curvature.bins.ring] * scale**2


def test_a_damped_step_weighs_counts_against_an_image() -> None:
    best, image, scale, damping = _random(SIDE, SIDE), _random(SIDE, SIDE, seed=1), 0.7, 9.0
    step, information = _parabola(best, scale)
    found = image + step(image[None], damping)[0]
    a, b = torch.fft.fft2(best), torch.fft.fft2(image)
    wanted = torch.fft.ifft2((information * a + damping * b) / (information + damping)).real
    error = found - wanted
    assert float((error - error.mean()).abs().max()) < 1e-5


def test_a_step_has_no_mean_and_goes_down() -> None:
    best, image = _random(SIDE, SIDE), _random(1, SIDE, SIDE, seed=1)
    step, information = _parabola(best, 0.7)
    for damping in (None, 1.0):
        taken = step(image, damping)
        assert abs(float(taken.mean())) < 1e-6
        errors = [
            float((torch.fft.fft2(x - best).abs().square() * information)[0].flatten()[1:].sum())
            for x in (image, image + taken)
        ]
        assert errors[1] < errors[0]


def test_the_parabola_is_the_likelihood_where_that_is_one() -> None:
    about, slope, curvature = _random(SIDE, SIDE), _random(SIDE, SIDE, seed=1), _curvature()
    information = curvature.spectrum[curvature.bins.ring]

    def slope_of(phi: Tensor) -> Tensor:
        moved: Tensor = torch.fft.ifft2(torch.fft.fft2(phi - about) * information).real
        return slope + moved

    x = _random(1, SIDE, SIDE, seed=2)
    one, other = (data_step(slope_of, curvature, 0.4), parabola_step(about, slope, curvature, 0.4))
    assert torch.equal(one(x), other(x))


# --- the diffusion prior --------------------------------------------------------------------------


def test_the_first_denoiser_is_the_best_linear_one() -> None:
    noisy, level = _random(2, SIDE, SIDE), torch.tensor([0.1, 0.5])
    found = Diffusion(8).denoise(noisy, level, torch.tensor([-0.2, -0.2]))
    share = SPREAD**2 / (SPREAD**2 + level.square())
    assert torch.allclose(found, MEAN + (noisy - MEAN) * share[:, None, None], atol=1e-6)


def test_samples_differ_and_are_the_same_ones_again() -> None:
    given = NetworkInput(0.2 * _random(1, 2, SIDE, SIDE), CONDITION)
    step, _ = _parabola(_random(SIDE, SIDE), 0.5)
    prior = _shaken(Diffusion(8, levels=4))
    first, again = (prior.samples(given, step, 2) for _ in range(2))
    assert first.shape == (2, 1, SIDE, SIDE)
    assert torch.equal(first, again)
    assert float((first[0] - first[1]).abs().mean()) > 1e-4


@pytest.mark.parametrize("information", [1e-3, 1e9])
def test_counts_lead_a_sample_as_far_as_they_tell(information: float) -> None:
    best = 0.25 * _random(SIDE, SIDE)
    given = NetworkInput(torch.zeros(1, 2, SIDE, SIDE), CONDITION)
    step, _ = _parabola(best, 1.0, information)
    found = Diffusion(8, levels=8).samples(given, step, 1)[0, 0]
    error = (found - found.mean()) - (best - best.mean())
    close = float((error.std() / best.std()).detach())
    assert close < 0.05 if information > 1 else close > 0.5


def test_levels_reach_below_what_counts_tell() -> None:
    low, high = LEVELS
    assert -10 * 2 * math.log10(low) > 40  # dB
    assert high >= 2 * SPREAD
