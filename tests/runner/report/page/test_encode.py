"""What the page holds is what was measured."""

from __future__ import annotations

import base64
import zlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from runner.report.page.encode import exact, pack, quantised


def opened(packed: dict) -> np.ndarray:
    raw = zlib.decompress(base64.b64decode(packed["data"]))
    codes = np.frombuffer(raw, dtype=packed["type"]).reshape(packed["shape"])
    return packed.get("low", 0.0) + packed.get("step", 1.0) * codes.astype(np.float64)


shapes = arrays.array_shapes(min_dims=1, max_dims=4, max_side=5)


@given(arrays.arrays(np.float32, shapes, elements=st.integers(0, 65535).map(float)))
def test_counts_are_exact(counts: np.ndarray) -> None:
    np.testing.assert_array_equal(opened(quantised(counts)), counts)
    assert pack(counts).codes.dtype == (np.uint8 if counts.max() < 256 else np.uint16)


@given(arrays.arrays(np.float32, shapes, elements=st.floats(-1e6, 1e6, width=32)))
def test_other_numbers_are_within_half_a_step(values: np.ndarray) -> None:
    packed = pack(values)
    error = np.abs(opened(quantised(values)) - values)
    assert error.max() <= 0.5001 * packed.step + 1e-9 * np.abs(values).max()
    assert packed.step <= max(float(np.ptp(values)) / 65535, 1.0) * 1.0001


@given(arrays.arrays(np.float32, shapes, elements=st.floats(-1e6, 1e6, width=32)))
def test_floats_are_exact(values: np.ndarray) -> None:
    np.testing.assert_array_equal(opened(exact(values)), values)
