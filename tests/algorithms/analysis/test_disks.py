"""The probe's template and the fit of disks: against the operator, brute force, and the bound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import correlate2d

from algorithms.analysis.disks import fit_disks
from algorithms.analysis.template import ProbeTemplate, dirichlet
from physics.geometry import DetectorGeometry
from physics.operator import dft_matrix, vacuum_pattern
from schemas import MismatchSpec
from tests.helpers.nanobeam import SPEC
from tests.helpers.operators import make_ideal

EVEN = make_ideal(window=32, semiangle_mrad=9.0, C10_A=0.0)
ODD = make_ideal(window=31, semiangle_mrad=9.0, C10_A=-60.0)
IDEALS = [pytest.param(EVEN, id="even"), pytest.param(ODD, id="odd, defocused")]


@pytest.mark.parametrize("spec", [MismatchSpec(), SPEC], ids=["nominal", "mismatch"])
@pytest.mark.parametrize("ideal", IDEALS)
def test_a_disk_at_the_axis_is_the_operator_s_own_pattern(ideal, spec: MismatchSpec) -> None:
    template = ProbeTemplate.of(ideal, spec)
    middle = round(template.geometry.center)
    disk = template.disks(np.array([[spec.center_offset + ideal.window // 2 - middle] * 2]))[0][0]
    box = slice(middle - template.reach, middle + template.reach + 1)
    # The probe is stored in single precision.
    np.testing.assert_allclose(disk, vacuum_pattern(ideal, spec)[box, box], atol=1e-6)


@given(
    y=st.floats(-3, 3),
    x=st.floats(-3, 3),
    length=st.floats(-4, 4),
    ellipse=st.floats(-0.01, 0.01),
    odd=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_a_disk_anywhere_is_the_shifted_far_field(y, x, length, ellipse, odd) -> None:
    """Against the sum over the whole window at frequencies q(d) - q(c)."""
    ideal = ODD if odd else EVEN
    spec = MismatchSpec(camera_length=length, elliptical_distortion=ellipse)
    template = ProbeTemplate.of(ideal, spec)
    axis = np.arange(-template.reach, template.reach + 1)
    geometry = DetectorGeometry(ideal.window, spec)
    left = dft_matrix((axis - y) / geometry.scale_y, ideal.window)
    right = dft_matrix((axis - x) / geometry.scale_x, ideal.window)
    wave = left @ ideal.probe.astype(np.complex128) @ right.T
    found, by_y, by_x = template.disks(np.array([[y, x]]))
    np.testing.assert_allclose(
        found[0], geometry.area_element * np.abs(wave) ** 2, atol=1e-6 * found.max()
    )
    h = 1e-4
    for slope, step in ((by_y, np.array([h, 0.0])), (by_x, np.array([0.0, h]))):
        ahead, behind = (template.disks(np.array([[y, x]]) + s * step)[0] for s in (1, -1))
        np.testing.assert_allclose(slope, (ahead - behind) / (2 * h), atol=1e-5 * found.max())


@pytest.mark.parametrize("n", [15, 16])
def test_the_kernel_is_the_window_s_sum(n: int) -> None:
    u = np.concatenate([np.linspace(-7.3, 7.1, 50), [0.0, 1e-9, 1.0, -3.0]])
    symmetric = np.arange(n) - (n - 1) / 2
    brute = np.exp(-2j * np.pi * np.outer(u, symmetric) / n).mean(axis=1)
    value, slope = dirichlet(u, n)
    np.testing.assert_allclose(value, brute, atol=1e-12)
    ahead, behind = (dirichlet(u + s * 1e-4, n)[0] for s in (1, -1))
    np.testing.assert_allclose(slope, (ahead - behind) / 2e-4, atol=1e-6)


def test_correlation_is_the_least_squares_amplitude() -> None:
    template = ProbeTemplate.of(EVEN, SPEC)
    image = np.random.default_rng(0).poisson(3.0, (32, 32)).astype(float)
    disk = template.disks(np.zeros((1, 2)))[0][0]
    brute = correlate2d(image, disk, mode="valid") / np.square(disk).sum()
    inside = slice(template.reach, 32 - template.reach)
    np.testing.assert_allclose(template.correlate(image[None])[0][inside, inside], brute)


def drawn(electrons: float, count: int, *, background: float = 0.0, seed: int = 0):
    """Patterns with one disk each at random sub-pixel places, and these places."""
    rng = np.random.default_rng(seed)
    template = ProbeTemplate.of(EVEN, SPEC)
    offsets = rng.uniform(-0.5, 0.5, (count, 2))
    patterns = np.zeros((count, 32, 32))
    box = slice(16 - template.reach, 16 + template.reach + 1)
    patterns[:, box, box] = electrons * template.disks(offsets)[0]
    return template, rng.poisson(patterns + background).astype(float), 16 + offsets


@pytest.mark.parametrize("background", [0.0, 0.3])
@pytest.mark.parametrize("electrons", [40.0, 400.0])
def test_positions_are_unbiased_and_their_errors_true(electrons: float, background: float) -> None:
    template, patterns, places = drawn(electrons, 600, background=background)
    start = np.full_like(places, 16.0)
    everywhere = np.ones((32, 32), dtype=bool)
    found = fit_disks(patterns, np.arange(600), start, template, usable=everywhere)
    error = found.centers - places
    assert np.abs(error.mean(axis=0)).max() < 4 * error.std() / np.sqrt(600)
    # Forty electrons on a background of a third of them are not quite the asymptotic many.
    assert (error / found.sigma).std() == pytest.approx(1.0, abs=0.15)
    assert found.electrons.mean() == pytest.approx(electrons, rel=0.03)
    if background == 0.0:
        # The rim tells more than the centroid, of variance (r / 2)^2 / N on each axis.
        assert error.std() < 0.8 * EVEN.disk_radius_px / 2 / np.sqrt(electrons)


def test_broken_pixels_are_not_believed() -> None:
    template, patterns, places = drawn(400.0, 100)
    usable = np.ones((32, 32), dtype=bool)
    usable[17, 18] = usable[13, 16] = False
    patterns[:, ~usable] = 300.0
    start = np.full_like(places, 16.0)
    for believed, good in ((usable, True), (np.ones_like(usable), False)):
        found = fit_disks(patterns, np.arange(100), start, template, usable=believed)
        error = np.sqrt(np.mean((found.centers - places) ** 2))
        assert (error < 0.15) == good


def test_no_disk_is_no_error() -> None:
    template, patterns, _ = drawn(400.0, 2)
    none = np.zeros((0, 2))
    found = fit_disks(
        patterns, np.zeros(0, int), none, template, usable=np.ones((32, 32), dtype=bool)
    )
    assert found.centers.shape == (0, 2)
