"""What the benchmark and a package's adapter hand each other: two .npz files, numpy alone.

Each adapter is a script that runs in its package's own environment, next to this file:

    python with_PACKAGE.py check PROBLEM.npz SETTINGS.json OUTPUT.npz
    python with_PACKAGE.py reconstruct PROBLEM.npz SETTINGS.json OUTPUT.npz

Conventions of the problem: rows are ky and y, columns kx and x; the optical axis is at pixel n//2;
the probe is centred at pixel (n//2, n//2) and has sum |P|^2 = 1; the window of a position covers
the object's pixels position - n//2 ... position + n//2 - 1 and wraps at the object's rim.
"""

from __future__ import annotations

import importlib.metadata
import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

KIB = 1024


@dataclass(frozen=True)
class Problem:
    """One scan on one detector.

    Attributes:
        counts: (Ny, Nx, K, K) [electrons].
        probe: (K, K) complex64.
        positions_px: (Ny*Nx, 2) as (row, col) [object pixels].
        object_shape: (H, W) of the periodic object.
        sampling_A: object pixel [A].
        energy_eV, wavelength_A, semiangle_mrad, C10_A, dose_e: the instrument.
        phase_scale_rad: largest phase of the specimen [rad].
        true_spec: detector mismatch, for the scenario that is told it.
        phase: (H, W) true phase [rad]; in problems for the forward check alone, else None.
    """

    counts: np.ndarray
    probe: np.ndarray
    positions_px: np.ndarray
    object_shape: tuple[int, int]
    sampling_A: float
    energy_eV: float
    wavelength_A: float
    semiangle_mrad: float
    C10_A: float
    dose_e: float
    phase_scale_rad: float
    true_spec: tuple[float, float, float]
    phase: np.ndarray | None = None

    @property
    def window(self) -> int:
        """Side n of the probe window and of the detector [pixels]."""
        return int(self.probe.shape[0])

    @property
    def scan_shape(self) -> tuple[int, int]:
        """(Ny, Nx)."""
        return int(self.counts.shape[0]), int(self.counts.shape[1])

    @property
    def step_A(self) -> float:
        """Scan step [A]."""
        return float(self.positions_px[1, 1] - self.positions_px[0, 1]) * self.sampling_A

    @property
    def detector_pixel_invA(self) -> float:
        """Spatial frequency of a detector pixel [A^-1]."""
        return 1.0 / (self.window * self.sampling_A)

    @property
    def patterns(self) -> np.ndarray:
        """(Ny*Nx, K, K) counts."""
        return self.counts.reshape(-1, self.window, self.window)

    def corner_probe(self, mean_counts: float | None = None) -> np.ndarray:
        """The probe with its centre at pixel (0, 0).

        Args:
            mean_counts: what sum |FFT P|^2 (numpy's FFT, no norm) shall be; None: sum |P|^2 = 1.
        """
        probe = np.fft.ifftshift(self.probe)
        if mean_counts is None:
            return probe.astype(np.complex64)
        return (probe * np.sqrt(mean_counts) / self.window).astype(np.complex64)

    def save(self, path: Path) -> None:
        """Write as .npz."""
        values = {name: value for name, value in vars(self).items() if value is not None}
        np.savez(path, **values)

    @classmethod
    def load(cls, path: Path) -> Problem:
        """Read what `save` wrote."""
        with np.load(path) as file:
            values: dict[str, Any] = {name: file[name] for name in file.files}
        for name, value in values.items():
            if value.ndim == 0:
                values[name] = float(value)
        for name in ("object_shape", "true_spec"):
            values[name] = tuple(values[name].tolist())
        return cls(**values)


def padded(image: np.ndarray, before: int, size: int) -> np.ndarray:
    """A periodic image (H, W) laid out on size x size pixels that begin `before` pixels earlier."""
    rows, cols = ((np.arange(size) - before) % side for side in image.shape)
    return image[np.ix_(rows, cols)]


def cropped(image: np.ndarray, before: int, shape: tuple[int, int]) -> np.ndarray:
    """The field (H, W) that begins `before` pixels into a larger image."""
    return image[before : before + shape[0], before : before + shape[1]]


def phase_of(obj: np.ndarray) -> np.ndarray:
    """Phase of a complex object [rad], about its mean, so that it does not wrap."""
    return np.angle(obj * np.exp(-1j * np.angle(obj.mean())))


@dataclass
class Recorder:
    """Images after each iteration, and the time that the iterations alone took.

    Attributes:
        images: phases (H, W) [rad].
        seconds: time since `start` at each image, without the time spent here.
        setup_seconds: what a package needed before its first iteration.
    """

    images: list[np.ndarray] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    setup_seconds: float = 0.0
    _spent: float = 0.0
    _last: float = 0.0

    def start(self) -> None:
        """Iterations begin now."""
        self._spent, self._last = 0.0, time.perf_counter()

    def pause(self) -> None:
        """An iteration has ended; what comes now is not counted."""
        self._spent += time.perf_counter() - self._last

    def add(self, phase: np.ndarray, extra_seconds: float = 0.0) -> None:
        """Keep the image of the iteration that ended with `pause`, and go on.

        Args:
            phase: (H, W) [rad].
            extra_seconds: what making the image took; whoever stops here pays it, the next
                iteration does not.
        """
        self.images.append(np.array(phase, dtype=np.float32))
        self.seconds.append(self._spent + extra_seconds)
        self._last = time.perf_counter()


def peak_bytes() -> int:
    """Largest resident memory of this program [bytes].

    Linux counts into `ru_maxrss` what the parent held before this program was started, so there
    the kernel's own high-water mark of this address space is read.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text().splitlines()
        mark = next(line for line in lines if line.startswith("VmHWM"))
        return int(mark.split()[1]) * KIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


Settings = Mapping[str, Any]
Simulate = Callable[[Problem, np.ndarray], np.ndarray]
Reconstruct = Callable[[Problem, Settings, Recorder], None]


def serve(distribution: str | None, simulate: Simulate, reconstruct: Reconstruct) -> None:
    """The adapter's main program.

    Args:
        distribution: name whose version is reported.
        simulate: (problem, true phase (H, W)) -> patterns (Ny*Nx, K, K), axis at n//2, by the
            package's own forward model.
        reconstruct: fills the recorder, one image an iteration.
    """
    _, action, problem_path, settings_path, output_path = sys.argv
    problem = Problem.load(Path(problem_path))
    settings = json.loads(Path(settings_path).read_text())
    version = importlib.metadata.version(distribution) if distribution else ""
    result: dict[str, Any] = {"version": version}
    if action == "check":
        assert problem.phase is not None
        result["patterns"] = np.asarray(simulate(problem, problem.phase), dtype=np.float32)
    else:
        # Once for nothing: compilation, thread pools and FFT plans are made the first time.
        reconstruct(problem, {**settings, "iterations": 1}, Recorder())
        recorder = Recorder()
        reconstruct(problem, settings, recorder)
        result["images"] = np.stack(recorder.images)
        result["seconds"] = np.array(recorder.seconds)
        result["setup_seconds"] = recorder.setup_seconds
    np.savez(output_path, peak_bytes=peak_bytes(), **result)
