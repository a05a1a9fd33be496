r"""A phase from linear images of it: the best linear estimate, with noise and aliases known.

Images G_m(k) = sum_g H_m(k; g) phi(k + g) + noise, recorded on a scan lattice with reciprocal
vectors g. For a phase of power spectrum s(k) and white noise of power v_m, the least mean square
error of all linear estimates has

    phi(k) = s(k) h_0^H C^-1 G(k),   C = sum_g s(k + g) h_g h_g^H + diag(v),   h_g = (H_m(k; g))_m

(Wiener's filter for several channels). An alias counts as what it is: a signal that is in the way,
which several images can tell from the one that is sought.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from algorithms.base import Sample
from algorithms.prior import pin_background
from algorithms.scan_lattice import ScanLattice, spread
from algorithms.weak_phase import transfer

Float64 = NDArray[np.float64]
Complex128 = NDArray[np.complex128]

LEAST_RESPONSE = 0.2
"""An image whose best frequency comes through by less than this does not show the phase."""

ORIGIN = (0.0, 0.0)
"""The frequency 0, which is its own alias."""

BAND = 2.0
"""Nothing of a weak phase is seen beyond this many aperture radii: no two of the disk's points are
farther apart."""

BACKGROUND_PERCENTILE = 5.0
"""Percentile of a linear image that is put to 0. Its noise and what is missing of its spectrum
reach farther below the background than those of a fit that knows that nothing is negative."""


@dataclass(frozen=True)
class Expectation:
    """What is expected of x before it is seen: round atoms at random places on a background of 0.

    Attributes:
        contrast: standard deviation of x.
        atom_width_A: standard deviation of an atom's Gaussian profile [A].
    """

    contrast: float = 0.15
    atom_width_A: float = 0.3

    def power(self, sample: Sample, frequency: tuple[float, float] = ORIGIN) -> Float64:
        """s(k + g), (H, W) [rad^2]: its mean over the frequencies k is the phase's variance."""
        attrs = sample.operator.attrs
        decay = 2 * (np.pi * self.atom_width_A / attrs.sampling_A) ** 2
        rows, cols = (np.fft.fftfreq(side) for side in attrs.object_shape)
        # Every profile's power is exp(-2 decay k^2), and separable.
        mean = np.exp(-2 * decay * rows**2).mean() * np.exp(-2 * decay * cols**2).mean()
        square = (rows[:, None] + frequency[0]) ** 2 + (cols[None, :] + frequency[1]) ** 2
        variance = (self.contrast * attrs.phase_scale_rad) ** 2
        power: Float64 = variance / mean * np.exp(-2 * decay * square)
        return power


@dataclass(frozen=True)
class LinearImage:
    """One linear image of the phase.

    Attributes:
        spectrum: G(k), (H, W): Fourier transform of what was recorded, per object pixel.
        transfer: g [cycles/pixel] to H(k; g), (H, W).
        noise: v: variance of one recorded value, times the area that it stands for [pixels].
    """

    spectrum: Complex128
    transfer: Callable[[tuple[float, float]], Complex128]
    noise: float


@dataclass(frozen=True)
class PhaseEstimate:
    """The estimate.

    Attributes:
        phase: (H, W) [rad], mean 0.
        response: (H, W), by how much each frequency of the true phase comes through, 0 to 1.
        share: share of the expected phase's variance that is expected to be explained, 0 to 1.
    """

    phase: Float64
    response: Float64
    share: float

    @property
    def shows_phase(self) -> bool:
        """Whether any frequency comes through well above noise and aliases."""
        return float(self.response.max()) >= LEAST_RESPONSE


def band_of(sample: Sample) -> float:
    """Frequency beyond which no weak phase is seen [cycles/pixel]."""
    attrs = sample.operator.attrs
    return BAND * attrs.semiangle_mrad * 1e-3 / attrs.wavelength_A * attrs.sampling_A


def second_order(sample: Sample, expected: Expectation, share: float) -> float:
    """Noise v that stands for what no weak-phase transfer holds, for `LinearImage.noise`.

    exp(i phi) - 1 - i phi is about -phi^2 / 2, so that an image is wrong by about half the phase's
    variance, times what it records; over the size of what the aperture resolves that is one error.
    Without it a strong phase's second order would be taken for first order, and amplified.

    Args:
        sample: the measurement.
        expected: of x.
        share: mean share of the beam that the image is made of.
    """
    variance = (expected.contrast * sample.operator.attrs.phase_scale_rad) ** 2
    return (0.5 * share * variance / band_of(sample)) ** 2


def spectrum_of(values: Float64, sample: Sample, lattice: ScanLattice) -> Complex128:
    """G(k), (H, W), of values (N,) recorded at the scan's positions, their mean taken away."""
    positions = sample.operator.positions_px.astype(np.float64)
    image = spread(values - values.mean(), positions, sample.object_shape)
    spectrum: Complex128 = np.fft.fft2(image) * lattice.cell_px
    return spectrum


def estimate_phase(
    sample: Sample, images: Sequence[LinearImage], lattice: ScanLattice, expected: Expectation
) -> PhaseEstimate:
    """The best linear estimate of the phase."""
    own = np.stack([image.transfer(ORIGIN) for image in images], axis=-1)
    power = expected.power(sample)
    noise = np.diag([image.noise for image in images])
    covariance = _outer(own, power) + noise
    for g in lattice.aliases(2 * band_of(sample)):
        alias = np.stack([image.transfer(g) for image in images], axis=-1)
        covariance += _outer(alias, expected.power(sample, g))
    # C is Hermitian, so that h^H C^-1 = (C^-1 h)^H.
    weights = power * np.linalg.solve(covariance, own[..., None])[..., 0].conj().transpose(2, 0, 1)
    spectrum = sum(
        (weight * image.spectrum for weight, image in zip(weights, images, strict=True)),
        np.zeros(sample.object_shape, dtype=np.complex128),
    )
    spectrum[0, 0] = 0.0
    response = np.einsum("myx,yxm->yx", weights, own).real
    return PhaseEstimate(
        phase=np.fft.ifft2(spectrum).real,
        response=response,
        share=float((response * power).sum() / power.sum()),
    )


def _outer(transfers: Complex128, power: Float64) -> Complex128:
    """h h^H s at every frequency, (H, W, M, M), of transfers (H, W, M)."""
    scaled = transfers * power[..., None]
    product: Complex128 = scaled[..., :, None] * transfers.conj()[..., None, :]
    return product


def image_of(phase: Float64, sample: Sample) -> NDArray[np.float32]:
    """x_hat (H, W) in [0, 1] of a linear image of the phase [rad]: its background is put to 0."""
    x = torch.as_tensor(phase / sample.operator.attrs.phase_scale_rad)
    window = torch.as_tensor(_seen(sample))
    pinned: NDArray[np.float64] = pin_background(x, window, BACKGROUND_PERCENTILE).numpy()
    return pinned.astype(np.float32)


def _seen(sample: Sample) -> Float64:
    """Light on each object pixel (H, W), relative to the brightest."""
    positions = sample.operator.positions_px.astype(np.float64)
    places = spread(np.ones(len(positions)), positions, sample.object_shape)
    power = np.abs(sample.operator.probe.astype(np.complex128)) ** 2
    blurred = np.fft.fft2(places) * transfer(power, sample.object_shape).conj()
    light: Float64 = np.fft.ifft2(blurred).real
    light /= light.max()
    return light
