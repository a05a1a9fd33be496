"""D: the sensor, a deterministic mean and noise that is drawn from a generator of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from physics.noise import draw_counts
from physics.primitives.base import Shape, check


class NoiseName(StrEnum):
    """Noise models eta of a detector."""

    NONE = "none"
    GAUSSIAN = "gaussian"
    POISSON = "poisson"
    MIXED = "mixed"


@dataclass(frozen=True)
class Noise:
    """eta: how measured counts scatter around their mean.

    Attributes:
        name: none; gaussian (read noise alone); poisson (each quantum counts `gain`); mixed, both.
        read_noise: standard deviation of the read noise [counts]; for gaussian and mixed.

    Raises:
        ValueError: read noise where the model has none, or none where it needs some.
    """

    name: NoiseName = NoiseName.NONE
    read_noise: float = 0.0

    def __post_init__(self) -> None:
        """Name and read noise must not contradict each other."""
        reads = self.name in (NoiseName.GAUSSIAN, NoiseName.MIXED)
        if reads != (self.read_noise > 0):
            raise ValueError(f"{self.name} noise with a read noise of {self.read_noise} counts")

    def draw(
        self, mean: NDArray[np.float64], gain: float, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Counts around `mean` [counts], any shape.

        Args:
            mean: expected counts; not negative where quanta are counted.
            gain: counts per quantum.
            rng: source of randomness.
        """
        if self.name in (NoiseName.POISSON, NoiseName.MIXED):
            return draw_counts(mean / gain, gain=gain, read_noise=self.read_noise, rng=rng)
        if self.name is NoiseName.GAUSSIAN:
            mean = mean + rng.normal(0.0, self.read_noise, mean.shape)
        return mean.astype(np.float32)


NOISELESS = Noise()
"""The mean itself."""


class Detector:
    """D(g, eta) of an intensity: mean counts g x, linear.

    Args:
        domain: shape of x [quanta per pixel].
        gain: g [counts per quantum].
        noise: eta.
    """

    def __init__(
        self, domain: tuple[int, ...], gain: float = 1.0, noise: Noise = NOISELESS
    ) -> None:
        self._domain = tuple(domain)
        self.gain, self.noise = float(gain), noise

    @property
    def shape(self) -> Shape:
        """Unchanged."""
        return Shape(self._domain, self._domain)

    def forward(self, x: Tensor) -> Tensor:
        """Mean counts."""
        check(x, self.shape.domain, self)
        return self.gain * x

    def adjoint(self, y: Tensor) -> Tensor:
        """g y."""
        check(y, self.shape.range, self)
        return self.gain * y

    def sample(self, x: Tensor, rng: np.random.Generator) -> NDArray[np.float32]:
        """Measured counts, mean and noise."""
        return self.noise.draw(_numpy(self.forward(x)), self.gain, rng)


class CountingDetector:
    """D(g, eta) of a wave: mean counts g w |psi|^2, w quanta per unit of |psi|^2. Not linear.

    Args:
        domain: shape of the wave.
        quanta: w [quanta]: for a far field, the dose times the area element dq/dd.
        gain: g [counts per quantum].
        noise: eta.
    """

    def __init__(
        self,
        domain: tuple[int, ...],
        quanta: float = 1.0,
        gain: float = 1.0,
        noise: Noise = NOISELESS,
    ) -> None:
        self._domain = tuple(domain)
        self.quanta, self.gain, self.noise = float(quanta), float(gain), noise

    @property
    def shape(self) -> Shape:
        """Unchanged."""
        return Shape(self._domain, self._domain)

    def forward(self, x: Tensor) -> Tensor:
        """Mean counts of a wave, real."""
        check(x, self.shape.domain, self)
        squared = x.real.square() + x.imag.square() if x.is_complex() else x.square()
        return self.gain * self.quanta * squared

    def sample(self, x: Tensor, rng: np.random.Generator) -> NDArray[np.float32]:
        """Measured counts, mean and noise."""
        return self.noise.draw(_numpy(self.forward(x)), self.gain, rng)


def _numpy(mean: Tensor) -> NDArray[np.float64]:
    return np.asarray(mean.detach().cpu().numpy(), dtype=np.float64)
