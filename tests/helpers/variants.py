"""Files of other variants of the benchmark, written with h5py alone, as theirs are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

RANGES = {
    "blur_error": {"min": -0.2, "max": 0.3, "unit": "px"},
    "gain_error": {"min": 0.5, "max": 1.5, "unit": ""},
}
"""As other files of the benchmark have them: by name."""

TRUE_SPEC = {"blur_error": 0.1, "gain_error": 1.0, "n_views": 3.0}

NOTATION = "C(psf) → D(g, η₁)"


def scene(side: int = 32) -> NDArray[np.float64]:
    """A disk, a bar and a hole on an empty background, in [0, 1]."""
    row, col = np.mgrid[:side, :side] - (side - 1) / 2
    image = np.where(np.hypot(row, col) < 0.38 * side, 0.5, 0.0)
    image[(np.abs(row - 2) < 0.1 * side) & (np.abs(col + 4) < 0.08 * side)] = 1.0
    image[np.hypot(row + 4, col - 4) < 0.08 * side] = 0.2
    return image


def blur_matrix(side: int, sigma: float = 1.2) -> NDArray[np.float64]:
    """A Gaussian blur along rows and columns, zero outside, on flattened images."""
    axis = np.arange(side)
    line = np.exp(-((axis[:, None] - axis[None, :]) ** 2) / (2 * sigma**2))
    line /= line[side // 2].sum()
    return np.kron(line, line)


def write_variant(
    path: Path,
    samples: Mapping[str, Mapping[str, Any]],
    *,
    attrs: Mapping[str, Any] | None = None,
) -> Path:
    """A file of another variant: datasets and attributes of each sample, as they are given.

    Mappings and lists become JSON attributes; arrays become datasets; text an attribute.
    """
    with h5py.File(path, "w") as file:
        for name, value in (attrs or {"variant": "widefield", "tier": "public"}).items():
            file.attrs[name] = value
        for name, items in samples.items():
            group = file.create_group(name)
            for key, value in items.items():
                if isinstance(value, np.ndarray):
                    group[key] = value
                else:
                    group.attrs[key] = value if isinstance(value, str) else json.dumps(value)
    return path


def blurred(side: int = 32, *, noise: float = 0.02, seed: int = 0) -> dict[str, Any]:
    """A blurred, noisy scene with its truth; H is the blur's matrix."""
    matrix, image = blur_matrix(side), scene(side)
    y = (matrix @ image.ravel()).reshape(side, side)
    y += noise * np.random.default_rng(seed).standard_normal(y.shape)
    return {
        "y": y.astype(np.float32),
        "H_ideal": matrix.astype(np.float32),
        "x_true": image.astype(np.float32),
        "spec_ranges": RANGES,
        "true_spec": TRUE_SPEC,
        "metadata": {"scene": "disk", "shape": [side, side], "notation": NOTATION},
    }


def noisy(side: int = 32, *, noise: float = 0.1, seed: int = 1) -> dict[str, Any]:
    """A noisy scene with its truth; H is the identity."""
    image = scene(side)
    y = image + noise * np.random.default_rng(seed).standard_normal(image.shape)
    return {
        "y": y.astype(np.float32),
        "H_ideal": np.eye(side, dtype=np.float32),
        "x_true": image.astype(np.float32),
        "spec_ranges": [],
        "metadata": {"scene": "noise", "noise_model": "gaussian"},
    }
