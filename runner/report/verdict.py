"""A verdict for two readers: the organiser sees everything, the participant what the tier allows.

What a participant is told of the hidden tier is built from nothing: a state, codes in our own
words, a rounded score. There is no list of things to be taken away, which could lack one.
"""

from __future__ import annotations

from collections.abc import Iterator

from schemas.challenge import Tier
from schemas.evaluation import (
    CodeLine,
    ParticipantReport,
    RepeatFacts,
    RunFacts,
    State,
    Verdict,
)
from schemas.findings import CODES, Finding
from schemas.score import ScoreCard

HIDDEN_DECIMALS = 2
"""Decimals of a score on the hidden tier: each further one would tell more of the truth to those
who submit a result and a slightly changed one."""

SHOWN_IN_FULL = (Tier.PUBLIC.value, Tier.DEV.value)
"""Tiers of which all is shown; every other name is treated as hidden."""

STATE_TEXT = {
    State.SCORED: "scored",
    State.REFUSED: "refused",
    State.FAULT: "not judged, for a reason that is not the submission's; it may be tried again",
}


def participant_report(verdict: Verdict, log: str) -> ParticipantReport:
    """What a participant is told.

    Args:
        verdict: everything.
        log: the first run's log, which is shown on open tiers alone.
    """
    told = ParticipantReport(
        state=verdict.state,
        tier=verdict.tier,
        score=None if verdict.score is None else round(verdict.score, HIDDEN_DECIMALS),
        counts_against_quota=verdict.counts_against_quota,
        codes=tuple(_codes(verdict.findings)),
    )
    if verdict.tier not in SHOWN_IN_FULL:
        return told
    facts = [record.facts for record in verdict.stages]
    repeats = [entry for entry in facts if isinstance(entry, RepeatFacts)]
    runs = [entry for entry in facts if isinstance(entry, RunFacts)]
    return told.model_copy(
        update={
            "score": verdict.score,
            "track": verdict.card.track if verdict.card else None,
            "identity": verdict.identity,
            "findings": verdict.findings,
            "card": verdict.card,
            "differences": repeats[0].differences if repeats else (),
            "run_seconds": runs[0].run_seconds if runs else None,
            "log": log,
        }
    )


def _codes(findings: tuple[Finding, ...]) -> Iterator[CodeLine]:
    """Each code once, in alphabetical order: neither number nor order tells of single samples."""
    for code in sorted({entry.code for entry in findings}):
        yield CodeLine(
            code=code, meaning=CODES[code].meaning, counts_against_quota=CODES[code].counts
        )


def participant_text(report: ParticipantReport) -> str:
    """The participant's report for a person, as Markdown."""
    decimals = 4 if report.tier in SHOWN_IN_FULL else HIDDEN_DECIMALS
    lines = [
        f"# {report.tier} tier: {STATE_TEXT[report.state]}",
        "",
        f"Score: {'none' if report.score is None else f'{report.score:.{decimals}f}'}",
        f"Counts as an attempt: {'yes' if report.counts_against_quota else 'no'}",
        "",
        *(f"- `{line.code}`: {line.meaning}" for line in report.codes),
    ]
    if report.card is not None:
        lines += ["", *_card_lines(report.card)]
    if report.findings:
        lines += ["", "## Findings", "", *_fenced(f.text() for f in report.findings)]
    if report.differences:
        lines += ["", "## Runs that differ", ""]
        lines += [
            f"- {entry.sample}: {entry.pixels} pixels of x_hat, by {entry.x_hat:.3g} at most;"
            f" spec {entry.spec}"
            for entry in report.differences
        ]
    if report.log:
        lines += ["", "## Log", "", *_fenced([report.log.rstrip()])]
    return "\n".join(lines) + "\n"


def organiser_text(verdict: Verdict) -> str:
    """The organiser's report for a person, as Markdown."""
    score = "none" if verdict.score is None else f"{verdict.score:.6f}"
    lines = [
        f"# {verdict.image} on the {verdict.tier} tier: {STATE_TEXT[verdict.state]}",
        "",
        f"Score: {score}",
        f"Counts as an attempt: {'yes' if verdict.counts_against_quota else 'no'}",
        f"Identity: {verdict.identity or 'none'}",
        "",
        "| stage | outcome | seconds | codes |",
        "|---|---|---|---|",
        *(
            f"| {record.key} | {record.outcome} | {record.seconds:.1f} |"
            f" {', '.join(sorted({f.code for f in record.findings})) or '-'} |"
            for record in verdict.stages
        ),
    ]
    for record in verdict.stages:
        if isinstance(record.facts, RunFacts):
            lines += ["", f"## {record.key}", "", *_run_lines(record.facts)]
    if verdict.card is not None:
        lines += ["", *_card_lines(verdict.card)]
    if verdict.findings:
        lines += ["", "## Findings", "", *_fenced(f.text() for f in verdict.findings)]
    return "\n".join(lines) + "\n"


def _run_lines(facts: RunFacts) -> Iterator[str]:
    yield f"Exit code {facts.exit_code} after {facts.run_seconds:.1f} s;"
    yield f"log {facts.log_bytes} bytes; output {facts.output_bytes} bytes in {facts.output_files}"
    yield "files."
    if facts.not_enforced:
        yield ""
        yield "No kernel held these limits under this runtime:"
        yield ""
        yield from (f"- {name}: {instead}" for name, instead in facts.not_enforced.items())
    yield ""
    yield "Applied, as the engine reports it:"
    yield ""
    yield from (f"- {name}: `{value}`" for name, value in sorted(facts.applied.items()))


def _card_lines(card: ScoreCard) -> Iterator[str]:
    yield f"## {card.track} track"
    yield ""
    yield "| sample | score | PSNR dB | SSIM | consistency |"
    yield "|---|---|---|---|---|"
    for entry in card.samples:
        numbers = (entry.psnr_db, entry.ssim, entry.consistency)
        told = " | ".join("-" if value is None else f"{value:.4f}" for value in numbers)
        yield f"| {entry.sample} | {entry.score:.4f} | {told} |"


def _fenced(texts: Iterator[str] | list[str]) -> Iterator[str]:
    """Strangers' text as a block of code: its own fences are broken, so that it stays one."""
    yield "```text"
    yield from (text.replace("```", "'''") for text in texts)
    yield "```"
