"""What a detector sees of a weak phase, against the exact operator on gratings."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from algorithms.weak_phase import VacuumWave, transfer
from physics.geometry import DetectorGeometry
from physics.ideal import IdealOperator
from physics.operator import ForwardOperator
from physics.optics import probe, wavelength_A
from schemas import MismatchSpec
from tests.helpers.operators import OPERATORS, make_ideal
from tests.helpers.strategies import published_specs

NOMINAL = MismatchSpec()

GRATING_RAD = 1e-4
"""Amplitude of a weak grating: what is left of second order is 1e-4 of the first."""


def response_to_grating(
    ideal: IdealOperator, spec: MismatchSpec, weights: np.ndarray, k: tuple[float, float]
) -> np.ndarray:
    """Change of the recorded share at every position by exp(2 pi i k r), by brute force, (N,)."""
    forward = ForwardOperator(ideal, dtype=torch.float64)
    rows, cols = np.indices(ideal.attrs.object_shape)
    angle = 2 * np.pi * (k[0] * rows + k[1] * cols)
    parts = []
    for wave in (np.cos(angle), np.sin(angle)):
        up, down = (
            forward.expected(forward.tensor(sign * GRATING_RAD * wave), spec).numpy()
            for sign in (1, -1)
        )
        change = (up - down).reshape(len(up), -1) @ weights.ravel()
        parts.append(change / (2 * GRATING_RAD * ideal.attrs.dose_e))
    return parts[0] + 1j * parts[1]


@pytest.mark.parametrize("name", ["periodic", "odd window", "oblong object", "other optics"])
@given(
    spec=published_specs,
    turns=st.tuples(st.integers(-6, 6), st.integers(-6, 6)),
    seed=st.integers(0, 1000),
)
@settings(max_examples=4)
def test_the_transfer_is_the_response_to_a_grating(
    name: str, spec: MismatchSpec, turns: tuple[int, int], seed: int
) -> None:
    """Of any detector weights, through any detector, for any grating of the object's grid."""
    ideal = OPERATORS[name]
    weights = np.random.default_rng(seed).uniform(-1.0, 1.0, ideal.probe.shape)
    height, width = ideal.attrs.object_shape
    k = turns[0] / height, turns[1] / width
    found = response_to_grating(ideal, spec, weights, k)
    phases = np.exp(2j * np.pi * ideal.positions_px.astype(float) @ np.array(k))
    kernel = VacuumWave(ideal, spec).kernel(weights)
    at_k = transfer(kernel, (height, width))[turns[0] % height, turns[1] % width]
    np.testing.assert_allclose(found, at_k * phases, atol=2e-6)
    # The same number, as the alias of frequency 0 by k.
    assert transfer(kernel, (height, width), k)[0, 0] == pytest.approx(at_k, abs=1e-12)


def test_one_pixel_on_the_axis_sees_the_sine_of_the_aberration_phase() -> None:
    """Bright field by reciprocity: 2 sin chi(k) within the disk, nothing beyond it."""
    optics = {"C10_A": -90.0, "Cs_A": 1e5, "semiangle_mrad": 17.0}
    ideal = make_ideal(window=32, object_shape=(32, 32), **optics)
    weights = np.zeros((32, 32))
    weights[16, 16] = 1.0
    vacuum = VacuumWave(ideal, NOMINAL)
    found = transfer(vacuum.kernel(weights), (32, 32)) / vacuum.pattern[16, 16]
    wavelength = wavelength_A(80e3)
    pixel = 1 / (32 * 0.4)
    frequency = np.fft.fftfreq(32, 0.4)
    k2 = frequency[:, None] ** 2 + frequency[None, :] ** 2
    chi = np.pi * wavelength * -90.0 * k2 + np.pi / 2 * 1e5 * wavelength**3 * k2**2
    radius = np.sqrt(k2) / pixel
    rim = 17e-3 / wavelength / pixel
    inside = radius < rim - 1
    np.testing.assert_allclose(found[inside], 2 * np.sin(chi[inside]), atol=1e-5)
    assert np.abs(found[radius > rim + 1]).max() < 1e-6
    assert np.abs(found).max() > 1.5, "there is contrast to be compared"


def test_the_centre_of_mass_sees_the_gradient_through_the_probe() -> None:
    """k F{|P|^2}(k), with k in nominal pixels."""
    ideal = make_ideal(window=32, object_shape=(32, 32), C10_A=-30.0)
    q_y, _ = DetectorGeometry(32).frequencies()
    weights = np.broadcast_to(q_y[:, None], (32, 32))
    found = transfer(VacuumWave(ideal, NOMINAL).kernel(weights), (32, 32))
    power = np.abs(np.fft.ifftshift(ideal.probe.astype(complex))) ** 2
    turns = np.fft.fftfreq(32, 1 / 32)[:, None]
    # <q> is the phase's gradient over 2 pi, and a gradient is 2 pi i k.
    expected = 1j * turns * np.fft.fft2(power)
    inner = np.abs(turns) < 10
    assert np.abs((found - expected)[np.broadcast_to(inner, found.shape)]).max() < 0.02
    assert np.abs(found).max() > 1.0


@given(spec=published_specs)
@settings(max_examples=5)
def test_the_whole_detector_sees_nothing(spec: MismatchSpec) -> None:
    """No electron is lost in a phase object; a probe that ends within the window shows it."""
    ideal = make_ideal(window=48, object_shape=(48, 48), sampling_A=0.2, C10_A=0.0)
    vacuum = VacuumWave(ideal, spec)
    whole = np.abs(transfer(vacuum.kernel(np.ones((48, 48))), (48, 48))).max()
    half = (np.arange(48) < DetectorGeometry(48, spec).center)[:, None] * np.ones((48, 48))
    assert whole < 0.02
    assert np.abs(transfer(vacuum.kernel(half), (48, 48))).max() > 0.3


def test_pixels_one_by_one_are_the_detector() -> None:
    ideal = make_ideal(C10_A=-60.0)
    vacuum = VacuumWave(ideal, MismatchSpec(center_offset=1.2, elliptical_distortion=0.01))
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(16, 16))
    rows, cols = (axis.ravel() for axis in np.indices((16, 16)))
    kernels = vacuum.pixel_kernels(rows, cols)
    summed = np.einsum("d,dij->ij", weights.ravel(), kernels)
    np.testing.assert_allclose(summed, vacuum.kernel(weights), atol=1e-12)


def test_a_tilted_probe_is_no_trouble() -> None:
    """The probe is taken as it is: its tilt moves the disk, and nothing else."""
    ideal = make_ideal(window=32, object_shape=(32, 32), C10_A=-60.0)
    wave = probe(
        energy_eV=80e3, semiangle_mrad=21.4, C10_A=-60.0, Cs_A=0.0, sampling_A=0.4, window=32
    )
    turned = wave * np.exp(2j * np.pi * 2 * (np.arange(32) - 16)[:, None] / 32)
    tilted = IdealOperator(ideal.attrs, turned.astype(np.complex64), ideal.positions_px)
    weights, moved = np.zeros((32, 32)), np.zeros((32, 32))
    weights[14:19, 13:20] = 1.0
    moved[16:21, 13:20] = 1.0
    np.testing.assert_allclose(
        VacuumWave(tilted, NOMINAL).kernel(moved),
        VacuumWave(ideal, NOMINAL).kernel(weights),
        atol=1e-6,
    )
