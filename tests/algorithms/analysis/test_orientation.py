"""Orientation maps of simulated crystals whose zone axis and rotation are known."""

from __future__ import annotations

import numpy as np
import pytest

from algorithms.analysis.matching import PlanePattern
from algorithms.analysis.orientation import Orientation
from physics.zone_axis import zone_axes
from runner.tiers.examples import Deformation, DeformedCrystal, Grain, Hole, Polycrystal
from schemas import ContractError, MismatchSpec
from tests.helpers.nanobeam import SPEC, measured, nanobeam, rms
from tests.helpers.operators import make_ideal
from tests.helpers.samples import atoms
from tests.helpers.samples import measured as ptychographic

GRAINS = Polycrystal(
    "gold",
    (
        Grain((-50.0, -50.0), 0, 12.0),
        Grain((-50.0, 50.0), 1, -35.0),
        Grain((50.0, -50.0), 2, 21.0),
        Grain((50.0, 50.0), 1, 64.0),
    ),
)


@pytest.mark.parametrize(("dose", "limit"), [(8000.0, 0.06), (2000.0, 0.12)])
def test_grains_are_told_apart_and_turned_right(dose: float, limit: float) -> None:
    """Well below the demanded 0.3 degrees; away from boundaries every zone is right."""
    scan = nanobeam(GRAINS, (8, 8), dose_e=dose, scan_step_px=60)  # 12 A and more off boundaries
    maps = Orientation(crystal="gold").analyse(measured(scan), SPEC)
    truth, _ = scan.specimen.truth(scan.points_A())
    clear = (truth["boundary"].values > 15.0) & maps.valid.ravel()
    assert clear.sum() == 36
    zones = maps.maps["zone"].values.ravel()
    np.testing.assert_array_equal(zones[clear], truth["zone"].values[clear])
    off = maps.maps["rotation"].values.ravel() - truth["rotation"].values
    assert rms(off[clear]) < limit
    predicted = rms(maps.maps["rotation_error"].values.ravel()[clear])
    assert rms(off[clear]) == pytest.approx(predicted, rel=0.35)
    assert maps.maps["zone"].labels == ("gold [001]", "gold [011]", "gold [111]")
    reliability = maps.maps["reliability"].values.ravel()
    assert np.median(reliability[clear]) > 1.5
    mixed = (truth["boundary"].values < 13.0) & maps.valid.ravel()
    assert np.median(reliability[mixed]) < np.median(reliability[clear])


def test_one_crystal_against_its_own_average() -> None:
    """Without a crystal's name: the turn from the average pattern."""
    kappa = 3e-4
    bent = Deformation(gradient_per_A=(((0.0, 0.0), (0.0, kappa)), ((0.0, -kappa), (-kappa, 0.0))))
    scan = nanobeam(DeformedCrystal(deformation=bent, hole=Hole((0.0, 0.0), 35.0)), (8, 8))
    maps = Orientation().analyse(measured(scan), SPEC)
    truth, there = scan.specimen.truth(scan.points_A())
    both = there & maps.valid.ravel()
    off = (maps.maps["rotation"].values.ravel() - truth["theta"].values)[both]
    assert rms(off - np.median(off)) < 0.06
    assert np.ptp(maps.maps["rotation"].values) > 2.0
    vacuum = scan.specimen.hole.distance(scan.points_A()) < -18.0
    assert vacuum.any()
    assert not maps.valid.ravel()[vacuum].any()


def test_rotations_stay_within_what_the_symmetry_leaves() -> None:
    for degrees, seen in ((50.0, -40.0), (91.0, 1.0)):
        crystal = DeformedCrystal(deformation=Deformation.of(rotation_deg=degrees))
        maps = Orientation(crystal="gold").analyse(measured(nanobeam(crystal, (2, 2))), SPEC)
        np.testing.assert_allclose(maps.maps["rotation"].values, seen, atol=0.15)
        assert maps.diagnostics["symmetries"] == [4, 2, 6]


def test_an_uncorrected_ellipse_turns_the_crystal() -> None:
    """A stretch along x takes reflections off the diagonals; a crystal at 22 degrees shows it."""
    crystal = DeformedCrystal(deformation=Deformation.of(rotation_deg=22.0))
    spec = MismatchSpec(elliptical_distortion=0.05)
    sample = measured(nanobeam(crystal, (4, 4)), spec)
    corrected, nominal = (
        float(np.mean(Orientation(crystal="gold").analyse(sample, s).maps["rotation"].values))
        for s in (spec, MismatchSpec())
    )
    assert corrected == pytest.approx(22.0, abs=0.05)
    assert abs(nominal - 22.0) > 0.05


def test_turning_is_from_x_to_y_and_symmetries_are_the_zones() -> None:
    pattern = PlanePattern.of("one", np.array([[0.0, 0.5]]), np.ones(1))
    np.testing.assert_allclose(pattern.turned(np.array([np.pi / 2]))[0], [[0.5, 0.0]], atol=1e-12)
    assert pattern.symmetry(0.04) == 1
    for zone, n in zip(zone_axes("strontium-titanate"), (4, 2, 6), strict=True):
        found = zone.reflections(1.0)
        assert PlanePattern.of("", found.g_invA, found.intensity).symmetry(0.04) == n


def test_what_cannot_be_matched_is_refused() -> None:
    ideal = make_ideal(window=64, object_shape=(128, 128), sampling_A=0.2, C10_A=-100.0)
    sample = ptychographic(ideal, atoms((128, 128)), MismatchSpec())
    for method in (Orientation(), Orientation(crystal="gold")):
        with pytest.raises(ContractError, match="nanobeam") as caught:
            method.analyse(sample, MismatchSpec())
        assert caught.value.findings[0].code == "SAMPLE_UNSUITED"
    gold = measured(nanobeam(DeformedCrystal(), (2, 2)))
    with pytest.raises(ContractError, match="crystal=NAME") as caught:
        Orientation(crystal="silicon", least_disks=6).analyse(gold, SPEC)
    assert "with silicon" in caught.value.findings[0].found
    with pytest.raises(ContractError, match="one of gold"):
        Orientation(crystal="kryptonite").analyse(gold, SPEC)
