"""What the report shows, gathered: nothing in here draws, nothing that draws computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from physics.ideal import IdealOperator
from runner.scoring.fourier import Curve
from runner.scoring.leaderboard import Gallery, Row, Standing
from schemas.findings import Finding
from schemas.limits import ResourceLimits
from schemas.result import Provenance, RunInfo
from schemas.score import SampleScore, ScoreCard
from schemas.spec import MismatchSpec, SpecRanges

Image = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class ScanPatterns:
    """The measured patterns that the picker holds.

    Attributes:
        counts: (ny, nx, Ky, Kx) [counts]: of the scan, every `stride`-th row and column.
        stride: 1 where all are there.
    """

    counts: NDArray[np.float32]
    stride: int


@dataclass(frozen=True)
class Bound:
    """The Cramer-Rao bound of the detector's parameters, the specimen unknown.

    Attributes:
        point: where it was evaluated: at the truth, or at the submission's own answer.
        sigma: one standard deviation of each parameter, in its unit.
    """

    point: Literal["truth", "estimate"]
    sigma: Mapping[str, float]


@dataclass(frozen=True)
class TraceStage:
    """Part of a trace, in which one objective was minimised.

    Attributes:
        name: as "reconstruction, likelihood and prior".
        seconds: (K,) since the sample was begun [s].
        objective: (K,) its values.
    """

    name: str
    seconds: NDArray[np.float64]
    objective: NDArray[np.float64]


@dataclass(frozen=True)
class Answer:
    """What the submission gave for one sample, and what that says.

    Attributes:
        x_hat: (H, W).
        spec: the corrected spec.
        standard_errors: one sigma of each parameter, where the submission states it.
        misfit: (Ny, Nx) reduced chi-square of each pattern.
        power: power spectrum of x_hat (H, W).
        radial: the same over rings.
        correlation: with the truth; None without it.
        trace: empty where the algorithm tells none.
        bound: None where it was not asked for.
    """

    x_hat: Image
    spec: MismatchSpec
    standard_errors: Mapping[str, float]
    misfit: Image
    power: Image
    radial: Curve
    correlation: Curve | None
    trace: tuple[TraceStage, ...]
    bound: Bound | None


@dataclass(frozen=True)
class SampleView:
    """One sample.

    Attributes:
        name: sample name.
        scene: as the truth tells it, else as the blind view does.
        operator: the ideal operator.
        scan_shape: (Ny, Nx).
        ranges: of the mismatch parameters.
        pacbed: position-averaged pattern (Ky, Kx) [electrons].
        patterns: what the picker shows.
        answer: None where the submission has no valid one.
        x_true: (H, W); None without truth.
        true_spec: likewise.
        true_power: power spectrum of x_true, and over rings; likewise.
        true_radial: likewise.
        scenarios: x_hat of scenarios I and II where they were run.
        score: as judged; None without truth.
    """

    name: str
    scene: str
    operator: IdealOperator
    scan_shape: tuple[int, int]
    ranges: SpecRanges
    pacbed: Image
    patterns: ScanPatterns
    answer: Answer | None
    x_true: Image | None = None
    true_spec: MismatchSpec | None = None
    true_power: Image | None = None
    true_radial: Curve | None = None
    scenarios: Mapping[str, Image] = field(default_factory=dict)
    score: SampleScore | None = None

    @property
    def title(self) -> str:
        """The scene for people: "gold on amorphous carbon 1"."""
        return self.scene.replace("_", " ") or self.name


@dataclass(frozen=True)
class Resources:
    """What the run used, and was allowed.

    Attributes:
        limits: None where nobody recorded them.
        backend: container or process; None likewise.
        wall_s: wall time of the run [s], start of the container included; None likewise.
        result_mib: size of the result file [MiB].
    """

    limits: ResourceLimits | None
    backend: str | None
    wall_s: float | None
    result_mib: float


@dataclass(frozen=True)
class PageData:
    """The whole report.

    Attributes:
        algorithm: as the result's provenance names it, printable.
        card: None without truth.
        standing: rank among the published rows; None without a score.
        rows: published rows of the tier and this one, the best first.
        gallery: PSNR and SSIM of each scene in each scenario; None where they were not run.
        samples: what is shown in detail.
        sample_count: how many samples there are.
        provenance: as the result states it.
        run_info: likewise; None where it does not.
        resources: used and allowed.
        findings: of run and validation.
        left_out: what is not on the page, and why.
    """

    algorithm: str
    card: ScoreCard | None
    standing: Standing | None
    rows: tuple[Row, ...]
    gallery: Gallery | None
    samples: tuple[SampleView, ...]
    sample_count: int
    provenance: Provenance
    run_info: RunInfo | None
    resources: Resources
    findings: tuple[Finding, ...]
    left_out: tuple[str, ...]
