"""From a run's folder to its report page: `stem4d report`.

What the page shows is gathered here; nothing of a hidden tier is, for its page could only say what
the verdict says already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from runner.container import environment
from runner.files.challenge import Challenge, open_challenge
from runner.files.hdf5 import explain
from runner.files.result import RESULT_NAME, ResultFile, SampleResult, read_result
from runner.pipeline.report_sample import Asked, sample_view
from runner.pipeline.run_record import RECORD_NAME, SCENARIO_NAMES, RunRecord
from runner.pipeline.scenarios import Say
from runner.pipeline.views import require_truth
from runner.report.page.figures import save_figures
from runner.report.page.page import save_page
from runner.report.page.records import PageData, Resources, SampleView
from runner.scoring.leaderboard import Gallery, Standing, standing, tier_table
from runner.scoring.score import score_result
from runner.scoring.validate import validate_result
from schemas.base import VARIANT, RecordT, StrictJSONError, printable, record_from_json
from schemas.challenge import Tier
from schemas.findings import ContractError, Finding, refuse
from schemas.limits import MIB
from schemas.score import ScoreCard

PAGE_NAME = "report.html"
FIGURES_NAME = "figures"
VIEW_NAME, CARD_NAME, GALLERY_NAME = "challenge.h5", "score.json", "scenarios.json"
"""What a dry run leaves in its folder, and a report reads."""

MAX_RECORD_BYTES = 4 * MIB
"""A score card of a thousand samples has half of that."""

PATTERN_BYTES = 4 * MIB
"""Room for all the patterns of the page, packed."""

DETAILED = 8
"""Samples that are shown in detail at most; each takes about half a megabyte."""

SEED = 0
"""Seed of what the bounds draw at random."""


@dataclass(frozen=True)
class ReportPlan:
    """What is to be reported.

    Attributes:
        folder: of the run, with its result.h5; the page is written there.
        challenge: challenge file that the run answered; None: challenge.h5 in the folder.
        truth: truth file; None: the one that the run's own record names, or the challenge file
            where it holds the truth.
        bounds: whether the Cramer-Rao bound is computed, a few seconds for each sample.
        figures: whether the figures are written beside the page as PNG and SVG.
    """

    folder: Path
    challenge: Path | None = None
    truth: Path | None = None
    bounds: bool = True
    figures: bool = True


def make_report(plan: ReportPlan, say: Say) -> Path:
    """Gather, draw and write the page; returns its path.

    Raises:
        ContractError: a file is missing or does not belong to the others, or the tier is hidden.
    """
    data = gather(plan, say)
    page = save_page(plan.folder / PAGE_NAME, data)
    if plan.figures:
        say("figures as PNG and SVG")
        save_figures(plan.folder / FIGURES_NAME, data)
    return page


def gather(plan: ReportPlan, say: Say) -> PageData:
    """Everything that the page shows.

    Raises:
        ContractError: as `make_report`.
    """
    challenge = plan.challenge or plan.folder / VIEW_NAME
    result_path = plan.folder / RESULT_NAME
    record = _read(plan.folder / RECORD_NAME, RunRecord)
    truth = _truth(plan, challenge, record)
    for path in filter(None, (challenge, truth)):
        _refuse_hidden(path)
    result, faults = validate_result(result_path, challenge)
    if result is None or not result.samples:
        raise ContractError(faults)
    card, told = _card(plan, result_path, truth)
    gallery = _read(plan.folder / GALLERY_NAME, Gallery)
    samples, count = _samples(plan, challenge, truth, result, card, say)
    tier = None if card is None else card.tier
    return PageData(
        algorithm=printable(result.provenance.algorithm),
        card=card,
        standing=_standing(card),
        rows=tier_table(card.track, tier, [card]) if card and tier and _ranked(card) else (),
        gallery=gallery,
        samples=samples,
        sample_count=count,
        provenance=result.provenance,
        run_info=result.run_info,
        resources=Resources(
            limits=None if record is None else record.limits,
            backend=None if card is None else card.backend,
            wall_s=card.seconds if card is not None and card.backend is not None else None,
            result_mib=result_path.stat().st_size / MIB,
        ),
        findings=told if told else faults,
        left_out=_left_out(plan, truth, gallery, count, scored=card is not None),
    )


def _truth(plan: ReportPlan, challenge: Path, record: RunRecord | None) -> Path | None:
    """The truth that was given or is known, checked against the challenge file."""
    truth = plan.truth
    if truth is None and record is not None and record.truth_path(plan.folder).is_file():
        truth = record.truth_path(plan.folder)
    if truth is None and plan.challenge is not None and _holds_truth(plan.challenge):
        truth = plan.challenge
    if truth is not None:
        require_truth(challenge, truth)
    return truth


def _holds_truth(challenge: Path) -> bool:
    with open_challenge(challenge) as file:
        return file.attrs.variant == VARIANT and all(sample.x_true is not None for sample in file)


def _refuse_hidden(path: Path) -> None:
    with open_challenge(path) as file:
        if file.attrs.tier == Tier.HIDDEN.value:
            raise refuse(
                "USAGE",
                str(path),
                expected="a run on the public or the dev tier",
                found="the hidden tier, whose images and samples nobody is shown",
                hint="what may be told of it is in the verdict: `stem4d evaluate`",
            )


def _card(
    plan: ReportPlan, result: Path, truth: Path | None
) -> tuple[ScoreCard | None, tuple[Finding, ...]]:
    """The run's own card, or else one made now; none without truth."""
    card = _read(plan.folder / CARD_NAME, ScoreCard)
    if card is None and truth is not None:
        card = score_result(result, truth)
    if card is not None and card.tier == Tier.HIDDEN.value:
        raise refuse(
            "USAGE",
            str(plan.folder / CARD_NAME),
            expected="a run on the public or the dev tier",
            found="the score of the hidden tier",
            hint="what may be told of it is in the verdict: `stem4d evaluate`",
        )
    return card, () if card is None else card.findings


def _samples(
    plan: ReportPlan,
    challenge: Path,
    truth: Path | None,
    result: ResultFile,
    card: ScoreCard | None,
    say: Say,
) -> tuple[tuple[SampleView, ...], int]:
    """The samples in detail, and how many there are in all."""
    environment.prepare(SEED)
    with open_challenge(truth or challenge) as file, open_challenge(challenge) as view:
        scenarios = {
            name: _answers(plan.folder / kept, view) for name, kept in SCENARIO_NAMES.items()
        }
        scores = {} if card is None else {entry.sample: entry for entry in card.samples}
        shown = file.names[:DETAILED]
        views = tuple(
            sample_view(
                file.sample(name),
                result.samples.get(name),
                Asked(
                    scenarios={
                        key: answers[name].x_hat
                        for key, answers in scenarios.items()
                        if name in answers
                    },
                    score=scores.get(name),
                    bound=plan.bounds,
                    bytes=PATTERN_BYTES // len(shown),
                ),
                say,
            )
            for name in shown
        )
        return views, len(file.names)


def _answers(path: Path, view: Challenge) -> Mapping[str, SampleResult]:
    if not path.is_file():
        return {}
    result, _ = read_result(path, view)
    return {} if result is None else result.samples


def _ranked(card: ScoreCard) -> bool:
    return card.score is not None and card.variant == VARIANT


def _standing(card: ScoreCard | None) -> Standing | None:
    return None if card is None else standing(card)


def _left_out(
    plan: ReportPlan, truth: Path | None, gallery: Gallery | None, count: int, *, scored: bool
) -> tuple[str, ...]:
    said = []
    if truth is None:
        said.append(
            "No truth file is known, so there is no difference image, no Fourier ring correlation"
            f" and no spec error{'' if scored else ', and no score'}."
            " Give one with --truth where you have it."
        )
    if gallery is None:
        said.append("Scenarios I and II were not run; `stem4d dry-run` runs them.")
    if not plan.bounds:
        said.append("The Cramer-Rao bound was not asked for (--no-bounds).")
    if count > DETAILED:
        said.append(f"Of {count} samples the first {DETAILED} are shown in detail.")
    return tuple(said)


def _read(path: Path, model: type[RecordT]) -> RecordT | None:
    """A record of the run; None where there is no such file.

    Raises:
        ContractError: the file is there, and is not that record.
    """
    if not path.is_file():
        return None
    try:
        return record_from_json(model, path.read_text(encoding="utf-8"), max_bytes=MAX_RECORD_BYTES)
    except (StrictJSONError, ValidationError, UnicodeError) as error:
        raise refuse(
            "USAGE",
            str(path),
            expected=f"a {model.__name__}, as `stem4d dry-run` writes it",
            found=explain(error),
            hint="run `stem4d dry-run` again, or remove the file",
        ) from error
