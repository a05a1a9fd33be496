"""Submissions, workers and verdicts for the ledger's tests."""

from __future__ import annotations

from collections.abc import Sequence

from runner.scoring.ledger import Claim, Ledger
from schemas.challenge import Tier, Track
from schemas.evaluation import (
    Facts,
    Outcome,
    PreflightFacts,
    ScoreFacts,
    Stage,
    StageRecord,
    State,
    Verdict,
)
from schemas.findings import Finding, finding
from schemas.ledger import Entry
from schemas.score import ScoreCard

WORKER = "here/1"
OTHER = "there/2"


def entry(participant: str = "ada", method: str = "m", tier: Tier = Tier.HIDDEN) -> Entry:
    return Entry(
        participant=participant,
        method=method,
        image=f"{participant}/{method}:1",
        tier=tier,
        challenge_sha256="0" * 64,
    )


def card(score: float, tier: Tier = Tier.HIDDEN) -> ScoreCard:
    return ScoreCard(
        tier=tier.value,
        track=Track.BLIND,
        algorithm="inside the image",
        score=score,
        psnr_db=30.0,
        ssim=0.9,
        consistency=0.8,
        spec_error={},
        samples=(),
    )


def stage(name: Stage, run: int = 0, facts: Facts | None = None) -> StageRecord:
    return StageRecord(
        stage=name,
        run=run,
        outcome=Outcome.DONE,
        begun_utc="2026-01-01T00:00:00+00:00",
        seconds=1.5,
        facts=facts,
    )


def preflight(image_id: str) -> StageRecord:
    facts = PreflightFacts(
        engine="an engine 1.0",
        runtime="runc",
        not_held=(),
        image_id=image_id,
        image_digest=None,
        image_mib=1.0,
    )
    return stage(Stage.PREFLIGHT, facts=facts)


def verdict(
    state: State, *, score: float | None = None, findings: Sequence[Finding] = ()
) -> Verdict:
    stages = () if score is None else (stage(Stage.SCORE, facts=ScoreFacts(card=card(score))),)
    return Verdict(
        state=state,
        tier="hidden",
        image="ada/m:1",
        score=score,
        counts_against_quota=state is not State.FAULT,
        identity="a" * 64,
        findings=tuple(findings),
        stages=stages,
    )


def scored(score: float = 0.5) -> Verdict:
    return verdict(State.SCORED, score=score)


REFUSED = verdict(State.REFUSED)


def fault(code: str = "ENGINE_FAILED") -> Finding:
    return finding(code, "engine", expected="an answer", found="none", hint="ask again")


def claimed(ledger: Ledger, worker: str = WORKER) -> Claim:
    claim = ledger.claim(worker)
    assert claim is not None
    return claim
