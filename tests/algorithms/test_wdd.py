"""Wigner deconvolution: its ambiguity function is the probe's, and it needs no weak phase."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from algorithms.ambiguity import Ambiguity
from algorithms.base import Sample
from algorithms.reconstructors.ssb import Ssb
from algorithms.reconstructors.wdd import Wdd, deconvolve, expected_epsilon
from algorithms.scan_transform import Aliases, Raster
from physics.ideal import ArrayPatterns, IdealOperator
from physics.operator import ForwardOperator
from schemas import MismatchSpec
from schemas.findings import ContractError
from tests.helpers.operators import SPECS, make_ideal, with_gaussian_probe
from tests.helpers.samples import atoms, measured

NOISELESS_E = 1e13
"""Electrons per pattern that leave no noise to speak of."""

SHAPE = (32, 32)
ROWS, COLS = np.indices(SHAPE) * (2 * np.pi / 32)


def grating_ideal(phase_rad: float, **changes: object) -> IdealOperator:
    return make_ideal(
        window=32, step=1, C10_A=-40.0, dose_e=NOISELESS_E, phase_scale_rad=phase_rad, **changes
    )


def slope(found: NDArray[np.floating], truth: NDArray[np.floating]) -> float:
    """By how much the true image comes through, 1 at best."""
    a, b = found - found.mean(), truth - truth.mean()
    return float((a * b).sum() / (b * b).sum())


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_the_ambiguity_function_is_what_the_patterns_hold(spec: MismatchSpec) -> None:
    """H of a transmission 1 + c exp(2 pi i k r), to first order in c, against the operator."""
    ideal = with_gaussian_probe(make_ideal(window=24, object_shape=(24, 24), step=2), 2.2)
    y = ArrayPatterns(np.zeros((12, 12, 24, 24), dtype=np.float32))
    sample = replace(
        measured(make_ideal(), np.zeros(SHAPE, np.float32), MismatchSpec()), y=y, operator=ideal
    )
    aliases = Aliases.of(sample, Raster.of(sample), folded=True)
    ambiguity = Ambiguity(ideal, spec, aliases, dtype=torch.complex128)
    forward = ForwardOperator(ideal, dtype=torch.float64)
    far = forward.far_field(spec)
    rows, cols = ambiguity.overlapping.shape
    positions = torch.as_tensor(ideal.positions_px, dtype=torch.float64)

    def transformed(transmission: torch.Tensor) -> torch.Tensor:
        waves = forward.exit_waves(transmission, far, slice(None))
        return ambiguity.features(far.intensity(far.forward(waves)), slice(0, rows))

    still = torch.ones((24, 24), dtype=torch.complex128)
    unscattered = torch.stack([ambiguity.unscattered(row) for row in range(rows)])
    scale = float(unscattered.abs().max())
    # A shifted detector's samples are those of another period of the pixelated window.
    exact = (1e-6 if spec.is_nominal else 3e-5) * scale
    assert float((transformed(still)[0] - unscattered).abs().max()) < exact
    for turns in ((1, 0), (-2, 3)):
        k = np.array(turns) / 24
        at = tuple(
            int(np.flatnonzero(np.isclose(axis, f))[0])
            for axis, f in zip((aliases.k_y, aliases.k_x), k, strict=True)
        )
        line = torch.stack(
            [ambiguity.templates(row, slice(0, cols))[0][:, at[0], at[1]] for row in range(rows)]
        )
        y, x = np.indices((24, 24))
        wave = torch.as_tensor(np.exp(2j * np.pi * (k[0] * y + k[1] * x)))
        seen = torch.exp(2j * torch.pi * (positions @ torch.as_tensor(k)))[:, None, None]
        # c real and imaginary give the two terms: c e chi, and conj(c) chi of the opposite side.
        step = 1e-5
        change = [
            (transformed(still + step * c * wave) - transformed(still - step * c * wave)) / 2 / step
            for c in (1.0, 1j)
        ]
        first = (change[0] - 1j * change[1]) / 2
        assert float((first - seen * line).abs().max()) < exact
        mirrored = (change[0] + 1j * change[1]) / 2
        at_minus = tuple(
            (-place) % len(axis) for place, axis in zip(at, (aliases.k_y, aliases.k_x), strict=True)
        )
        opposite = torch.stack(
            [
                ambiguity.templates(row, slice(0, cols))[1][:, at_minus[0], at_minus[1]]
                for row in range(rows)
            ]
        )
        assert float((mirrored - seen.conj() * opposite).abs().max()) < exact


@pytest.mark.parametrize("spec", [SPECS["nominal"], SPECS["all"]], ids=["nominal", "mismatched"])
def test_a_strong_phase_comes_back_in_radians(spec: MismatchSpec) -> None:
    """Two gratings, 2 rad in all, whose harmonics lie in the band; SSB takes them short."""
    x = 0.5 + 0.25 * np.cos(2 * ROWS + COLS) + 0.25 * np.sin(3 * COLS)
    sample = measured(grating_ideal(2.0), x.astype(np.float32), spec)
    deconvolved = Wdd(aliases=False, epsilon=1e-3).phase(sample, spec).phase.numpy() / 2
    linear = Ssb(aliases=False).phase(sample, spec).phase.numpy() / 2
    assert slope(deconvolved, x) == pytest.approx(1.0, abs=0.05)
    assert slope(linear, x) < 0.9
    # Its prior is made for counts: at this dose templates that are right to a part in 10^5 are not.
    counted = measured(
        replace(sample.operator, attrs=sample.operator.attrs.model_copy(update={"dose_e": 1e7})),
        x.astype(np.float32),
        spec,
    )
    default = Wdd().phase(counted, spec).phase.numpy() / 2
    assert 0.92 < slope(default, x) < 1.05


@pytest.mark.parametrize("C10_A", [0.0, -40.0, 40.0])
@pytest.mark.parametrize("step", [1, 2], ids=["well sampled", "aliased"])
def test_a_weak_phase_comes_back_in_radians(step: int, C10_A: float) -> None:
    """Within the band, at high dose; the sign, too."""
    spec = SPECS["all"]
    ideal = make_ideal(
        window=32, step=step, C10_A=C10_A, Cs_A=2e5, dose_e=1e8, phase_scale_rad=0.02
    )
    x = 0.5 + 0.2 * np.cos(2 * ROWS + 3 * COLS) + 0.1 * np.sin(5 * COLS) + 0.1 * np.sin(7 * ROWS)
    found = Wdd().phase(measured(ideal, x.astype(np.float32), spec), spec).phase.numpy() / 0.02
    off = np.linalg.norm(found - found.mean() - (x - x.mean())) / np.linalg.norm(x - x.mean())
    assert off < 0.03


def test_the_direct_beam_is_what_the_phase_leaves_of_it() -> None:
    """|t(0)|^2 of a phase object is |<exp(i phi)>|^2; what is found makes up half of the loss."""
    x = atoms(SHAPE, count=30, width_px=2.0)
    sample = measured(grating_ideal(2.0), x, MismatchSpec())
    raster = Raster.of(sample)
    aliases = Aliases.of(sample, raster, folded=True)
    expected = abs(np.exp(2j * x).mean()) ** 2
    found = deconvolve(sample, MismatchSpec(), raster, aliases, 0.05).direct_beam
    assert expected < 0.9
    assert 0.4 < (1 - found) / (1 - expected) < 1.0


def test_epsilon_follows_the_dose_and_the_specimen() -> None:
    usual = expected_epsilon(1e-3, 0.5, 100)
    assert expected_epsilon(1e-4, 0.5, 100) == pytest.approx(usual / 10)
    assert expected_epsilon(1e-3, 1.0, 100) == pytest.approx(usual / 16)


@pytest.fixture(scope="module")
def noisy() -> Sample:
    ideal = make_ideal(window=24, object_shape=(48, 48), step=2, C10_A=-60.0, phase_scale_rad=0.5)
    return measured(ideal, atoms(count=40, seed=1, width_px=1.6), SPECS["all"])


def test_the_image_is_x_and_the_same_every_time(noisy: Sample) -> None:
    x = atoms(count=40, seed=1, width_px=1.6)
    told: list[float] = []
    heard = replace(noisy, progress=told.append)
    first, second = (Wdd().reconstruct(heard, SPECS["all"]) for _ in range(2))
    assert first.x_hat.dtype == np.float32
    assert first.x_hat.min() >= 0.0
    assert first.x_hat.max() <= 1.0
    assert first.x_hat.tobytes() == second.x_hat.tobytes()
    assert np.corrcoef(first.x_hat.ravel(), x.ravel())[0, 1] > 0.9
    assert told[-1] == 1.0
    wrong = Wdd().reconstruct(noisy, MismatchSpec()).x_hat
    assert np.corrcoef(wrong.ravel(), x.ravel())[0, 1] < 0.6


@pytest.mark.parametrize("rows_seen", [0, 6])
def test_the_deadline_is_kept(
    noisy: Sample, rows_seen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter([1.0] * rows_seen)
    monkeypatch.setattr(Sample, "seconds_left", property(lambda self: next(left, 0.0)))
    assert np.isfinite(Wdd().reconstruct(noisy, SPECS["all"]).x_hat).all()


def test_positions_off_the_raster_are_refused(noisy: Sample) -> None:
    jitter = np.random.default_rng(0).uniform(-0.5, 0.5, noisy.operator.positions_px.shape)
    ideal = replace(
        noisy.operator, positions_px=noisy.operator.positions_px + jitter.astype(np.float32)
    )
    with pytest.raises(ContractError, match="SAMPLE_UNSUITED"):
        Wdd().reconstruct(replace(noisy, operator=ideal), MismatchSpec())
