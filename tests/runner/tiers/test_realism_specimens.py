"""Thick specimens: the families' own, with more below; slices that add up to x_true."""

from __future__ import annotations

import numpy as np
import pytest

from runner.tiers.realism import ThickSpecimen, draw_thick, thick_from_file
from runner.tiers.realism.slices import SLICE_A, Slices
from runner.tiers.realism.thick import FILMS, PERIODS_A
from runner.tiers.specimens import FAMILIES, draw_specimen
from schemas import Profile, Tier

PROFILE = Profile()
QUICK = ("srtio3_001", "silicon_110", "mgo_terraces", "gan_edge_dislocations")
SHEETS = ("mos2_vacancies", "twisted_bilayer_graphene", "bismuth_selenide_defects")


def draw(family: str, thickness_A: float, seed: int = 3) -> ThickSpecimen:
    rng = np.random.default_rng
    return draw_thick(family, rng(seed), PROFILE, thickness_A, rng(0))


def phase(thick: ThickSpecimen) -> np.ndarray:
    return thick.specimen.phase_scale_rad * thick.specimen.x.astype(np.float64)


@pytest.mark.parametrize("family", [*FAMILIES[Tier.PUBLIC], "silicon_110"])
def test_no_thicker_is_the_specimen_of_the_tier(family: str) -> None:
    """Shipped or built, moved or turned: the same seed draws the same scene."""
    own = draw_specimen(family, np.random.default_rng(3))
    thick = draw(family, 0.0).specimen
    assert (thick.name, thick.description) == (own.name, own.description)
    assert thick.phase_scale_rad == pytest.approx(own.phase_scale_rad, rel=1e-5)
    np.testing.assert_allclose(thick.x, own.x, atol=1e-4)


@pytest.mark.parametrize("family", QUICK)
@pytest.mark.parametrize("thickness_A", [20.0, 100.0])
def test_crystals_become_as_thick_as_asked(family: str, thickness_A: float) -> None:
    own, thick = draw(family, 0.0), draw(family, thickness_A)
    assert thick.thickness_A == pytest.approx(thickness_A, abs=PERIODS_A[family] / 2 + 0.01)
    assert f"{thick.thickness_A / 10:.1f} nm" in thick.specimen.description
    added = len(thick.atoms) - len(own.atoms)
    layers = round((thick.thickness_A - own.thickness_A) / PERIODS_A[family])
    assert added % layers == 0
    assert thick.specimen.phase_scale_rad > own.specimen.phase_scale_rad


@pytest.mark.slow
@pytest.mark.parametrize("family", ["aluminium_grain_boundary", "platinum_on_ceria"])
def test_crystals_that_take_longer(family: str) -> None:
    thick = draw(family, 50.0)
    assert thick.thickness_A == pytest.approx(50.0, abs=PERIODS_A[family] / 2 + 0.5)


def test_a_film_becomes_thicker_and_the_particle_stays_on_top() -> None:
    (family,) = FILMS
    own, thick = draw(family, 0.0), draw(family, 60.0)
    gold, more_gold = (np.sum(t.atoms.symbols == "Au") for t in (own, thick))
    assert gold == more_gold > 0
    assert thick.thickness_A == pytest.approx(60.0, abs=5.0)
    film = thick.atoms.where(thick.atoms.symbols == "C").positions
    top = thick.atoms.where(thick.atoms.symbols == "Au").positions[:, 2]
    assert top.min() > film[:, 2].max()
    # Amorphous: as dense everywhere, and projected smoothly, not as columns.
    heights = np.histogram(film[:, 2], bins=6)[0]
    assert heights.min() > 0.7 * heights.max()


@pytest.mark.parametrize("family", SHEETS)
def test_sheets_get_no_thicker(family: str) -> None:
    assert len(draw(family, 200.0).atoms) == len(draw(family, 0.0).atoms)


def test_a_user_s_structure_is_as_thick_as_the_file(tmp_path) -> None:
    from ase.build import bulk

    path = tmp_path / "mgo.cif"
    (bulk("MgO", "rocksalt", a=4.212, cubic=True) * (1, 1, 5)).write(path)
    thick = thick_from_file(path, np.random.default_rng(0), PROFILE)
    assert thick.thickness_A == pytest.approx(4.5 * 4.212, abs=0.01)
    assert thick.specimen.name == "mgo"


@pytest.mark.parametrize("family", ["srtio3_001", "gold_on_amorphous_carbon"])
def test_slices_add_up_to_the_truth(family: str) -> None:
    """Without phonons the slices' sum is the phase that x_true stands for, moved as it is."""
    thick = draw(family, 50.0)
    cut = Slices.of(thick, single=False)
    total = cut.phases(None).sum(axis=0)
    assert cut.spacing_A <= SLICE_A
    assert cut.spacing_A * (cut.count - 1) == pytest.approx(thick.thickness_A)
    tolerance = 1e-4 * thick.specimen.phase_scale_rad
    np.testing.assert_allclose(total - total.min(), phase(thick), atol=tolerance)
    single = Slices.of(thick, single=True).phases(None)
    assert len(single) == 1
    np.testing.assert_allclose(single[0], total, atol=1e-9)


def test_the_beam_meets_the_particle_first() -> None:
    phases = Slices.of(draw("gold_on_amorphous_carbon", 60.0), single=False).phases(None)
    assert phases[:4].max() > 2 * phases[-4:].max()


def test_frozen_phonons_are_the_truth_on_average() -> None:
    """The mean over configurations comes to the smeared potential as 1/sqrt(their number)."""
    thick = draw("mos2_vacancies", 0.0)
    cut = Slices.of(thick, single=True)
    smeared = cut.phases(None)[0]
    rng = np.random.default_rng(5)
    frozen = np.stack([cut.phases(rng)[0] for _ in range(100)])
    apart = [
        float(np.sqrt(np.mean((frozen[:count].mean(axis=0) - smeared) ** 2))) for count in (1, 100)
    ]
    assert apart[0] > 0.02 * smeared.max()
    assert apart[1] == pytest.approx(apart[0] / 10, rel=0.3)
