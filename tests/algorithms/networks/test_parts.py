"""Parts of the networks: blocks, the constant, the likelihood's step, the diffusion prior."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from algorithms.networks.attention import WINDOW, TransposedBlock, WindowBlock, WindowLayer
from algorithms.networks.constant import USUAL_ERROR, Constant
from algorithms.networks.diffusion import Diffusion, begun, coloured, variance_of
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


def _told(constant: torch.nn.Module, made: Tensor, first: Tensor) -> Tensor:
    """The mean of x and its error, as one tensor."""
    return torch.stack(constant(made, first, CONDITION))


def test_the_constant_has_no_place_and_no_mean_comes_in() -> None:
    constant, images = _shaken(Constant()), 0.2 * _random(1, 20, 20)
    first = images + 0.1
    here = _told(constant, images, first)
    for moved in (images.roll(5, 2), images.rot90(1, (1, 2)), images.flip(1), images - 3.0):
        assert torch.allclose(_told(constant, moved, first), here, atol=1e-5)
    assert not torch.allclose(_told(constant, 1.5 * images, first), here, atol=1e-3)
    assert not torch.allclose(_told(constant, images, 1.5 * first), here, atol=1e-3)


def test_the_constant_begins_with_the_background_at_zero() -> None:
    images = 0.2 * _random(1, 40, 40)
    mean, error = (float(value.detach()) for value in Constant()(images, images, CONDITION))
    assert error == pytest.approx(USUAL_ERROR)
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


# --- the diffusion --------------------------------------------------------------------------------


class KnownPrior(Diffusion):
    """Of specimens that are Gaussian noise of a known power: their mean under noise is known."""

    power = 0.04

    def denoise(
        self, noisy: Tensor, level: Tensor, information: Tensor, condition: Tensor, **_: object
    ) -> Tensor:
        noise = level[:, None, None].square() * variance_of(information)
        share = self.power / (self.power + noise)
        made: Tensor = torch.fft.ifft2(torch.fft.fft2(noisy) * share).real
        return made


def _power(images: Tensor) -> Tensor:
    """Mean power of images' Fourier coefficients, see `_inner`."""
    return _inner(torch.fft.fft2(images).abs().square().mean(dim=0) / images[0].numel())


def _inner(values: Tensor) -> Tensor:
    """Averages over rings, but for that of the mean and the last ones, of few coefficients."""
    bins = FrequencyBins.of((SIDE, SIDE), torch.device("cpu"))
    return bins.mean(values)[1 : SIDE // 2]


def test_the_noisiest_state_is_the_truth_under_the_noise_of_the_counts() -> None:
    bins = FrequencyBins.of((SIDE, SIDE), torch.device("cpu"))
    information = (3e3 * torch.exp(-torch.arange(len(bins.count)) / 4.0))[bins.ring]
    x, random = 0.2 * _random(200, SIDE, SIDE), torch.Generator().manual_seed(4)
    slope = torch.fft.fft2(_random(200, SIDE, SIDE, seed=5)) * information.sqrt()

    def slope_of(estimate: Tensor) -> Tensor:
        return slope + information * torch.fft.fft2(estimate - x)

    step = DataStep(slope_of, information[None])
    wanted = _inner(variance_of(information))
    for around in (x, x + 0.01 * _random(200, SIDE, SIDE, seed=6)):
        noise = begun(around, step, random) - x
        assert torch.allclose(_power(noise), wanted, rtol=0.12)
    drawn = coloured(information.expand(200, -1, -1), random)
    assert torch.allclose(_power(drawn), wanted, rtol=0.12)


@pytest.mark.parametrize("strength", [0.3, 30.0, 3e3])
def test_samples_are_distributed_as_specimens_given_the_counts(strength: float) -> None:
    prior = KnownPrior(8, levels=100).requires_grad_(False)
    best = 0.2 * _random(SIDE, SIDE)
    step, information = _parabola(best, 1.0, strength)
    variance = 1 / (information + 1 / prior.power)
    wanted = torch.fft.ifft2(torch.fft.fft2(best) * information * variance).real
    wanted = wanted - wanted.mean()
    given = NetworkInput(wanted.expand(1, 2, SIDE, SIDE), CONDITION)
    found = prior.samples(given, step, 256)
    mean = found.mean(dim=0)
    # Levels are a finite number, and what counts do not show begins with finite noise: each makes
    # samples a little too alike.
    assert torch.allclose(_power(found - mean), _inner(variance), rtol=0.15)
    error = mean - mean.mean() - wanted
    assert float(error.std()) < 0.02 * float(best.std())


def test_samples_come_in_opposite_pairs_and_are_the_same_ones_again() -> None:
    given = NetworkInput(0.2 * _random(1, 2, SIDE, SIDE), CONDITION)
    step, _ = _parabola(_random(SIDE, SIDE), 0.5)
    network = _shaken(Diffusion(8, levels=4))
    first, again = (network.samples(given, step, 5) for _ in range(2))
    assert first.shape == (5, SIDE, SIDE)
    assert torch.equal(first, again)
    assert float(first.mean(dim=(1, 2)).abs().max()) < 1e-6 * float(first.std())
    apart = first - first.mean(dim=0)
    assert float(apart.std()) > 1e-4
    both = torch.fft.fft2(KnownPrior(8).samples(given, step, 6))
    middle = (both[:3] + both[3:]) / 2
    assert torch.allclose(middle, middle[:1].expand_as(middle), atol=1e-3)


def test_a_denoiser_changes_nothing_at_first_but_what_its_spectral_prior_does() -> None:
    lattice = torch.cos(2 * math.pi * torch.arange(SIDE) / 4).expand(SIDE, SIDE)
    step, information = _parabola(lattice, 1.0, 1e3)
    network, level = Diffusion(8), torch.tensor([0.5])
    noisy = lattice[None] + 0.5 * coloured(information[None], torch.Generator().manual_seed(0))
    found = network.denoise(noisy, level, step.information, CONDITION).detach()
    errors = [float((image - lattice).square().mean()) for image in (noisy, found)]
    assert errors[1] < 0.2 * errors[0]
    assert float(found.mean()) == pytest.approx(0.0, abs=1e-6)


def test_an_image_that_is_no_square_is_turned_too() -> None:
    shape = (24, 40)
    bins = FrequencyBins.of(shape, torch.device("cpu"))
    information = (1e3 * torch.exp(-torch.arange(len(bins.count)) / 8.0))[bins.ring][None]
    best = 0.2 * _random(*shape)
    step = DataStep(lambda x: information * torch.fft.fft2(x - best), information)
    given = NetworkInput(best.expand(1, 2, *shape), CONDITION)
    network = Diffusion(8, levels=6).requires_grad_(False)
    assert network.samples(given, step, 2).shape == (2, *shape)
    once, turned = (network(given, step, turned=turned)[0] for turned in (False, True))
    # The first weights change nothing but what the spectral prior does, which has no direction.
    assert torch.allclose(once, turned, atol=1e-4)
