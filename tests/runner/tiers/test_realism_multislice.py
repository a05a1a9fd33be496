"""Multislice: the contract's model where the specimen is thin, abTEM's where it is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import abtem
import numpy as np
import pytest
import torch
from abtem.core.energy import energy2sigma
from numpy.typing import NDArray

from physics.ideal import IdealOperator
from physics.operator import ForwardOperator
from physics.optics import probe
from runner.tiers.realism import draw_thick, multislice
from runner.tiers.realism.multislice import Beam, expected_fractions
from runner.tiers.realism.slices import Slices
from runner.tiers.simulate import ideal_operator
from schemas import MismatchSpec, Profile

Array = NDArray[np.float64]

PROFILE = Profile()
POSITIONS = np.array([[64.0, 64.0], [10.0, 100.0], [33.0, 7.0], [127.0, 0.0]])
SPEC = MismatchSpec(camera_length=3.0, center_offset=1.2, elliptical_distortion=0.008)
OPERATOR = replace(ideal_operator(PROFILE, 1.0), positions_px=POSITIONS.astype(np.float32))


def beam(positions: Array = POSITIONS, shift: float = 0.0, defocus_A: float = 0.0) -> Beam:
    return Beam(positions, np.full_like(positions, shift), defocus_A)


def slices_of(family: str, thickness_A: float) -> tuple[Array, float]:
    """Phases (S, 128, 128) of one frozen configuration, and the slices' distance [A]."""
    rng = np.random.default_rng
    thick = draw_thick(family, rng(3), PROFILE, thickness_A, rng(0))
    cut = Slices.of(thick, single=False)
    return cut.phases(rng(1)), cut.spacing_A


def contract(phase: Array, operator: IdealOperator, spec: MismatchSpec) -> Array:
    """The contract's model, for one electron."""
    one = replace(operator, attrs=operator.attrs.model_copy(update={"dose_e": 1.0}))
    forward = ForwardOperator(one, dtype=torch.float64)
    return forward.expected(forward.tensor(phase), spec).numpy()


def error(a: Array, b: Array) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


@pytest.mark.parametrize("spec", [MismatchSpec(), SPEC])
@pytest.mark.parametrize("move", [0.0, 0.37])
def test_one_slice_is_the_contract_s_model(spec: MismatchSpec, move: float) -> None:
    phases, _ = slices_of("mos2_vacancies", 0.0)
    total = phases.sum(axis=0)
    at = POSITIONS + move
    moved = replace(OPERATOR, positions_px=at.astype(np.float32))
    ours = expected_fractions(OPERATOR, total[None], 0.0, spec, beam(at))
    assert error(ours, contract(total, moved, spec)) < 1e-5


def test_thinner_and_thinner_is_the_contract_s_model() -> None:
    """The same slices pressed together: the error falls with the thickness."""
    phases, spacing = slices_of("srtio3_001", 20.0)
    flat = contract(phases.sum(axis=0), OPERATOR, SPEC)
    errors = [
        error(expected_fractions(OPERATOR, phases, spacing * part, SPEC, beam()), flat)
        for part in (1.0, 0.1, 0.01)
    ]
    assert errors[0] > 0.05
    assert errors[1] < 0.2 * errors[0]
    assert errors[2] < 0.2 * errors[1]


def test_the_probe_stands_for_the_middle() -> None:
    """One phase plane, in the middle of 12 nm of vacuum, is a thin specimen.

    But for what leaves the window on the way out.
    """
    phases, _ = slices_of("mos2_vacancies", 0.0)
    plane = phases.sum(axis=0)
    vacuum = np.zeros_like(plane)
    thick = np.stack([vacuum, vacuum, plane, vacuum, vacuum])
    ours = expected_fractions(OPERATOR, thick, 30.0, SPEC, beam())
    assert error(ours, contract(plane, OPERATOR, SPEC)) < 3e-3
    off = expected_fractions(OPERATOR, np.roll(thick, 1, axis=0), 30.0, SPEC, beam())
    assert error(off, contract(plane, OPERATOR, SPEC)) > 0.03


def test_defocus_is_that_of_the_probe() -> None:
    phases, _ = slices_of("mos2_vacancies", 0.0)
    plane = phases.sum(axis=0)
    other = replace(OPERATOR, probe=other_focus(PROFILE.C10_A + 40.0))
    ours = expected_fractions(OPERATOR, plane[None], 0.0, SPEC, beam(defocus_A=40.0))
    assert error(ours, contract(plane, other, SPEC)) < 1e-5


def other_focus(C10_A: float, window: int = PROFILE.window) -> NDArray[np.complex64]:
    return probe(
        energy_eV=PROFILE.energy_eV,
        semiangle_mrad=PROFILE.semiangle_mrad,
        C10_A=C10_A,
        Cs_A=0.0,
        sampling_A=PROFILE.sampling_A,
        window=window,
    )


def test_a_shift_is_a_centre_offset() -> None:
    phases, spacing = slices_of("srtio3_001", 20.0)
    further = replace_offset(SPEC, 0.7)
    ours = expected_fractions(OPERATOR, phases, spacing, SPEC, beam(shift=0.7))
    assert error(ours, expected_fractions(OPERATOR, phases, spacing, further, beam())) < 1e-5


def replace_offset(spec: MismatchSpec, by_px: float) -> MismatchSpec:
    return spec.model_copy(update={"center_offset": spec.center_offset + by_px})


@pytest.fixture
def no_margin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Both codes in the same periodic cell, and abTEM without its band limit."""
    monkeypatch.setattr(multislice, "MARGIN", 0.0)
    with abtem.config.set({"antialias.cutoff": 2.0, "antialias.taper": 0.0}):
        yield


@pytest.mark.usefixtures("no_margin")
@pytest.mark.parametrize(
    ("family", "thickness_A"), [("srtio3_001", 50.0), ("gold_on_amorphous_carbon", 100.0)]
)
def test_against_abtem(family: str, thickness_A: float) -> None:
    """The same slices through abTEM's multislice: its probe, transmission and propagator."""
    phases, spacing = slices_of(family, thickness_A)
    side = phases.shape[-1]
    extent = side * PROFILE.sampling_A
    entrance_A = PROFILE.C10_A - spacing * (len(phases) - 1) / 2
    potential = phases.transpose(0, 2, 1) / energy2sigma(PROFILE.energy_eV)
    slab = abtem.PotentialArray(
        potential.astype(np.float32), slice_thickness=spacing, extent=(extent, extent)
    )
    theirs = (
        abtem.Probe(
            energy=PROFILE.energy_eV,
            semiangle_cutoff=PROFILE.semiangle_mrad,
            C10=entrance_A,
            gpts=(side, side),
            extent=(extent, extent),
        )
        .multislice(
            slab, scan=abtem.CustomScan(POSITIONS[:, ::-1] * PROFILE.sampling_A), lazy=False
        )
        .diffraction_patterns(max_angle="full")
        .array.transpose(0, 2, 1)
    )
    whole = replace(OPERATOR, probe=other_focus(PROFILE.C10_A, side))
    ours = expected_fractions(whole, phases, spacing, MismatchSpec(), beam())
    assert error(ours, theirs) < 1e-4
    assert ours.sum(axis=(1, 2)) == pytest.approx(1.0, abs=1e-4)
    turned = expected_fractions(whole, phases[::-1].copy(), spacing, MismatchSpec(), beam())
    assert error(turned, theirs) > 0.01


def test_the_margin_is_wide_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the margin changes patterns little in 10 nm; no margin at all changes them much."""
    phases, spacing = slices_of("srtio3_001", 100.0)
    found = {}
    for margin in (0.0, multislice.MARGIN, 2 * multislice.MARGIN):
        monkeypatch.setattr(multislice, "MARGIN", margin)
        found[margin] = expected_fractions(OPERATOR, phases, spacing, SPEC, beam())
    none, own, twice = found.values()
    assert error(own, twice) < 0.01
    assert error(none, twice) > 0.02
