"""The elastic field of two opposite edge dislocations in a periodic box, seen end on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from runner.tiers.specimens.crystal import Array, Box

_IMAGES = 8
"""Periodic images that are summed on each side; what is left out is below 0.01 A."""


@dataclass(frozen=True, eq=False)
class DislocationPair:
    """Two opposite edge dislocations on one glide plane, both along the beam.

    Burgers vectors in a periodic box must add up to zero. With both on one glide plane the crystal
    between them is only sheared: no atom is added or taken away.

    Attributes:
        first: (x, y) of the first [A].
        burgers: its Burgers vector (x, y) [A]; the second has the opposite.
        steps: the second sits that many Burgers vectors from the first.
        poisson: Poisson ratio of the (isotropic) crystal.
    """

    first: Array
    burgers: Array
    steps: int
    poisson: float

    def displacement(self, points: Array, box: Box) -> Array:
        """Displacement (N, 2) of points (N, 2), periodic in the box, mean zero [A].

        It jumps by the Burgers vector across the line between the two, and nowhere else. Isotropic
        elasticity (Hirth and Lothe, Theory of Dislocations, equations 3-45 and 3-46), summed over
        periodic images; the sum converges up to a linear term, which periodicity then fixes (Cai,
        Bulatov, Chang, Li and Yip, Phil. Mag. 83 (2003) 539).
        """
        origin = self.first + 0.25 * box.size  # away from the dislocations
        corners = origin + np.array([[0.0, 0.0], [box.width_A, 0.0], [0.0, box.height_A]])
        sums = self._sum_of_images(np.concatenate([points, corners]), box)
        inside, at_corners = sums[:-3], sums[-3:]
        slope = (at_corners[1:] - at_corners[0]) / box.size[:, None]
        periodic: Array = inside - (points - origin) @ slope
        return np.asarray(periodic - periodic.mean(axis=0))

    def _sum_of_images(self, points: Array, box: Box) -> Array:
        b = float(np.linalg.norm(self.burgers))
        along = self.burgers / b
        frame = np.array([[along[0], -along[1]], [along[1], along[0]]])
        total = np.zeros_like(points)
        for i in range(-_IMAGES, _IMAGES + 1):
            for j in range(-_IMAGES, _IMAGES + 1):
                local = (points - self.first - np.array([i, j]) * box.size) @ frame
                total += self._in_own_frame(local[:, 0], local[:, 1], b) @ frame.T
        return total

    def _in_own_frame(self, x: Array, y: Array, b: float) -> Array:
        """Displacement (N, 2) by the pair alone; the first at the origin, x along its b."""
        x2 = x - self.steps * b
        r1, r2 = x**2 + y**2, x2**2 + y**2
        # The angle under which the line between the two is seen: it jumps there, and only there.
        angle = np.arctan2(x2 * y - x * y, x * x2 + y**2)
        shear = (x * y / r1 - x2 * y / r2) / (2 * (1 - self.poisson))
        dilation = (1 - 2 * self.poisson) / (4 * (1 - self.poisson)) * np.log(r1 / r2)
        bend = ((x**2 - y**2) / r1 - (x2**2 - y**2) / r2) / (4 * (1 - self.poisson))
        return b / (2 * np.pi) * np.stack([angle + shear, -dilation - bend], axis=1)
