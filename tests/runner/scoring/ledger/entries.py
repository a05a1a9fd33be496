"""Submissions, workers and verdicts for the ledger's tests."""

from __future__ import annotations

from runner.scoring.ledger import Claim, Ledger
from schemas.challenge import Tier, Track
from schemas.findings import Finding, finding
from schemas.ledger import Entry, SubmissionState, Verdict
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


def scored(score: float = 0.5) -> Verdict:
    return Verdict(
        state=SubmissionState.SCORED, card=card(score), canonical_sha256="a" * 64, charged=True
    )


REJECTED = Verdict(state=SubmissionState.REJECTED, charged=True)


def fault(code: str = "ENGINE_FAILED") -> Finding:
    return finding(code, "engine", expected="an answer", found="none", hint="ask again")


def claimed(ledger: Ledger, worker: str = WORKER) -> Claim:
    claim = ledger.claim(worker)
    assert claim is not None
    return claim
