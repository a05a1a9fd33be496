"""Simulated counts: those that the imaging model expects, drawn from the generator alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from physics.ideal import IdealOperator
from physics.operator import ForwardOperator
from physics.optics import probe, wavelength_A
from runner.tiers.simulate import ideal_operator, raster, simulate
from schemas import MismatchSpec, Profile

PROFILE = Profile(
    energy_eV=200e3,
    semiangle_mrad=12.0,
    C10_A=-40.0,
    Cs_A=1e4,
    object_shape=(24, 32),
    sampling_A=0.4,
    window=16,
    scan_shape=(6, 8),
    scan_step_px=4,
    dose_e=3000.0,
)
SPEC = MismatchSpec(camera_length=3.0, center_offset=1.2, elliptical_distortion=0.008)
X = np.random.default_rng(0).uniform(0, 1, (24, 32)).astype(np.float32)


def expected(operator: IdealOperator, spec: MismatchSpec) -> np.ndarray:
    forward = ForwardOperator(operator, dtype=torch.float64)
    phi = forward.tensor(operator.attrs.phase_scale_rad * X.astype(np.float64))
    return forward.expected(phi, spec).numpy().reshape(6, 8, 16, 16)


def counts(operator: IdealOperator, spec: MismatchSpec, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return simulate(X, operator, spec, scan_shape=PROFILE.scan_shape, rng=rng).values


def test_raster_goes_row_by_row_from_the_origin() -> None:
    positions = raster(PROFILE)
    assert positions.dtype == np.float32
    assert positions.shape == (48, 2)
    assert positions[:3].tolist() == [[0, 0], [0, 4], [0, 8]]
    assert positions[8].tolist() == [4, 0]
    assert positions[-1].tolist() == [20, 28]


def test_operator_is_the_profile_s() -> None:
    operator = ideal_operator(PROFILE, phase_scale_rad=0.7)
    for name in ("energy_eV", "semiangle_mrad", "C10_A", "Cs_A", "sampling_A", "dose_e", "gain"):
        assert getattr(operator.attrs, name) == getattr(PROFILE, name)
    assert operator.attrs.wavelength_A == wavelength_A(200e3)
    assert operator.attrs.phase_scale_rad == 0.7
    assert operator.attrs.periodic
    assert operator.attrs.object_shape == (24, 32)
    own = probe(
        energy_eV=200e3, semiangle_mrad=12.0, C10_A=-40.0, Cs_A=1e4, sampling_A=0.4, window=16
    )
    assert operator.probe.tobytes() == own.tobytes()


@pytest.mark.parametrize(("gain", "read_noise"), [(1.0, 0.0), (5.0, 0.0), (2.0, 3.0)])
def test_counts_are_what_the_model_expects(gain: float, read_noise: float) -> None:
    """Scan order, spec, phase scale, gain and both noises: chi-square is 1, and only so."""
    profile = PROFILE.model_copy(update={"gain": gain, "read_noise": read_noise})
    operator = ideal_operator(profile, phase_scale_rad=0.7)
    y = counts(operator, SPEC).astype(np.float64)
    electrons = expected(operator, SPEC)
    variance = gain**2 * electrons + read_noise**2

    def chi_square(model: np.ndarray) -> float:
        return float(np.mean((y - gain * model) ** 2 / variance))

    assert chi_square(electrons) == pytest.approx(1.0, abs=0.06)
    assert chi_square(expected(operator, MismatchSpec())) > 1.2
    assert chi_square(electrons.transpose(0, 1, 3, 2)) > 1.2
    assert chi_square(electrons[::-1]) > 1.2


def test_as_many_electrons_as_the_dose() -> None:
    operator = ideal_operator(PROFILE, phase_scale_rad=0.7)
    sums = counts(operator, MismatchSpec()).sum(axis=(2, 3))
    assert sums.mean() == pytest.approx(3000.0, abs=4 * np.sqrt(3000 / 48))
    assert sums.std() == pytest.approx(np.sqrt(3000), rel=0.35)


def test_drawn_from_the_generator_alone() -> None:
    operator = ideal_operator(PROFILE, phase_scale_rad=0.7)
    first, again, other = (counts(operator, SPEC, seed) for seed in (1, 1, 2))
    assert first.dtype == np.float32
    assert first.tobytes() == again.tobytes() != other.tobytes()
