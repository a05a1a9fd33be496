"""How good is an answer, where the truth is not known? What the counts themselves say of it.

Nothing here needs x_true or true_spec, so it serves the dev and hidden tiers. It cannot tell an
image that explains the counts from the right one where the counts cannot.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from algorithms.base import Sample
from algorithms.registry import load_algorithm
from physics.ideal import IdealOperator, Patterns
from physics.noise import Likelihood, LikelihoodName
from physics.operator import ForwardOperator, batches
from physics.thinning import NotCountsError, ThinnedPatterns
from runner.container import environment
from runner.container.run import checked, guarded
from runner.files.challenge import ChallengeSample, open_challenge
from runner.files.result import SampleResult, read_result
from runner.scoring.metrics import Residual
from schemas.base import Record, quantity
from schemas.findings import ContractError, Finding, finding, refuse
from schemas.spec import MismatchSpec

SIGMAS = 5.0
"""Standard deviations beyond which a chi-square is no chance."""

MOST_UNEXPLAINED = 0.05
"""Most of the patterns' norm that may be neither model nor noise."""

LEAST_CHI_SQUARE = 0.9
"""Below it noise was fitted: an image of the contract's tiers has some 2 % of the freedom of its
counts."""

TRAINED_SHARE = 0.9
"""Share of the electrons that an image is made from when the rest is held out."""

Tell = Callable[[str], None]


class HeldOut(Record):
    """An algorithm, run on a part of the electrons and judged by the others."""

    share: float = quantity("", "share of the electrons that it was given")
    chi_square_given: float = quantity("", "reduced chi-square on those")
    chi_square_held_out: float = quantity("", "on the others: 1 when the image is right")
    gain_nats: float = quantity(
        "nats/electron", "log-likelihood of the others, over that of no specimen"
    )


class SampleCheck(Record):
    """What the counts say of one sample's answer."""

    sample: str
    consistency: float = quantity("", "1 - |y - H(spec) x_hat| / |y|, as in the score")
    ceiling: float = quantity("", "what noise leaves possible, as this model expects it")
    consistency_ideal: float = quantity("", "with the nominal detector instead")
    consistency_empty: float = quantity("", "with no specimen at all")
    chi_square: float = quantity("", "reduced chi-square: 1 when noise alone is left")
    chi_square_sigma: float = quantity("", "its standard deviation by chance")
    unexplained: float = quantity("", "share of the patterns' norm, neither model nor noise")
    held_out: HeldOut | None = Field(default=None, description="where an algorithm was named")
    remarks: tuple[str, ...] = Field(description="what is amiss, and what to do")


class CheckReport(Record):
    """Every sample of a result, without truth."""

    algorithm: str
    samples: tuple[SampleCheck, ...]
    findings: tuple[Finding, ...] = Field(default=(), description="what is invalid")


@dataclass(frozen=True)
class Fit(Residual):
    """How far modelled patterns are from measured ones, in electrons, and by how much by chance.

    Attributes:
        spread: variance of `squared`.
        loss: Poisson's negative log-likelihood; 0 for a perfect fit.
        electrons: sum of y.
    """

    spread: float
    loss: float
    electrons: float

    @property
    def sigma(self) -> float:
        """Standard deviation of `chi_square` by chance."""
        return math.sqrt(self.spread) / self.variance


def fit_of(y: Patterns, operator: IdealOperator, x: NDArray[np.float32], spec: MismatchSpec) -> Fit:
    """Compare measured patterns with those that `x` (H, W) gives on a detector with `spec`."""
    attrs = operator.attrs
    model = ForwardOperator(operator)
    noise = Likelihood(LikelihoodName.POISSON, attrs.gain, attrs.read_noise)
    far = model.far_field(spec)
    transmission = model.transmission(model.tensor(attrs.phase_scale_rad * x))
    squared = measured = variance = spread = loss = electrons = 0.0
    with torch.inference_mode():
        for index in batches(model.count, model.batch):
            counts = model.tensor(y.read(index.start, index.stop))
            expected = far.intensity(far.forward(model.exit_waves(transmission, far, index)))
            prepared = noise.prepare(counts)
            dispersion = noise.dispersion(expected, prepared)
            squared, variance, spread = (
                total + part
                for total, part in zip((squared, variance, spread), dispersion, strict=True)
            )
            counted = (counts / attrs.gain).double()
            measured += float(counted.square().sum())
            electrons += float(counted.sum())
            loss += float(noise.loss(expected, prepared))
    return Fit(squared, measured, variance, spread, loss, electrons)


def check_result(
    result: Path, challenge: Path, *, held_out: str | None = None, tell: Tell = lambda _: None
) -> CheckReport:
    """Judge a result by the counts alone.

    Args:
        result: a result file; read as `stem4d validate` reads it.
        challenge: the challenge that it answers.
        held_out: run this algorithm on 90 % of each sample's electrons, and judge it by the others.
        tell: told a line for each sample.

    Raises:
        ContractError: nothing of the result can be read, or H is a plain array.
    """
    environment.prepare(0)
    with open_challenge(challenge) as file:
        read, findings = read_result(result, file)
        if read is None:
            raise ContractError(findings)
        samples = []
        for name in file.names:
            answer = read.samples.get(name)
            if answer is None:
                continue
            tell(name)
            samples.append(_check(file.sample(name), answer, held_out))
        return CheckReport(
            algorithm=read.provenance.algorithm, samples=tuple(samples), findings=findings
        )


def told(report: CheckReport) -> tuple[str, ...]:
    """A line for each sample, and one for each remark."""
    lines = []
    for one in report.samples:
        lines.append(
            f"{one.sample} by its counts: consistency {one.consistency:.3f} of {one.ceiling:.3f}"
            f" ({one.consistency_ideal:.3f} on the nominal detector), chi-square"
            f" {one.chi_square:.3f} +- {one.chi_square_sigma:.3f}"
        )
        lines += [f"{one.sample}: {remark}" for remark in one.remarks]
    return tuple(lines)


def _check(sample: ChallengeSample, answer: SampleResult, held_out: str | None) -> SampleCheck:
    spec = MismatchSpec.from_values(answer.corrected_spec).clipped(sample.ranges)
    own = fit_of(sample.y, sample.operator, answer.x_hat, spec)
    if own.measured == 0.0:
        raise refuse(
            "INPUT_INCONSISTENT",
            f"{sample.name}/y",
            expected="a measurement with something in it",
            found="zero everywhere",
            hint="build or copy the challenge file again",
        )
    ideal = fit_of(sample.y, sample.operator, answer.x_hat, MismatchSpec())
    empty = fit_of(sample.y, sample.operator, np.zeros_like(answer.x_hat), spec)
    held = None if held_out is None else hold_out(sample, held_out)
    return SampleCheck(
        sample=sample.name,
        consistency=own.consistency,
        ceiling=own.ceiling,
        consistency_ideal=ideal.consistency,
        consistency_empty=empty.consistency,
        chi_square=own.chi_square,
        chi_square_sigma=own.sigma,
        unexplained=own.unexplained,
        held_out=held,
        remarks=tuple(_remarks(own, ideal, empty, spec)),
    )


def _remarks(own: Fit, ideal: Fit, empty: Fit, spec: MismatchSpec) -> list[str]:
    remarks = []
    if own.consistency <= empty.consistency:
        remarks.append(
            "the image explains less than no specimen would: look for a transposed, shifted or"
            " negated x_hat, or another scale than x in [0, 1]"
        )
    elif own.unexplained > MOST_UNEXPLAINED and own.chi_square > 1 + SIGMAS * own.sigma:
        remarks.append(
            f"{100 * own.unexplained:.0f} % of the patterns is neither model nor noise: more"
            " iterations, a better spec, or data that H does not describe"
            " (`stem4d inspect --fit` on the challenge)"
        )
    if own.chi_square < LEAST_CHI_SQUARE:
        remarks.append(
            f"chi-square {own.chi_square:.2f}: noise was fitted; stop earlier, or use a prior"
        )
    if not spec.is_nominal and ideal.squared <= own.squared:
        remarks.append("the nominal detector fits no worse than the corrected spec: nothing found")
    return remarks


def hold_out(sample: ChallengeSample, algorithm: str, seed: int = 0) -> HeldOut:
    """Run an algorithm on most of a sample's electrons; judge it by the rest.

    Raises:
        ContractError: SAMPLE_UNSUITED, readings that are no counts of single electrons; whatever
            the algorithm raises.
    """
    attrs = sample.operator.attrs

    def part(rest: bool) -> tuple[ThinnedPatterns, IdealOperator]:
        patterns = ThinnedPatterns(sample.y, TRAINED_SHARE, attrs.gain, seed, rest)
        dose = attrs.dose_e * (1 - TRAINED_SHARE if rest else TRAINED_SHARE)
        stated = attrs.model_copy(update={"dose_e": dose})
        return patterns, replace(sample.operator, attrs=stated)

    try:
        given, operator = part(rest=False)
        told = Sample(sample.name, given, operator, sample.ranges)
        solved = checked(guarded(lambda: load_algorithm(algorithm).solve(told), sample.name), told)
        spec = MismatchSpec.from_values(solved.corrected_spec)
        own = fit_of(given, operator, solved.x_hat, spec)
        others, lower = part(rest=True)
        left = fit_of(others, lower, solved.x_hat, spec)
        empty = fit_of(others, lower, np.zeros_like(solved.x_hat), spec)
    except NotCountsError as error:
        raise ContractError(
            finding(
                "SAMPLE_UNSUITED",
                f"{sample.name}/y",
                expected="counts of single electrons, whole multiples of the gain",
                found=str(error),
                hint="leave --held-out out: electrons that were not counted cannot be divided",
            )
        ) from error
    return HeldOut(
        share=TRAINED_SHARE,
        chi_square_given=own.chi_square,
        chi_square_held_out=left.chi_square,
        gain_nats=(empty.loss - left.loss) / left.electrons,
    )
