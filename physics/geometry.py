"""Detector geometry: where a plane wave lands, and back. One immutable object for everyone.

Conventions (contract, section 1): rows y (slow), columns x (fast), pixel centres at integers, the
optical axis nominally at n//2. A plane wave of q nominal pixels lands at

    d_x = n//2 + dc + (1 + dL/100) * (1 + eps) * q_x
    d_y = n//2 + dc + (1 + dL/100) * (1 - eps) * q_y

with dL = `camera_length` [%], dc = `center_offset` [pixels], eps = `elliptical_distortion`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.spec import MismatchSpec

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Ellipse:
    """A bright-field disk's rim on the detector.

    Attributes:
        center_y: row of the centre [detector pixels].
        center_x: column of the centre [detector pixels].
        radius_y: semi-axis along rows [detector pixels].
        radius_x: semi-axis along columns [detector pixels].
    """

    center_y: float
    center_x: float
    radius_y: float
    radius_x: float


@dataclass(frozen=True)
class DetectorGeometry:
    """The map between spatial frequency q [nominal pixels] and detector position d [pixels].

    Attributes:
        pixels: detector side n (n x n pixels).
        spec: the three mismatches; all zero is the nominal detector.
    """

    pixels: int
    spec: MismatchSpec = MismatchSpec()

    @property
    def center(self) -> float:
        """Where q = 0 lands, on both axes [pixels]."""
        return self.pixels // 2 + self.spec.center_offset

    @property
    def scale_y(self) -> float:
        """Detector pixels per nominal pixel along rows."""
        return (1 + self.spec.camera_length / 100) * (1 - self.spec.elliptical_distortion)

    @property
    def scale_x(self) -> float:
        """Detector pixels per nominal pixel along columns."""
        return (1 + self.spec.camera_length / 100) * (1 + self.spec.elliptical_distortion)

    @property
    def area_element(self) -> float:
        """dq/dd: the share of the q plane that one detector pixel sees."""
        return 1.0 / (self.scale_y * self.scale_x)

    def to_detector(self, q_y: Float64, q_x: Float64) -> tuple[Float64, Float64]:
        """(row, column) [pixels] where the frequencies (q_y, q_x) [nominal pixels] land."""
        return self.center + self.scale_y * q_y, self.center + self.scale_x * q_x

    def to_frequency(self, d_y: Float64, d_x: Float64) -> tuple[Float64, Float64]:
        """(q_y, q_x) [nominal pixels] seen at detector row and column [pixels]."""
        return (d_y - self.center) / self.scale_y, (d_x - self.center) / self.scale_x

    def frequencies(self) -> tuple[Float64, Float64]:
        """(q_y, q_x) [nominal pixels] of every detector row and column, each of shape (n,)."""
        d = np.arange(self.pixels, dtype=np.float64)
        return self.to_frequency(d, d)

    def frequency_jacobian(self) -> tuple[Float64, Float64]:
        """(dq_y/dp, dq_x/dp), each (3, n): derivative for dL [%], dc [pixels] and eps."""
        q_y, q_x = self.frequencies()
        length, ellipse = 1 + self.spec.camera_length / 100, self.spec.elliptical_distortion
        ones = np.ones_like(q_y)
        return (
            np.stack([-q_y / (100 * length), -ones / self.scale_y, q_y / (1 - ellipse)]),
            np.stack([-q_x / (100 * length), -ones / self.scale_x, -q_x / (1 + ellipse)]),
        )

    def log_area_gradient(self) -> Float64:
        """d log(area_element) / dp, (3,), for dL [%], dc [pixels] and eps."""
        length, ellipse = 1 + self.spec.camera_length / 100, self.spec.elliptical_distortion
        return np.array([-2 / (100 * length), 0.0, 2 * ellipse / (1 - ellipse**2)])

    def disk(self, radius_px: float) -> Ellipse:
        """The rim of a disk of `radius_px` nominal pixels around the optical axis."""
        return Ellipse(self.center, self.center, radius_px * self.scale_y, radius_px * self.scale_x)
