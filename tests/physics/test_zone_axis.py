"""Projected crystals against sums over the crystal in three dimensions, and tabulated factors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from physics.scattering import ELEMENTS, POTENTIAL_VA2, debye_waller, scattering_factor
from physics.zone_axis import CRYSTALS, ZoneAxis, zone_axes
from schemas import ContractError

EVERY_ZONE = [
    pytest.param(name, number, direction, id=f"{name} {direction}")
    for name, (_, directions) in CRYSTALS.items()
    for number, direction in enumerate(directions)
]
G_MAX = 0.85


@pytest.mark.parametrize("symbol", ELEMENTS)
def test_scattering_factors_are_the_published_ones(symbol: str) -> None:
    table = pytest.importorskip("abtem.parametrizations").LobatoParametrization()
    g = np.linspace(0.0, 2.0, 41)
    projected = np.asarray(table.projected_scattering_factor(symbol)((g**2).astype(np.float32)))
    # Their carbon's large terms cancel, and are kept here to six digits.
    np.testing.assert_allclose(
        POTENTIAL_VA2 * scattering_factor(symbol, g), projected, rtol=2e-3, atol=1e-2
    )


@pytest.mark.parametrize(("name", "number", "direction"), EVERY_ZONE)
def test_reflections_are_those_of_the_zone(
    name: str, number: int, direction: tuple[int, int, int]
) -> None:
    """Against the structure factors of the conventional cell, h.w = 0, by |g| and intensity."""
    crystal, _ = CRYSTALS[name]
    a = crystal.axes_A[0][0]
    shifts = [(0.0, 0.0, 0.0)]
    if crystal.vectors[0] != (1.0, 0.0, 0.0):
        shifts += list(crystal.vectors)
    expected = []
    for h in itertools.product(range(-6, 7), repeat=3):
        g = float(np.linalg.norm(h)) / a
        if not any(h) or np.dot(h, direction) != 0 or g > G_MAX:
            continue
        total = sum(
            scattering_factor(symbol, np.array(g))
            * debye_waller(symbol, np.array(g))
            * np.exp(-2j * np.pi * np.dot(h, np.add(place, shift)))
            for symbol, place in crystal.atoms
            for shift in shifts
        )
        if abs(total) > 1e-3:
            # Potential of one period along the beam, per area: the cell's volume over the period.
            period = a * np.linalg.norm(direction) * (0.5 if _halved(crystal, direction) else 1.0)
            expected.append((g, abs(total) * POTENTIAL_VA2 * period / a**3))
    found = zone_axes(name)[number].reflections(G_MAX)
    pairs = zip(np.hypot(*found.g_invA.T), np.abs(found.coefficient_VA), strict=True)
    np.testing.assert_allclose(_sorted(list(pairs)), _sorted(expected), rtol=1e-6)


def _halved(crystal, direction: tuple[int, int, int]) -> bool:
    """Half the direction is a lattice vector, as [011] / 2 of face-centred lattices is."""
    steps = np.linalg.solve(np.array(crystal.vectors).T, np.array(direction) / 2)
    return bool(np.allclose(steps, np.rint(steps)))


def _sorted(pairs: list[tuple[float, float]]) -> np.ndarray:
    return np.array(sorted((round(g, 9), round(v, 9)) for g, v in pairs))


@pytest.mark.parametrize(("name", "number", "direction"), EVERY_ZONE)
def test_the_projected_cell_is_the_crystal_s(
    name: str, number: int, direction: tuple[int, int, int]
) -> None:
    """Its area times the period along the beam is the primitive cell's volume."""
    crystal, _ = CRYSTALS[name]
    a = crystal.axes_A[0][0]
    volume = abs(np.linalg.det(np.array(crystal.vectors))) * a**3
    period = a * np.linalg.norm(direction) * (0.5 if _halved(crystal, direction) else 1.0)
    zone = zone_axes(name)[number]
    assert abs(np.linalg.det(zone.cell_A)) * period == pytest.approx(volume)
    assert zone.cell_A[0] == pytest.approx([0.0, np.linalg.norm(zone.cell_A[0])], abs=1e-9)


def test_unknown_names_are_answered() -> None:
    with pytest.raises(ContractError, match="gold"):
        zone_axes("unobtainium")
    with pytest.raises(ContractError, match="Au"):
        scattering_factor("Xx", np.zeros(1))
    crystal, _ = CRYSTALS["gold"]
    assert ZoneAxis.of(crystal, (1, 2, 3), "gold").cell_A.shape == (2, 2)
