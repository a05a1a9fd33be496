"""The networks: any size, no place and no constant preferred, the same answer every time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from algorithms.networks.inputs import IMAGES, NetworkInput
from algorithms.networks.models import NETWORKS
from algorithms.networks.plain import with_background_at_zero
from algorithms.networks.pyramid import STRIDE
from algorithms.networks.step import DataStep

WIDTH = 8

SETTLED = [name for name in NETWORKS if name != "diffed"]
"""Networks that draw nothing at random."""


def _step_of(slope: Callable[[Tensor], Tensor]) -> DataStep:
    """A likelihood of the same information everywhere, and the slope given."""
    return DataStep(lambda x: 400 * torch.fft.fft2(slope(x)), torch.full((1, 1, 1), 400.0))


STEP = _step_of(lambda x: 0.6 * x - 0.3 * (x.roll(1, 1) + x.roll(-1, 2)))
"""A likelihood's step that is a shift-invariant blur, as a real one nearly is."""


def _network(method: str) -> torch.nn.Module:
    torch.manual_seed(1)
    network = NETWORKS[method](WIDTH)
    with torch.no_grad():  # as after a training: the first weights would change nothing
        for value in network.parameters():
            value.add_(0.05 * torch.randn(value.shape))
    return network.eval().requires_grad_(False)


def _given(height: int = 64, width: int = 48) -> NetworkInput:
    generator = torch.Generator().manual_seed(2)
    images = 0.2 * torch.randn((1, IMAGES, height, width), generator=generator)
    return NetworkInput(images, torch.tensor([[-2.0, -2.1, -1.7, -0.3]]))


@pytest.mark.parametrize("method", SETTLED)
def test_first_weights_change_nothing_but_the_constant(method: str) -> None:
    given = _given()
    x = NETWORKS[method](WIDTH)(given, STEP).detach()
    change = x - with_background_at_zero(given.images)[:, 0]
    assert float((change - change.mean()).abs().max()) < 1e-6
    assert 0.005 < float((x < 0).to(x.dtype).mean()) < 0.015


@pytest.mark.parametrize("method", NETWORKS)
def test_under_four_million_weights_at_the_widest_that_ships(method: str) -> None:
    assert sum(value.numel() for value in NETWORKS[method](32).parameters()) < 4_000_000


@pytest.mark.parametrize("method", NETWORKS)
@pytest.mark.parametrize("shape", [(64, 48), (61, 50), (9, 128), (1, 7)])
@pytest.mark.parametrize("periodic", [True, False])
def test_any_size(method: str, shape: tuple[int, int], periodic: bool) -> None:
    x = _network(method)(_given(*shape), STEP, periodic=periodic)
    assert x.shape == (1, *shape)
    assert bool(torch.isfinite(x).all())


@pytest.mark.parametrize("method", SETTLED)
def test_a_shift_of_a_periodic_image_shifts_the_answer(method: str) -> None:
    network = _network(method)
    stride = getattr(network, "stride", STRIDE)
    given = _given(2 * stride, 4 * stride)
    shift = (stride, -3 * stride)
    moved = NetworkInput(given.images.roll(shift, (2, 3)), given.condition)
    here, there = (network(one, STEP) for one in (given, moved))
    assert float((there - here.roll(shift, (1, 2))).abs().max()) < 1e-5
    plain = with_background_at_zero(given.images)[:, 0]
    assert float((here - plain).abs().max()) > 1e-3  # it did do something


@pytest.mark.parametrize("method", SETTLED)
def test_all_orientations_are_alike_when_it_is_turned(method: str) -> None:
    network, given = _network(method), _given(48, 48)
    still = _step_of(lambda x: 0.1 * x)
    turned = NetworkInput(given.images.rot90(1, (2, 3)), given.condition)

    here, there = (network(one, still, turned=True) for one in (given, turned))
    assert float((there - here.rot90(1, (1, 2))).abs().max()) < 1e-5


@pytest.mark.parametrize("method", NETWORKS)
def test_the_condition_is_heard(method: str) -> None:
    network, given = _network(method), _given()
    noisier = NetworkInput(given.images, given.condition + 0.3)
    assert not torch.equal(network(given, STEP), network(noisier, STEP))


@pytest.mark.parametrize("method", NETWORKS)
def test_the_same_answer_twice(method: str) -> None:
    network, given = _network(method), _given()
    assert torch.equal(network(given, STEP), network(given, STEP))


def test_the_unrolled_network_asks_the_likelihood() -> None:
    network, given = _network("physed"), _given()
    assert not torch.equal(network(given, STEP), network(given, _step_of(torch.zeros_like)))
