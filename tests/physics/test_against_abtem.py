"""The imaging model against abTEM, an independent multislice code (Madsen and Susi, 2021).

Both get the same projected potential and the same optics; the probe, the transmission function and
the far field are each code's own. abTEM's arrays run along (x, y), ours along (row, col) = (y, x).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import abtem
import numpy as np
import pytest
import torch
from abtem.core.energy import energy2sigma, energy2wavelength
from numpy.typing import NDArray

from physics.ideal import IdealOperator
from physics.operator import ForwardOperator
from physics.optics import interaction_rad_per_VA, probe, wavelength_A
from runner.tiers.specimens import public_specimen
from schemas.operator import MODEL_NAME, OperatorAttrs
from schemas.spec import MismatchSpec

Array = NDArray[np.float64]

SIDE, SAMPLING = 128, 0.2
EXTENT = SIDE * SAMPLING
POSITIONS = np.array([[64, 64], [10, 100], [33, 7], [127, 0]], dtype=np.float32)
"""(row, col) [pixels]; no two are images of one another, some reach over the edge."""


@dataclass(frozen=True)
class Optics:
    energy_eV: float
    semiangle_mrad: float
    C10_A: float
    Cs_A: float


CONTRACT = Optics(80e3, 21.4, -100.0, 0.0)
OTHERS = [
    CONTRACT,
    Optics(80e3, 21.4, 0.0, 0.0),
    Optics(200e3, 12.0, 250.0, 0.0),
    Optics(300e3, 17.3, -120.0, 4e5),
]


@contextmanager
def no_band_limit() -> Iterator[None]:
    """abTEM without its antialias aperture, which our model does not have either."""
    with abtem.config.set({"antialias.cutoff": 2.0, "antialias.taper": 0.0}):
        yield


@pytest.fixture(scope="module")
def potential() -> Array:
    """Projected potential [V A] (rows, cols) of MoS2 with vacancies: no symmetry is left."""
    specimen = public_specimen("mos2_vacancies", np.random.default_rng(0))
    return specimen.phase_rad.astype(np.float64) / energy2sigma(specimen.energy_eV)


def abtem_probe(optics: Optics) -> abtem.Probe:
    return abtem.Probe(
        energy=optics.energy_eV,
        semiangle_cutoff=optics.semiangle_mrad,
        C10=optics.C10_A,
        C30=optics.Cs_A,
        gpts=(SIDE, SIDE),
        extent=(EXTENT, EXTENT),
    )


def theirs(potential: Array, optics: Optics, positions: NDArray[np.float32] = POSITIONS) -> Array:
    """Patterns (B, ky, kx) by abTEM, as fractions of the beam."""
    slab = abtem.PotentialArray(
        potential.T[None].astype(np.float32), slice_thickness=1e-3, extent=(EXTENT, EXTENT)
    )
    scan = abtem.CustomScan(positions[:, ::-1] * SAMPLING)
    exit_waves = abtem_probe(optics).multislice(slab, scan=scan, lazy=False)
    patterns = exit_waves.diffraction_patterns(max_angle="full").array
    return np.asarray(patterns, dtype=np.float64).transpose(0, 2, 1)


def ours(
    potential: Array,
    optics: Optics,
    spec: MismatchSpec | None = None,
    dtype: torch.dtype = torch.float64,
) -> Array:
    """The same by our operator; a dose of one electron makes fractions of the beam."""
    instrument = {
        "energy_eV": optics.energy_eV,
        "semiangle_mrad": optics.semiangle_mrad,
        "C10_A": optics.C10_A,
        "Cs_A": optics.Cs_A,
        "sampling_A": SAMPLING,
    }
    attrs = OperatorAttrs(
        **instrument,
        wavelength_A=wavelength_A(optics.energy_eV),
        phase_scale_rad=1.0,
        dose_e=1.0,
        gain=1.0,
        read_noise=0.0,
        periodic=True,
        object_shape=(SIDE, SIDE),
        model=MODEL_NAME,
    )
    ideal = IdealOperator(attrs, probe(**instrument, window=SIDE), POSITIONS)
    forward = ForwardOperator(ideal, dtype=dtype)
    phase = forward.tensor(interaction_rad_per_VA(optics.energy_eV) * potential)
    return forward.expected(phase, spec or MismatchSpec()).double().numpy()


def error(a: Array, b: Array) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


@pytest.mark.parametrize("energy_eV", [30e3, 80e3, 300e3])
def test_wavelength_and_interaction(energy_eV: float) -> None:
    assert wavelength_A(energy_eV) == pytest.approx(energy2wavelength(energy_eV), rel=1e-6)
    assert interaction_rad_per_VA(energy_eV) == pytest.approx(energy2sigma(energy_eV), rel=1e-6)


@pytest.mark.parametrize("optics", OTHERS)
def test_probe(optics: Optics) -> None:
    """The same wave up to a constant phase, aperture rim and aberrations included."""
    built = abtem_probe(optics).build(scan=abtem.CustomScan([[0.0, 0.0]]), lazy=False).array[0]
    wave = np.fft.fftshift(np.asarray(built, dtype=np.complex128)).T
    wave /= np.linalg.norm(wave)
    own = probe(
        energy_eV=optics.energy_eV,
        semiangle_mrad=optics.semiangle_mrad,
        C10_A=optics.C10_A,
        Cs_A=optics.Cs_A,
        sampling_A=SAMPLING,
        window=SIDE,
    )
    overlap = np.vdot(wave, own)
    assert error(wave * overlap / abs(overlap), own) < 1e-5


@pytest.mark.parametrize("optics", OTHERS)
def test_patterns_where_the_band_limit_is_equal(potential: Array, optics: Optics) -> None:
    with no_band_limit():
        reference = theirs(potential, optics)
    assert error(ours(potential, optics), reference) < 1e-5
    assert error(ours(potential, optics, dtype=torch.float32), reference) < 1e-4


def test_patterns_as_abtem_comes(potential: Array) -> None:
    reference = theirs(potential, CONTRACT)
    assert error(ours(potential, CONTRACT), reference) < 5e-4
    # What abTEM's aperture takes away is all that is missing.
    assert np.all(np.abs(reference.sum(axis=(1, 2)) - 1) < 1e-3)


def test_the_detector_offset_moves_the_pattern_to_larger_indices(potential: Array) -> None:
    with no_band_limit():
        reference = theirs(potential, CONTRACT)
    moved = ours(potential, CONTRACT, MismatchSpec(center_offset=2.0))
    assert error(moved, np.roll(reference, (2, 2), axis=(1, 2))) < 1e-5


WRONG: dict[str, Callable[[Array], Array]] = {
    "kx and ky exchanged": lambda v: theirs(v, CONTRACT).transpose(0, 2, 1),
    "ky reversed": lambda v: np.roll(theirs(v, CONTRACT)[:, ::-1], 1, axis=1),
    "kx reversed": lambda v: np.roll(theirs(v, CONTRACT)[:, :, ::-1], 1, axis=2),
    "scan axes exchanged": lambda v: theirs(v, CONTRACT, POSITIONS[:, ::-1]),
    "object transposed": lambda v: theirs(v.T.copy(), CONTRACT),
    "C10 of the other sign": lambda v: theirs(v, Optics(80e3, 21.4, 100.0, 0.0)),
    "phase of the other sign": lambda v: theirs(-v, CONTRACT),
}


@pytest.mark.parametrize("mistake", sorted(WRONG))
def test_every_sign_and_axis_matters(potential: Array, mistake: str) -> None:
    """Each mistake in a convention would have been seen: by far more than the tolerance above."""
    with no_band_limit():
        wrong = WRONG[mistake](potential)
    assert error(ours(potential, CONTRACT), wrong) > 0.03
