"""Direct methods as they were first: triplet relations and the tangent formula.

For h = k + l the phases of strong coefficients obey phi_h = phi_k + phi_l, the more surely the
larger kappa = 2 |E_h E_k E_l| / sqrt(N) (Cochran, Acta Cryst. 8, 473 (1955)), N equal atoms. All
triplets of h together give the tangent formula (Karle & Hauptman, Acta Cryst. 9, 635 (1956))

    alpha_h exp(i phi_h) = sum over k of kappa w_k w_l exp(i (phi_k + phi_l)),

iterated from many random phases. A structure without symmetry likes to end as one heavy atom, all
triplets fulfilled. Against that a phase whose alpha exceeds the expected one is given less weight
(after Hull & Irwin, Acta Cryst. A 34, 863 (1978)), and what ends there all the same is told by two
figures of merit, as in MULTAN (Germain, Main & Woolfson, Acta Cryst. A 27, 368 (1971)):

- Karle's R = sum |alpha - <alpha>| / sum <alpha>: a heavy atom's alpha is too large;
- psi_0 = sum |sum E_k E_l| / sum (sum |E_k E_l|^2)^1/2 over the weakest h: their triplets must
  cancel, and a heavy atom's do not (Cochran & Douglas, Proc. R. Soc. A 227, 486 (1955)).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from algorithms.phasing.dual_space import chosen
from algorithms.phasing.solution import Phasing

Float64 = NDArray[np.float64]
Complex128 = NDArray[np.complex128]
Index = NDArray[np.intp]
Number = TypeVar("Number", np.float64, np.complex128)

LEAST_WEIGHT = 0.02
"""A phase that disagrees with all others still counts so much, or it could never come back."""

WEAK_SHARE = 0.25
"""Share of the known coefficients that are the weakest ones, for psi_0."""

BESSEL_ANGLES = 64
"""Points of the integrals that define the Bessel functions: enough for kappa up to 30."""

LARGEST_KAPPA = 30.0
"""Above it a triplet is as good as certain: I1/I0 is 0.98."""


@dataclass(frozen=True)
class Triplets:
    """Triplet relations h = k + l among the strongest coefficients.

    Attributes:
        shape: (h, w) of the FFT grid.
        place: (n,) flat grid index of the strong coefficients, one of each Friedel pair.
        mate: (n,) flat grid index of their mates, -q.
        E: (n,) their normalised magnitudes.
        target: (T,) which of the n is h, ascending.
        first: (T,) k: below n a coefficient, from n on the mate of number first - n.
        second: (T,) l, likewise; each pair {k, l} once.
        kappa: (T,) Cochran's reliability.
        weak: (h, w), the weakest known coefficients, for the figure of merit psi_0.
    """

    shape: tuple[int, int]
    place: Index
    mate: Index
    E: Float64
    target: Index
    first: Index
    second: Index
    kappa: Float64
    weak: NDArray[np.bool_]


def find_triplets(E: Float64, known: NDArray[np.bool_], *, strong: int, atoms: float) -> Triplets:
    """All triplets among the `strong` largest E (h, w).

    Args:
        E: normalised structure factors.
        known: which of them are known, (h, w).
        strong: how many to use; one of each Friedel pair.
        atoms: number of equal atoms in the image, for Cochran's reliability.

    Raises:
        ValueError: there is no triplet, or no coefficient is left to be weak.
    """
    height, width = E.shape
    place, mate = _strongest(np.where(known, E, 0.0), strong)
    both = np.concatenate([place, mate])
    number = np.full(height * width, -1, dtype=np.intp)
    number[both] = np.arange(len(both))
    rows, cols = np.divmod(both, width)
    n = len(place)
    # l = h - k for every strong h and every strong k of both signs.
    l_row = (rows[:n, None] - rows[None, :]) % height
    l_col = (cols[:n, None] - cols[None, :]) % width
    second = number[l_row * width + l_col]
    inside = _fits(rows[:n, None], rows[None, :], height) & _fits(cols[:n, None], cols, width)
    pairs = (second > np.arange(2 * n)[None, :]) & inside  # each {k, l} once
    target, first = np.nonzero(pairs)
    if len(target) == 0:
        raise ValueError(f"no triplet among {n} coefficients: more of them are needed")
    second = second[target, first]
    value = np.abs(E.reshape(-1)[place])
    kappa = 2 / np.sqrt(atoms) * value[target] * value[first % n] * value[second % n]
    weak = _weakest(E, known, np.concatenate([place, mate]))
    return Triplets((height, width), place, mate, value, target, first, second, kappa, weak)


def tangent_refinement(
    triplets: Triplets,
    *,
    rng: np.random.Generator,
    starts: int = 256,
    iterations: int = 60,
) -> Phasing:
    """Phases by the tangent formula: the best of `tangent_maps`.

    Starts that agree may agree on the heavy atom.
    """
    maps, merits = tangent_maps(triplets, rng=rng, starts=starts, iterations=iterations)
    return chosen(maps, merits, iterations)


def tangent_maps(
    triplets: Triplets, *, rng: np.random.Generator, starts: int, iterations: int = 60
) -> tuple[Float64, Float64]:
    """(E maps (starts, h, w), figures of merit (starts,)), from random phases, all at once.

    An E map holds the strong coefficients with their phases, all others are 0. The figure of merit
    combines R and psi_0, each counted from the best start's in standard deviations over the starts,
    and added: it compares starts, not structures; lower is better.
    """
    if starts < 1 or iterations < 1:
        raise ValueError(f"starts and iterations must be 1 or more, not {starts}, {iterations}")
    phasor = np.exp(2j * np.pi * rng.random((starts, len(triplets.place))))
    weight = np.ones(phasor.shape)
    for _ in range(iterations):
        total, expected = _tangent(triplets, phasor, weight)
        alpha = np.abs(total)
        phasor = np.where(alpha > 0, total / np.where(alpha > 0, alpha, 1.0), phasor)
        weight = _weight_of(alpha / expected)
    maps = _maps(triplets, phasor)
    figures = (_karle_residual(triplets, phasor), _psi_zero(triplets, maps))
    return maps, np.sum([_above_best(figure) for figure in figures], axis=0)


def _strongest(E: Float64, strong: int) -> tuple[Index, Index]:
    """Flat indices of the strongest coefficients and of their mates; F(0) and Nyquist left out."""
    height, width = E.shape
    rows, cols = np.indices(E.shape)
    mate = (-rows % height) * width + -cols % width
    itself = np.arange(height * width).reshape(E.shape)
    # Of two mates the one of the lower index; those that are their own mate cannot be in a triplet
    # of free phases. So with the whole Nyquist row and column, where q and -q are mixed up.
    allowed = itself < mate
    if height % 2 == 0:
        allowed[height // 2, :] = False
    if width % 2 == 0:
        allowed[:, width // 2] = False
    candidates = np.flatnonzero(allowed & (E > 0))
    order = np.argsort(-E.reshape(-1)[candidates], kind="stable")[:strong]
    place = np.sort(candidates[order])
    return place, mate.reshape(-1)[place]


def _weakest(E: Float64, known: NDArray[np.bool_], strong: Index) -> NDArray[np.bool_]:
    """(h, w), the weakest share of the known coefficients, none of them strong."""
    candidates = known.copy()
    candidates.reshape(-1)[strong] = False
    candidates[0, 0] = False
    if not candidates.any():
        raise ValueError(f"all {len(strong)} known coefficients are strong: use fewer of them")
    limit = np.quantile(E[candidates], min(1.0, WEAK_SHARE * known.sum() / candidates.sum()))
    weak: NDArray[np.bool_] = candidates & ~(limit < E)
    return weak


def _fits(one: Index, other: Index, size: int) -> NDArray[np.bool_]:
    """Whether the difference of two frequencies stays on the grid, and does not wrap around."""
    signed = [(index + size // 2) % size - size // 2 for index in (one, other)]
    fits: NDArray[np.bool_] = np.abs(signed[0] - signed[1]) <= (size - 1) // 2
    return fits


def _tangent(triplets: Triplets, phasor: Complex128, weight: Float64) -> tuple[Complex128, Float64]:
    """alpha exp(i phi) of every h, and the alpha that true phases would have: each (starts, n).

    <alpha^2> = sum kappa^2 + 2 sum over pairs of kappa kappa' r r', r = I1(kappa)/I0(kappa) the
    mean cosine of a triplet (Karle & Karle, Acta Cryst. 21, 849 (1966)), kappa weighted.
    """
    wave, both = (np.concatenate([one, one.conj()], axis=1) for one in (phasor, weight))
    kappa = triplets.kappa * both[:, triplets.first] * both[:, triplets.second]
    total = _by_target(triplets, kappa * wave[:, triplets.first] * wave[:, triplets.second])
    mean = kappa * _bessel_ratio(triplets.kappa)
    square = _by_target(triplets, kappa**2 - mean**2) + _by_target(triplets, mean) ** 2
    # A strong coefficient without a triplet has nothing to expect.
    return total, np.sqrt(np.maximum(square, 1e-24 * square.max()))


def _by_target(triplets: Triplets, terms: NDArray[Number]) -> NDArray[Number]:
    """Sums (..., n) of terms (..., T) over the triplets of each h."""
    total = np.zeros((*terms.shape[:-1], len(triplets.place)), dtype=terms.dtype)
    present, begin = np.unique(triplets.target, return_index=True)
    total[..., present] = np.add.reduceat(terms, begin, axis=-1)
    return total


def _bessel_ratio(kappa: Float64) -> Float64:
    """I1/I0, from their integrals over the angle."""
    cosine = np.cos(np.pi * (np.arange(BESSEL_ANGLES) + 0.5) / BESSEL_ANGLES)
    weight = np.exp(np.minimum(kappa, LARGEST_KAPPA)[:, None] * (cosine - 1))
    ratio: Float64 = (weight * cosine).sum(axis=1) / weight.sum(axis=1)
    return ratio


def _weight_of(ratio: Float64) -> Float64:
    """Weight of a phase whose alpha is `ratio` times the expected one: 1 at 1, less elsewhere."""
    weight: Float64 = np.minimum(ratio, 1.0) * np.minimum(1.0, 1 / np.maximum(ratio, 1.0)) ** 2
    return np.maximum(weight, LEAST_WEIGHT)


def _karle_residual(triplets: Triplets, phasor: Complex128) -> Float64:
    """R of every start, (starts,), all weights 1."""
    total, expected = _tangent(triplets, phasor, np.ones(phasor.shape))
    residual: Float64 = np.abs(np.abs(total) - expected).sum(axis=1) / expected.sum(axis=1)
    return residual


def _psi_zero(triplets: Triplets, maps: Float64) -> Float64:
    """psi_0 of every E map, (starts,). Sums over k are convolutions, so products of maps."""
    size = maps.shape[1] * maps.shape[2]
    products = size * np.fft.fft2(maps**2)[:, triplets.weak]
    patterson = np.fft.ifft2(np.abs(np.fft.fft2(maps)) ** 2).real
    squares = size * np.fft.fft2(patterson**2).real[:, triplets.weak]
    random = np.sqrt(np.maximum(squares, 0.0)).sum(axis=1)
    psi: Float64 = np.abs(products).sum(axis=1) / np.maximum(random, 1e-300)
    return psi


def _above_best(figure: Float64) -> Float64:
    """How far each start's figure lies above the smallest [standard deviations]."""
    above: Float64 = (figure - figure.min()) / max(float(figure.std()), 1e-300)
    return above


def _maps(triplets: Triplets, phasor: Complex128) -> Float64:
    """E maps (starts, h, w) of phases (starts, n)."""
    height, width = triplets.shape
    spectrum = np.zeros((len(phasor), height * width), dtype=np.complex128)
    spectrum[:, triplets.place] = triplets.E * phasor
    spectrum[:, triplets.mate] = spectrum[:, triplets.place].conj()
    maps: Float64 = np.fft.ifft2(spectrum.reshape(-1, height, width)).real
    return maps
