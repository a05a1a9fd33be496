"""Every number of the published tables that follows from others is recomputed here."""

from __future__ import annotations

import pytest

from runner.scoring.formulas import (
    STANDARD_PSNR_FLOOR_DB,
    STANDARD_PSNR_SPAN_DB,
    blind_score,
    standard_score,
)
from runner.scoring.leaderboard import (
    TierEntry,
    overall_score,
    overall_table,
    published,
    standing,
    tier_table,
)
from schemas import ScoreCard, Tier, Track
from schemas.recipes import SPEC_RANGES

TABLES = published()

SCORE_ROUNDING = 0.0005
"""Scores are printed with three decimals."""

STANDARD_ROUNDING = SCORE_ROUNDING + 0.5 * 0.05 / 30 + 0.5 * 0.0005
"""Standard rows: PSNR is printed with one decimal, SSIM with three."""

CONSISTENCY_WEIGHT = 0.2
CONSISTENCY_ROUNDING = (SCORE_ROUNDING + 0.4 * 0.005 / 40 + 0.4 * 0.0005) / CONSISTENCY_WEIGHT

BLIND_ENTRIES = [
    pytest.param(row.tiers[tier], id=f"{row.method}, {tier}")
    for row in TABLES.blind
    for tier in Tier
]


def implied_consistency(entry: TierEntry) -> float:
    """What the printed score leaves for the consistency term."""
    return (entry.score - blind_score(entry.psnr_db, entry.ssim, 0.0)) / CONSISTENCY_WEIGHT


def card(score: float, *, tier: Tier = Tier.PUBLIC, track: Track = Track.BLIND) -> ScoreCard:
    return ScoreCard(
        tier=tier,
        track=track,
        algorithm="mine",
        score=score,
        psnr_db=30.0,
        ssim=0.9,
        consistency=0.8,
        spec_error={},
        samples=(),
    )


def test_the_tables_are_complete() -> None:
    assert len(TABLES.standard) == 9
    assert len(TABLES.blind) == 9
    assert all(set(row.tiers) == set(Tier) for row in TABLES.blind)
    assert len(TABLES.gallery.scenes) == 4


@pytest.mark.parametrize("row", TABLES.standard, ids=lambda row: row.method)
def test_standard_rows_follow_from_psnr_and_ssim(row) -> None:
    assert standard_score(row.psnr_db, row.ssim) == pytest.approx(row.score, abs=STANDARD_ROUNDING)


@pytest.mark.parametrize("row", TABLES.blind, ids=lambda row: row.method)
def test_overall_is_the_mean_of_the_tiers(row) -> None:
    mean = overall_score([row.tiers[tier].score for tier in Tier])
    assert mean == pytest.approx(row.overall, abs=2 * SCORE_ROUNDING)


@pytest.mark.parametrize("entry", BLIND_ENTRIES)
def test_blind_rows_leave_a_possible_consistency(entry: TierEntry) -> None:
    assert implied_consistency(entry) >= 0.74 - CONSISTENCY_ROUNDING
    assert implied_consistency(entry) <= 0.945 + CONSISTENCY_ROUNDING


def test_the_standard_normalisation_cannot_be_the_blind_one() -> None:
    """It would need more than perfect consistency, by far more than rounding explains."""
    row = next(r for r in TABLES.blind if r.method == "Direct-Methods + gradient")
    entry = row.tiers[Tier.PUBLIC]
    normalised = (entry.psnr_db - STANDARD_PSNR_FLOOR_DB) / STANDARD_PSNR_SPAN_DB
    needed = (entry.score - 0.4 * normalised - 0.4 * entry.ssim) / CONSISTENCY_WEIGHT
    assert needed == pytest.approx(1.11, abs=0.005)
    assert needed - CONSISTENCY_ROUNDING > 1.0
    impossible = [
        (row.method, tier)
        for row in TABLES.blind
        for tier, e in row.tiers.items()
        if (e.score - 0.4 * (e.psnr_db - 15) / 30 - 0.4 * e.ssim) / 0.2 - CONSISTENCY_ROUNDING > 1
    ]
    assert len(impossible) >= 4


@pytest.mark.parametrize("scenario", ["I", "II", "III"])
def test_gallery_means_follow_from_the_scenes(scenario: str) -> None:
    scenes = [row.scenarios[scenario] for row in TABLES.gallery.scenes]
    mean = TABLES.gallery.mean.scenarios[scenario]
    assert sum(s.psnr_db for s in scenes) / 4 == pytest.approx(mean.psnr_db, abs=1e-3)
    assert sum(s.ssim for s in scenes) / 4 == pytest.approx(mean.ssim, abs=1e-4)


def test_recipes_use_the_published_ranges() -> None:
    assert TABLES.spec_ranges == SPEC_RANGES


@pytest.mark.parametrize("tier", list(Tier))
def test_tables_are_ranked_by_score(tier: Tier) -> None:
    rows = tier_table(Track.BLIND, tier)
    assert len(rows) == 9
    assert [row.score for row in rows] == sorted((row.score for row in rows), reverse=True)
    assert rows[0].rank == 1
    assert not any(row.local for row in rows)


def test_equal_scores_share_a_rank() -> None:
    assert [row.rank for row in tier_table(Track.BLIND, Tier.HIDDEN)][:4] == [1, 2, 2, 4]


def test_only_cards_of_the_same_table_stand_beside_its_rows() -> None:
    cards = [
        card(0.838, tier=Tier.PUBLIC),
        card(0.838, tier=Tier.DEV),
        card(0.838, track=Track.STANDARD),
    ]
    rows = tier_table(Track.BLIND, Tier.PUBLIC, cards)
    assert [(row.rank, row.score) for row in rows if row.local] == [(2, 0.838)]
    rows = tier_table(Track.STANDARD, Tier.PUBLIC, cards)
    assert [(row.rank, row.score) for row in rows if row.local] == [(3, 0.838)]


@pytest.mark.parametrize(("score", "rank"), [(1.0, 1), (0.838, 2), (0.70, 7), (0.1, 10)])
def test_standing_among_the_public_rows(score: float, rank: int) -> None:
    found = standing(card(score))
    assert found.rank == rank
    assert str(found) == f"{rank} of 10"


def test_standing_uses_the_card_s_own_table() -> None:
    assert standing(card(0.73, tier=Tier.HIDDEN)).rank == 1
    assert standing(card(0.73, tier=Tier.PUBLIC)).rank == 6
    assert standing(card(0.73, track=Track.STANDARD)).rank == 5


def test_overall_needs_all_three_tiers() -> None:
    cards = [card(0.9, tier=Tier.PUBLIC), card(0.6, tier=Tier.DEV)]
    last = overall_table(cards)[-1]
    assert (last.local, last.rank, last.overall) == (True, None, None)
    assert last.tiers == {Tier.PUBLIC: 0.9, Tier.DEV: 0.6}
    (row,) = (r for r in overall_table([*cards, card(0.3, tier=Tier.HIDDEN)]) if r.local)
    assert row.overall == pytest.approx(0.6)
    assert row.rank == 7
    with pytest.raises(ValueError, match="3 tiers"):
        overall_score([0.9, 0.6])
