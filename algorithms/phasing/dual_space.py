"""Charge flipping and relaxed reflections: to and fro between the magnitudes and the atoms.

Two sets: A, images with the known magnitudes; B, images that are 0 but for few bright places, the
atoms. P_A puts the magnitudes in and keeps the phases; P_B keeps the atoms and clears the rest.

- Charge flipping (Oszlanyi & Suto, Acta Cryst. A 60, 134 (2004)): what P_B would clear changes its
  sign, rho <- P_A (2 P_B - 1) rho.
- Relaxed reflections, RRR (Elser, Lan & Bendory, SIAM J. Imaging Sci. 11, 2429 (2018)):
  x <- x + beta (P_B (2 P_A x - x) - P_A x), which contains the difference map as beta = 1.

Both wander until they fall into a solution; all starts are made at once. A start's figure of merit
is |P_B rho - rho| / |rho| of its image rho in A: what of it cannot be atoms, F(0) apart. The best
image of each start counts, not its last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from algorithms.phasing.align import align
from algorithms.phasing.solution import Phasing

Float64 = NDArray[np.float64]
Complex128 = NDArray[np.complex128]
Bool = NDArray[np.bool_]

SAME_IMAGE = 0.9
"""Correlation above which two starts have found the same image."""

NEXT_BEST = 3
"""Starts that are compared with the best one."""

CHECKED_EVERY = 10
"""Iterations between two looks at the figures of merit."""

POLISHING = 20
"""Last iterations, in which the best image of each start is projected to and fro (A after B)."""


def _always(_fraction: float) -> bool:
    """Go on to the last iteration."""
    return True


@dataclass(frozen=True)
class Magnitudes:
    """The set A: images whose known Fourier magnitudes are as given.

    Half of the coefficients are kept (`numpy.fft.rfft2`); the others are their conjugates.

    Attributes:
        shape: (h, w) of the images.
        values: (h, w//2+1) known magnitudes.
        known: (h, w//2+1).
        free: (h, w//2+1) unknown coefficients that an image may have; all other unknown ones are 0.
        fixed: (h, w//2+1) known magnitudes whose phases are known as well, with those; 0 elsewhere.
    """

    shape: tuple[int, int]
    values: Float64
    known: Bool
    free: Bool
    fixed: Complex128

    @classmethod
    def of(
        cls,
        magnitudes: Float64,
        known: Bool,
        free: Bool | None = None,
        phases: Float64 | None = None,
    ) -> Magnitudes:
        """From full arrays (h, w), not shifted; `free` None: F(0) alone; `phases` None: none known.

        Raises:
            ValueError: shapes differ, magnitudes are not those of a real image, or none is known.
        """
        if magnitudes.ndim != 2 or magnitudes.shape != known.shape:
            raise ValueError(
                f"magnitudes and known must be of one shape (h, w), not {magnitudes.shape} and"
                f" {known.shape}"
            )
        if not (magnitudes[known] > 0).any():
            raise ValueError("no known magnitude is above 0: every image fits")
        for name, array in (("magnitudes", np.where(known, magnitudes, 0.0)), ("known", known)):
            if not np.allclose(array, _mate(array), rtol=1e-3, atol=1e-9 * magnitudes.max()):
                raise ValueError(f"{name} of -q must equal those of q: the image is real")
        if free is None:
            free = np.zeros_like(known)
            free[0, 0] = True
        half = magnitudes.shape[1] // 2 + 1
        shape = (magnitudes.shape[0], magnitudes.shape[1])
        seen = known[:, :half]
        values = np.where(seen, magnitudes[:, :half], 0.0)
        fixed = np.zeros(values.shape, dtype=np.complex128)
        if phases is not None:
            told = np.isfinite(phases[:, :half])
            fixed[told] = values[told] * np.exp(1j * phases[:, :half][told])
        return cls(shape, values, seen, free[:, :half] & ~seen, fixed)

    def transform(self, images: Float64) -> Complex128:
        """Coefficients (..., h, w//2+1) of images (..., h, w)."""
        return np.fft.rfft2(images)

    def images(self, coefficients: Complex128) -> Float64:
        """Images (..., h, w) of coefficients."""
        return np.fft.irfft2(coefficients, s=self.shape)

    def project(self, images: Float64) -> Float64:
        """P_A: the nearest images (..., h, w) with the known magnitudes."""
        return self.images(self.imposed(self.transform(images)))

    def imposed(self, coefficients: Complex128) -> Complex128:
        """The same phases, but for known ones, with the known magnitudes.

        What is neither known nor free is 0.
        """
        length = np.abs(coefficients)
        # A coefficient of 0 has no phase; any is as near, so it gets 0.
        unit = np.where(length > 0, coefficients / np.where(length > 0, length, 1.0), 1.0)
        imposed = np.where(self.known, self.values * unit, np.where(self.free, coefficients, 0.0))
        return np.where(self.fixed != 0, self.fixed, imposed)

    def random(self, rng: np.random.Generator, starts: int) -> Float64:
        """Images (starts, h, w) in A with random phases."""
        return self.project(rng.standard_normal((starts, *self.shape)))


def charge_flipping(
    magnitudes: Float64,
    known: Bool,
    *,
    rng: np.random.Generator,
    starts: int = 16,
    iterations: int = 400,
    threshold: float = 1.0,
    fill: float = 0.2,
    free: Bool | None = None,
    initial: Float64 | None = None,
    goes_on: Callable[[float], bool] = _always,
    phases: Float64 | None = None,
) -> Phasing:
    """Phases by charge flipping; those that are known already are kept (phase extension).

    Args:
        magnitudes: |F| on the FFT grid, (h, w), unshifted, |F(q)| = |F(-q)|.
        known: which of them are known, (h, w). F(0) may be unknown.
        rng: decides the random starts.
        starts: how many of them.
        iterations: of each start.
        threshold: density below which the sign is changed [standard deviations of the density].
        fill: share of the area that atoms take, for the figure of merit.
        free: (h, w), unknown coefficients that the image may have; None: F(0) alone.
        initial: images (n, h, w) to begin from as well, beside the random starts.
        goes_on: called now and then with the fraction done; the iterations end when it says False.
        phases: (h, w) [rad] known phases of known magnitudes, NaN where there is none; those of q
            and -q are opposite. They settle origin and hand. None: none is known.

    Raises:
        ValueError: as `Magnitudes.of`; or there is nothing to begin from.
    """
    constraint = Magnitudes.of(magnitudes, known, free, phases)

    def step(density: Float64) -> tuple[Float64, Float64]:
        least = threshold * density.std(axis=(1, 2), keepdims=True)
        density = constraint.project(np.where(density > least, density, -density))
        return density, density

    begin = _begin(constraint, rng, starts, initial)
    return _best_of(step, constraint, begin, iterations, fill, goes_on)


def relaxed_reflect(
    magnitudes: Float64,
    known: Bool,
    *,
    rng: np.random.Generator,
    starts: int = 16,
    iterations: int = 400,
    beta: float = 0.5,
    fill: float = 0.2,
    free: Bool | None = None,
    initial: Float64 | None = None,
    goes_on: Callable[[float], bool] = _always,
) -> Phasing:
    """Phases by relaxed reflections (RRR).

    Args:
        magnitudes: |F| on the FFT grid, (h, w), unshifted, |F(q)| = |F(-q)|.
        known: which of them are known, (h, w). F(0) may be unknown.
        rng: decides the random starts.
        starts: how many of them.
        iterations: of each start.
        beta: length of a step, between 0 and 2; shorter ones wander less.
        fill: share of the area that atoms take: P_B keeps as many of the brightest pixels.
        free: (h, w), unknown coefficients that the image may have; None: F(0) alone.
        initial: images (n, h, w) to begin from as well, beside the random starts.
        goes_on: called now and then with the fraction done; the iterations end when it says False.

    Raises:
        ValueError: as `Magnitudes.of`; or there is nothing to begin from.
    """
    constraint = Magnitudes.of(magnitudes, known, free)

    def step(x: Float64) -> tuple[Float64, Float64]:
        with_magnitudes = constraint.project(x)
        x = x + beta * (atomic(2 * with_magnitudes - x, fill) - with_magnitudes)
        return x, with_magnitudes

    begin = _begin(constraint, rng, starts, initial)
    return _best_of(step, constraint, begin, iterations, fill, goes_on)


def atomic(images: Float64, fill: float) -> Float64:
    """P_B: the brightest pixels, a share `fill` of all, if above 0; the rest is 0. (..., h, w)."""
    height, width = images.shape[-2:]
    kept = max(1, round(fill * height * width))
    flat = images.reshape(*images.shape[:-2], -1)
    least = np.partition(flat, -kept, axis=-1)[..., -kept, None, None]
    return np.where(images >= np.maximum(least, 0.0), images, 0.0)


def merits_of(images: Float64, fill: float) -> Float64:
    """|P_B rho - rho| / |rho| of images (starts, h, w) in A, their own means aside."""
    # The mean is free as a rule: an image is judged at the one that suits it best, nearly.
    left = images - atomic(images, fill)
    left = left - left.mean(axis=(1, 2), keepdims=True)
    spread = images - images.mean(axis=(1, 2), keepdims=True)
    merits: Float64 = np.linalg.norm(left, axis=(1, 2)) / np.linalg.norm(spread, axis=(1, 2))
    return merits


def _begin(
    constraint: Magnitudes, rng: np.random.Generator, starts: int, initial: Float64 | None
) -> Float64:
    """All images in A to begin from, (n, h, w)."""
    images = constraint.random(rng, starts)
    if initial is not None:
        images = np.concatenate([images, constraint.project(initial)])
    if len(images) == 0:
        raise ValueError("neither random starts nor images to begin from")
    return images


def _best_of(
    step: Callable[[Float64], tuple[Float64, Float64]],
    constraint: Magnitudes,
    state: Float64,
    iterations: int,
    fill: float,
    goes_on: Callable[[float], bool],
) -> Phasing:
    """Iterate all starts, keep the best image of each, polish, and take the best of all."""
    best, merits, taken = state, merits_of(state, fill), 0
    for taken in range(1, iterations + 1):
        state, images = step(state)
        if taken % CHECKED_EVERY == 0 or taken == iterations:
            found = merits_of(images, fill)
            better = found < merits
            merits = np.where(better, found, merits)
            best = np.where(better[:, None, None], images, best)
            if not goes_on(taken / iterations):
                break
    for _ in range(POLISHING):
        best = constraint.project(atomic(best, fill))
    return chosen(best, merits_of(best, fill), taken)


def chosen(images: Float64, merits: Float64, iterations: int) -> Phasing:
    """The best of images (starts, h, w) by their figures of merit (starts,), lower is better."""
    order = np.argsort(merits, kind="stable")
    winner = images[order[0]]
    others = [align(images[other], winner).correlation for other in order[1 : 1 + NEXT_BEST]]
    agreement = max(others, default=0.0)
    return Phasing(
        density=winner,
        coefficients=np.fft.fft2(winner),
        figure_of_merit=float(merits[order[0]]),
        converged=agreement > SAME_IMAGE,
        merits=merits,
        agreement=agreement,
        iterations=iterations,
    )


def _mate(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """Of an (h, w) array over q, the one over -q."""
    return np.roll(array[::-1, ::-1], 1, axis=(0, 1))
