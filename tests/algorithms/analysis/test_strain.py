"""Strain maps of simulated crystals whose strain is known, by the exact operator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from algorithms.analysis.base import Maps
from algorithms.analysis.strain import Strain
from algorithms.base import Sample
from algorithms.calibrators.pacbed import Pacbed
from physics.ideal import ArrayPatterns
from physics.zone_axis import zone_axes
from runner.tiers.examples import Deformation, DeformedCrystal, Hole
from runner.tiers.examples.deformed import bent_foil
from schemas import ContractError, MismatchSpec
from tests.helpers.nanobeam import COMPONENTS, SPEC, error, measured, nanobeam, rms
from tests.helpers.operators import make_ideal
from tests.helpers.samples import atoms
from tests.helpers.samples import measured as ptychographic

GOLD_INVA = tuple((float(y), float(x)) for y, x in zone_axes("gold")[0].reciprocal_invA)
UNIFORM = DeformedCrystal(
    deformation=Deformation.of(xx=0.013, yy=-0.008, xy=0.004, rotation_deg=3.0)
)
BENT = nanobeam(replace(bent_foil(), hole=None), (11, 11), scan_step_px=90)
HOLED = nanobeam(replace(bent_foil(), hole=Hole((40.0, -40.0), 40.0)), (8, 8))


@pytest.fixture(scope="module")
def bent() -> Sample:
    return measured(BENT)


@pytest.fixture(scope="module")
def holed() -> Sample:
    return measured(HOLED)


@pytest.fixture(scope="module")
def holed_maps(holed: Sample) -> Maps:
    return Strain().analyse(holed, SPEC)


def test_gradients_are_mapped_below_a_thousandth_at_the_default_dose(bent: Sample) -> None:
    """The demanded accuracy: 0.001 rms, 0.3 degrees, 8000 electrons a pattern."""
    assert BENT.profile.dose_e == 8000.0
    maps = Strain(lattice_invA=GOLD_INVA).analyse(bent, SPEC)
    assert maps.valid.all()
    for name in COMPONENTS[:3]:
        off = error(maps, BENT, name)
        assert rms(off) < 1e-3
        assert abs(np.mean(off)) < 3e-4
        assert np.ptp(maps.maps[name].values) > (0.0 if name == "e_xy" else 0.015)
        predicted = rms(maps.maps[f"{name}_error"].values[maps.valid])
        assert rms(off) == pytest.approx(predicted, rel=0.25)
    assert rms(error(maps, BENT, "theta")) < 0.06


def test_vacuum_is_not_valid_and_holds_no_number(holed_maps: Maps) -> None:
    maps = holed_maps
    outside = HOLED.specimen.hole.distance(HOLED.points_A()).reshape(8, 8)
    assert (outside < -20.0).any()
    assert not maps.valid[outside < -20.0].any()
    assert maps.valid[outside > 5.0].all()
    for entry in maps.maps.values():
        assert (entry.values[~maps.valid] == 0).all()
        assert np.isfinite(entry.values).all()


def test_the_same_sample_gives_the_same_bytes(holed: Sample, holed_maps: Maps) -> None:
    again = Strain().analyse(holed, SPEC)
    for name, entry in holed_maps.maps.items():
        assert entry.values.tobytes() == again.maps[name].values.tobytes()


def test_blocks_change_nothing(
    holed: Sample, holed_maps: Maps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("algorithms.analysis.patterns.BLOCK_BYTES", 7 * 8 * 160**2)
    largest = 0

    class Watched(ArrayPatterns):
        def read(self, start: int, stop: int) -> np.ndarray:
            nonlocal largest
            largest = max(largest, stop - start)
            return super().read(start, stop)

    monkeypatch.setattr("algorithms.pixels.BLOCK_BYTES", 7 * 4 * 160**2)
    parts = Strain().analyse(replace(holed, y=Watched(holed.y.values)), SPEC)
    assert largest == 7
    np.testing.assert_array_equal(parts.valid, holed_maps.valid)
    for name in COMPONENTS:
        np.testing.assert_allclose(parts.maps[name].values, holed_maps.maps[name].values, atol=1e-6)


def test_uniform_strain_and_rotation_are_absolute_against_a_given_lattice() -> None:
    """The mean over 36 positions: sign, axes and size of each component."""
    scan = nanobeam(UNIFORM)
    maps = Strain(lattice_invA=GOLD_INVA).analyse(measured(scan), SPEC)
    for name, true in zip(COMPONENTS, (0.013, -0.008, 0.004, 3.0), strict=True):
        values, errors = maps.maps[name].values, maps.maps[f"{name}_error"].values
        assert np.mean(values) == pytest.approx(true, abs=4 * np.mean(errors) / 6)


def test_an_uncorrected_detector_is_taken_for_strain_and_a_corrected_one_is_not() -> None:
    """3 % of camera length, 0.8 % of ellipse, a given lattice: why calibration matters."""
    scan = nanobeam(DeformedCrystal())
    sample = measured(scan)
    found = Pacbed().estimate(sample).spec
    mean = {
        title: [
            float(np.mean(Strain(lattice_invA=GOLD_INVA).analyse(sample, spec).maps[name].values))
            for name in ("e_xx", "e_yy")
        ]
        for title, spec in (("nominal", MismatchSpec()), ("corrected", found))
    }
    # Spots at (1 + dL)(1 +- eps) g look like lattice vectors that are that much shorter.
    expected = [1 / (1.03 * 1.008) - 1, 1 / (1.03 * 0.992) - 1]
    np.testing.assert_allclose(mean["nominal"], expected, atol=1e-3)
    np.testing.assert_allclose(mean["corrected"], 0.0, atol=1e-3)


def test_a_region_is_the_reference(holed: Sample) -> None:
    maps = Strain(region=(0, 3, 2, 8)).analyse(holed, SPEC)
    for name in COMPONENTS:
        values = maps.maps[name].values[0:3, 2:8]
        assert abs(np.median(values)) < (0.02 if name == "theta" else 3e-4)
    assert maps.diagnostics["reference"] == "median of a region"
    rows = maps.maps["e_xx"].values[7]
    assert np.median(rows) == pytest.approx(-1e-4 * 20 * 6, abs=2e-3)  # kappa, step, rows apart


def test_broken_pixels_cost_nothing() -> None:
    scan = nanobeam(UNIFORM)
    sample = measured(scan)
    counts = sample.y.values.copy()
    counts[..., 78:80, 80] = 0.0  # in the direct beam
    counts[..., 49, 82] = 0.0  # at the rim of a diffracted disk
    counts[..., 120, 20] = 3000.0  # stuck, between the disks
    maps = Strain(lattice_invA=GOLD_INVA).analyse(replace(sample, y=ArrayPatterns(counts)), SPEC)
    assert maps.valid.all()
    assert abs(np.mean(error(maps, scan, "e_xx"))) < 7e-4
    assert abs(np.mean(error(maps, scan, "e_yy"))) < 7e-4


def test_large_rotations_are_followed() -> None:
    """Seven degrees to either side: disks lie up to their diameter off the average's, and more."""
    kappa = 8e-4
    bent = Deformation(gradient_per_A=(((0.0, 0.0), (0.0, kappa)), ((0.0, -kappa), (-kappa, 0.0))))
    scan = nanobeam(DeformedCrystal(deformation=bent), (2, 9), scan_step_px=100)
    maps = Strain(lattice_invA=GOLD_INVA).analyse(measured(scan), SPEC)
    assert maps.valid.all()
    assert np.ptp(maps.maps["theta"].values) > 14.0
    assert maps.maps["disks"].values.min() >= 8
    assert rms(error(maps, scan, "theta")) < 0.08
    assert rms(error(maps, scan, "e_xx")) < 2e-3


def test_a_position_needs_its_disks(holed: Sample, holed_maps: Maps) -> None:
    disks = holed_maps.maps["disks"].values
    strict = Strain(least_disks=12).analyse(holed, SPEC)
    np.testing.assert_array_equal(strict.valid, disks >= 13)
    assert 0 < strict.valid.sum() < (disks > 0).sum()
    with pytest.raises(ContractError, match="99 diffracted disks") as caught:
        Strain(least_disks=99).analyse(holed, SPEC)
    assert caught.value.findings[0].code == "SAMPLE_UNSUITED"


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (Strain(region=(0, 99, 0, 3)), "within 8 x 8"),
        (Strain(region=(7, 7, 0, 3)), "within 8 x 8"),
        (Strain(region=(5, 6, 1, 3)), "valid positions"),
        (Strain(region=(0, 2, 0, 2), lattice_invA=GOLD_INVA), "one reference"),
        (Strain(lattice_invA=((0.0, 0.35), (0.35, 0.0))), "the specimen's lattice"),
        (Strain(lattice_invA=((0.0, 0.0), (0.35, 0.0))), "the specimen's lattice"),
    ],
)
def test_bad_references_are_refused(holed: Sample, wrong: Strain, word: str) -> None:
    with pytest.raises(ContractError, match=word) as caught:
        wrong.analyse(holed, SPEC)
    assert caught.value.findings[0].code == "USAGE"


def test_overlapping_disks_are_refused_with_figures() -> None:
    ideal = make_ideal(window=64, object_shape=(128, 128), sampling_A=0.2, C10_A=-100.0)
    sample = ptychographic(ideal, atoms((128, 128)), MismatchSpec())
    with pytest.raises(ContractError, match="nanobeam") as caught:
        Strain().analyse(sample, MismatchSpec())
    finding = caught.value.findings[0]
    assert finding.code == "SAMPLE_UNSUITED"
    assert "1.025 A^-1 in diameter (21.4 mrad)" in finding.found


def test_a_specimen_without_a_lattice_is_refused() -> None:
    scan = nanobeam(DeformedCrystal(hole=Hole((0.0, 0.0), 1000.0)), (3, 3))
    ideal = measured(nanobeam(DeformedCrystal(), (3, 3))).operator
    rng = np.random.default_rng(0)
    rough = rng.uniform(0, 1, ideal.attrs.object_shape).astype(np.float32)
    assert scan.object_shape == rough.shape
    with pytest.raises(ContractError, match="stand apart"):
        Strain().analyse(ptychographic(ideal, rough, SPEC), SPEC)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("dose", "limit"), [(8000.0, 1e-3), (2000.0, 2e-3)])
def test_the_example_s_figures(dose: float, limit: float, seed: int) -> None:
    """The whole example, calibrated blindly: 0.001 rms and 0.3 degrees at the default dose.

    Away from the hole, that is a probe's radius and more; nearer, there are fewer electrons. The
    mean is apart: it is that of the calibration, which the direct beam's rim alone tells.
    """
    scan = nanobeam(bent_foil(), (20, 20), dose_e=dose)
    sample = measured(scan, seed=seed)
    maps = Strain(lattice_invA=GOLD_INVA).analyse(sample, Pacbed().estimate(sample).spec)
    truth, there = scan.specimen.truth(scan.points_A())
    both = (scan.specimen.hole.distance(scan.points_A()) > 20.0) & there
    assert maps.valid.ravel()[both].all()
    for name, most in (*((name, limit) for name in COMPONENTS[:3]), ("theta", 0.3)):
        off = (maps.maps[name].values.ravel() - truth[name].values)[both]
        assert off.std() < most
        assert abs(off.mean()) < 2 * most
