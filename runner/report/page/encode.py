"""Arrays as the page holds them: quantised, deflated, in base64, opened by static/decode.js."""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVEL = 9
"""Deflate as well as it can: a page is made once and opened often."""


@dataclass(frozen=True)
class Packed:
    """value = low + step * code.

    Attributes:
        codes: uint8 or uint16.
        low: value of code 0.
        step: difference of neighbouring codes.
    """

    codes: NDArray[np.uint8] | NDArray[np.uint16]
    low: float
    step: float


def pack(values: NDArray[np.floating[Any]]) -> Packed:
    """Counts exactly where they are whole numbers up to 65535, all else in 65536 even steps."""
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high < 65536 and np.array_equal(values, np.rint(values)):
        codes = values.astype(np.uint8) if high < 256 else values.astype(np.uint16)
        return Packed(codes, 0.0, 1.0)
    step = (high - low) / 65535 or 1.0
    whole = np.rint((values.astype(np.float64) - low) / step)
    return Packed(np.clip(whole, 0, 65535).astype(np.uint16), low, step)


def quantised(values: NDArray[np.floating[Any]]) -> dict[str, Any]:
    """An array as the page's data holds it."""
    packed = pack(values)
    little = packed.codes.astype(packed.codes.dtype.newbyteorder("<"))
    return {
        "shape": list(values.shape),
        "type": packed.codes.dtype.name,
        "low": packed.low,
        "step": packed.step,
        "data": _text(little.tobytes()),
    }


def exact(values: NDArray[np.floating[Any]]) -> dict[str, Any]:
    """The same in float32, where a quantised probe would not do."""
    little = np.ascontiguousarray(values, dtype="<f4")
    return {"shape": list(values.shape), "type": "float32", "data": _text(little.tobytes())}


def _text(raw: bytes) -> str:
    return base64.b64encode(zlib.compress(raw, LEVEL)).decode("ascii")
