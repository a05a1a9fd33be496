"""Bright-field images of single pixels: where they belong, and what their sum shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from algorithms.base import Sample
from algorithms.tilted_images import TiltedImages, image_shifts
from algorithms.weak_phase import transfer
from physics.geometry import DetectorGeometry
from physics.ideal import ArrayPatterns, IdealOperator
from physics.operator import ForwardOperator
from schemas import MismatchSpec
from tests.helpers.operators import make_ideal
from tests.helpers.samples import PUBLIC_RANGES

SPEC = MismatchSpec(camera_length=1.5, center_offset=-0.8, elliptical_distortion=0.008)
USABLE = np.ones((32, 32), dtype=bool)
DEFOCUSED = make_ideal(
    window=32, object_shape=(48, 48), step=3, C10_A=-100.0, phase_scale_rad=1e-3, dose_e=1.0
)


def noiseless(ideal: IdealOperator, phase: np.ndarray, spec: MismatchSpec) -> Sample:
    """Expected electrons of a phase [rad], in double precision."""
    forward = ForwardOperator(ideal, dtype=torch.float64)
    expected = forward.expected(forward.tensor(phase), spec).numpy()
    side = round(np.sqrt(len(expected)))
    y = ArrayPatterns(expected.reshape(side, side, *expected.shape[1:]))
    return Sample("sample_00", y, ideal, PUBLIC_RANGES)


@pytest.mark.parametrize("cs_A", [0.0, 5e4])
def test_shifts_are_the_gradient_of_the_aberration_phase(cs_A: float) -> None:
    """lambda C10 q + Cs lambda^3 |q|^2 q, with q in A^-1, through any detector."""
    ideal = make_ideal(window=32, object_shape=(32, 32), C10_A=-80.0, Cs_A=cs_A)
    q_y, q_x = (q[8:24] for q in DetectorGeometry(32, SPEC).frequencies())
    q = np.stack([a.ravel() for a in np.meshgrid(q_y, q_x, indexing="ij")], axis=1)
    inside = np.hypot(*q.T) < ideal.disk_radius_px
    found = image_shifts(ideal, *q[inside].T) * 0.4
    k = q[inside] * ideal.detector_pixel_invA
    wavelength = ideal.attrs.wavelength_A
    square = (k**2).sum(axis=1, keepdims=True)
    expected = wavelength * -80.0 * k + cs_A * wavelength**3 * square * k
    # A step between pixels averages the cubic term: a few hundredths of an A at the rim.
    np.testing.assert_allclose(found, expected, atol=0.001 if cs_A == 0.0 else 0.05)
    assert np.abs(expected).max() > 0.5


@pytest.mark.parametrize("spec", [MismatchSpec(), SPEC], ids=["nominal", "mismatched"])
@pytest.mark.parametrize("turns", [(3, 2), (0, 7), (-5, 9), (11, 3)])
def test_the_sum_is_the_phase_times_its_transfer(
    turns: tuple[int, int], spec: MismatchSpec
) -> None:
    """At every frequency that a grating is seen at, itself and its aliases, by brute force."""
    rows, cols = np.indices((48, 48)) / 48
    phase = 1e-4 * np.cos(2 * np.pi * (turns[0] * rows + turns[1] * cols) + 0.3)
    sample = noiseless(DEFOCUSED, phase, spec)
    tilted = TiltedImages.of(DEFOCUSED, spec, USABLE)
    mean = sample.y.values.mean(axis=(0, 1))
    found = np.fft.fft2(tilted.aligned(sample, mean)) * 9  # pixels a position
    spectrum = np.fft.fft2(phase)
    aliases = [(m / 3, n / 3) for m in (-1, 0, 1) for n in (-1, 0, 1)]
    kernels = tilted.kernels(aliases)
    expected = np.zeros((48, 48), dtype=complex)
    for g, kernel in zip(aliases, kernels, strict=True):
        folded = np.roll(spectrum, (-round(48 * g[0]), -round(48 * g[1])), axis=(0, 1))
        expected += transfer(kernel, (48, 48), g) * folded
    expected[0, 0] = found[0, 0]
    np.testing.assert_allclose(found, expected, atol=3e-4 * np.abs(expected).max())


def test_for_defocus_the_transfer_is_the_sine_times_the_overlap_of_the_disk() -> None:
    """2 sin chi(k) times the share of the beam that the disk and the disk moved by k both have."""
    ideal = make_ideal(window=64, object_shape=(64, 64), sampling_A=0.2, C10_A=-70.0)
    tilted = TiltedImages.of(ideal, MismatchSpec(), np.ones((64, 64), dtype=bool))
    (kernel,) = tilted.kernels([(0.0, 0.0)])
    found = transfer(kernel, (64, 64))
    amplitude = np.abs(tilted.vacuum.wave)
    chosen = np.zeros((64, 64))
    chosen[tilted.rows, tilted.cols] = amplitude[tilted.rows, tilted.cols]
    product = np.fft.fft2(chosen).conj() * np.fft.fft2(amplitude)
    overlap = np.fft.ifft2(product).real
    frequency = np.fft.fftfreq(64, 0.2)
    k2 = frequency[:, None] ** 2 + frequency[None, :] ** 2
    chi = np.pi * ideal.attrs.wavelength_A * -70.0 * k2
    # Shifts are divided among whole pixels, which blurs by up to 1 - sinc^2(k).
    assert np.abs(found - 2 * np.sin(chi) * overlap).max() < 0.06
    assert np.abs(found).max() > 0.8


def test_broken_pixels_are_left_out() -> None:
    usable = USABLE.copy()
    usable[14, 17] = False
    found = TiltedImages.of(DEFOCUSED, MismatchSpec(), usable)
    whole = TiltedImages.of(DEFOCUSED, MismatchSpec(), USABLE)
    assert len(found.rows) == len(whole.rows) - 1
    assert (14, 17) not in set(zip(found.rows, found.cols, strict=True))


def test_blocks_are_the_whole() -> None:
    phase = np.random.default_rng(0).uniform(0.0, 0.5, (48, 48))
    sample = noiseless(DEFOCUSED, phase, SPEC)
    tilted = TiltedImages.of(DEFOCUSED, SPEC, USABLE)
    mean = sample.y.values.mean(axis=(0, 1))
    together = tilted.aligned(sample, mean)
    read: list[int] = []

    class Watched:
        shape = sample.y.shape

        def read(self, start: int, stop: int) -> np.ndarray:
            read.append(stop - start)
            return sample.y.read(start, stop)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("algorithms.tilted_images.BLOCK_VALUES", 50 * len(tilted.rows))
        patch.setattr("algorithms.tilted_images.BLOCK_KERNEL_VALUES", 10 * 32**2)
        apart = tilted.aligned(replace(sample, y=Watched()), mean)
        kernels = tilted.kernels([(0.0, 0.5)])
    np.testing.assert_allclose(apart, together, atol=1e-12)
    np.testing.assert_allclose(kernels, tilted.kernels([(0.0, 0.5)]), atol=1e-12)
    assert max(read) <= 50
