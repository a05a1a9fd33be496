"""direct-methods: phases of the object's Fourier coefficients from their magnitudes alone.

1. Magnitudes from the data: the scan's Fourier transform (`algorithms.scan_fourier`), without the
   power that noise adds. Its phases are put aside.
2. Normalised structure factors, triplet relations, tangent formula from many random phases
   (`algorithms.phasing.tangent`): starts for what follows.
3. Relaxed reflections between magnitudes and atoms, from these and from random starts; the best
   figure of merit wins (`algorithms.phasing.dual_space`).
4. Origin and hand, which no magnitude tells: two numbers and a sign, from the scan's own phases.
5. Scale from the phase scale; the background is put to 0.

After Hauptman & Karle, The Solution of the Phase Problem I (1953), and Elser, Lan & Bendory (2018).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from algorithms.base import Reconstruction, Sample, unsuited
from algorithms.phasing.align import align
from algorithms.phasing.dual_space import relaxed_reflect
from algorithms.phasing.solution import Phasing
from algorithms.phasing.statistics import normalised_structure_factors
from algorithms.phasing.tangent import find_triplets, tangent_maps
from algorithms.prior import pin_background
from algorithms.scan_fourier import ScanCoefficients, scan_coefficients
from schemas.spec import MismatchSpec

Float64 = NDArray[np.float64]
Complex128 = NDArray[np.complex128]

OVERSAMPLING = 1.2
"""Pixels of the grid that phases are looked for on, over the fewest that hold the band."""

FEWEST_OBSERVED = 12
"""Observed coefficients (six Friedel pairs) below which there is no structure to be solved."""

ATOMS_PER_A2 = 0.2
"""Columns of atoms in a projected area, for the triplets' reliability: between SrTiO3 [001] (0.20)
and a MoS2 layer (0.23) [A^-2]."""

KEPT_FOR_END = 0.9
"""Share of the time that is left which the search may take."""


@dataclass(frozen=True)
class DirectMethods:
    """Direct methods with a dual-space end.

    Attributes:
        sigmas: a magnitude is observed when it is so many standard errors above 0.
        fill: share of the area that atoms take.
        strong: strongest normalised coefficients that triplets are made of.
        tangent_starts: random phases that the tangent formula is tried from.
        starts: random starts of the relaxed reflections; as many again come from the tangent
            formula.
        iterations: of the relaxed reflections.
        beta: their step.
    """

    sigmas: float = 4.0
    fill: float = 0.45
    strong: int = 80
    tangent_starts: int = 128
    starts: int = 8
    iterations: int = 300
    beta: float = 0.5

    def reconstruct(self, sample: Sample, spec: MismatchSpec) -> Reconstruction:
        """x_hat (H, W) in [0, 1].

        Raises:
            ContractError: SAMPLE_UNSUITED: see `scan_coefficients`; or too few magnitudes stand
                above the noise.
        """
        measured = scan_coefficients(sample, spec)
        observed = measured.observed(self.sigmas)
        if observed.sum() < FEWEST_OBSERVED:
            raise unsuited(
                sample,
                needs=f"{FEWEST_OBSERVED} Fourier magnitudes above {self.sigmas} standard errors",
                found=f"{int(observed.sum())} of {int(measured.within_band.sum())} in the band",
                instead="ptychography, which needs no single coefficient to stand out",
            )
        solution, extra = self._phases(sample, measured)
        found = np.fft.ifft2(resized(solution.coefficients, sample.object_shape)).real
        # The phases that were put aside are looked at here, for the origin and the hand alone.
        by_scan = np.fft.ifft2(np.where(observed, measured.values, 0.0)).real
        placed = align(found, by_scan)
        phase = np.arcsin(np.clip(placed.density, -1.0, 1.0))
        x = torch.as_tensor(phase / sample.operator.attrs.phase_scale_rad, dtype=torch.float32)
        image = pin_background(x, torch.ones_like(x)).numpy()
        diagnostics: dict[str, Any] = {
            "observed": int(observed.sum()),
            "within_band": int(measured.within_band.sum()),
            "figure_of_merit": solution.figure_of_merit,
            "agreement_of_starts": solution.agreement,
            "converged": solution.converged,
            "iterations": solution.iterations,
            "origin_px": list(placed.shift),
            "twin": placed.twin,
            "correlation_with_scan": placed.correlation,
            "correlation_of_other_hand": placed.other_hand,
            "origin_and_hand": "from the phases of the scan's Fourier transform",
            **extra,
        }
        return Reconstruction(image, diagnostics=diagnostics)

    def _phases(self, sample: Sample, measured: ScanCoefficients) -> tuple[Phasing, dict[str, Any]]:
        """The best solution on a grid that just holds the band, from magnitudes alone."""
        shape = _grid_shape(measured.within_band)
        magnitudes = resized(measured.magnitudes(self.sigmas), shape).real
        within_band = resized(measured.within_band, shape).real > 0
        rng = np.random.default_rng(sample.seed)
        begun, triplets = self._from_triplets(sample, magnitudes, within_band, rng)
        deadline = time.monotonic() + KEPT_FOR_END * sample.seconds_left

        def goes_on(fraction: float) -> bool:
            sample.progress(fraction)
            return time.monotonic() < deadline

        solution = relaxed_reflect(
            magnitudes,
            magnitudes > 0,
            rng=rng,
            starts=self.starts,
            iterations=self.iterations,
            beta=self.beta,
            fill=self.fill,
            initial=begun,
            goes_on=goes_on,
        )
        return solution, {"triplets": triplets, "from_tangent_formula": len(begun)}

    def _from_triplets(
        self,
        sample: Sample,
        magnitudes: Float64,
        within_band: NDArray[np.bool_],
        rng: np.random.Generator,
    ) -> tuple[Float64, int]:
        """The best E maps of the tangent formula, (starts, h, w), and the number of triplets."""
        sampling_A = sample.operator.attrs.sampling_A
        extent_A = [side * sampling_A for side in sample.object_shape]
        q_y, q_x = (
            np.fft.fftfreq(n, extent / n)
            for n, extent in zip(magnitudes.shape, extent_A, strict=True)
        )
        frequency = np.hypot(q_y[:, None], q_x[None, :])
        # What is not observed is weak: that is known of it.
        factors = normalised_structure_factors(magnitudes, within_band, frequency)
        strong = min(self.strong, int((magnitudes > 0).sum()) // 2)
        triplets = find_triplets(
            factors.E, within_band, strong=strong, atoms=ATOMS_PER_A2 * extent_A[0] * extent_A[1]
        )
        maps, merits = tangent_maps(triplets, rng=rng, starts=self.tangent_starts)
        best = np.argsort(merits, kind="stable")[: self.starts]
        # An E map has atoms that are too sharp: back to the fall of the magnitudes.
        spectra = np.fft.fft2(maps[best]) * factors.fall_off
        return np.fft.ifft2(spectra).real, len(triplets.target)


def resized(coefficients: NDArray[Any], shape: tuple[int, int]) -> Complex128:
    """Coefficients (h, w) of a band-limited image, for the same image on another grid (h', w')."""
    rows, cols = (
        np.arange(min(a, b)) - min(a, b) // 2
        for a, b in zip(coefficients.shape, shape, strict=True)
    )
    out = np.zeros(shape, dtype=np.complex128)
    out[np.ix_(rows, cols)] = coefficients[np.ix_(rows, cols)] * (out.size / coefficients.size)
    return out


def _grid_shape(within_band: NDArray[np.bool_]) -> tuple[int, int]:
    """Sides that hold the band with some room, easy on the FFT."""
    sides = []
    for axis, size in enumerate(within_band.shape):
        frequencies = np.fft.fftfreq(size, 1 / size)
        reach = np.abs(frequencies[within_band.any(axis=1 - axis)]).max()
        sides.append(_fast_size(int(np.ceil(OVERSAMPLING * (2 * reach + 1)))))
    return sides[0], sides[1]


def _fast_size(least: int) -> int:
    """Smallest even number of at least `least` without a prime factor above 5."""
    size = least + least % 2
    while True:
        rest = size
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return size
        size += 2
