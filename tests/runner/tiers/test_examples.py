"""Example scans: what they claim to be known is what they are."""

from __future__ import annotations

import numpy as np
import pytest

from physics.zone_axis import zone_axes
from runner.files.analysis import read_analysis
from runner.files.challenge import open_challenge
from runner.tiers.examples import (
    EXAMPLES,
    Deformation,
    DeformedCrystal,
    Grain,
    NanobeamScan,
    Polycrystal,
    build_example,
)
from runner.tiers.examples.deformed import bent_foil
from runner.tiers.examples.grains import gold_grains
from runner.tiers.examples.nanobeam import crystal_potential
from tests.helpers.nanobeam import nanobeam

RNG = np.random.default_rng(0)


def test_the_deformation_gradient_is_that_of_the_map() -> None:
    """dr0/dr by differences is F^-1."""
    deformation = bent_foil().deformation
    points = RNG.uniform(-200, 200, (20, 2))
    h = 1e-3
    columns = [
        (deformation.origins(points + step) - deformation.origins(points - step)) / (2 * h)
        for step in h * np.eye(2)
    ]
    inverse = np.stack(columns, axis=-1)
    np.testing.assert_allclose(inverse @ deformation.gradient(points), [np.eye(2)] * 20, atol=1e-9)


def test_atoms_are_where_the_strain_puts_them() -> None:
    """The potential of a stretched and turned crystal peaks at F times the lattice."""
    crystal = DeformedCrystal(deformation=Deformation.of(xx=0.02, yy=-0.01, rotation_deg=20.0))
    cell = zone_axes("gold")[0].cell_A
    forward = crystal.deformation.gradient(np.zeros(2))
    sites = np.array([[h, k] for h in (-3, 0, 2) for k in (-1, 1, 4)]) @ cell @ forward.T
    at = crystal.potential(sites, 0.4)
    for step in 0.3 * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]]):
        assert (crystal.potential(sites + step, 0.4) < at).all()
    np.testing.assert_allclose(at, at[0], rtol=1e-9)


def test_the_potential_repeats_with_the_cell_and_has_its_symmetry() -> None:
    for zone in zone_axes("silicon"):
        points = RNG.uniform(-5, 5, (50, 2))
        one = crystal_potential(zone, points, 0.4)
        np.testing.assert_allclose(crystal_potential(zone, points + zone.cell_A[1], 0.4), one)
        assert one.std() > 0.1


def test_boundaries_are_where_the_owner_changes() -> None:
    foil = gold_grains()
    points = RNG.uniform(-180, 180, (300, 2))
    truth, there = foil.truth(points)
    assert there.all()
    boundary = truth["boundary"].values
    directions = np.stack(
        [np.sin(np.linspace(0, 2 * np.pi, 180)), np.cos(np.linspace(0, 2 * np.pi, 180))], axis=1
    )
    for share, changes in ((0.98, False), (1.03, True)):
        around = points[:, None] + share * boundary[:, None, None] * directions
        owners = foil.truth(around.reshape(-1, 2))[0]["rotation"].values.reshape(300, 180)
        moved = (owners != truth["rotation"].values[:, None]).any(axis=1)
        assert (moved == changes).mean() > 0.97  # directions are two degrees apart


def test_one_grain_has_no_boundary() -> None:
    foil = Polycrystal("gold", (Grain((0.0, 0.0), 2, 5.0),))
    truth, _ = foil.truth(np.zeros((3, 2)))
    assert np.isinf(truth["boundary"].values).all()


def test_every_window_lies_in_the_object() -> None:
    scan = nanobeam(DeformedCrystal(), (3, 5))
    height, width = scan.object_shape
    half = scan.profile.window // 2
    positions = scan.positions_px()
    assert positions.min() == half
    assert (positions.max(axis=0) + half == [height, width]).all()
    np.testing.assert_allclose(scan.points_A().mean(axis=0), 0.0, atol=1e-9)


def test_files_are_a_challenge_and_its_truth(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = nanobeam(bent_foil(), (3, 4))
    monkeypatch.setattr(
        "runner.tiers.examples.build.EXAMPLES", {"small": ("", NanobeamScan(*_parts(small)))}
    )
    one, two = (
        build_example("small", tmp_path / name, seed=5, dose_e=3000.0) for name in ("a", "b")
    )
    assert one.challenge.read_bytes() == two.challenge.read_bytes()
    other = build_example("small", tmp_path / "c", seed=6, dose_e=3000.0)
    assert other.challenge.read_bytes() != one.challenge.read_bytes()
    truth = read_analysis(one.truth).samples["sample_00"]
    with open_challenge(one.challenge) as challenge:
        (sample,) = challenge
        assert sample.y.shape == (3, 4, 160, 160)
        assert sample.operator.attrs.dose_e == 3000.0
        assert sample.y.read(0, 12).sum(axis=(1, 2)).mean() == pytest.approx(3000.0, rel=0.03)
        assert sample.true_spec is not None
        assert truth.attrs.corrected_spec == pytest.approx(sample.true_spec.values())
    assert truth.attrs.scan_step_x_A == 20.0
    assert truth.maps["theta"].attrs.unit == "deg"


def _parts(scan: NanobeamScan) -> tuple:
    return scan.specimen, scan.profile


@pytest.mark.parametrize("name", EXAMPLES)
def test_specimens_are_thin(name: str) -> None:
    """Below pi no phase wraps: the potential's range over a cell, at the beam's energy."""
    _, scan = EXAMPLES[name]
    corner = NanobeamScan(scan.specimen, scan.profile.model_copy(update={"scan_shape": (2, 2)}))
    x, scale = corner.phase()
    assert 1.5 < scale < 2.5
    assert float(x.min()) == 0.0
    assert float(x.max()) == 1.0


def test_an_unknown_example_is_answered(stem4d) -> None:
    done = stem4d("tiers", "example", "frog")
    assert done.code == 2
    assert "strained-crystal" in done.err
