"""From a result file and the truth to a score card."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runner.files.arrays import ArraySample
from runner.files.challenge import AnySample, Challenge, ChallengeSample, open_challenge
from runner.files.result import ResultFile, SampleResult, read_result
from runner.scoring import metrics
from runner.scoring.formulas import track_score
from schemas.base import printable
from schemas.challenge import Track
from schemas.findings import ContractError, Finding, finding, refuse
from schemas.score import SampleScore, ScoreCard
from schemas.spec import MismatchSpec


@dataclass(frozen=True)
class Truth:
    """A sample whose truth is known.

    Attributes:
        sample: patterns, operator and ranges.
        x: the object (H, W) in [0, 1].
        spec: the mismatch that the patterns were made with.
    """

    sample: ChallengeSample
    x: NDArray[np.float32]
    spec: MismatchSpec


def score_result(result_path: Path, truth_path: Path, track: Track | None = None) -> ScoreCard:
    """Judge a result file.

    Args:
        result_path: what a submission wrote.
        truth_path: the organiser's truth file, or a public challenge file, which holds the truth.
        track: which formula; None takes the track that the truth file names.

    A sample of another variant, whose H is a plain array, is judged as well where its truth is not
    in the file: by its residual alone, without a score.

    Returns:
        A card with every sample of the truth; one that is missing or invalid has score 0, and the
        card's findings say why.

    Raises:
        ContractError: no truth in the file, or no sample of the result can be judged at all.
    """
    with open_challenge(truth_path) as file:
        result, findings = read_result(result_path, file)
        if result is None or not result.samples:
            raise ContractError(findings or (_nothing_to_score(result_path, file),))
        chosen = track or file.any_sample(file.names[0]).metadata.track
        scores = tuple(_judge(file, name, result, chosen) for name in file.names)
        return ScoreCard(
            variant=file.attrs.variant,
            tier=file.attrs.tier,
            track=chosen,
            algorithm=printable(result.provenance.algorithm),
            score=_mean_or_none([entry.score for entry in scores]),
            psnr_db=_mean(entry.psnr_db for entry in scores),
            ssim=_mean(entry.ssim for entry in scores),
            consistency=_mean(entry.consistency for entry in scores),
            spec_error=_rms([entry.spec_error for entry in scores]),
            samples=scores,
            seconds=_run_seconds(result),
            findings=findings,
        )


def _judge(file: Challenge, name: str, result: ResultFile, track: Track) -> SampleScore:
    """One sample of either form."""
    sample, answer = file.any_sample(name), result.samples.get(name)
    seconds = _seconds(result, name)
    if isinstance(sample, ArraySample):
        return score_array_sample(sample, answer, track, seconds=seconds)
    return score_sample(truth_of(file, name), answer, track, seconds=seconds)


def score_sample(
    truth: Truth, answer: SampleResult | None, track: Track, *, seconds: float | None = None
) -> SampleScore:
    """Judge one sample; no answer scores 0.

    Raises:
        ContractError: the patterns are zero everywhere, so that no consistency is defined.
    """
    sample = truth.sample
    if answer is None:
        return _nothing(sample)
    spec = MismatchSpec.from_values(answer.corrected_spec).clipped(sample.ranges)
    own = metrics.residual(sample.y, sample.operator, answer.x_hat, spec)
    if own.measured == 0.0:
        raise _no_measurement(sample)
    ceiling = metrics.residual(sample.y, sample.operator, truth.x, truth.spec)
    nominal = metrics.residual(sample.y, sample.operator, answer.x_hat, MismatchSpec())
    psnr_db = metrics.psnr_db(answer.x_hat, truth.x)
    ssim = metrics.ssim(answer.x_hat, truth.x)
    return SampleScore(
        sample=sample.name,
        scene=sample.metadata.scene,
        score=track_score(track, psnr_db=psnr_db, ssim=ssim, consistency=own.consistency),
        psnr_db=psnr_db,
        ssim=ssim,
        consistency=own.consistency,
        consistency_ceiling=ceiling.consistency,
        consistency_ideal=nominal.consistency,
        chi_square=own.chi_square,
        psnr_offset_free_db=metrics.psnr_offset_free_db(answer.x_hat, truth.x),
        spec_error=spec_error(spec, truth.spec, sample.ranges.names),
        seconds=seconds,
    )


def score_array_sample(
    sample: ArraySample,
    answer: SampleResult | None,
    track: Track,
    *,
    seconds: float | None = None,
) -> SampleScore:
    """Judge a sample whose H is a plain array: H does not know the spec, so it is used as it is.

    Without its truth there is a consistency, but no score.

    Raises:
        ContractError: y is zero everywhere, so that no consistency is defined.
    """
    if answer is None:
        return _nothing(sample)
    own = metrics.array_residual(sample.y, sample.operator, answer.x_hat)
    if own.measured == 0.0:
        raise _no_measurement(sample)
    judged = SampleScore(
        sample=sample.name,
        scene=sample.metadata.scene,
        score=None,
        psnr_db=None,
        ssim=None,
        consistency=own.consistency,
        consistency_ceiling=None,
        consistency_ideal=own.consistency,
        chi_square=None,
        psnr_offset_free_db=None,
        seconds=seconds,
    )
    truth = sample.x_true
    if truth is None:
        return judged
    ceiling = metrics.array_residual(sample.y, sample.operator, truth)
    psnr_db, ssim = metrics.psnr_db(answer.x_hat, truth), metrics.signal_ssim(answer.x_hat, truth)
    known = {} if sample.true_spec is None else sample.true_spec.values()
    errors = {n: answer.corrected_spec[n] - known[n] for n in sample.ranges.names if n in known}
    score = None
    if ssim is not None:
        score = track_score(track, psnr_db=psnr_db, ssim=ssim, consistency=own.consistency)
    return judged.model_copy(
        update={
            "score": score,
            "psnr_db": psnr_db,
            "ssim": ssim,
            "consistency_ceiling": ceiling.consistency,
            "psnr_offset_free_db": metrics.psnr_offset_free_db(answer.x_hat, truth),
            "spec_error": errors,
        }
    )


def _nothing(sample: AnySample) -> SampleScore:
    """A missing or invalid answer scores 0."""
    return SampleScore(
        sample=sample.name,
        scene=sample.metadata.scene,
        score=0.0,
        psnr_db=None,
        ssim=None,
        consistency=None,
        consistency_ceiling=None,
        consistency_ideal=None,
        chi_square=None,
        psnr_offset_free_db=None,
    )


def _no_measurement(sample: AnySample) -> ContractError:
    return refuse(
        "INPUT_INCONSISTENT",
        f"{sample.name}/y",
        expected="a measurement with something in it",
        found="zero everywhere",
        hint="build or copy the truth file again",
    )


def spec_error(
    estimate: MismatchSpec, truth: MismatchSpec, names: Iterable[str]
) -> dict[str, float]:
    """Estimate minus truth of each named parameter, in its own unit."""
    estimated, true = estimate.values(), truth.values()
    return {name: estimated[name] - true[name] for name in names}


def truth_of(file: Challenge, name: str) -> Truth:
    """A sample of a file that holds the truth.

    Raises:
        ContractError: TRUTH_MISSING.
    """
    sample = file.sample(name)
    if sample.x_true is None or sample.true_spec is None:
        held = [k for k in ("x_true", "true_spec") if getattr(sample, k) is not None]
        raise refuse(
            "TRUTH_MISSING",
            f"{file.path}:/{name}",
            expected="x_true and true_spec",
            found=", ".join(held) or "neither",
            hint="give the organiser's truth file, or the public challenge file before it was"
            " stripped",
        )
    return Truth(sample, sample.x_true, sample.true_spec)


def _nothing_to_score(path: Path, file: Challenge) -> Finding:
    return finding(
        "RESULT_MISSING_ITEM",
        str(path),
        expected=f"at least one of the samples {', '.join(file.names)}",
        found="none",
        hint="run the algorithm again",
    )


def _seconds(result: ResultFile, name: str) -> float | None:
    run = None if result.run_info is None else result.run_info.samples.get(name)
    return None if run is None else run.seconds


def _run_seconds(result: ResultFile) -> float | None:
    """Set-up and samples together [s], as the run itself measured them, where the file tells."""
    run = result.run_info
    return None if run is None else run.setup_seconds + sum(s.seconds for s in run.samples.values())


def _mean(values: Iterable[float | None]) -> float | None:
    """Mean of the values that are there."""
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None


def _mean_or_none(values: Sequence[float | None]) -> float | None:
    """Mean of the values; None where one of them is."""
    return None if None in values else _mean(values)


def _rms(errors: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Root mean square of each parameter over the samples that have it."""
    names = {name: None for error in errors for name in error}
    return {
        name: math.sqrt(sum(e[name] ** 2 for e in found) / len(found))
        for name in names
        if (found := [error for error in errors if name in error])
    }
