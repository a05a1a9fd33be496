"""The learned reconstructors with the weights that ship."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar

import numpy as np
import pytest
import torch

from algorithms.base import Sample
from algorithms.learned.method import Answer, Learned, joined
from algorithms.learned.plain import Plain
from algorithms.networks.inputs import NetworkInput
from algorithms.networks.models import NETWORKS
from algorithms.networks.weights import WEIGHTS, Trained, shipped
from algorithms.reconstructors.diffed import DiffEd, uncertainty_map, uncertainty_of
from algorithms.reconstructors.dncnn_ed import DncnnEd
from algorithms.reconstructors.ensemble import Ensemble
from algorithms.reconstructors.phasegan_ed import PhaseganEd
from algorithms.reconstructors.physed import PhysEd
from algorithms.reconstructors.ptychography import Ptychography
from algorithms.reconstructors.swined import SwinEd
from algorithms.reconstructors.transed import TransEd
from runner.scoring.metrics import psnr_db
from runner.tiers.specimens import public_specimen
from schemas import MismatchSpec
from tests.helpers.operators import make_ideal
from tests.helpers.samples import measured

ALL: list[type[Learned]] = [DncnnEd, PhaseganEd, TransEd, SwinEd, PhysEd, DiffEd, Ensemble]
SPEC = MismatchSpec(camera_length=2.5, center_offset=1.1, elliptical_distortion=0.007)
X = public_specimen("gold_on_amorphous_carbon", np.random.default_rng(0)).x


@cache
def _sample() -> Sample:
    """The instrument of the tiers, and a detector of few pixels."""
    attrs = {"window": 32, "C10_A": -100.0, "sampling_A": 0.2, "dose_e": 2000.0}
    ideal = make_ideal(object_shape=(128, 128), step=4, phase_scale_rad=0.9, **attrs)
    return measured(ideal, X, SPEC, true_spec=SPEC)


@pytest.mark.parametrize("method", NETWORKS)
def test_weights_ship_with_their_card_and_curves(method: str) -> None:
    card = shipped(method).card
    assert card.method == method
    assert card.validation_psnr_db > card.plain_psnr_db + 2.0
    assert len(WEIGHTS.joinpath(f"{method}.csv").read_text().splitlines()) > 5


def test_all_weights_together_are_small() -> None:
    total = sum(len(WEIGHTS.joinpath(f"{m}.safetensors").read_bytes()) for m in NETWORKS)
    assert total < 60e6


@pytest.mark.parametrize("method", ALL)
def test_each_is_better_than_plain_ptychography(method: type[Learned]) -> None:
    plain = psnr_db(Ptychography().reconstruct(_sample(), SPEC).x_hat, X)
    algorithm = DiffEd(samples=2) if method is DiffEd else method()
    solved = algorithm.reconstruct(_sample(), SPEC)
    told = solved.diagnostics["network"]
    assert told["believed"]
    assert psnr_db(solved.x_hat, X) > plain + 0.5
    assert len(json.dumps(dict(solved.diagnostics))) < 64 * 1024
    assert solved.x_hat.dtype == np.float32
    assert 0.0 <= solved.x_hat.min() <= solved.x_hat.max() <= 1.0


def test_an_ensemble_is_the_mean_of_its_members() -> None:
    asked: list[str] = []

    @dataclass(frozen=True)
    class Counted(Ensemble):
        networks: ClassVar[tuple[str, ...]] = ("dncnn-ed", "physed")
        consistency_steps: int = 0

        def apply(
            self,
            trained: Trained,
            given: NetworkInput,
            sample: Sample,
            spec: MismatchSpec,
            plain: Plain,
        ) -> Answer:
            asked.append(trained.card.method)
            phi = plain.image + (0.2 if trained.card.method == "physed" else 0.0)
            return Answer(phi - plain.image.min())

    sample = replace(_sample(), true_spec=None)
    fit, _ = Ptychography().fitted(sample, SPEC)
    plain = Plain.of(fit)
    solved = Counted().finish(sample, SPEC, plain, {})
    assert asked == ["dncnn-ed", "physed"]
    scale = sample.operator.attrs.phase_scale_rad
    wanted = (plain.image - plain.image.min() + 0.1) / scale
    assert np.allclose(solved.x_hat, wanted.clamp(0, 1).numpy(), atol=1e-4)


def test_one_constant_that_is_far_off_counts_for_little() -> None:
    images = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))
    images = (
        images
        - images.mean(dim=(1, 2), keepdim=True)
        + torch.tensor([0.1, 0.2, 9.0])[:, None, None]
    )
    found = joined(images)
    assert float(found.mean()) == pytest.approx(0.2, abs=1e-6)
    shape = images - images.mean(dim=(1, 2), keepdim=True)
    assert torch.allclose(found - found.mean(), shape.mean(dim=0), atol=1e-6)


@pytest.mark.parametrize("side", [1, 128, 1024])
def test_a_map_of_uncertainty_fits_into_the_diagnostics(side: int) -> None:
    spread = torch.rand(side, side, generator=torch.Generator().manual_seed(0))
    told = uncertainty_map(spread)
    assert len(json.dumps(told)) < 60_000
    again = uncertainty_of(json.loads(json.dumps(told)))
    coarse = spread[:: told["stride"], :: told["stride"]]
    assert again.shape == coarse.shape
    assert float((again - coarse).abs().max()) <= told["largest"] / 255


def test_the_spread_of_one_sample_is_that_of_its_constant() -> None:
    told = [
        DiffEd(samples=count).reconstruct(_sample(), SPEC).diagnostics["network"]["uncertainty"]
        for count in (1, 4)
    ]
    assert told[0]["mean"] == pytest.approx(told[0]["largest"], rel=1e-6)
    assert told[1]["largest"] > 1.5 * told[0]["largest"]
