"""What a sample's electrons allow: the Cramer-Rao bound of the detector, the consistency's ceiling.

At the truth where it is known, else at the blind estimate of the default algorithm, whose own error
changes the bound by no more than itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from algorithms.base import Sample
from algorithms.registry import load_algorithm
from physics.bounds import cramer_rao
from physics.information import FisherInformation
from physics.operator import ForwardOperator
from runner.container import environment
from runner.files.challenge import ChallengeSample, open_challenge
from runner.pipeline.views import require_truth
from runner.scoring.metrics import residual
from schemas.base import Record, quantity
from schemas.findings import refuse
from schemas.spec import PARAMETERS, MismatchSpec

PAIRS = ((0, 1), (0, 2), (1, 2))
"""Pairs of `PARAMETERS`, in the order of a covariance's upper triangle."""

SEED = 0
"""Seed of the estimate."""

ESTIMATOR = "ptychography+gradient"
"""Where the truth is unknown: the likelihood's own answer, without a learned prior."""

Say = Callable[[str], None]
"""Told, one line at a time, what is being done."""


class SampleBounds(Record):
    """The bounds of one sample."""

    sample: str = Field(description="sample name")
    scene: str = Field(description="scene, where the file tells it")
    dose_e: float = quantity("electrons", "electrons per diffraction pattern")
    point: Literal["truth", "estimate"] = Field(description="where the bounds are evaluated")
    spec: dict[str, float] = Field(description="the detector there, each value in its unit")
    known: dict[str, float] = Field(description="one sigma of each parameter, x known")
    joint: dict[str, float] = Field(description="one sigma of each parameter, x unknown")
    correlation: dict[str, float] = Field(
        description="of each pair of parameters, x unknown; names joined by a comma"
    )
    ceiling: float = quantity("", "consistency that the counts' noise leaves possible")
    consistency: float = quantity(
        "", "consistency at this point; at the truth: the score's ceiling"
    )
    chi_square: float = quantity("", "reduced chi-square there; 1: noise alone is left")


class BoundsReport(Record):
    """What `stem4d bounds --json` prints."""

    file: str = Field(description="challenge file, as it was named")
    estimator: str | None = Field(description="algorithm of the estimates; none: truth throughout")
    units: dict[str, str] = Field(description="unit of each parameter")
    samples: tuple[SampleBounds, ...] = Field(description="in the order of the file")


@dataclass(frozen=True)
class Point:
    """Where a bound is evaluated.

    Attributes:
        kind: truth, or estimate.
        x: object (H, W).
        spec: detector.
    """

    kind: Literal["truth", "estimate"]
    x: NDArray[np.floating[Any]]
    spec: MismatchSpec


def bounds(challenge: Path, truth: Path | None, names: tuple[str, ...], say: Say) -> BoundsReport:
    """The bounds of the samples of a file.

    Args:
        challenge: challenge file, with its truth or without.
        truth: its truth file; None where `challenge` holds the truth, or nobody has it.
        names: samples; empty: all.
        say: told what is being done.

    Raises:
        ContractError: bad input, no such sample, or a truth file of other data.
    """
    if truth is not None:
        require_truth(challenge, truth)
    with open_challenge(truth or challenge) as file:
        for name in names:
            if name not in file.names:
                raise refuse(
                    "USAGE",
                    f"--sample {name}",
                    expected=f"one of {', '.join(file.names)}",
                    found=name,
                    hint="leave --sample out for all of them",
                )
        environment.prepare(SEED)
        samples = [file.sample(name) for name in names or file.names]
        found = tuple(bounds_at(sample, _point(sample, say), say) for sample in samples)
    guessed = any(entry.point == "estimate" for entry in found)
    return BoundsReport(
        file=str(challenge),
        estimator=ESTIMATOR if guessed else None,
        units={name: _unit(name) for name in PARAMETERS},
        samples=found,
    )


def _point(source: ChallengeSample, say: Say) -> Point:
    """The truth, or the estimate where the file does not hold it."""
    if source.x_true is not None and source.true_spec is not None:
        return Point("truth", source.x_true, source.true_spec)
    say(f"{source.name}: no truth here; {ESTIMATOR} estimates it")
    sample = Sample(
        name=source.name,
        y=source.y,
        operator=source.operator,
        ranges=source.ranges,
        seed=SEED,
        device=environment.device(),
        progress=_Quarters(source.name, say),
    )
    answer = load_algorithm(ESTIMATOR).solve(sample)
    assert isinstance(answer.spec, MismatchSpec), "a composed algorithm gives a spec"
    return Point("estimate", answer.x_hat, answer.spec)


def bounds_at(source: ChallengeSample, point: Point, say: Say) -> SampleBounds:
    """The bounds of one sample at a point.

    Raises:
        ContractError: the patterns are zero everywhere.
    """
    say(f"{source.name}: bounds at the {point.kind}")
    attrs = source.operator.attrs
    forward = ForwardOperator(source.operator, device=environment.device())
    phi = forward.tensor(attrs.phase_scale_rad * point.x)
    bound = cramer_rao(FisherInformation(forward, point.spec, phi))
    left = residual(source.y, source.operator, point.x, point.spec)
    if left.measured == 0.0:
        raise refuse(
            "INPUT_INCONSISTENT",
            f"{source.name}/y",
            expected="patterns with electrons in them",
            found="zero everywhere",
            hint="build or copy the file again",
        )
    sigma = np.sqrt(np.diag(bound.joint))
    correlation = bound.joint / np.outer(sigma, sigma)
    return SampleBounds(
        sample=source.name,
        scene=source.metadata.scene,
        dose_e=attrs.dose_e,
        point=point.kind,
        spec=point.spec.values(),
        known=bound.known_sigma,
        joint=bound.joint_sigma,
        correlation={
            f"{PARAMETERS[i]},{PARAMETERS[j]}": float(correlation[i, j]) for i, j in PAIRS
        },
        ceiling=1.0 - math.sqrt(left.variance / left.measured),
        consistency=left.consistency,
        chi_square=left.chi_square,
    )


@dataclass
class _Quarters:
    """Tells an algorithm's progress at each quarter of the way."""

    name: str
    say: Say
    told: int = 0

    def __call__(self, fraction: float) -> None:
        """`fraction` is done."""
        quarter = int(4 * fraction)
        if self.told < quarter < 4:
            self.told = quarter
            self.say(f"{self.name}: {25 * quarter} % of the estimate")


def _unit(name: str) -> str:
    extra = MismatchSpec.model_fields[name].json_schema_extra
    assert isinstance(extra, dict)
    return str(extra["unit"])
