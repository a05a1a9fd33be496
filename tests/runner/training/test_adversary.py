"""The adversary learns to tell specimens from what is none, and is never asked to ship."""

from __future__ import annotations

import torch

from algorithms.networks.models import NETWORKS
from runner.training.adversary import Adversary, Discriminator
from runner.training.recipes import TrainRecipe


def test_it_learns_to_tell_atoms_from_noise() -> None:
    torch.manual_seed(0)
    adversary = Adversary(TrainRecipe(adversarial=1.0), torch.device("cpu"))
    for number in range(40):
        real, made = _atoms(number), torch.rand(4, 32, 32)
        adversary.learn(real, made)
    with torch.no_grad():
        assert float(adversary.network(_atoms(99)).mean()) > 0.0
        assert float(adversary.network(torch.rand(4, 32, 32)).mean()) < 0.0
        assert float(adversary.displeasure(torch.rand(4, 32, 32))) > 0.0


def test_its_verdict_has_no_edge() -> None:
    torch.manual_seed(0)
    network, x = Discriminator().eval(), torch.rand(1, 64, 64)
    with torch.no_grad():
        here, there = network(x), network(x.roll((8, -16), (1, 2)))
    assert torch.allclose(there, here.roll((1, -2), (2, 3)), atol=1e-5)


def test_no_network_that_ships_has_one() -> None:
    names = [name for name, _ in NETWORKS["phasegan-ed"](8).named_parameters()]
    assert not [name for name in names if "adversary" in name or "discriminator" in name]


def _atoms(seed: int) -> torch.Tensor:
    places = torch.rand(4, 12, 2, generator=torch.Generator().manual_seed(seed)) * 32
    axis = torch.arange(32.0)
    apart = [(axis - places[..., i, None] + 16) % 32 - 16 for i in range(2)]
    peaks = [torch.exp(-(one**2) / 4) for one in apart]
    return torch.einsum("bnh,bnw->bhw", *peaks).clamp(0, 1)
