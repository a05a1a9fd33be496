"""A learned image is believed only as far as the counts bear it out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from algorithms.base import Sample
from algorithms.learned.consistency import at_rings, towards_counts
from algorithms.learned.guard import Verdict
from algorithms.learned.method import Learned
from algorithms.networks.inputs import NetworkInput
from algorithms.networks.step import data_step
from algorithms.networks.weights import Trained
from algorithms.phase_fit import PhaseFit
from algorithms.reconstructors.ptychography import Ptychography
from runner.scoring.metrics import psnr_db
from schemas import MismatchSpec
from tests.helpers.operators import make_ideal
from tests.helpers.samples import atoms, measured
from tests.helpers.weights import weights_card

INSTRUMENT = {"window": 24, "C10_A": -60.0, "phase_scale_rad": 0.5, "dose_e": 4000.0}
IDEAL = make_ideal(object_shape=(48, 48), step=3, **INSTRUMENT)
SPEC = MismatchSpec(camera_length=2.5, center_offset=1.1, elliptical_distortion=0.007)
X = atoms((48, 48), count=40, seed=1)

CARD = weights_card()


class Says(nn.Module):
    """A network that answers what it is told to."""

    def __init__(self, answer: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, given: NetworkInput, step: object, **_: bool) -> Tensor:
        return self.answer(given.images[:, 0])


@dataclass(frozen=True)
class Made(Learned):
    answer: Callable[[Tensor], Tensor] = torch.clone
    share: float = 0.2
    networks: ClassVar[tuple[str, ...]] = ("none",)

    def trained(self) -> tuple[Trained, ...]:
        return (Trained(Says(self.answer), torch.full((9,), self.share), CARD),)


def _truth(_: Tensor) -> Tensor:
    return torch.as_tensor(X)[None]


def _invented(image: Tensor) -> Tensor:
    """Atoms where there are none."""
    return torch.as_tensor(atoms((48, 48), count=40, seed=7))[None] + 0 * image


@cache
def _sample() -> Sample:
    return measured(IDEAL, X, SPEC, true_spec=SPEC)


@cache
def _fit() -> PhaseFit:
    return Ptychography().fitted(_sample(), SPEC)[0]


def test_a_good_image_is_believed_and_better_than_plain_ptychography() -> None:
    plain = Ptychography().reconstruct(_sample(), SPEC)
    solved = Made(answer=_truth).reconstruct(_sample(), SPEC)
    told = solved.diagnostics["network"]
    assert told["believed"]
    assert "warning" not in told
    assert 0.0 < told["excess"] < 1.0  # of the truth itself, at most chance
    assert told["unlike_training"] == []
    assert psnr_db(solved.x_hat, X) > psnr_db(plain.x_hat, X) + 3.0


def test_an_image_that_the_counts_contradict_is_not_returned() -> None:
    plain = Ptychography().reconstruct(_sample(), SPEC)
    solved = Made(answer=_invented).reconstruct(_sample(), SPEC)
    told = solved.diagnostics["network"]
    assert not told["believed"]
    assert "plain ptychography's image is returned" in told["warning"]
    assert np.array_equal(solved.x_hat, plain.x_hat)


def test_an_atom_that_is_not_there_is_taken_out_in_its_place() -> None:
    extra = np.zeros_like(X)
    row, col = np.unravel_index(int(np.argmin(X)), X.shape)
    extra[row, col] = 1.0
    kernel = np.exp(-((np.arange(48) - 24) ** 2) / (2 * 1.4**2))
    spread = np.real(
        np.fft.ifft2(np.fft.fft2(extra) * np.fft.fft2(np.fft.ifftshift(np.outer(kernel, kernel))))
    )
    wrong = torch.as_tensor((X + spread).astype(np.float32))[None]
    solved = Made(answer=lambda _: wrong).reconstruct(_sample(), SPEC)
    assert solved.diagnostics["network"]["believed"]
    assert solved.x_hat[row, col] < 0.5


@settings(max_examples=6)
@given(seed=st.integers(0, 1000), noise=st.floats(0.0, 0.5), share=st.floats(0.0, 1.0))
def test_the_likelihood_is_never_worse(seed: int, noise: float, share: float) -> None:
    fit = _fit()
    generator = torch.Generator().manual_seed(seed)
    phi = 0.5 * (torch.as_tensor(X) + noise * torch.randn(X.shape, generator=generator))
    shares = share * torch.rand(9, generator=generator)
    found = towards_counts(phi, SPEC, fit.objective, fit.curvature, shares, 2)
    assert found.after <= found.before
    assert found.before == pytest.approx(fit.objective.loss(phi, SPEC), rel=1e-5)
    assert found.after == pytest.approx(fit.objective.loss(found.phi, SPEC), rel=1e-5)
    assert float(found.phi.mean()) == pytest.approx(float(phi.mean()), abs=1e-5)


def test_no_share_no_step() -> None:
    fit, phi = _fit(), 0.5 * torch.as_tensor(X)
    found = towards_counts(phi, SPEC, fit.objective, fit.curvature, torch.zeros(9), 2)
    assert torch.allclose(found.phi, phi, atol=1e-6)


def test_a_share_belongs_to_a_frequency() -> None:
    share = at_rings(torch.linspace(0, 1, 5), _fit().curvature)
    assert float(share[0, 0]) == 0.0
    assert float(share[0, 24]) == 1.0
    assert float(share[12, 0]) == 0.5


def test_the_network_is_shown_the_slope_of_the_likelihood() -> None:
    fit = _fit()
    step = data_step(lambda phi: fit.objective.gradient(phi, SPEC)[1], fit.curvature, 0.5)
    worse = torch.as_tensor(X).roll(1, 0)[None]
    loss = [fit.objective.loss(0.5 * x[0], SPEC) for x in (worse, worse + 0.3 * step(worse))]
    assert loss[1] < loss[0]
    assert float(step(worse).mean()) == pytest.approx(0.0, abs=1e-6)


def test_the_spec_is_found_again_only_where_a_phase_came_with_it() -> None:
    given = Made(answer=_truth).reconstruct(_sample(), SPEC)
    assert given.spec is None
    near = MismatchSpec(camera_length=2.53, center_offset=1.102, elliptical_distortion=0.0072)
    begun = replace(_sample(), phase=_fit().likeliest.numpy())
    refined = Made(answer=_truth).reconstruct(begun, near).spec
    assert refined is not None
    errors = [abs(np.array(spec.vector()) - np.array(SPEC.vector())) for spec in (refined, near)]
    assert (errors[0] < errors[1]).all()


def test_without_time_plain_ptychography_answers() -> None:
    late = replace(_sample(), deadline=time.monotonic())
    solved = Made(answer=_invented).reconstruct(late, SPEC)
    assert "no time" in solved.diagnostics["network"]["warning"]


def test_another_instrument_is_told() -> None:
    other = CARD.trained.model_copy(update={"sampling_A": 0.2, "phase_rad": (1.0, 2.0)})

    @dataclass(frozen=True)
    class Elsewhere(Made):
        def trained(self) -> tuple[Trained, ...]:
            card = CARD.model_copy(update={"trained": other})
            return (Trained(Says(_truth), torch.zeros(9), card),)

    told = Elsewhere().reconstruct(_sample(), SPEC).diagnostics["network"]["unlike_training"]
    assert len(told) == 2
    assert "sampling_A 0.4, trained at 0.2" in told[0]


def test_what_the_counts_explain_better_is_believed_whatever_its_excess() -> None:
    far = Verdict(told=1000, likeliest=0.0, plain=5000.0, network=4000.0)
    assert far.excess == 8.0
    assert far.believed
    assert not Verdict(told=1000, likeliest=0.0, plain=500.0, network=4000.0).believed
    assert Verdict(told=1000, likeliest=0.0, plain=300.0, network=500.0).believed
    assert not Verdict(told=1000, likeliest=0.0, plain=300.0, network=700.0).believed
