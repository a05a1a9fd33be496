"""Template matching in the plane: which pattern, turned by which angle, a correlation looks like.

With N_i the electrons in the disks of a template turned by theta, w_i^2 its intensities, and N all
electrons outside the direct beam,

    score(theta) = sum_i w_i sqrt(N_i) / sqrt(sum_i w_i^2 * N),

the cosine of the angle between two patterns of amplitudes: 1 if every diffracted electron is where
and as the template says. For all angles at once it is a correlation along rings, done by FFT.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from algorithms.analysis.template import ProbeTemplate

Float64 = NDArray[np.float64]

ANGLES = 720
"""Angles on a ring: half a degree, a twentieth of a disk's width at the usual distances."""

SYMMETRIES = (6, 4, 3, 2)
"""Rotational symmetries of a plane lattice."""

ALIKE = 0.98
"""A template that agrees with itself, turned, to this is symmetric: a measured one has noise."""

RING_WIDTH = 0.25
"""Reflections whose distances differ by less than this share of a disk's radius are one ring."""

APART_DEG = 5.0
"""Angles of one template that differ by less are one answer [degrees]."""

LEAST_NEXT = 1e-3
"""The next best score is taken as no less than this, where nothing else fits at all."""


@dataclass(frozen=True, eq=False)
class PlanePattern:
    """A pattern that may be turned in its plane.

    Attributes:
        name: for people.
        g_invA: (M, 2) reflections as (g_y, g_x) at angle 0 [A^-1].
        amplitude: (M,) roots of their intensities; the sum of squares is 1.
    """

    name: str
    g_invA: Float64
    amplitude: Float64

    @classmethod
    def of(cls, name: str, g_invA: Float64, intensity: Float64) -> PlanePattern:
        """A pattern of reflections and their intensities in any unit."""
        return cls(name, g_invA, np.sqrt(intensity / intensity.sum()))

    def turned(self, theta: Float64) -> Float64:
        """Reflections (B, M, 2) turned by angles (B,) [rad] from +x to +y."""
        cos, sin = np.cos(theta)[:, None], np.sin(theta)[:, None]
        g_y, g_x = self.g_invA.T
        return np.stack([cos * g_y + sin * g_x, cos * g_x - sin * g_y], axis=-1)

    def symmetry(self, radius_invA: float) -> int:
        """n of the highest rotation axis that it has, to within a quarter of a disk's radius."""
        for n in SYMMETRIES:
            moved = self.turned(np.array([2 * np.pi / n]))[0]
            distance = np.linalg.norm(moved[:, None] - self.g_invA[None], axis=-1)
            partner = distance.argmin(axis=1)
            near = distance.min(axis=1) < RING_WIDTH * radius_invA
            if float((self.amplitude * self.amplitude[partner])[near].sum()) > ALIKE:
                return n
        return 1


@dataclass(frozen=True, eq=False)
class Match:
    """The best template of each of B patterns.

    Attributes:
        which: (B,) its number.
        theta: (B,) its angle from +x to +y [rad], to half a step of the ring's angles.
        score: (B,) 0 to about 1.
        reliability: (B,) score over that of the next best answer: another template, or the same at
            an angle that differs by more than 5 degrees and no symmetry.
    """

    which: NDArray[np.int_]
    theta: Float64
    score: Float64
    reliability: Float64


@dataclass(frozen=True, eq=False)
class Matcher:
    """Compares correlations with templates at all angles.

    Attributes:
        patterns: the templates.
        template: the probe's pattern on the detector.
        pixel_invA: a nominal detector pixel [A^-1].
        radius_invA: radius of a disk [A^-1].
        rings_invA: (R,) distances at which correlations are looked at [A^-1].
        spectra: (T, R, A/2 + 1) the templates along the rings, transformed.
        symmetries: (T,) rotational symmetry of each.
    """

    patterns: tuple[PlanePattern, ...]
    template: ProbeTemplate
    pixel_invA: float
    radius_invA: float
    rings_invA: Float64
    spectra: NDArray[np.complex128]
    symmetries: tuple[int, ...]

    @classmethod
    def of(
        cls,
        patterns: tuple[PlanePattern, ...],
        template: ProbeTemplate,
        *,
        pixel_invA: float,
        radius_invA: float,
    ) -> Matcher:
        """Templates, laid out along rings."""
        distances = [np.hypot(*pattern.g_invA.T) for pattern in patterns]
        rings = _rings(np.concatenate(distances), RING_WIDTH * radius_invA)
        along = np.zeros((len(patterns), len(rings), ANGLES))
        for number, (pattern, distance) in enumerate(zip(patterns, distances, strict=True)):
            ring = np.abs(distance[:, None] - rings).argmin(axis=1)
            place = np.arctan2(*pattern.g_invA.T) / (2 * np.pi) * ANGLES
            low = np.floor(place).astype(np.int_)
            for step, share in ((0, 1 - (place - low)), (1, place - low)):
                at = (number, ring, (low + step) % ANGLES)
                np.add.at(along, at, pattern.amplitude * share)
        symmetries = tuple(pattern.symmetry(radius_invA) for pattern in patterns)
        return cls(
            patterns,
            template,
            pixel_invA,
            radius_invA,
            rings,
            np.fft.rfft(along, axis=-1),
            symmetries,
        )

    def match(self, patterns: Float64, centers: Float64) -> Match:
        """The best template of each pattern.

        Args:
            patterns: (B, n, n) [electrons].
            centers: (B, 2) row and column of the direct beam [pixels].
        """
        correlation = self.template.correlate(patterns)
        seen = np.fft.rfft(np.sqrt(self._along_rings(correlation, centers)), axis=-1)
        scores = np.fft.irfft(
            np.einsum("bra,tra->bta", seen, np.conj(self.spectra)), n=ANGLES, axis=-1
        )
        scores /= np.sqrt(np.maximum(self._diffracted(patterns), 1.0))[:, None, None]
        number = scores.reshape(len(scores), -1).argmax(axis=1)
        which, angle = number // ANGLES, number % ANGLES
        best = scores.reshape(len(scores), -1).max(axis=1)
        others = np.where(self._same(which, angle), -np.inf, scores)
        following = np.maximum(others.reshape(len(scores), -1).max(axis=1), LEAST_NEXT)
        theta = angle * (2 * np.pi / ANGLES)
        return Match(which, theta, best, np.maximum(best, LEAST_NEXT) / following)

    def places(self, g_invA: Float64, centers: Float64) -> Float64:
        """Detector rows and columns (B, M, 2) of reflections (B, M, 2) [A^-1]."""
        geometry = self.template.geometry
        scale = np.array([geometry.scale_y, geometry.scale_x]) / self.pixel_invA
        return np.asarray(centers[:, None] + g_invA * scale)

    def _along_rings(self, correlation: Float64, centers: Float64) -> Float64:
        """Correlations (B, R, A) [electrons] along the rings, bilinear, at least 0."""
        angles = np.arange(ANGLES) * (2 * np.pi / ANGLES)
        unit = np.stack([np.sin(angles), np.cos(angles)], axis=-1)
        ring = (self.rings_invA[:, None, None] * unit).reshape(1, -1, 2)
        at = self.places(np.broadcast_to(ring, (len(centers), *ring.shape[1:])), centers)
        n = self.template.geometry.pixels
        low = np.clip(np.floor(at), 0, n - 2).astype(np.int_)
        part = np.clip(at - low, 0.0, 1.0)
        which = np.arange(len(at))[:, None]
        total = np.zeros(at.shape[:2])
        for dy in (0, 1):
            for dx in (0, 1):
                share = np.abs(1 - dy - part[..., 0]) * np.abs(1 - dx - part[..., 1])
                total += share * correlation[which, low[..., 0] + dy, low[..., 1] + dx]
        return np.maximum(total, 0.0).reshape(len(at), len(self.rings_invA), ANGLES)

    def _diffracted(self, patterns: Float64) -> Float64:
        """(B,) electrons beyond the direct beam, up to the outermost ring."""
        q_y, q_x = self.template.geometry.frequencies()
        q = np.hypot(q_y[:, None], q_x[None, :]) * self.pixel_invA
        inner, outer = 2 * self.radius_invA, self.rings_invA.max() + 2 * self.radius_invA
        return np.asarray(patterns[:, (q > inner) & (q < outer)].sum(axis=1))

    def _same(self, which: NDArray[np.int_], angle: NDArray[np.int_]) -> NDArray[np.bool_]:
        """(B, T, A), which answers are the best one itself, or its symmetric copies."""
        same = np.zeros((len(which), len(self.patterns), ANGLES), dtype=bool)
        for number, n in enumerate(self.symmetries):
            period = ANGLES / n
            off = (np.arange(ANGLES)[None, :] - angle[:, None] + period / 2) % period - period / 2
            near = np.abs(off) <= APART_DEG / 360 * ANGLES
            same[:, number] = near & (which == number)[:, None]
        return same


def _rings(distances: Float64, width: float) -> Float64:
    """Distances, those nearer than `width` to the ring's first put together."""
    rings: list[list[float]] = []
    for distance in np.sort(distances):
        if rings and distance - rings[-1][0] < width:
            rings[-1].append(float(distance))
        else:
            rings.append([float(distance)])
    return np.array([np.mean(ring) for ring in rings])
