"""The plug-in protocol: what an algorithm is given, and what it returns.

A participant writes one class. Three shapes are understood:

- `Algorithm.solve(sample)`: does everything;
- `Reconstructor.reconstruct(sample, spec)`: makes the image for a given detector geometry, and is
  composed with a calibrator as in `my_method.py:MyMethod+gradient`;
- `Calibrator.estimate(sample)`: finds the detector geometry.

Any of them may have `setup()`, called once before the first sample and timed apart.

Samples of other variants of the benchmark, and any other problem that is linear in its signal, are
a `LinearSample`. An algorithm says that it can handle those by having the method for them:
`solve_linear`, `reconstruct_linear`, `estimate_linear`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from physics.ideal import IdealOperator, Patterns
from schemas.findings import ContractError, refuse
from schemas.limits import ResourceLimits
from schemas.spec import MismatchSpec, NamedSpec, SpecRanges

if TYPE_CHECKING:  # its module loads torch
    from physics.primitives.base import LinearPrimitive

NO_RANGES = SpecRanges(())
"""Nothing is to be calibrated."""

UNSUITED = "SAMPLE_UNSUITED"


def _silent(fraction: float) -> None:
    """Progress that nobody listens to."""


@dataclass(frozen=True)
class Sample:
    """One measurement, as an algorithm sees it.

    Attributes:
        name: sample name.
        y: patterns (Ny, Nx, Ky, Kx) [counts], read in blocks: `y.read(start, stop)`.
        operator: the ideal operator H: probe, positions, instrument (`operator.attrs`).
        ranges: published ranges of the mismatch parameters.
        seed: seed for everything random.
        device: torch device to work on, "cpu" or "cuda".
        memory_bytes: patterns that may be kept in memory [bytes]; a larger y is to be read in
            blocks, again in each pass (`algorithms.stream`).
        deadline: `time.monotonic()` at which the sample must be done, or None.
        true_spec: the true mismatch, only where the file holds it; the calibrator `oracle` alone
            may look at it.
        phase: (H, W) [rad] where to begin: what a calibrator found beside the spec, or None.
        progress: call it with the fraction done (0 to 1) from time to time.
    """

    name: str
    y: Patterns
    operator: IdealOperator
    ranges: SpecRanges
    seed: int = 0
    device: str = "cpu"
    memory_bytes: int = ResourceLimits().patterns_bytes
    deadline: float | None = None
    true_spec: MismatchSpec | None = None
    phase: NDArray[np.float32] | None = field(default=None, repr=False)
    progress: Callable[[float], None] = field(default=_silent, repr=False)

    @property
    def object_shape(self) -> tuple[int, int]:
        """(H, W) that x_hat must have [pixels]."""
        return self.operator.attrs.object_shape

    @property
    def scan_shape(self) -> tuple[int, int]:
        """(Ny, Nx) scan positions."""
        return self.y.shape[:2]

    @property
    def seconds_left(self) -> float:
        """Time until the deadline [s]; infinite without one."""
        return float("inf") if self.deadline is None else self.deadline - time.monotonic()

    def counts(self) -> NDArray[np.float32]:
        """All patterns in memory, (Ny*Nx, Ky, Kx) [counts]."""
        ny, nx, _, _ = self.y.shape
        return self.y.read(0, ny * nx)


@dataclass(frozen=True)
class LinearSample:
    """One measurement y = H x + noise with a linear H that is known.

    Attributes:
        name: sample name.
        y: the measurement, the shape of H's range; real, or complex.
        operator: H, a linear primitive: `forward`, `adjoint`, `shape`.
        ranges: published ranges of the mismatch parameters, whatever their names. H does not say
            how it depends on them.
        seed: seed for everything random.
        device: torch device to work on, "cpu" or "cuda".
        deadline: `time.monotonic()` at which the sample must be done, or None.
        true_spec: the true mismatch, only where the file holds it; for the calibrator `oracle`.
        progress: call it with the fraction done (0 to 1) from time to time.
    """

    name: str
    y: NDArray[Any]
    operator: LinearPrimitive
    ranges: SpecRanges = NO_RANGES
    seed: int = 0
    device: str = "cpu"
    deadline: float | None = None
    true_spec: NamedSpec | None = None
    progress: Callable[[float], None] = field(default=_silent, repr=False)

    @property
    def object_shape(self) -> tuple[int, ...]:
        """Shape that x_hat must have."""
        return self.operator.shape.domain

    @property
    def seconds_left(self) -> float:
        """Time until the deadline [s]; infinite without one."""
        return float("inf") if self.deadline is None else self.deadline - time.monotonic()


@dataclass(frozen=True)
class Calibration:
    """What a calibrator found.

    Attributes:
        spec: the detector mismatch, within the sample's ranges.
        standard_errors: one-sigma error per parameter, in its unit, where the method knows it.
        diagnostics: anything JSON can hold, for people.
        phase: (H, W) [rad], the most likely phase at that spec, where one was made on the way: a
            start for the image.
    """

    spec: MismatchSpec
    standard_errors: Mapping[str, float] = field(default_factory=dict)
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    phase: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Reconstruction:
    """What an algorithm returns for one sample.

    Attributes:
        x_hat: (H, W) image, x in [0, 1]; of a linear sample, the signal's shape.
        spec: the corrected spec, a `NamedSpec` of a linear sample; None keeps the one that a
            reconstructor was given.
        diagnostics: anything JSON can hold, at most 64 KiB.
    """

    x_hat: NDArray[np.floating[Any]]
    spec: MismatchSpec | NamedSpec | None = None
    diagnostics: Mapping[str, Any] = field(default_factory=dict)


def unsuited(
    sample: Sample | LinearSample, *, needs: str, found: str, instead: str
) -> ContractError:
    """SAMPLE_UNSUITED, ready to be raised: why an algorithm cannot serve a sample.

    Args:
        sample: the sample.
        needs: what the algorithm needs, with figures.
        found: what this sample has, with figures.
        instead: algorithms that can serve it, and why.
    """
    return refuse(UNSUITED, sample.name, expected=needs, found=found, hint=instead)


def is_unsuited(error: ContractError) -> bool:
    """Whether an error says that the algorithm cannot serve a sample, and nothing worse."""
    return all(item.code == UNSUITED for item in error.findings)


@runtime_checkable
class Calibrator(Protocol):
    """Finds the detector mismatch of a sample."""

    def estimate(self, sample: Sample) -> Calibration:
        """The mismatch, within `sample.ranges`."""


@runtime_checkable
class Reconstructor(Protocol):
    """Makes the specimen image for a given detector mismatch."""

    def reconstruct(self, sample: Sample, spec: MismatchSpec) -> Reconstruction:
        """x_hat (H, W), and a refined spec or None."""


@runtime_checkable
class Algorithm(Protocol):
    """Solves a sample: image and spec."""

    def solve(self, sample: Sample) -> Reconstruction:
        """x_hat (H, W) and the corrected spec."""


@runtime_checkable
class LinearCalibrator(Protocol):
    """Has an answer to the mismatch of a linear sample."""

    def estimate_linear(self, sample: LinearSample) -> NamedSpec:
        """The mismatch, within `sample.ranges`."""


@runtime_checkable
class LinearReconstructor(Protocol):
    """Makes the signal of a linear sample."""

    def reconstruct_linear(self, sample: LinearSample) -> Reconstruction:
        """x_hat, of `sample.object_shape`."""


@runtime_checkable
class LinearAlgorithm(Protocol):
    """Solves a linear sample: signal and spec."""

    def solve_linear(self, sample: LinearSample) -> Reconstruction:
        """x_hat, of `sample.object_shape`, and the corrected spec."""


@dataclass(frozen=True)
class Composed:
    """A reconstructor with a calibrator: first the detector, then the image.

    Attributes:
        reconstructor: makes the image.
        calibrator: finds the spec.
    """

    reconstructor: Reconstructor
    calibrator: Calibrator

    def setup(self) -> None:
        """Set both parts up."""
        for part in (self.calibrator, self.reconstructor):
            prepare = getattr(part, "setup", None)
            if prepare is not None:
                prepare()

    def solve(self, sample: Sample) -> Reconstruction:
        """Calibrate, then reconstruct; the diagnostics of both are kept apart."""
        first, second = (_share(sample, part) for part in (0, 1))
        began = time.monotonic()
        calibration = self.calibrator.estimate(first)
        calibrated = time.monotonic()
        begun = replace(second, phase=calibration.phase)
        image = self.reconstructor.reconstruct(begun, calibration.spec)
        done = time.monotonic()
        diagnostics = {
            "calibration": {
                "spec": calibration.spec.values(),
                "standard_errors": dict(calibration.standard_errors),
                "seconds": round(calibrated - began, 4),
                **calibration.diagnostics,
            },
            "reconstruction": {"seconds": round(done - calibrated, 4), **image.diagnostics},
        }
        return Reconstruction(image.x_hat, image.spec or calibration.spec, diagnostics)


@dataclass(frozen=True)
class ComposedLinear:
    """A reconstructor and a calibrator that both handle linear samples.

    Attributes:
        reconstructor: makes the signal.
        calibrator: answers with a spec.
    """

    reconstructor: LinearReconstructor
    calibrator: LinearCalibrator

    def solve_linear(self, sample: LinearSample) -> Reconstruction:
        """The signal with H as it is, and the calibrator's spec."""
        image = self.reconstructor.reconstruct_linear(sample)
        spec = self.calibrator.estimate_linear(sample)
        return replace(image, spec=image.spec or spec)


def linear_form(algorithm: Algorithm) -> LinearAlgorithm | None:
    """The algorithm as one of linear samples; None when it cannot handle them."""
    if isinstance(algorithm, LinearAlgorithm):
        return algorithm
    if isinstance(algorithm, Composed):
        parts = algorithm.reconstructor, algorithm.calibrator
        if isinstance(parts[0], LinearReconstructor) and isinstance(parts[1], LinearCalibrator):
            return ComposedLinear(parts[0], parts[1])
    return None


def _share(sample: Sample, part: int) -> Sample:
    """The sample for one of two parts of a job: each is told as half of the progress."""
    return replace(sample, progress=lambda fraction: sample.progress((part + fraction) / 2))
