"""The best linear estimate of a phase: as good as it says, against simulated images."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from algorithms.base import Sample
from algorithms.scan_lattice import ScanLattice
from algorithms.weak_phase import VacuumWave, transfer
from algorithms.wiener import (
    Expectation,
    LinearImage,
    band_of,
    estimate_phase,
    image_of,
    spectrum_of,
)
from physics.ideal import ArrayPatterns
from schemas import MismatchSpec
from tests.helpers.operators import make_ideal
from tests.helpers.samples import PUBLIC_RANGES

EXPECTED = Expectation(contrast=0.2, atom_width_A=0.3)


def raster_sample(step: int) -> Sample:
    """A periodic scan of 48 x 48 pixels of 0.4 A without counts."""
    ideal = make_ideal(window=24, object_shape=(48, 48), step=step, C10_A=-60.0)
    side = 48 // step
    y = ArrayPatterns(np.zeros((side, side, 24, 24), dtype=np.float32))
    return Sample("sample_00", y, ideal, PUBLIC_RANGES)


def draw_phase(sample: Sample, rng: np.random.Generator) -> np.ndarray:
    """A Gaussian random phase with the expected power spectrum, its mean 0."""
    white = np.fft.fft2(rng.normal(size=sample.object_shape))
    spectrum = white * np.sqrt(EXPECTED.power(sample))
    spectrum[0, 0] = 0.0
    return np.fft.ifft2(spectrum).real


def record_phase(
    sample: Sample, phase: np.ndarray, kernel: np.ndarray, sigma: float, rng: np.random.Generator
) -> np.ndarray:
    """What a kernel records of a phase at the scan's positions, by a plain sum, with noise."""
    n = len(kernel)
    rows, cols = sample.operator.positions_px.astype(int).T
    offsets = np.arange(n) - n // 2
    windows = phase[
        (rows[:, None, None] + offsets[:, None]) % 48, (cols[:, None, None] + offsets) % 48
    ]
    values = np.einsum("nij,ij->n", windows, kernel)
    return values + rng.normal(0.0, sigma, len(values))


def kernels_of(sample: Sample, channels: int) -> list[np.ndarray]:
    """A bright-field detector, or the two components of the centre of mass."""
    vacuum = VacuumWave(sample.operator, MismatchSpec())
    axis = np.arange(24.0) - 12
    if channels == 2:
        return [
            vacuum.kernel(np.broadcast_to(w, (24, 24)).copy()) for w in (axis[:, None], axis[None])
        ]
    return [vacuum.kernel((np.hypot(axis[:, None], axis) < 3).astype(float))]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("step", [1, 2, 4])
def test_the_error_is_as_announced(step: int, channels: int) -> None:
    """Noise and aliases both; a raster of 4 pixels samples half of what is seen."""
    sample, rng = raster_sample(step), np.random.default_rng(step)
    lattice = ScanLattice.of(sample)
    kernels = kernels_of(sample, channels)
    sigma = 0.02 * np.abs(kernels).sum()
    errors, variances, share = [], [], 0.0
    for _ in range(40):
        phase = draw_phase(sample, rng)
        images = [
            LinearImage(
                spectrum_of(record_phase(sample, phase, kernel, sigma, rng), sample, lattice),
                partial(transfer, kernel, sample.object_shape),
                sigma**2 * lattice.cell_px,
            )
            for kernel in kernels
        ]
        estimate = estimate_phase(sample, images, lattice, EXPECTED)
        errors.append(((estimate.phase - phase) ** 2).mean())
        variances.append((phase**2).mean())
        share = estimate.share
    assert np.mean(errors) / np.mean(variances) == pytest.approx(1 - share, abs=0.02)
    assert 0.05 < share < 0.95, "neither trivial nor hopeless"


def test_without_noise_all_that_is_seen_is_recovered() -> None:
    sample, rng = raster_sample(1), np.random.default_rng(0)
    lattice = ScanLattice.of(sample)
    (kernel,) = kernels_of(sample, 1)
    phase = draw_phase(sample, rng)
    values = record_phase(sample, phase, kernel, 0.0, rng)
    image = LinearImage(
        spectrum_of(values, sample, lattice), partial(transfer, kernel, (48, 48)), 1e-12
    )
    estimate = estimate_phase(sample, [image], lattice, EXPECTED)
    found, true = np.fft.fft2(estimate.phase), np.fft.fft2(phase)
    seen = estimate.response > 0.999
    np.testing.assert_allclose(found[seen], true[seen], rtol=0.01, atol=0.01 * np.abs(true).max())
    assert seen.sum() > 200


def test_the_expected_power_is_that_of_the_expected_contrast() -> None:
    sample = raster_sample(4)
    scale = sample.operator.attrs.phase_scale_rad
    assert EXPECTED.power(sample).mean() == pytest.approx((0.2 * scale) ** 2)
    shifted = EXPECTED.power(sample, (5 / 48, 0.0))
    near = np.s_[:18]
    np.testing.assert_allclose(shifted[near], np.roll(EXPECTED.power(sample), -5, 0)[near])


def test_the_band_is_twice_the_aperture() -> None:
    """2 * 21.4 mrad / 0.0418 A in cycles per pixel of 0.4 A."""
    assert band_of(raster_sample(4)) == pytest.approx(2 * 0.5125 * 0.4, rel=1e-3)


def test_an_image_has_its_background_at_0_and_ends_at_0_and_1() -> None:
    """Where the beam was: what lies beyond the scan is not looked at."""
    ideal = make_ideal(window=24, object_shape=(64, 64), periodic=False, phase_scale_rad=0.5)
    y = ArrayPatterns(np.zeros((11, 11, 24, 24), dtype=np.float32))
    phase = np.full((64, 64), -0.3)
    phase[32, 32], phase[30, 30], phase[28, 28] = 9.0, -0.1, -1.0
    phase[:8] = -7.0
    found = image_of(phase, Sample("sample_00", y, ideal, PUBLIC_RANGES))
    assert found.dtype == np.float32
    assert found[40, 40] == 0.0
    assert (found[28, 28], found[32, 32]) == (0.0, 1.0)
    assert found[30, 30] == pytest.approx(0.4)
