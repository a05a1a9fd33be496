"""The benchmark's published rows, and where a local score would stand among them.

The published rows were made on the benchmark's own data, which is not the data of the local tiers:
a rank among them says how a local score compares in size, and no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

from pydantic import Field

from schemas.base import Record, quantity, record_from_json
from schemas.challenge import Tier, Track
from schemas.score import ScoreCard
from schemas.spec import SpecRanges

NOT_THE_SAME_DATA = (
    "Local scores are from stem4d's own simulated tiers, published rows from the benchmark's data:"
    " not the same data, so a rank is an indication only."
)
"""What every table with both kinds of rows says."""

PUBLISHED_FILE = "data/published.json"


class Metrics(Record):
    """PSNR and SSIM of one image, or their mean."""

    psnr_db: float = quantity("dB", "peak signal-to-noise ratio")
    ssim: float = quantity("", "structural similarity")


class TierEntry(Metrics):
    """One method on one tier."""

    score: float = quantity("", "score of the track", ge=0.0, le=1.0)


class StandardRow(TierEntry):
    """One row of the standard table: nothing to calibrate, no tiers."""

    method: str
    reference: str


class BlindRow(Record):
    """One row of the blind table."""

    method: str
    overall: float = quantity("", "mean of the three tiers", ge=0.0, le=1.0)
    tiers: dict[Tier, TierEntry] = Field(strict=False)


class GalleryRow(Record):
    """One scene of the page's gallery, in the three scenarios I, II and III."""

    scene: str
    scenarios: dict[str, Metrics]


class Gallery(Record):
    """The page's gallery of its own baseline."""

    method: str
    scenes: tuple[GalleryRow, ...]
    mean: GalleryRow


class PublishedTables(Record):
    """Everything that the page prints as a number."""

    source: str
    standard: tuple[StandardRow, ...]
    blind: tuple[BlindRow, ...]
    gallery: Gallery
    spec_ranges: dict[Tier, SpecRanges] = Field(strict=False)


@dataclass(frozen=True)
class Row:
    """One line of a leaderboard: published, or local.

    Attributes:
        method: name of the algorithm.
        score: score of the track, 0 to 1.
        psnr_db: mean PSNR [dB]; None when the table or the card has none.
        ssim: mean SSIM; likewise.
        local: made here, on other data than the published rows.
        rank: place in the table; equal scores share a place.
    """

    method: str
    score: float
    psnr_db: float | None
    ssim: float | None
    local: bool
    rank: int = 0


@dataclass(frozen=True)
class Standing:
    """Where a local score would stand: `rank` among the `published` rows and itself."""

    rank: int
    published: int

    def __str__(self) -> str:
        return f"{self.rank} of {self.published + 1}"


@cache
def published() -> PublishedTables:
    """The published tables, as they ship with the package."""
    text = files("runner.scoring").joinpath(PUBLISHED_FILE).read_text(encoding="utf-8")
    return record_from_json(PublishedTables, text)


def published_rows(track: Track, tier: Tier | None) -> tuple[Row, ...]:
    """Rows of one published table.

    Args:
        track: blind or standard.
        tier: the tier's table; None is the overall table. The standard track has one table only.
    """
    tables = published()
    if track is Track.STANDARD:
        return tuple(
            Row(row.method, row.score, row.psnr_db, row.ssim, local=False)
            for row in tables.standard
        )
    if tier is None:
        return tuple(Row(row.method, row.overall, None, None, local=False) for row in tables.blind)
    entries = ((row.method, row.tiers[tier]) for row in tables.blind)
    return tuple(
        Row(method, entry.score, entry.psnr_db, entry.ssim, local=False)
        for method, entry in entries
    )


def local_row(card: ScoreCard) -> Row:
    """The row of a local score card."""
    return Row(card.algorithm, card.score, card.psnr_db, card.ssim, local=True)


def ranked(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Rows in order of score with their places, 1 the best; equal scores share a place."""
    ordered = sorted(rows, key=lambda row: -row.score)
    return tuple(replace(row, rank=_place(row.score, rows)) for row in ordered)


def standing(card: ScoreCard) -> Standing:
    """Where a card would stand among the published rows of its own track and tier."""
    tier = Tier(card.tier) if card.track is Track.BLIND else None
    rows = published_rows(card.track, tier)
    return Standing(_place(card.score, rows), len(rows))


def _place(score: float, rows: Sequence[Row]) -> int:
    return 1 + sum(row.score > score for row in rows)


def overall_rows(cards: Sequence[ScoreCard]) -> tuple[Row, ...]:
    """Overall rows of the algorithms of which all three tiers are there: the mean of the tiers.

    Of several cards of one algorithm and tier the last counts.
    """
    by_algorithm: dict[str, dict[Tier, ScoreCard]] = {}
    for card in cards:
        if card.track is Track.BLIND:
            by_algorithm.setdefault(card.algorithm, {})[Tier(card.tier)] = card
    return tuple(
        Row(name, overall_score([tiers[tier].score for tier in Tier]), None, None, local=True)
        for name, tiers in by_algorithm.items()
        if len(tiers) == len(Tier)
    )


def overall_score(scores: Sequence[float]) -> float:
    """Mean of the three tiers' scores.

    Raises:
        ValueError: not exactly three scores; a part of the tiers gives no overall score.
    """
    if len(scores) != len(Tier):
        raise ValueError(f"an overall score needs {len(Tier)} tiers, found {len(scores)}")
    return sum(scores) / len(scores)
