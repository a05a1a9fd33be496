"""`stem4d leaderboard`: the published rows, with local scores beside them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from schemas.challenge import Tier, Track

if TYPE_CHECKING:
    from runner.scoring.leaderboard import OverallRow, Row
    from schemas.score import ScoreCard

OVERALL = "overall"
LOCAL_MARK = " (local)"

MAX_CARD_BYTES = 16 * 1024 * 1024
"""Largest score card that is read [bytes]; a thousand samples need half a megabyte."""


@click.command()
@click.argument("cards", nargs=-1, type=click.Path(path_type=Path), metavar="[CARD.json]...")
@click.option(
    "--tier",
    type=click.Choice([OVERALL, *(tier.value for tier in Tier)]),
    default=OVERALL,
    show_default=True,
    help="Which table of the blind track.",
)
@click.option(
    "--track",
    type=click.Choice([track.value for track in Track]),
    default=Track.BLIND.value,
    show_default=True,
    help="Blind or standard; the standard track has one table for all tiers.",
)
@click.option("--ledger", "url", help="Database of a ledger: the best of each method in it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def leaderboard(
    cards: tuple[Path, ...], tier: str, track: str, url: str | None, as_json: bool
) -> None:
    """Print the published leaderboard; score cards (CARD.json) stand beside its rows.

    `stem4d score --json` and `stem4d dry-run` make the cards. They are from other data than the
    published rows, so a rank among these is an indication only.
    """
    from runner.cli.output import print_tables
    from runner.scoring.leaderboard import NOT_THE_SAME_DATA, overall_table, tier_table

    local = [_read_card(path) for path in cards]
    if url is not None:
        from runner.scoring.ledger import Ledger, leaderboard_cards

        local += leaderboard_cards(Ledger.open(url).submissions())
    rows: Sequence[Row | OverallRow]
    if track == Track.BLIND and tier == OVERALL:
        rows = overall_table(local)
    else:
        rows = tier_table(Track(track), tier, local)
    if as_json:
        listed = [row.model_dump(mode="json") for row in rows]
        click.echo(
            json.dumps({"track": track, "tier": tier, "note": NOT_THE_SAME_DATA, "rows": listed})
        )
        return
    print_tables(_table(rows, f"{track} track" + (f", {tier}" if track == Track.BLIND else "")))
    if local:
        click.echo(NOT_THE_SAME_DATA, err=True)


def _table(rows: Sequence[Row | OverallRow], title: str) -> Any:
    from runner.cli.output import make_table
    from runner.report.text import number
    from runner.scoring.leaderboard import OverallRow

    overall = [row for row in rows if isinstance(row, OverallRow)]
    if overall:
        columns = ["rank", "method", "overall", *(tier.value for tier in Tier)]
        lines = [
            [
                str(row.rank or "-"),
                row.method + LOCAL_MARK * row.local,
                number(row.overall, 3),
                *(number(row.tiers.get(tier), 3) for tier in Tier),
            ]
            for row in overall
        ]
    else:
        columns = ["rank", "method", "score", "PSNR [dB]", "SSIM"]
        lines = [
            [
                str(row.rank),
                row.method + LOCAL_MARK * row.local,
                number(row.score, 3),
                number(row.psnr_db, 2),
                number(row.ssim, 3),
            ]
            for row in rows
            if not isinstance(row, OverallRow)
        ]
    return make_table(title, columns, lines, left=2)


def _read_card(path: Path) -> ScoreCard:
    from schemas.base import StrictJSONError, record_from_json
    from schemas.findings import refuse
    from schemas.score import ScoreCard

    try:
        return record_from_json(ScoreCard, path.read_bytes(), max_bytes=MAX_CARD_BYTES)
    except (OSError, ValueError, StrictJSONError) as error:
        raise refuse(
            "USAGE",
            str(path),
            expected="a score card, as `stem4d score --json` prints it",
            found=str(error),
            hint="stem4d score RESULT --truth TRUTH --json > card.json",
        ) from error
