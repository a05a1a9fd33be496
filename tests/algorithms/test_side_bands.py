"""The side bands' templates are the operator's derivative, and what they solve for is right."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.func import jvp

from algorithms.base import Sample
from algorithms.linear_phase import NormalEquations, estimate, prior_variance
from algorithms.reconstructors.ssb import Ssb
from algorithms.scan_transform import Aliases, Raster, scan_spectra
from algorithms.side_bands import LEAST_VARIANCE, SideBands, measured_side_bands, speckle_pixels
from physics.geometry import DetectorGeometry
from physics.ideal import ArrayPatterns, IdealOperator
from physics.information import FisherInformation
from physics.operator import ForwardOperator
from schemas import MismatchSpec
from schemas.findings import ContractError
from tests.helpers.operators import SPECS, make_ideal, with_gaussian_probe
from tests.helpers.samples import atoms, measured

NOISELESS_E = 1e13
"""Electrons per pattern that leave no noise to speak of."""

OPTICS = {
    "in focus": {"C10_A": 0.0},
    "overfocus": {"C10_A": 40.0},
    "underfocus": {"C10_A": -40.0},
    "spherical": {"C10_A": 30.0, "Cs_A": -3e5},
}

WEAK_RAD = 0.002
"""Phase whose second order is a thousandth of its first."""

SHAPE = (32, 32)


def unseen(ideal: IdealOperator) -> Sample:
    """A sample whose patterns do not matter."""
    n, side = ideal.window, math.isqrt(len(ideal.positions_px))
    y = ArrayPatterns(np.zeros((side, side, n, n), dtype=np.float32))
    return measured_ranges(ideal, y)


def measured_ranges(ideal: IdealOperator, y: ArrayPatterns) -> Sample:
    return replace(
        measured(make_ideal(), np.zeros(SHAPE, np.float32), MismatchSpec()), y=y, operator=ideal
    )


def in_band(ideal: IdealOperator, *, seed: int = 0, share: float = 0.9) -> NDArray[np.float32]:
    """Random x (H, W) of frequencies that the aperture passes, in [0, 1]; the disk is the band."""
    height, width = ideal.attrs.object_shape
    k = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :])
    limit = share * 2 * ideal.disk_radius_px / ideal.window
    spectrum = np.fft.fft2(np.random.default_rng(seed).standard_normal((height, width)))
    image = np.fft.ifft2(spectrum * (k < limit)).real
    return ((image - image.min()) / np.ptp(image)).astype(np.float32)


def off(found: NDArray[np.floating], truth: NDArray[np.floating]) -> float:
    """Root mean square difference of two images without their means, relative to the truth's."""
    a, b = found - found.mean(), truth - truth.mean()
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


# --- templates ------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", [SPECS["nominal"], SPECS["all"]], ids=["nominal", "mismatched"])
@pytest.mark.parametrize("optics", OPTICS.values(), ids=OPTICS)
@pytest.mark.parametrize("amplitude", [False, True], ids=["phase", "amplitude"])
def test_templates_are_the_operator_s_derivative(
    spec: MismatchSpec, optics: dict[str, float], amplitude: bool
) -> None:
    """Along cosine and sine gratings, at every position and pixel of the disk, by autograd."""
    ideal = make_ideal(step=2, **optics)
    sample = unseen(ideal)
    aliases = Aliases.of(sample, Raster.of(sample), folded=True)
    bands = SideBands(ideal, spec, aliases, dtype=torch.complex128)
    templates = torch.stack(
        [
            bands.templates(row, slice(0, bands.inside.shape[1]))[amplitude]
            for row in range(bands.inside.shape[0])
        ]
    )
    forward = ForwardOperator(ideal, dtype=torch.float64)
    far = forward.far_field(spec)

    def patterns(transmission: torch.Tensor) -> torch.Tensor:
        return far.intensity(far.forward(forward.exit_waves(transmission, far, slice(None))))

    still = torch.ones(SHAPE, dtype=torch.complex128)
    rows, cols = np.indices(SHAPE)
    positions = torch.as_tensor(ideal.positions_px, dtype=torch.float64)
    for turns in ((1, 0), (0, -3), (5, 2), (-6, 7)):
        k = np.array(turns) / np.array(SHAPE)
        angle = torch.as_tensor(2 * np.pi * (k[0] * rows + k[1] * cols))
        at = tuple(
            int(np.flatnonzero(np.isclose(axis, f))[0])
            for axis, f in zip((aliases.k_y, aliases.k_x), k, strict=True)
        )
        assert aliases.passed[at]
        template = templates[:, :, at[0], at[1]]
        wave = torch.exp(2j * torch.pi * (positions @ torch.as_tensor(k)))
        expected = wave[:, None, None] * template
        for grating, part in ((angle.cos(), expected.real), (angle.sin(), expected.imag)):
            change = grating.to(torch.complex128) * (1 if amplitude else 1j)
            derivative = jvp(patterns, (still,), (change,))[1][:, bands.rows, bands.cols]
            scale = float(expected.abs().max())
            assert float((derivative - part).abs().max()) < 1e-12 * scale


# --- aliases --------------------------------------------------------------------------------------


@given(
    step=st.sampled_from([1, 2, 4]),
    shape=st.sampled_from([(32, 32), (32, 64), (40, 24)]),
    folded=st.booleans(),
)
@settings(max_examples=12, deadline=None)
def test_frequencies_are_sorted_by_the_scan_s(
    step: int, shape: tuple[int, int], folded: bool
) -> None:
    """Each lands where an object of it alone is seen in the scan's transform, and comes back."""
    ideal = make_ideal(object_shape=shape, step=step)
    ny, nx = shape[0] // step, shape[1] // step
    y = ArrayPatterns(np.zeros((ny, nx, 16, 16), dtype=np.float32))
    sample = measured_ranges(ideal, y)
    aliases = Aliases.of(sample, Raster.of(sample), folded=folded)
    grid = torch.as_tensor(np.stack(np.meshgrid(aliases.k_y, aliases.k_x, indexing="ij")))
    sorted_ = aliases.fold(grid)
    turns_y, turns_x = (sorted_ * step).numpy() * np.array([ny, nx]).reshape(2, 1, 1, 1)
    assert np.allclose(np.rint(turns_y) % ny, np.arange(ny)[:, None, None])
    assert np.allclose(np.rint(turns_x) % nx, np.arange(nx)[None, :, None])
    assert torch.equal(aliases.unfold(sorted_), grid)
    mirrored = aliases.passed[-np.arange(len(aliases.k_y))][:, -np.arange(len(aliases.k_x))]
    assert np.array_equal(mirrored, aliases.passed), "phases are real"
    assert not aliases.fold(torch.as_tensor(aliases.passed))[0, 0].any(), "hidden by the mean"
    if folded:
        limit = 2 * ideal.disk_radius_px / ideal.window
        k = np.hypot(*np.meshgrid(*(np.fft.fftfreq(s) for s in shape), indexing="ij"))
        hidden = (turns_hidden(shape, step)).sum()
        assert aliases.passed.sum() >= (k < limit).sum() - hidden


def turns_hidden(shape: tuple[int, int], step: int) -> NDArray[np.bool_]:
    """Frequencies of an image that fold onto 0, and its Nyquist rows."""
    rows, cols = (np.rint(np.fft.fftfreq(s) * s).astype(int) for s in shape)
    zero = (rows % (shape[0] // step) == 0)[:, None] & (cols % (shape[1] // step) == 0)[None, :]
    return zero | (rows == -shape[0] // 2)[:, None] | (cols == -shape[1] // 2)[None, :]


def test_a_small_memory_takes_more_passes_and_gives_the_same() -> None:
    ideal = make_ideal(step=2, C10_A=-40.0)
    sample = measured(ideal, atoms(SHAPE), MismatchSpec())
    reads: list[int] = []

    class Counted(ArrayPatterns):
        def read(self, start: int, stop: int) -> NDArray[np.float32]:
            reads.append(start)
            return super().read(start, stop)

    counted = replace(sample, y=Counted(sample.y.read(0, 256).reshape(16, 16, 16, 16)))
    raster = Raster.of(sample)
    images = []
    for memory in (1 << 30, 40_000):
        reads.clear()
        rows = list(
            scan_spectra(
                replace(counted, memory_bytes=memory),
                raster,
                lambda counts, chosen: torch.as_tensor(counts[:, chosen]),
                16,
                16,
            )
        )
        images.append((len(reads), torch.stack([image for _, image in rows])))
        assert [row for row, _ in rows] == list(range(16))
    assert images[0][0] == 1
    assert images[1][0] > 4
    assert torch.equal(images[0][1], images[1][1])
    brute = np.fft.fft2(sample.y.read(0, 256).reshape(16, 16, 16, 16), axes=(0, 1)) / 256
    brute[0, 0] = 0
    np.testing.assert_allclose(images[0][1].numpy(), brute.transpose(2, 3, 0, 1), atol=1e-3)


# --- the phase, in radians ------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 2], ids=["well sampled", "aliased"])
@pytest.mark.parametrize("optics", OPTICS.values(), ids=OPTICS)
@pytest.mark.parametrize("spec", [SPECS["nominal"], SPECS["all"]], ids=["nominal", "mismatched"])
def test_a_weak_phase_comes_back_in_radians(
    step: int, optics: dict[str, float], spec: MismatchSpec
) -> None:
    """Without noise and within the pass band, to 2 %; hidden frequencies apart."""
    # Of a disk of seven pixels many frequencies cannot be told from nine more, in focus above all.
    ideal = make_ideal(
        window=16 * step, step=step, phase_scale_rad=WEAK_RAD, dose_e=NOISELESS_E, **optics
    )
    x = in_band(ideal, share=0.8)
    spectrum = np.fft.fft2(x)
    # In focus, one of two standing waves that fold onto their own mirror image changes nothing.
    spectrum[turns_hidden(SHAPE, step) | turns_hidden(SHAPE, 2 * step)] = 0
    x = np.fft.ifft2(spectrum).real.astype(np.float32)
    found = Ssb().phase(measured(ideal, x, spec), spec).phase.numpy()
    assert off(found, WEAK_RAD * x) < 0.02


def test_the_textbook_s_sum_is_right_where_the_scan_samples_what_the_aperture_passes() -> None:
    ideal = make_ideal(step=1, phase_scale_rad=WEAK_RAD, dose_e=NOISELESS_E, C10_A=-40.0)
    x = in_band(ideal, share=0.8)
    found = Ssb(aliases=False).phase(measured(ideal, x, MismatchSpec()), MismatchSpec())
    assert off(found.phase.numpy(), WEAK_RAD * x) < 0.02


def test_aliases_that_are_not_told_apart_spoil_the_textbook_s_sum() -> None:
    ideal = make_ideal(step=2, phase_scale_rad=WEAK_RAD, dose_e=NOISELESS_E, C10_A=-40.0)
    sample, x = measured(ideal, in_band(ideal), MismatchSpec()), in_band(ideal)
    plain, told = (
        Ssb(aliases=aliases).phase(sample, MismatchSpec()).phase.numpy()
        for aliases in (False, True)
    )
    assert off(plain, WEAK_RAD * x) > 0.5
    assert off(told, WEAK_RAD * x) < 0.05


def test_the_wrong_detector_shows() -> None:
    """Templates of the nominal detector do not fit what a mismatched one saw."""
    ideal = make_ideal(step=2, phase_scale_rad=WEAK_RAD, dose_e=NOISELESS_E, C10_A=-40.0)
    x, spec = in_band(ideal), SPECS["all"]
    sample = measured(ideal, x, spec)
    assert off(Ssb().phase(sample, spec).phase.numpy(), WEAK_RAD * x) < 0.05
    assert off(Ssb().phase(sample, MismatchSpec()).phase.numpy(), WEAK_RAD * x) > 0.3


# --- noise ----------------------------------------------------------------------------------------


def test_information_is_fisher_s() -> None:
    """G of each frequency is the operator's Fisher information of a grating, from the disk."""
    ideal = make_ideal(step=2, C10_A=-40.0, dose_e=1e6)
    spec = SPECS["all"]
    sample = measured(ideal, np.zeros(SHAPE, np.float32), spec)
    raster = Raster.of(sample)
    aliases = Aliases.of(sample, raster, folded=True)
    equations = measured_side_bands(sample, spec, raster, aliases)
    g = aliases.unfold(equations.information.chunk(2, dim=-1)[0]).numpy()
    forward = ForwardOperator(ideal, dtype=torch.float64)
    bands = SideBands(ideal, spec, aliases)
    disk = torch.zeros(16, 16, dtype=torch.float64)
    disk[bands.rows, bands.cols] = torch.as_tensor(bands.inside, dtype=torch.float64)
    brightest = float(forward.expected(torch.zeros(SHAPE, dtype=torch.float64), spec).max())
    fisher = FisherInformation(
        forward,
        spec,
        torch.zeros(SHAPE, dtype=torch.float64),
        lambda expected: disk / expected.clamp_min(LEAST_VARIANCE * brightest),
    )
    rows, cols = np.indices(SHAPE)
    for turns in ((1, 0), (3, 2), (-5, 4), (0, 9), (10, 5)):
        k = np.array(turns) / np.array(SHAPE)
        grating = torch.as_tensor(np.cos(2 * np.pi * (k[0] * rows + k[1] * cols)))
        at = tuple(
            int(np.flatnonzero(np.isclose(axis, f))[0])
            for axis, f in zip((aliases.k_y, aliases.k_x), k, strict=True)
        )
        bound = 2 * float((grating * fisher.product(grating)).sum())
        assert g[at] == pytest.approx(bound, rel=3e-3)


def test_noise_is_what_the_equations_say() -> None:
    """Of vacuum and without a prior, every coefficient scatters by its own standard error."""
    ideal = make_ideal(step=2, C10_A=-40.0, dose_e=1e6)
    ratios = []
    for seed in range(4):
        sample = measured(ideal, np.zeros(SHAPE, np.float32), MismatchSpec(), seed=seed)
        raster = Raster.of(sample)
        aliases = Aliases.of(sample, raster, folded=True)
        equations = measured_side_bands(sample, MismatchSpec(), raster, aliases)
        passed = aliases.fold(torch.as_tensor(aliases.passed)).repeat(1, 1, 2)
        mean, variance = equations.posterior(1e4 * passed.double())
        known = variance < 1e-4 * 1e4  # at the band's end the templates are all but empty
        assert known[passed].double().mean() > 0.5
        ratios.append((mean.abs().square() / variance)[passed & known])
    # Each coefficient and its mirror image are one; two of each make an exponential variable.
    ratio = torch.cat(ratios)
    assert float(ratio.mean()) == pytest.approx(1.0, abs=4 * math.sqrt(2 / len(ratio)))


def test_read_noise_and_gain_are_known() -> None:
    ideal = make_ideal(step=2, C10_A=-40.0, dose_e=500.0, gain=7.0, read_noise=30.0)
    sample = measured(ideal, np.zeros(SHAPE, np.float32), MismatchSpec())
    assert Ssb().phase(sample, MismatchSpec()).diagnostics["misfit"] == pytest.approx(1, abs=0.06)


def test_the_prior_is_the_spectrum_that_was_drawn() -> None:
    """Rings of known variance and one strong peak, seen through known templates and noise."""
    ideal = make_ideal(object_shape=(64, 64), step=2)
    y = ArrayPatterns(np.zeros((32, 32, 16, 16), dtype=np.float32))
    sample = measured_ranges(ideal, y)
    aliases = Aliases.of(sample, Raster.of(sample), folded=True)
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=torch.complex128, generator=generator)

    radius = torch.as_tensor(np.hypot(aliases.k_y[:, None], aliases.k_x[None, :]))
    truth = torch.where(radius < 0.2, 4.0, 0.25) * torch.as_tensor(aliases.passed)
    coefficients = draw(*radius.shape) * truth.sqrt()
    coefficients[3, 4] = 60.0
    templates = draw(40, 1, 1, math.prod(aliases.counts)).expand(-1, 32, 32, -1)
    unknowns = aliases.fold(coefficients)
    equations = NormalEquations.empty((32, 32), unknowns.shape[-1], "cpu")
    seen = (templates * unknowns).sum(-1) + 2 * draw(40, 32, 32)
    equations.add(templates, seen, torch.full((40, 1, 1), 0.25))
    variance = aliases.unfold(prior_variance(equations, aliases))
    assert float(variance[3, 4]) == pytest.approx(3600, rel=0.2)
    for inner, outer, expected in ((0.05, 0.19, 4.0), (0.22, 0.4, 0.25)):
        ring = (radius > inner) & (radius < outer) & torch.as_tensor(aliases.passed)
        assert float(variance[ring].median()) == pytest.approx(expected, rel=0.3)
    assert float(variance[~torch.as_tensor(aliases.passed)].abs().max()) == 0.0


def test_frequencies_that_do_not_fit_are_believed_less() -> None:
    ideal = make_ideal(step=2, C10_A=-40.0)
    sample = measured(ideal, atoms(SHAPE), MismatchSpec())
    raster = Raster.of(sample)
    aliases = Aliases.of(sample, raster, folded=True)
    equations = measured_side_bands(sample, MismatchSpec(), raster, aliases)
    plain = estimate(equations, aliases, speckle=1.0)
    equations.energy[2, 3] += 20 * equations.measured
    doubted = estimate(equations, aliases, speckle=1.0)
    assert float(doubted.misfit[2, 3] - plain.misfit[2, 3]) == pytest.approx(20, rel=0.2)
    shrunk = (doubted.mean.abs() / plain.mean.abs().clamp_min(1e-30)).nan_to_num(1.0)
    aliased = torch.as_tensor(aliases.passed)
    seen = aliases.fold(aliased).repeat(1, 1, 2)
    assert float(shrunk[2, 3][seen[2, 3]].mean()) < 0.7
    assert float(shrunk[5, 6][seen[5, 6]].mean()) == pytest.approx(1.0, abs=0.1)


def test_a_speckle_is_what_the_probe_s_size_makes_it() -> None:
    """A Gaussian probe |P|^2 of standard deviation s lights 4 pi s^2 pixels."""
    ideal = with_gaussian_probe(make_ideal(window=32), 4.0)
    sigma = 4.0 / math.sqrt(2)
    assert speckle_pixels(ideal) == pytest.approx(32**2 / (4 * math.pi * sigma**2), rel=1e-3)


# --- samples of every kind ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def noisy() -> Sample:
    ideal = make_ideal(window=24, object_shape=(48, 48), step=2, C10_A=-60.0, phase_scale_rad=0.5)
    return measured(ideal, atoms(count=40, seed=1, width_px=1.6), SPECS["all"])


def test_the_image_is_x_and_the_same_every_time(noisy: Sample) -> None:
    x = atoms(count=40, seed=1, width_px=1.6)
    told: list[float] = []
    heard = replace(noisy, progress=told.append)
    first, second = (Ssb().reconstruct(heard, SPECS["all"]) for _ in range(2))
    assert first.x_hat.dtype == np.float32
    assert first.x_hat.min() >= 0.0
    assert first.x_hat.max() <= 1.0
    assert first.x_hat.tobytes() == second.x_hat.tobytes()
    assert np.corrcoef(first.x_hat.ravel(), x.ravel())[0, 1] > 0.9
    assert told[-1] == 1.0


@pytest.mark.parametrize("rows_seen", [0, 3])
def test_the_deadline_is_kept(
    noisy: Sample, rows_seen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing seen makes an empty image, some rows a worse one."""
    left = iter([1.0] * rows_seen)
    monkeypatch.setattr(Sample, "seconds_left", property(lambda self: next(left, 0.0)))
    found = Ssb().reconstruct(noisy, SPECS["all"])
    assert np.isfinite(found.x_hat).all()
    assert (found.x_hat.max() > 0) == (rows_seen > 0)


def test_a_dead_pixel_is_left_out(noisy: Sample) -> None:
    counts = noisy.y.read(0, 576).reshape(noisy.y.shape).copy()
    center = round(DetectorGeometry(24, SPECS["all"]).center)
    counts[..., center + 1, center] = 0.0
    x = atoms(count=40, seed=1, width_px=1.6)
    whole, broken = (
        Ssb().reconstruct(s, SPECS["all"]).x_hat
        for s in (noisy, replace(noisy, y=ArrayPatterns(counts)))
    )
    assert off(broken, x) < off(whole, x) + 0.03


def test_a_scan_that_does_not_close_is_right_within_its_rim() -> None:
    """A weak phase that is padded: interior pixels as good as the soft edge allows."""
    ideal = make_ideal(
        window=24,
        object_shape=(64, 64),
        step=1,
        periodic=False,
        shift=(0.3, -0.2),
        C10_A=-40.0,
        phase_scale_rad=0.05,
        dose_e=NOISELESS_E,
    )
    x = in_band(ideal, share=0.6)
    found = Ssb().phase(measured(ideal, x, SPECS["all"]), SPECS["all"]).phase.numpy() / 0.05
    middle = (slice(20, 44), slice(20, 44))
    assert np.corrcoef(found[middle].ravel(), x[middle].ravel())[0, 1] > 0.97
    image = Ssb().reconstruct(measured(ideal, x, SPECS["all"]), SPECS["all"]).x_hat
    assert image[:11].max() == 0.0, "beyond the scan nothing is claimed"


def test_positions_off_the_raster_are_refused(noisy: Sample) -> None:
    jitter = np.random.default_rng(0).uniform(-0.5, 0.5, noisy.operator.positions_px.shape)
    ideal = replace(
        noisy.operator, positions_px=noisy.operator.positions_px + jitter.astype(np.float32)
    )
    with pytest.raises(ContractError, match="SAMPLE_UNSUITED"):
        Ssb().reconstruct(replace(noisy, operator=ideal), MismatchSpec())


def test_a_raster_that_is_too_coarse_is_refused() -> None:
    ideal = make_ideal(object_shape=(64, 64), step=16)
    sample = measured(ideal, atoms((64, 64)), MismatchSpec())
    with pytest.raises(ContractError, match="fold"):
        Ssb().reconstruct(sample, MismatchSpec())
