"""`stem4d score`: judge a result file against the truth."""

from __future__ import annotations

from pathlib import Path

import click

from schemas.challenge import Track


@click.command()
@click.argument("result", type=click.Path(path_type=Path))
@click.option(
    "--truth",
    type=click.Path(path_type=Path),
    required=True,
    help="The organiser's truth file, or the public challenge file, which holds the truth.",
)
@click.option(
    "--track",
    type=click.Choice([track.value for track in Track]),
    help="Formula of the score.  [default: as the truth file says]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, a ScoreCard.")
def score(result: Path, truth: Path, track: str | None, as_json: bool) -> None:
    """Score the result file RESULT; a missing or invalid sample counts 0 and is named."""
    from runner.cli.cards import show_card
    from runner.scoring.score import score_result

    show_card(score_result(result, truth, Track(track) if track else None), as_json=as_json)
