"""Detector geometry: the contract's formulas, round trips, and a circle found again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from physics.geometry import DetectorGeometry
from physics.operator import vacuum_pattern
from schemas.spec import MismatchSpec
from tests.helpers.operators import make_ideal, with_gaussian_probe
from tests.helpers.strategies import published_specs

pixels = st.integers(8, 257)
any_specs = st.builds(
    MismatchSpec,
    camera_length=st.floats(-30, 30),
    center_offset=st.floats(-20, 20),
    elliptical_distortion=st.floats(-0.3, 0.3),
)
"""Far beyond every published range."""


def test_where_a_wave_lands() -> None:
    """The contract's section 1 in numbers: +2 %, one pixel, 0.01, for q = (-10, 10)."""
    spec = MismatchSpec(camera_length=2.0, center_offset=1.0, elliptical_distortion=0.01)
    row, col = DetectorGeometry(64, spec).to_detector(np.array(-10.0), np.array(10.0))
    assert row == pytest.approx(32 + 1 - 1.02 * 0.99 * 10)
    assert col == pytest.approx(32 + 1 + 1.02 * 1.01 * 10)


@pytest.mark.parametrize("n", [8, 9])
def test_the_nominal_axis_is_the_pixel_at_half(n: int) -> None:
    q_y, q_x = DetectorGeometry(n).frequencies()
    assert q_y.tolist() == q_x.tolist() == [d - n // 2 for d in range(n)]


@given(n=pixels, spec=any_specs)
def test_detector_and_frequency_are_inverse(n: int, spec: MismatchSpec) -> None:
    geometry = DetectorGeometry(n, spec)
    rng = np.random.default_rng(n)
    q_y, q_x = rng.uniform(-n, n, (2, 20))
    back = geometry.to_frequency(*geometry.to_detector(q_y, q_x))
    np.testing.assert_allclose(back, (q_y, q_x), atol=1e-10)
    np.testing.assert_allclose(
        geometry.to_detector(*geometry.to_frequency(q_y, q_x)), (q_y, q_x), atol=1e-10
    )


@given(n=pixels, spec=any_specs)
def test_frequencies_are_those_of_the_pixels(n: int, spec: MismatchSpec) -> None:
    geometry = DetectorGeometry(n, spec)
    rows, cols = geometry.to_detector(*geometry.frequencies())
    np.testing.assert_allclose(rows, np.arange(n), atol=1e-9)
    np.testing.assert_allclose(cols, np.arange(n), atol=1e-9)


@given(n=pixels, spec=any_specs)
def test_area_element_is_the_area_that_a_pixel_sees(n: int, spec: MismatchSpec) -> None:
    geometry = DetectorGeometry(n, spec)
    q_y, q_x = geometry.frequencies()
    assert geometry.area_element == pytest.approx((q_y[1] - q_y[0]) * (q_x[1] - q_x[0]))


@given(n=pixels, spec=published_specs)
def test_jacobians_are_slopes(n: int, spec: MismatchSpec) -> None:
    geometry = DetectorGeometry(n, spec)
    jacobian = np.stack(geometry.frequency_jacobian())
    by_area = geometry.log_area_gradient()
    for parameter, step in enumerate((1e-4, 1e-4, 1e-6)):
        vector, change = np.array(spec.vector()), step * np.eye(3)[parameter]
        ahead, behind = (
            DetectorGeometry(n, MismatchSpec.from_vector(tuple(vector + s * change)))
            for s in (1, -1)
        )
        difference = np.stack(ahead.frequencies()) - np.stack(behind.frequencies())
        np.testing.assert_allclose(
            jacobian[:, parameter], difference / (2 * step), rtol=1e-6, atol=1e-6
        )
        area = np.log(ahead.area_element / behind.area_element) / (2 * step)
        assert by_area[parameter] == pytest.approx(area, rel=1e-6, abs=1e-9)


def spec_of_ellipse(
    n: int, radius_px: float, center: tuple[float, float], radii: tuple[float, float]
) -> tuple[float, float, float, float]:
    """(dL, dc along rows, dc along columns, eps) of an ellipse that was a circle of `radius_px`."""
    scale_y, scale_x = radii[0] / radius_px, radii[1] / radius_px
    length = (scale_y + scale_x) / 2
    ellipse = (scale_x - scale_y) / (scale_x + scale_y)
    return 100 * (length - 1), center[0] - n // 2, center[1] - n // 2, ellipse


@given(spec=any_specs, radius=st.floats(2.0, 40.0))
def test_a_circle_distorted_and_fitted_back(spec: MismatchSpec, radius: float) -> None:
    """Points on the rim, a conic fitted to them by least squares: the three parameters again."""
    n, angle = 128, np.linspace(0, 2 * np.pi, 40, endpoint=False)
    geometry = DetectorGeometry(n, spec)
    rows, cols = geometry.to_detector(radius * np.sin(angle), radius * np.cos(angle))
    y, x = rows - n // 2, cols - n // 2
    a, b, c, d = np.linalg.lstsq(np.stack([y**2, x**2, y, x], axis=1), np.ones(40), rcond=None)[0]
    center = (-c / (2 * a), -d / (2 * b))
    level = 1 + a * center[0] ** 2 + b * center[1] ** 2
    radii = (np.sqrt(level / a), np.sqrt(level / b))
    center = (center[0] + n // 2, center[1] + n // 2)
    length, offset_y, offset_x, ellipse = spec_of_ellipse(n, radius, center, radii)
    assert length == pytest.approx(spec.camera_length, abs=1e-6)
    assert offset_y == pytest.approx(spec.center_offset, abs=1e-6)
    assert offset_x == pytest.approx(spec.center_offset, abs=1e-6)
    assert ellipse == pytest.approx(spec.elliptical_distortion, abs=1e-8)
    disk = geometry.disk(radius)
    assert (disk.center_y, disk.center_x) == pytest.approx(center)
    assert (disk.radius_y, disk.radius_x) == pytest.approx(radii)


@given(spec=published_specs)
def test_a_round_pattern_distorted_and_measured_back(spec: MismatchSpec) -> None:
    """The same through the operator: centre and width of a round, smooth pattern."""
    ideal = with_gaussian_probe(make_ideal(window=32), 2.5)
    n, axis = ideal.window, np.arange(ideal.window)

    def moments(pattern: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
        sides = [pattern.sum(axis=other) / pattern.sum() for other in (1, 0)]
        centers = [float(side @ axis) for side in sides]
        widths = [
            float(np.sqrt(side @ (axis - center) ** 2))
            for side, center in zip(sides, centers, strict=True)
        ]
        return (centers[0], centers[1]), (widths[0], widths[1])

    _, (width, _) = moments(vacuum_pattern(ideal, MismatchSpec()))
    center, widths = moments(vacuum_pattern(ideal, spec))
    length, offset_y, offset_x, ellipse = spec_of_ellipse(n, width, center, widths)
    assert length == pytest.approx(spec.camera_length, abs=1e-4)
    assert offset_y == pytest.approx(spec.center_offset, abs=1e-6)
    assert offset_x == pytest.approx(spec.center_offset, abs=1e-6)
    assert ellipse == pytest.approx(spec.elliptical_distortion, abs=1e-6)
