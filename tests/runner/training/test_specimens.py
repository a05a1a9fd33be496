"""What is trained on: no material of a tier, phases that are thin, the same bytes again."""

from __future__ import annotations

import numpy as np
import pytest

from runner.training.crystals import cell_of
from runner.training.materials import (
    LIGHT,
    MATERIALS,
    TIER_MATERIALS,
    VALIDATION_MATERIALS,
    Material,
)
from runner.training.specimens import PHASES_RAD, Source, draw_training_specimen

ALL = tuple(dict.fromkeys((*MATERIALS, *LIGHT, *VALIDATION_MATERIALS)))

GRID = {"shape": (64, 64), "sampling_A": 0.25, "energy_eV": 80e3}


def test_no_material_of_a_tier_and_none_of_validation_is_trained_on() -> None:
    trained = {material.name for material in (*MATERIALS, *LIGHT)}
    kept_apart = {material.name for material in VALIDATION_MATERIALS}
    assert not trained & kept_apart
    assert not (trained | kept_apart) & TIER_MATERIALS
    metals = {m.elements[0] for m in ALL if len(m.elements) == 1}
    assert not metals & {"Au", "Al", "Pt"}


@pytest.mark.parametrize("material", ALL, ids=lambda m: m.name)
def test_neighbours_are_as_far_apart_as_atoms_are(material: Material) -> None:
    cell, period_A = cell_of(material)
    steps = np.array([(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)])
    lattice = np.zeros((3, 3))
    lattice[:2, :2], lattice[2, 2] = cell.a, period_A
    images = (cell.basis.positions[:, None] + steps @ lattice).reshape(-1, 3)
    apart = np.linalg.norm(images[None] - cell.basis.positions[:, None], axis=2)
    assert 1.3 < apart[apart > 1e-6].min() < 4.0


def test_the_same_state_draws_the_same_specimen_within_the_phases() -> None:
    source = Source(MATERIALS, 0.3, LIGHT, 0.2)
    for seed in range(6):
        first, second = (
            draw_training_specimen(source, np.random.default_rng(seed), **GRID) for _ in range(2)
        )
        assert np.array_equal(first.x, second.x)
        assert PHASES_RAD[0] <= first.phase_scale_rad <= PHASES_RAD[1]
        assert float(first.x.min()) == 0.0
        assert float(first.x.max()) == 1.0
