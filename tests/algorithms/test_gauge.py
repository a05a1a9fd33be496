"""What the data cannot decide, and what the stated prior decides instead (`algorithms.prior`).

A constant added to the phase changes nothing. A ramp is a shift of the detector's centre: exactly
so for an object that is not periodic. The prior: no net ramp, background at 0.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from algorithms.calibrators.gradient import Gradient
from algorithms.prior import pin_background
from algorithms.reconstructors.ptychography import Ptychography
from physics.gauge import Gauge
from physics.geometry import DetectorGeometry
from physics.ideal import IdealOperator
from physics.operator import ForwardOperator
from runner.scoring.metrics import psnr_db
from schemas import MismatchSpec
from tests.helpers.operators import OPERATORS, make_ideal, random_phase
from tests.helpers.samples import atoms, measured
from tests.helpers.strategies import published_specs

PADDED = make_ideal(
    window=24,
    object_shape=(84, 84),
    step=3,
    periodic=False,
    C10_A=-60.0,
    phase_scale_rad=0.5,
    dose_e=8000.0,
)
INNER = (slice(16, -16), slice(16, -16))
"""What the scan has met."""


def ramp(ideal: IdealOperator, rows: float, cols: float) -> NDArray[np.float64]:
    """Phase (H, W) [rad] that moves every pattern by (rows, cols) nominal detector pixels."""
    y, x = np.indices(ideal.attrs.object_shape)
    return 2 * np.pi / ideal.window * (rows * y + cols * x)


def patterns(ideal: IdealOperator, phase: NDArray[np.float64], spec: MismatchSpec) -> torch.Tensor:
    forward = ForwardOperator(ideal, dtype=torch.float64)
    return forward.expected(forward.tensor(phase), spec)


# --- what the data cannot decide ------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(OPERATORS))
@settings(max_examples=5)
@given(constant=st.floats(-10, 10), spec=published_specs)
def test_a_constant_changes_nothing(name: str, constant: float, spec: MismatchSpec) -> None:
    ideal = OPERATORS[name]
    phase = random_phase(ideal)
    torch.testing.assert_close(
        patterns(ideal, phase + constant, spec), patterns(ideal, phase, spec)
    )


@pytest.mark.parametrize("name", ["padded", "padded, fractional"])
@given(spec=published_specs, shift=st.floats(-3, 3))
@settings(max_examples=20)
def test_a_ramp_is_a_centre_offset(name: str, spec: MismatchSpec, shift: float) -> None:
    """Exactly: the same patterns, whichever of the two carries the shift."""
    ideal = OPERATORS[name]
    phase = random_phase(ideal)
    geometry = DetectorGeometry(ideal.window, spec)
    moved = spec.model_copy(update={"center_offset": spec.center_offset + shift})
    ramped = phase + ramp(ideal, shift / geometry.scale_y, shift / geometry.scale_x)
    # A probe between the pixels takes its ramp from the middle of the window: only near it exact.
    tolerance = {"rtol": 1e-9, "atol": 1e-9} if name == "padded" else {"rtol": 0.3, "atol": 3.0}
    torch.testing.assert_close(
        patterns(ideal, ramped, spec), patterns(ideal, phase, moved), **tolerance
    )


def test_whole_turns_over_a_supercell_are_an_offset_too() -> None:
    """A periodic object has no ramp but those that close on themselves."""
    ideal = make_ideal(window=16, object_shape=(32, 48))
    phase = random_phase(ideal)
    turns = ramp(ideal, 16 / 32 * 2, 16 / 48 * 3)
    np.testing.assert_allclose(np.exp(1j * (turns[-1] + 2 * np.pi / 32 * 2)), np.exp(1j * turns[0]))
    torch.testing.assert_close(
        patterns(ideal, phase + turns, MismatchSpec()),
        patterns(ideal, phase, MismatchSpec(center_offset=1.0)),
    )


# --- what the prior decides -----------------------------------------------------------------------


@pytest.mark.parametrize("shift", [0.0, 0.5, -0.3])
def test_a_ramp_in_x_comes_back_as_a_centre_offset(shift: float) -> None:
    """And an offset of the centre comes back as one, never as a ramp in x."""
    x = atoms((84, 84), count=100, seed=3)
    spec = MismatchSpec(camera_length=1.0, center_offset=0.6, elliptical_distortion=0.003)
    tilted = x + ramp(PADDED, shift, shift) / PADDED.attrs.phase_scale_rad
    sample = measured(PADDED, tilted.astype(np.float32), spec)
    found = Gradient().estimate(sample)
    expected = spec.center_offset + shift * (1 + spec.camera_length / 100)
    assert found.spec.center_offset == pytest.approx(expected, abs=0.004)
    assert found.spec.camera_length == pytest.approx(spec.camera_length, abs=0.06)
    assert found.spec.elliptical_distortion == pytest.approx(0.003, abs=0.001)

    x_hat = Ptychography().reconstruct(sample, found.spec).x_hat
    assert psnr_db(x_hat[INNER], x[INNER]) > 23
    for axis in (0, 1):
        difference = (x_hat - x)[INNER].mean(axis=axis)
        slope = np.polyfit(np.arange(len(difference)), difference, 1)[0]
        assert abs(slope) * len(difference) < 0.03


@given(
    slopes=st.tuples(st.floats(-3, 3), st.floats(-3, 3)),
    constant=st.floats(-2, 2),
    seed=st.integers(0, 100),
)
@settings(max_examples=30)
def test_the_gauge_takes_ramps_out(slopes: tuple[float, float], constant: float, seed: int) -> None:
    """Where the beam was, a projection: without a ramp it stays, ramps go, constants are kept."""
    rng = np.random.default_rng(seed)
    window = torch.as_tensor(rng.uniform(0.5, 1, (12, 17)))
    phase = torch.as_tensor(rng.standard_normal((12, 17)))
    y, x = np.indices((12, 17))
    plane = torch.as_tensor(slopes[0] * y + slopes[1] * x)
    gauge = Gauge.of(window, periodic=False)
    flat = gauge.project(phase)
    torch.testing.assert_close(gauge.project(flat), flat)
    moved = gauge.project(phase + plane) - flat
    torch.testing.assert_close(moved, moved[0, 0].expand_as(moved))
    torch.testing.assert_close(gauge.project(phase + constant), flat + constant)
    assert Gauge.of(window, periodic=True).project(phase) is phase


@given(seed=st.integers(0, 100), periodic=st.booleans())
@settings(max_examples=20)
def test_the_gauge_s_adjoint(seed: int, periodic: bool) -> None:
    """<Q v, w> = <v, Q^T w>, also where the beam hardly was."""
    rng = np.random.default_rng(seed)
    window = torch.as_tensor(rng.uniform(0, 1, (12, 17)))
    v, w = (torch.as_tensor(rng.standard_normal((12, 17))) for _ in range(2))
    gauge = Gauge.of(window, periodic=periodic)
    left, right = (gauge.project(v) * w).sum(), (v * gauge.adjoint(w)).sum()
    assert float(left) == pytest.approx(float(right), abs=1e-10)
    torch.testing.assert_close(gauge.project(gauge.project(v)), gauge.project(v))


@given(constant=st.floats(-0.3, 0.3), seed=st.integers(0, 100))
@settings(max_examples=30)
def test_background_is_pinned_to_zero(constant: float, seed: int) -> None:
    """Whatever constant the data left; what lies beyond the scan has no say, and 0..1 is kept."""
    rng = np.random.default_rng(seed)
    x = torch.as_tensor(0.5 * atoms((40, 40), count=8, seed=seed), dtype=torch.float64)
    x = x + 0.01 * torch.as_tensor(rng.standard_normal((40, 40)))
    window = torch.ones(40, 40, dtype=torch.float64)
    window[:, 30:] = 0.1
    beyond = x.clone()
    beyond[:, 30:] -= 7.0
    pinned = pin_background(beyond + constant, window)
    assert pinned.min() >= 0
    assert pinned.max() <= 1
    torch.testing.assert_close(pinned[:, :30], pin_background(x, window)[:, :30])
    assert float(pinned[:, :30].median()) == pytest.approx(float(x[:, :30].median()), abs=0.04)
