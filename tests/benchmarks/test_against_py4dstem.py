"""The comparison with py4DSTEM's direct methods: its measure; the package itself is not needed."""

from __future__ import annotations

import ast

import numpy as np
import pytest

from benchmarks.peers.packages import ADAPTERS
from benchmarks.zoo.against_py4dstem import (
    COMPARISONS,
    PY4DSTEM,
    at_pixels_of,
    correlation,
    within_band,
)


def test_constant_and_scale_do_not_matter_but_sign_and_place_do() -> None:
    image = np.random.default_rng(0).normal(size=(16, 16))
    assert correlation(image, 3.0 * image + 7.0) == pytest.approx(1.0)
    assert correlation(image, -image) == pytest.approx(-1.0)
    assert abs(correlation(image, np.roll(image, 1, 0))) < 0.3


def test_a_finer_image_is_taken_at_the_coarser_ones_pixels() -> None:
    fine = np.arange(48.0).reshape(6, 8)
    found = at_pixels_of(fine, np.zeros((3, 2)))
    np.testing.assert_array_equal(found, [[0, 4], [16, 20], [32, 36]])


def test_only_what_is_finer_than_the_band_is_taken_away() -> None:
    rows = np.arange(20)[:, None] * np.ones((1, 20))
    coarse, fine = (np.cos(2 * np.pi * turns * rows / 20) for turns in (3, 7))
    np.testing.assert_allclose(within_band(coarse + fine, 0.25), coarse, atol=1e-12)


def test_the_adapter_knows_every_method() -> None:
    """Read from its source, as the package that it imports is not here."""
    tree = ast.parse((ADAPTERS / PY4DSTEM.adapter).read_text())
    (methods,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "METHODS"
    )
    assert isinstance(methods, ast.Dict)
    known = {key.value for key in methods.keys if isinstance(key, ast.Constant)}
    assert {comparison.theirs["method"] for comparison in COMPARISONS.values()} <= known
