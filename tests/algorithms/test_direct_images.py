"""The direct images: virtual detectors, centre of mass, iDPC, parallax, as a whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from algorithms.base import Reconstruction, Reconstructor, Sample
from algorithms.reconstructors.baseline import CpuBaseline
from algorithms.reconstructors.com import MOST_ARROWS, CenterOfMass, charge_and_curl
from algorithms.reconstructors.idpc import Idpc
from algorithms.reconstructors.parallax import Parallax
from algorithms.reconstructors.virtual_detector import (
    AnnularBrightField,
    AnnularDarkField,
    VirtualDetector,
)
from algorithms.registry import load_algorithm, parameters_of
from physics.ideal import ArrayPatterns, IdealOperator
from schemas import ContractError, MismatchSpec
from tests.helpers.operators import make_ideal
from tests.helpers.samples import atoms, measured

NOMINAL = MismatchSpec()
SPEC = MismatchSpec(camera_length=1.4, center_offset=-1.6, elliptical_distortion=0.009)

PHASE: Mapping[str, Reconstructor] = MappingProxyType(
    {
        "virtual-detector": VirtualDetector(),
        "annular-bright-field": AnnularBrightField(),
        "idpc": Idpc(),
        "parallax": Parallax(),
    }
)
"""Those whose scale is the phase's."""

ALL: Mapping[str, Reconstructor] = MappingProxyType(
    {**PHASE, "annular-dark-field": AnnularDarkField(outer=2.0), "com": CenterOfMass()}
)
"""The dark field within this small detector, so that any detector sees the same of it."""

SHAPE = (64, 64)
ATOMS = atoms(SHAPE, count=50, width_px=1.1, seed=3)


STRONG = MappingProxyType({"phase_scale_rad": 0.5, "dose_e": 1e7})


def instrument(**changes: Any) -> IdealOperator:
    """The default profile at twice its pixel: scan step 0.8 A, defocus 100 A, almost no noise."""
    numbers = {"C10_A": -100.0, "phase_scale_rad": 0.05, "dose_e": 1e12, **changes}
    return make_ideal(window=32, object_shape=SHAPE, step=2, **numbers)


def solve(method: Reconstructor, sample: Sample, spec: MismatchSpec = NOMINAL) -> Reconstruction:
    return method.reconstruct(sample, spec)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


@pytest.fixture(scope="module")
def weak() -> Sample:
    return measured(instrument(), ATOMS, NOMINAL)


@pytest.fixture(scope="module")
def strong() -> Sample:
    return measured(instrument(**STRONG), ATOMS, NOMINAL)


@pytest.mark.parametrize("name", sorted(ALL))
def test_the_image_is_x(name: str, weak: Sample) -> None:
    """Float32 in [0, 1], the given spec kept, the same bytes again, diagnostics that are JSON."""
    found, again = solve(ALL[name], weak), solve(ALL[name], weak)
    assert found.x_hat.shape == SHAPE
    assert found.x_hat.dtype == np.float32
    assert found.x_hat.min() >= 0.0
    assert found.x_hat.max() <= 1.0
    assert found.spec is None
    assert found.x_hat.tobytes() == again.x_hat.tobytes()
    assert len(json.dumps(found.diagnostics, allow_nan=False)) < 64 << 10


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_name_is_registered(name: str) -> None:
    made = load_algorithm(f"{name}+none")
    assert parameters_of(made)["reconstructor"]["expected"] == {
        "contrast": 0.15,
        "atom_width_A": 0.3,
    }


@pytest.mark.parametrize("defocus_A", [-100.0, 100.0])
@pytest.mark.parametrize("name", sorted(PHASE))
def test_atoms_are_bright_whatever_the_sign_of_the_defocus(name: str, defocus_A: float) -> None:
    """The contrast of a bright field turns with the defocus; the phase does not."""
    sample = measured(instrument(C10_A=defocus_A), ATOMS, NOMINAL)
    assert correlation(solve(PHASE[name], sample).x_hat, ATOMS) > 0.6


@pytest.mark.parametrize("turns", [(1, 4), (5, 0), (6, 5)])
@pytest.mark.parametrize("name", sorted(PHASE))
def test_gratings_have_their_height(name: str, turns: tuple[int, int]) -> None:
    """Quantitative: amplitude and place of a weak grating in the band, at 0.16 to 0.31 A^-1."""
    rows, cols = np.indices(SHAPE) / 64
    wave = 0.5 + 0.3 * np.cos(2 * np.pi * (turns[0] * rows + turns[1] * cols) + 0.4)
    sample = measured(instrument(phase_scale_rad=0.02), wave.astype(np.float32), NOMINAL)
    found = np.fft.fft2(solve(PHASE[name], sample).x_hat)[turns]
    assert found / np.fft.fft2(wave)[turns] == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("name", sorted(PHASE))
def test_vacuum_is_flat(name: str) -> None:
    """Noise far below the contrast, on a detector of any geometry."""
    sample = measured(instrument(dose_e=1e9), np.zeros(SHAPE, dtype=np.float32), SPEC)
    x_hat = solve(PHASE[name], sample, SPEC).x_hat
    assert x_hat.mean() < 0.03
    assert x_hat.std() < 0.02


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_shift_of_the_specimen_shifts_the_image(name: str, strong: Sample) -> None:
    """By whole scan steps, exactly but for noise."""
    moved = measured(instrument(**STRONG), np.roll(ATOMS, (4, -6), (0, 1)), NOMINAL, seed=1)
    expected = np.roll(solve(ALL[name], strong).x_hat, (4, -6), (0, 1))
    assert correlation(solve(ALL[name], moved).x_hat, expected) > 0.98
    assert correlation(solve(ALL[name], moved).x_hat, np.roll(expected, 1, 0)) < 0.96


@pytest.mark.parametrize("name", sorted(ALL))
def test_corrected_geometry_gives_the_nominal_image(name: str, strong: Sample) -> None:
    """And geometry that is not corrected does not, where the image depends on it."""
    nominal = solve(ALL[name], strong).x_hat
    sample = measured(instrument(**STRONG), ATOMS, SPEC)
    corrected = correlation(solve(ALL[name], sample, SPEC).x_hat, nominal)
    # A dark field is speckle as well, of which each detector's pixels see another sample.
    assert corrected > (0.87 if name == "annular-dark-field" else 0.97)
    if name not in {"com", "idpc"}:  # a shift of the centre of mass is taken away
        assert correlation(solve(ALL[name], sample, NOMINAL).x_hat, nominal) < corrected - 0.005


@pytest.mark.parametrize("name", sorted(ALL))
def test_streaming_is_the_same(name: str) -> None:
    """Small blocks as in memory; never is more than a block read, nor anything read at random."""
    sample = measured(instrument(dose_e=1e5, phase_scale_rad=0.5), ATOMS, SPEC)
    together = solve(ALL[name], sample, SPEC).x_hat
    reads: list[tuple[int, int]] = []

    class Watched:
        shape = sample.y.shape

        def read(self, start: int, stop: int) -> np.ndarray:
            reads.append((start, stop))
            return sample.y.read(start, stop)

    with pytest.MonkeyPatch.context() as patch:
        for module in ("algorithms.virtual_detectors", "algorithms.idpc", "algorithms.pixels"):
            patch.setattr(f"{module}.BLOCK_BYTES", 100 * 4 * 32 * 32)
        patch.setattr("algorithms.tilted_images.BLOCK_VALUES", 100 * 32 * 32 // 4)
        streamed = solve(ALL[name], replace(sample, y=Watched()), SPEC).x_hat
    np.testing.assert_allclose(streamed, together, atol=1e-5)
    assert max(stop - start for start, stop in reads) <= 100
    starts = [start for start, _ in reads]
    assert starts.count(0) == 2, "one pass for the pixels' averages, one for the image"
    half = len(starts) // 2
    assert starts == sorted(starts[:half]) + sorted(starts[half:])


@pytest.mark.parametrize("name", sorted(PHASE))
def test_a_dead_pixel_in_the_disk_is_no_trouble(name: str) -> None:
    """Its weight is taken out of the transfer too; for the centre of mass it is filled."""
    ideal = instrument(dose_e=1e6)
    sample = measured(ideal, ATOMS, NOMINAL)
    counts = sample.y.values.copy()
    counts[:, :, 15, 18] = 0.0
    broken = solve(PHASE[name], replace(sample, y=ArrayPatterns(counts))).x_hat
    assert correlation(broken, solve(PHASE[name], sample).x_hat) > 0.97


@pytest.mark.parametrize("name", ["virtual-detector", "annular-bright-field", "parallax"])
def test_in_focus_there_is_no_contrast_and_it_is_said(name: str) -> None:
    sample = measured(instrument(C10_A=0.0), ATOMS, NOMINAL)
    with pytest.raises(ContractError) as refused:
        solve(PHASE[name], sample)
    (finding,) = refused.value.findings
    assert finding.code == "SAMPLE_UNSUITED"
    assert "idpc" in finding.hint
    assert "%" in finding.found
    assert correlation(solve(Idpc(), sample).x_hat, ATOMS) > 0.9


@pytest.mark.parametrize("name", sorted(PHASE))
@pytest.mark.parametrize(
    ("periodic", "shift"), [(False, (0.0, 0.0)), (True, (0.3, -0.45)), (False, (0.25, 0.4))]
)
def test_real_scans(name: str, periodic: bool, shift: tuple[float, float]) -> None:
    """Scans that do not wrap, positions off the pixels: the phase where the scan was."""
    ideal = make_ideal(
        window=32,
        object_shape=(96, 96),
        step=2,
        periodic=periodic,
        shift=shift,
        C10_A=-100.0,
        phase_scale_rad=0.05,
        dose_e=1e9,
    )
    x = atoms((96, 96), count=110, width_px=1.1, seed=5)
    inner = np.s_[24:-24, 24:-24]
    found = solve(PHASE[name], measured(ideal, x, NOMINAL)).x_hat
    whole = make_ideal(
        window=32,
        object_shape=(96, 96),
        step=2,
        C10_A=-100.0,
        phase_scale_rad=0.05,
        dose_e=1e9,
    )
    wrapped = solve(PHASE[name], measured(whole, x, NOMINAL)).x_hat
    assert correlation(found[inner], wrapped[inner]) > 0.93
    assert correlation(found[inner], x[inner]) > 0.6


def test_parallax_sees_beyond_the_scan_step() -> None:
    """A grating between the scan's Nyquist frequency and twice the aperture's: where the scan's
    step folds it back, only the shifted images can tell it from its alias."""
    ideal = make_ideal(
        window=64,
        object_shape=(64, 64),
        step=4,
        sampling_A=0.25,
        C10_A=-160.0,
        phase_scale_rad=0.02,
        dose_e=1e12,
    )
    rows = np.indices(SHAPE)[0] / 64
    turns = 9  # 0.5625 A^-1, of a Nyquist frequency of 0.5 A^-1
    wave = (0.5 + 0.3 * np.cos(2 * np.pi * turns * rows)).astype(np.float32)
    estimate, _ = Parallax().phase(measured(ideal, wave, NOMINAL), NOMINAL)
    found = np.fft.fft2(estimate.phase / 0.02)
    alias = 64 // 4 - turns
    seen = found[turns, 0] / np.fft.fft2(wave)[turns, 0]
    assert seen == pytest.approx(estimate.response[turns, 0], abs=0.03)
    assert estimate.response[turns, 0] > 0.7
    assert np.abs(found[alias, 0]) < 0.15 * np.abs(found[turns, 0])


def test_idpc_beats_the_plain_one() -> None:
    """At the dose of the public tier, through a defocused probe; the background apart."""
    sample = measured(instrument(dose_e=8000.0, phase_scale_rad=0.6), ATOMS, NOMINAL)
    plain, better = (np.var(solve(m, sample).x_hat - ATOMS) for m in (CpuBaseline(), Idpc()))
    assert better < 0.8 * plain


def test_dark_field_shows_steep_phases_bright() -> None:
    """In focus, of strong atoms: incoherent, so blurred by |P|^2 alone."""
    sample = measured(instrument(C10_A=0.0, phase_scale_rad=1.0, dose_e=1e6), ATOMS, NOMINAL)
    found = solve(AnnularDarkField(), sample)
    assert correlation(found.x_hat, ATOMS) > 0.7
    assert 0.0 < found.diagnostics["mean_share_of_beam"] < 0.05


def test_dark_field_of_nothing_is_refused() -> None:
    """Less contrast than counting alone would give: dark counts without any scatter."""
    sample = measured(instrument(dose_e=1e3), np.zeros(SHAPE, dtype=np.float32), NOMINAL)
    even = np.broadcast_to(sample.y.values.mean(axis=(0, 1)), sample.y.shape).copy()
    with pytest.raises(ContractError, match="SAMPLE_UNSUITED"):
        solve(AnnularDarkField(), replace(sample, y=ArrayPatterns(even)))


def test_parallax_without_a_working_pixel_is_refused() -> None:
    sample = measured(instrument(), ATOMS, NOMINAL)
    stuck = ArrayPatterns(np.full_like(sample.y.values, 1e9))
    with pytest.raises(ContractError, match="SAMPLE_UNSUITED"):
        solve(Parallax(), replace(sample, y=stuck))


def test_charge_is_minus_the_laplacian_and_a_gradient_has_no_curl() -> None:
    rows, cols = (axis * 2 * np.pi / 48 for axis in np.indices((48, 48)))
    phase = np.cos(2 * rows) * np.sin(3 * cols)
    unit = 2 * np.pi / (48 * 0.4)
    gradient = np.stack(
        [
            -2 * unit * np.sin(2 * rows) * np.sin(3 * cols),
            3 * unit * np.cos(2 * rows) * np.cos(3 * cols),
        ]
    )
    charge, curl = charge_and_curl(gradient / (2 * np.pi), 0.4)
    np.testing.assert_allclose(charge, (4 + 9) * unit**2 * phase / (2 * np.pi), atol=1e-9)
    assert np.abs(curl).max() < 1e-9
    turned = np.stack([gradient[1], -gradient[0]])
    charge, curl = charge_and_curl(turned / (2 * np.pi), 0.4)
    assert np.abs(charge).max() < 1e-9
    assert np.abs(curl).max() > 0.1


def test_the_field_is_told_in_mrad() -> None:
    """Whole turns of the phase deflect by wavelength times turns per A; the rest is arrows."""
    rows, cols = np.indices(SHAPE) * (2 * np.pi / 64)
    ideal = instrument(C10_A=0.0, phase_scale_rad=1.0)
    ramp = (2 * rows + 0.2 * np.cos(3 * cols)).astype(np.float32)
    told = solve(CenterOfMass(), measured(ideal, ramp, NOMINAL)).diagnostics
    turn_mrad = 2 / (64 * 0.4) * ideal.attrs.wavelength_A * 1e3
    np.testing.assert_allclose(
        told["mean_deflection_mrad"], (turn_mrad, 0.0), atol=0.01 * turn_mrad
    )
    steepest = 0.2 * 3 / (64 * 0.4) * ideal.attrs.wavelength_A * 1e3
    # The probe blurs it: by 0.86 at this frequency of a disk's own overlap.
    assert told["largest_deflection_mrad"] == pytest.approx(0.88 * steepest, rel=0.05)
    assert told["curl_over_divergence"] < 0.05
    arrows = told["field_mrad"]
    assert arrows["positions_a_block"] == [2, 2]
    assert np.shape(arrows["cols"]) == (16, 16)
    assert MOST_ARROWS >= 16
    assert np.abs(arrows["cols"]).max() == pytest.approx(0.8 * steepest, rel=0.1)
    assert np.abs(arrows["rows"]).max() < 0.05 * steepest
