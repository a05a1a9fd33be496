"""orientation: which zone axis, turned by which angle, each pattern shows.

Coarse by template matching (`matching`), then the angle by least squares over the disks of the
template that was chosen, each fitted by itself (`disks`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from algorithms.analysis.base import Map, Maps
from algorithms.analysis.disks import Disks, fit_disks
from algorithms.analysis.matching import Match, Matcher, PlanePattern
from algorithms.analysis.patterns import FirstLook, electron_blocks
from algorithms.analysis.suited import check_disks, disk_diameter_invA, lattice_of, no_lattice
from algorithms.base import Sample, unsuited
from physics.zone_axis import CRYSTALS, ZoneAxis, zone_axes
from schemas.spec import MismatchSpec

Float64 = NDArray[np.float64]

FAINTEST = 1e-3
"""Reflections weaker than this share of a template's strongest are left out."""

STRAY_RADII = 1.0
"""A disk this many radii away from its place belongs to something else."""


@dataclass(frozen=True)
class Orientation:
    """Zone axis and in-plane rotation maps.

    Attributes:
        crystal: name in `physics.zone_axis.CRYSTALS`, whose tabulated zone axes are the templates;
            "" takes the average pattern's own lattice, for a specimen of one crystal.
        least_disks: diffracted disks of the template that a valid position must show.
        least_significance: electrons of a disk over their standard error, below which it is not
            seen.
        least_reliability: best score over the next best, below which a position is not valid.
    """

    crystal: str = ""
    least_disks: int = 3
    least_significance: float = 4.0
    least_reliability: float = 1.1

    def analyse(self, sample: Sample, spec: MismatchSpec) -> Maps:
        """rotation, its error, zone, score, reliability, disks.

        Raises:
            ContractError: SAMPLE_UNSUITED, no disks apart; USAGE, no such crystal.
        """
        look = FirstLook.of(sample, spec)
        matcher = Matcher.of(
            self._templates(sample, spec, look),
            look.template,
            pixel_invA=sample.operator.detector_pixel_invA,
            radius_invA=disk_diameter_invA(sample) / 2,
        )
        parts = list(self._answers(sample, matcher, look))
        columns = zip(*parts, strict=True)
        which, theta, error, score, reliability, disks = (np.concatenate(c) for c in columns)
        valid = (disks >= self.least_disks) & (reliability >= self.least_reliability)
        if not valid.any():
            raise unsuited(
                sample,
                needs=f"{self.least_disks} disks of one template at a position, each"
                f" {self.least_significance:g} times its standard error, and a reliability of"
                f" {self.least_reliability:g}",
                found=f"at most {int(disks.max())} disks, reliability at most"
                f" {float(reliability.max()):.2f}, with {self.crystal or 'its own lattice'}",
                instead=f"the crystal that it is: --set crystal=NAME, of {', '.join(CRYSTALS)}",
            )
        shape = sample.scan_shape

        def field(values: NDArray[np.generic], unit: str, text: str, signed: bool = False) -> Map:
            return Map(np.where(valid, values, 0).reshape(shape), unit, text, signed)

        names = tuple(pattern.name for pattern in matcher.patterns)
        maps = {
            "rotation": field(np.rad2deg(theta), "deg", "from +x to +y", signed=True),
            "rotation_error": field(np.rad2deg(error), "deg", "standard error of rotation"),
            "zone": replace(field(which, "", "number of the template, from 0"), labels=names),
            "score": field(score, "", "agreement with the template; 1: every electron"),
            "reliability": field(reliability, "", "score over that of the next best answer"),
            "disks": field(disks, "", "diffracted disks of the template that were seen"),
        }
        used = which[valid]
        diagnostics = {
            "templates": list(names),
            "symmetries": list(matcher.symmetries),
            "positions": {name: int((used == n).sum()) for n, name in enumerate(names)},
            "median_reliability": float(np.median(reliability[valid])),
            "disk_diameter_invA": disk_diameter_invA(sample),
            "valid_positions": int(valid.sum()),
        }
        return Maps(maps, valid.reshape(shape), diagnostics)

    def _templates(
        self, sample: Sample, spec: MismatchSpec, look: FirstLook
    ) -> tuple[PlanePattern, ...]:
        """The crystal's zone axes; or the average pattern, by its lattice."""
        if not self.crystal:
            lattice, disks = lattice_of(sample, spec, look)
            scale = look.template.frequency_scale_invA(sample.operator.detector_pixel_invA)
            g = (disks.centers[1:] - lattice.center) * scale
            return (PlanePattern.of("average pattern", g, disks.electrons[1:]),)
        check_disks(sample, spec, look)
        zones = zone_axes(self.crystal)
        # Frequencies that a disk of any angle reaches without leaving the detector.
        rim = (look.template.geometry.pixels // 2 - look.template.reach - 1) * min(
            look.template.frequency_scale_invA(sample.operator.detector_pixel_invA)
        )
        patterns = tuple(_pattern_of(zone, rim) for zone in zones)
        shortest = min(float(np.hypot(*pattern.g_invA.T).min()) for pattern in patterns)
        if disk_diameter_invA(sample) >= shortest:
            raise no_lattice(sample, spec, look.usable, 0)
        return patterns

    def _answers(
        self, sample: Sample, matcher: Matcher, look: FirstLook
    ) -> Iterator[tuple[NDArray[np.generic], ...]]:
        """Template, angle, its error, score, reliability and disks, block by block."""
        for block in electron_blocks(sample, look.usable):
            centers = _direct_beams(block, look)
            match = matcher.match(block, centers)
            theta, error, disks = self._refined(block, centers, match, matcher, look)
            yield match.which, theta, error, match.score, match.reliability, disks

    def _refined(
        self, block: Float64, centers: Float64, match: Match, matcher: Matcher, look: FirstLook
    ) -> tuple[Float64, Float64, NDArray[np.int_]]:
        """Angles (B,) [rad], their standard errors, and how many disks were seen.

        Of disks at g_i + dg_i, with weights w, the turn is sum w g x dg / sum w g^2.
        """
        theta, error = match.theta.copy(), np.zeros(len(block))
        seen = np.zeros(len(block), dtype=np.int_)
        scale = look.template.frequency_scale_invA(matcher.pixel_invA)
        n, reach = look.template.geometry.pixels, look.template.reach
        for number, pattern in enumerate(matcher.patterns):
            of = np.flatnonzero(match.which == number)
            g = pattern.turned(match.theta[of])
            at = matcher.places(g, centers[of])
            inside = ((np.rint(at) >= reach) & (np.rint(at) <= n - 1 - reach)).all(axis=2)
            which = np.broadcast_to(of[:, None], inside.shape)[inside]
            found = fit_disks(
                block,
                which,
                at[inside],
                look.template,
                usable=look.usable,
                variance_e=look.variance_e,
            )
            off = (found.centers - at[inside]) * scale
            near = np.hypot(*off.T) < STRAY_RADII * matcher.radius_invA
            good = near & (found.significance > self.least_significance)
            turn, weight = _turn(g[inside], off, found, scale)
            top = np.bincount(which[good], (weight * turn)[good], len(block))
            total = np.bincount(which[good], weight[good], len(block))
            seen += np.bincount(which[good], minlength=len(block))
            known = total > 0
            theta[known] += top[known] / total[known]
            error[known] = 1 / np.sqrt(total[known])
            # Within the range that the symmetry leaves, around 0.
            period = 2 * np.pi / matcher.symmetries[number]
            theta[of] = (theta[of] + period / 2) % period - period / 2
        return theta, error, seen


def _turn(g: Float64, off: Float64, found: Disks, scale: Float64) -> tuple[Float64, Float64]:
    """Each disk's turn [rad] and its weight [1/rad^2]: its place across g, over |g|."""
    length = np.hypot(*g.T)
    across = (g[:, 1] * off[:, 0] - g[:, 0] * off[:, 1]) / length
    unit = np.stack([g[:, 1], g[:, 0]], axis=1) / length[:, None]
    sigma = np.sqrt(np.square(unit * found.sigma * scale).sum(axis=1))
    return across / length, np.square(length / sigma)


def _direct_beams(block: Float64, look: FirstLook) -> Float64:
    """(B, 2) row and column of each pattern's direct beam [pixels]."""
    axis = np.full((len(block), 2), look.template.geometry.center)
    which = np.arange(len(block))
    return fit_disks(
        block, which, axis, look.template, usable=look.usable, variance_e=look.variance_e
    ).centers


def _pattern_of(zone: ZoneAxis, rim_invA: float) -> PlanePattern:
    """A zone axis as a template, kinematic, up to the detector's rim."""
    found = zone.reflections(rim_invA)
    strong = found.intensity > FAINTEST
    return PlanePattern.of(zone.name, found.g_invA[strong], found.intensity[strong])
