"""Each primitive against a reference of its own: an analytic case, a sum written out, scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import torch
from numpy.typing import NDArray
from skimage.transform import radon

from physics.primitives.base import Primitive
from physics.primitives.detector import CountingDetector, Detector, Noise, NoiseName
from physics.primitives.filters import Convolution, Propagation
from physics.primitives.fourier import FourierSampling, MaskedFourier
from physics.primitives.graph import compose
from physics.primitives.masks import (
    Modulation,
    StructuredIllumination,
    Summation,
    WavelengthSelection,
)
from physics.primitives.projection import KEPT_ENTRIES, FanBeam, ParallelBeam, Projection
from physics.primitives.resampling import Dispersion, Rotation

Array = NDArray[np.generic]


def apply(operator: Primitive, x: Array) -> Array:
    return operator.forward(torch.as_tensor(x)).numpy()


def error(found: Array, expected: Array) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def grid(side: int) -> tuple[Array, Array]:
    """(rows, cols) from the centre of a side x side image."""
    axis = np.arange(side) - (side - 1) / 2
    return axis[:, None], axis[None, :]


def blob(side: int, at: tuple[float, float], sigma: float) -> Array:
    rows, cols = grid(side)
    return np.exp(-((rows - at[0]) ** 2 + (cols - at[1]) ** 2) / (2 * sigma**2))


# --- P --------------------------------------------------------------------------------------------


def test_fresnel_spreads_a_gaussian_beam() -> None:
    """psi(r, z) = exp(-r^2 / (w0^2 q)) / q, q = 1 + i z / z_R, z_R = pi w0^2 / lambda (Siegman)."""
    side, pixel, waist, wavelength = 96, 0.25, 1.5, 0.1
    rows, cols = ((np.arange(side) - side // 2) * pixel for _ in range(2))
    squared = rows[:, None] ** 2 + cols[None, :] ** 2
    for distance in (20.0, -35.0):
        q = 1 + 1j * distance * wavelength / (np.pi * waist**2)
        free = Propagation.fresnel(
            (side, side), distance=distance, wavelength=wavelength, pixel=pixel
        )
        found = apply(free, np.exp(-squared / waist**2))
        assert error(found, np.exp(-squared / (waist**2 * q)) / q) < 1e-10


def test_rayleigh_sommerfeld_is_its_integral() -> None:
    """u(r) = z / (i lambda) sum u0 exp(i k R) / R^2 (1 + i / (k R)) dA, first kernel (Goodman 3.5).

    Far from paraxial: the beam is as narrow as the wavelength.
    """
    side, pixel, wavelength, distance = 128, 0.2, 1.0, 4.0
    axis = (np.arange(side) - side // 2) * pixel
    source = np.exp(-(axis[:, None] ** 2 + axis[None, :] ** 2) / 0.9**2)
    free = Propagation.rayleigh_sommerfeld(
        (side, side), distance=distance, wavelength=wavelength, pixel=pixel
    )
    found = apply(free, source)
    k = 2 * np.pi / wavelength
    for row, col in ((64, 64), (60, 70), (55, 64), (70, 50)):
        far = np.sqrt(
            (axis[row] - axis[:, None]) ** 2 + (axis[col] - axis[None, :]) ** 2 + distance**2
        )
        kernel = distance / (1j * wavelength) * np.exp(1j * k * far) / far**2 * (1 + 1j / (k * far))
        expected = (source * kernel).sum() * pixel**2 * np.exp(-1j * k * distance)
        assert abs(found[row, col] - expected) < 2e-3 * abs(found).max()
    paraxial = Propagation.fresnel(
        (side, side), distance=distance, wavelength=wavelength, pixel=pixel
    )
    assert error(apply(paraxial, source), found) > 0.05


def test_the_two_kernels_meet_where_the_beam_is_paraxial() -> None:
    lengths = {"distance": 50.0, "wavelength": 0.02, "pixel": 0.5}
    smooth = blob(64, (3.0, -2.0), 5.0)
    near = apply(Propagation.fresnel((64, 64), **lengths), smooth)
    assert error(apply(Propagation.rayleigh_sommerfeld((64, 64), **lengths), smooth), near) < 1e-4


def test_free_space_loses_no_electron_and_can_be_walked_back() -> None:
    free = Propagation.fresnel((10, 14), distance=3.0, wavelength=0.4, pixel=0.7)
    wave = torch.randn(10, 14, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
    there = free.forward(wave)
    assert torch.linalg.norm(there) == pytest.approx(float(torch.linalg.norm(wave)))
    torch.testing.assert_close(free.adjoint(there), wave)


# --- M, S, Lambda, Sigma --------------------------------------------------------------------------


def test_masks_multiply() -> None:
    rng = np.random.default_rng(0)
    cube, mask = rng.standard_normal((3, 4, 5)), rng.standard_normal((4, 5))
    np.testing.assert_allclose(apply(Modulation(mask, (3, 4, 5)), cube), cube * mask)
    band = WavelengthSelection.band_pass((3, 4, 5), [400, 500, 600], center=520, width=100)
    np.testing.assert_array_equal(apply(band, cube), cube * np.array([0, 1, 0])[:, None, None])
    np.testing.assert_allclose(apply(Summation((3, 4, 5), (0, 2)), cube), cube.sum(axis=(0, 2)))
    patterns = rng.standard_normal((2, 4, 5))
    np.testing.assert_allclose(apply(StructuredIllumination(patterns), mask), patterns * mask)


def test_a_single_pixel_camera_sees_everything() -> None:
    """Hadamard patterns, all light on one detector: (1 / HW) A^H A = 1."""
    camera = compose(StructuredIllumination.hadamard((4, 8)), Summation((32, 4, 8), (1, 2)))
    scene = torch.rand(4, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(camera.adjoint(camera.forward(scene)) / 32, scene)


def test_blocks_tile_the_image() -> None:
    patterns = apply(StructuredIllumination.blocks((4, 6), 2), np.ones((4, 6)))
    assert patterns.shape == (6, 4, 6)
    np.testing.assert_array_equal(patterns.sum(axis=0), np.ones((4, 6)))
    np.testing.assert_array_equal(patterns[1, :2, 2:4], np.ones((2, 2)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Modulation(np.ones((3, 4)), (4, 3)),
        lambda: StructuredIllumination(np.ones((3, 4))),
        lambda: StructuredIllumination.hadamard((3, 4)),
        lambda: StructuredIllumination.blocks((4, 6), 4),
        lambda: WavelengthSelection((3, 4, 5), np.ones(4)),
        lambda: Summation((3, 4), (2,)),
        lambda: Summation((3, 4), (1, 1)),
        lambda: Convolution((3, 4), np.ones((5, 1))),
        lambda: Dispersion((3, 4, 5), 1.0, np.ones((5, 4))),
        lambda: Noise(NoiseName.GAUSSIAN),
        lambda: Noise(NoiseName.POISSON, 1.0),
    ],
)
def test_what_does_not_fit_is_refused(make) -> None:
    with pytest.raises(ValueError, match=r"."):
        make()


# --- Pi and R -------------------------------------------------------------------------------------

ANGLES = (0.0, 17.0, 45.0, 60.0, 90.0, 133.0, 180.0, 290.0)


@pytest.mark.parametrize("bin_width", [1.0, 0.7])
def test_parallel_rays_through_a_gaussian(bin_width: float) -> None:
    """sqrt(2 pi) sigma exp(-(s - s0)^2 / 2 sigma^2) at every angle, s0 the blob's coordinate."""
    at, sigma = (5.0, -7.5), 3.0
    scanner = ParallelBeam(ANGLES, 61, bin_width)
    found = apply(Projection((48, 44), scanner), blob_in(48, 44, at, sigma))
    angle = np.deg2rad(ANGLES)[:, None]
    s = (np.arange(61) - 30)[None, :] * bin_width
    middle = at[1] * np.cos(angle) + at[0] * np.sin(angle)
    expected = math.sqrt(2 * np.pi) * sigma * np.exp(-((s - middle) ** 2) / (2 * sigma**2))
    assert error(found, expected) < 0.01


def blob_in(height: int, width: int, at: tuple[float, float], sigma: float) -> Array:
    rows = np.arange(height)[:, None] - (height - 1) / 2
    cols = np.arange(width)[None, :] - (width - 1) / 2
    return np.exp(-((rows - at[0]) ** 2 + (cols - at[1]) ** 2) / (2 * sigma**2))


def test_fan_rays_through_a_gaussian() -> None:
    """The integral depends on the distance p of the ray from the blob alone."""
    at, sigma, source, detector = (4.0, -6.0), 3.0, 60.0, 40.0
    scanner = FanBeam(ANGLES, 81, source, detector, 1.5)
    found = apply(Projection((48, 48), scanner), blob(48, at, sigma))
    expected = np.empty_like(found)
    for view, degrees in enumerate(ANGLES):
        c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        for number in range(81):
            offset = (number - 40) * 1.5
            start = np.array([s * source, -c * source])  # (x, y): at angle 0 the beam runs along y
            end = np.array([-s * detector + offset * c, c * detector + offset * s])
            way = (end - start) / np.linalg.norm(end - start)
            to = np.array([at[1], at[0]]) - start
            p = way[0] * to[1] - way[1] * to[0]
            expected[view, number] = math.sqrt(2 * np.pi) * sigma * np.exp(-(p**2) / (2 * sigma**2))
    assert error(found, expected) < 0.01


def test_a_source_far_away_is_a_parallel_beam() -> None:
    image = np.random.default_rng(2).uniform(0, 1, (20, 26))
    far = Projection((20, 26), FanBeam(ANGLES, 33, 1e7, 1.0))
    near = Projection((20, 26), ParallelBeam(ANGLES, 33))
    assert error(apply(far, image), apply(near, image)) < 1e-4


def test_projection_is_scikit_image_s_radon() -> None:
    """Whose angles count the other way round, and whose centre is the pixel at side // 2."""
    side = 65
    rows, cols = grid(side)
    image = blob(side, (6.0, -11.0), 4.0) + 0.5 * blob(side, (-8.0, 3.0), 5.0)
    image *= rows**2 + cols**2 <= 32**2
    theirs = radon(image, theta=-np.array(ANGLES), circle=True).T
    ours = apply(Projection((side, side), ParallelBeam(ANGLES, side)), image)
    assert error(ours, theirs) < 0.02


def test_a_projection_too_large_to_keep_is_the_same() -> None:
    image = np.random.default_rng(3).uniform(0, 1, (16, 18))
    scanner = ParallelBeam(ANGLES, 21)
    kept = Projection((16, 18), scanner)
    made_anew = Projection((16, 18), scanner)
    made_anew._kept = None
    np.testing.assert_array_equal(apply(made_anew, image), apply(kept, image))
    assert KEPT_ENTRIES > 8 * 21 * 2 * 18


def test_turning_and_adding_projects() -> None:
    """R then Sigma over the rows is Pi: two ways to one Radon transform."""
    side = 48
    image = blob(side, (5.0, -7.5), 3.0) + blob(side, (-6.0, 2.0), 4.0)
    turned = compose(Rotation((side, side), ANGLES), Summation((len(ANGLES), side, side), (1,)))
    direct = Projection((side, side), ParallelBeam(ANGLES, side))
    assert error(apply(turned, image), apply(direct, image)) < 0.02


def test_quarter_turns_are_exact() -> None:
    image = np.random.default_rng(4).uniform(0, 1, (7, 7))
    turned = apply(Rotation((7, 7), (0.0, 90.0, 180.0, -90.0)), image)
    for found, quarters in zip(turned, (0, 1, 2, -1), strict=True):
        np.testing.assert_allclose(found, np.rot90(image, quarters), atol=1e-12)


@pytest.mark.parametrize("angle", [13.0, -71.0, 200.0])
def test_rotation_is_scipy_s(angle: float) -> None:
    image = np.random.default_rng(5).uniform(0, 1, (9, 13))
    theirs = scipy.ndimage.rotate(image, angle, reshape=False, order=1, mode="grid-constant")
    np.testing.assert_allclose(apply(Rotation((9, 13), (angle,)), image)[0], theirs, atol=1e-10)


# --- F --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(8, 10), (7, 9)])
def test_samples_of_the_transform_are_the_sum(shape: tuple[int, int]) -> None:
    height, width = shape
    image = np.random.default_rng(6).standard_normal(shape)
    q_y, q_x = np.array([-2.5, 0.0, 1.0]), np.array([0.3, -3.0])
    found = apply(FourierSampling(shape, q_y, q_x), image)
    rows, cols = np.arange(height) - height // 2, np.arange(width) - width // 2
    for a, along in enumerate(q_y):
        for b, across in enumerate(q_x):
            turns = along * rows[:, None] / height + across * cols[None, :] / width
            expected = (image * np.exp(-2j * np.pi * turns)).sum() / math.sqrt(height * width)
            assert found[a, b] == pytest.approx(expected)


@pytest.mark.parametrize("shape", [(8, 10), (7, 9)])
def test_the_grid_and_the_matrices_meet(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(7).standard_normal(shape)
    mask = np.random.default_rng(8).uniform(0, 1, shape) < 0.5
    whole = FourierSampling(shape, *(np.arange(n) - n // 2.0 for n in shape))
    np.testing.assert_allclose(
        apply(MaskedFourier(mask), image), mask * apply(whole, image), atol=1e-12
    )


# --- C and W --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(3, 5), (4, 2), (1, 1), (9, 12)])
def test_convolution_is_scipy_s(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(9)
    image, psf = rng.standard_normal((9, 12)), rng.standard_normal(size)
    whole = scipy.signal.convolve2d(image, psf)
    row, col = size[0] // 2, size[1] // 2
    found = apply(Convolution((9, 12), psf, boundary="zero"), image)
    np.testing.assert_allclose(found, whole[row : row + 9, col : col + 12], atol=1e-12)
    wrapped = np.zeros((9, 12))
    for a in range(size[0]):
        for b in range(size[1]):
            wrapped += psf[a, b] * np.roll(image, (a - row, b - col), axis=(0, 1))
    np.testing.assert_allclose(apply(Convolution((9, 12), psf), image), wrapped, atol=1e-12)


def test_a_prism_shifts_each_band() -> None:
    cube = np.random.default_rng(10).uniform(0, 1, (3, 4, 5))
    aperture = np.random.default_rng(11).uniform(0, 1, (4, 5))
    found = apply(Dispersion((3, 4, 5), 2.0, aperture), cube)
    assert found.shape == (3, 4, 9)
    for band in range(3):
        np.testing.assert_allclose(found[band, :, 2 * band : 2 * band + 5], aperture * cube[band])
    np.testing.assert_allclose(found.sum(), (aperture * cube).sum())


def test_half_a_pixel_is_shared_and_nothing_lost() -> None:
    cube = np.random.default_rng(12).uniform(0, 1, (2, 3, 4))
    found = apply(Dispersion((2, 3, 4), -0.5), cube)
    assert found.shape == (2, 3, 5)
    np.testing.assert_allclose(found[0, :, 1:4], (cube[0, :, 1:] + cube[0, :, :-1]) / 2)
    np.testing.assert_allclose(found[1, :, :4], cube[1])
    np.testing.assert_allclose(found.sum(axis=2), cube.sum(axis=2))


# --- D --------------------------------------------------------------------------------------------

DRAWS = 40_000


@pytest.mark.parametrize(
    ("noise", "variance"),
    [
        (Noise(), 0.0),
        (Noise(NoiseName.GAUSSIAN, 0.8), 0.8**2),
        (Noise(NoiseName.POISSON), 2.0**2 * 3.0),
        (Noise(NoiseName.MIXED, 0.8), 2.0**2 * 3.0 + 0.8**2),
    ],
)
def test_a_detector_scatters_around_its_mean(noise: Noise, variance: float) -> None:
    """Gain 2 on three quanta a pixel: mean 6, variance gain^2 x quanta + read noise^2."""
    for detector, x in (
        (Detector((DRAWS,), 2.0, noise), np.full(DRAWS, 3.0)),
        (CountingDetector((DRAWS,), 12.0, 2.0, noise), np.full(DRAWS, 0.3 + 0.4j)),
    ):
        mean = apply(detector, x)
        np.testing.assert_allclose(mean, 6.0)
        counts = detector.sample(torch.as_tensor(x), np.random.default_rng(13))
        assert counts.dtype == np.float32
        spread = math.sqrt(variance / DRAWS)
        assert abs(counts.mean(dtype=np.float64) - 6.0) <= 5 * spread
        assert counts.var(dtype=np.float64) == pytest.approx(variance, rel=0.05)


def test_the_generator_decides_the_noise() -> None:
    detector = Detector((50,), 1.0, Noise(NoiseName.POISSON))
    x = torch.full((50,), 4.0)
    first, again, other = (detector.sample(x, np.random.default_rng(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
