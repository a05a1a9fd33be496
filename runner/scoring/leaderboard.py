"""The benchmark's published rows, and where a local score would stand among them.

The published rows were made on the benchmark's own data, which is not the data of the local tiers:
a rank among them says how a local score compares in size, and no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from pydantic import Field

from schemas.base import VARIANT, Record, quantity, record_from_json
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


class Row(Record):
    """One line of a tier's leaderboard: published, or local. Equal scores share a rank."""

    rank: int
    method: str
    score: float
    psnr_db: float | None
    ssim: float | None
    local: bool


class OverallRow(Record):
    """One line of the overall leaderboard; not ranked while a tier is missing."""

    rank: int | None
    method: str
    overall: float | None
    tiers: dict[Tier, float]
    local: bool


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


def published_entries(track: Track, tier: str) -> tuple[tuple[str, TierEntry], ...]:
    """(method, entry) of the published table of a track and tier; the standard one has no tiers.

    Raises:
        ValueError: not the name of a tier.
    """
    if track is Track.STANDARD:
        return tuple((row.method, row) for row in published().standard)
    return tuple((row.method, row.tiers[Tier(tier)]) for row in published().blind)


def tier_table(track: Track, tier: str, cards: Iterable[ScoreCard] = ()) -> tuple[Row, ...]:
    """Published rows of a tier and the cards that belong beside them, the best first."""
    lines: list[tuple[str, TierEntry | ScoreCard, float, bool]] = [
        (name, entry, entry.score, False) for name, entry in published_entries(track, tier)
    ]
    lines += [
        (card.algorithm, card, card.score, True)
        for card in cards
        if card.score is not None and _belongs(card, track, tier)
    ]
    scores = [score for _, _, score, _ in lines]
    rows = (
        Row(
            rank=_rank(score, scores),
            method=method,
            score=score,
            psnr_db=entry.psnr_db,
            ssim=entry.ssim,
            local=local,
        )
        for method, entry, score, local in lines
    )
    return tuple(sorted(rows, key=lambda row: row.rank))


def standing(card: ScoreCard) -> Standing | None:
    """Where a card would stand among the published rows of its own track and tier.

    None for a card without a score, and for one of another variant, whose rows are not these.
    """
    if card.score is None or card.variant != VARIANT:
        return None
    scores = [entry.score for _, entry in published_entries(card.track, card.tier)]
    return Standing(_rank(card.score, scores), len(scores))


def overall_table(cards: Iterable[ScoreCard] = ()) -> tuple[OverallRow, ...]:
    """The blind track over all tiers: published rows, and one row for each local algorithm.

    Of several cards of one algorithm and tier the last counts. An algorithm with a tier missing has
    no overall score, and stands at the end.
    """
    lines: list[tuple[str, float | None, dict[Tier, float], bool]] = [
        (row.method, row.overall, {tier: row.tiers[tier].score for tier in Tier}, False)
        for row in published().blind
    ]
    for method, tiers in _tiers_by_algorithm(cards).items():
        complete = len(tiers) == len(Tier)
        lines.append((method, overall_score([*tiers.values()]) if complete else None, tiers, True))
    scores = [overall for _, overall, _, _ in lines if overall is not None]
    rows = (
        OverallRow(
            rank=None if overall is None else _rank(overall, scores),
            method=method,
            overall=overall,
            tiers=tiers,
            local=local,
        )
        for method, overall, tiers, local in lines
    )
    return tuple(sorted(rows, key=lambda row: row.rank or len(lines) + 1))


def overall_score(scores: Sequence[float]) -> float:
    """Mean of the three tiers' scores.

    Raises:
        ValueError: not exactly three scores; a part of the tiers gives no overall score.
    """
    if len(scores) != len(Tier):
        raise ValueError(f"an overall score needs {len(Tier)} tiers, found {len(scores)}")
    return sum(scores) / len(scores)


def _tiers_by_algorithm(cards: Iterable[ScoreCard]) -> dict[str, dict[Tier, float]]:
    found: dict[str, dict[Tier, float]] = {}
    for card in cards:
        if card.track is Track.BLIND and card.variant == VARIANT and card.score is not None:
            found.setdefault(card.algorithm, {})[Tier(card.tier)] = card.score
    return found


def _belongs(card: ScoreCard, track: Track, tier: str) -> bool:
    same_tier = track is Track.STANDARD or card.tier == tier
    return card.variant == VARIANT and card.track is track and same_tier


def _rank(score: float, scores: Iterable[float]) -> int:
    return 1 + sum(other > score for other in scores)
