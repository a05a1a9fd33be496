"""A score card as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table

from runner.cli.output import make_table, note, print_record, print_tables
from runner.report.text import number
from runner.scoring.leaderboard import NOT_THE_SAME_DATA, standing
from schemas.score import SampleScore, ScoreCard

SPEC_COLUMNS = {
    "camera_length": ("dL err %", 3),
    "center_offset": ("dc err px", 4),
    "elliptical_distortion": ("eps err", 5),
}
"""Heading and decimals of each mismatch parameter's error."""


def card_table(card: ScoreCard) -> Table:
    """One line for each sample, and below the means (of the spec errors: root mean squares)."""
    spec_names = list(card.spec_error)
    columns = [
        "sample",
        "scene",
        "score",
        "PSNR dB",
        "SSIM",
        "consist.",
        "ceiling",
        "chi2",
        *(_spec_column(name)[0] for name in spec_names),
        "time s",
    ]
    footer = [
        "mean",
        "(errors: rms)",
        number(card.score, 4),
        number(card.psnr_db, 2),
        number(card.ssim, 4),
        number(card.consistency, 4),
        "",
        "",
        *_errors(card.spec_error, spec_names),
        "",
    ]
    title = f"{card.algorithm} on {card.tier}, {card.track} track"
    rows = [_sample_row(sample, spec_names) for sample in card.samples]
    return make_table(title, columns, rows, left=2, footer=footer)


def _sample_row(sample: SampleScore, spec_names: Sequence[str]) -> list[str]:
    return [
        sample.sample,
        sample.scene,
        number(sample.score, 4),
        number(sample.psnr_db, 2),
        number(sample.ssim, 4),
        number(sample.consistency, 4),
        number(sample.consistency_ceiling, 4),
        number(sample.chi_square, 3),
        *_errors(sample.spec_error, spec_names),
        number(sample.seconds, 1),
    ]


def _errors(errors: Mapping[str, float], names: Sequence[str]) -> list[str]:
    return [number(errors.get(name), _spec_column(name)[1]) for name in names]


def _spec_column(name: str) -> tuple[str, int]:
    """Heading and decimals; a parameter of another variant goes by its own name."""
    return SPEC_COLUMNS.get(name, (f"{name} err", 4))


def show_card(card: ScoreCard, *, as_json: bool) -> None:
    """The card on stdout, as a table or as one JSON object; findings and rank on stderr."""
    for item in card.findings:
        note(item.text())
    if as_json:
        print_record(card)
    else:
        print_tables(card_table(card))
    where = f"{number(card.seconds, 1)} s" + (f" in a {card.backend}" if card.backend else "")
    rank = standing(card)
    if rank is None:
        note(f"{card.variant}: no published rows to stand beside; {where}")
        return
    note(
        f"score {number(card.score, 4)}: rank {rank} beside the published"
        f" {card.tier} rows ({card.track} track); {where}"
    )
    note(NOT_THE_SAME_DATA)
