"""`stem4d evaluate`: judge a stranger's image on a tier. For organisers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from schemas.findings import ContractError, ExitCode

if TYPE_CHECKING:
    from rich.table import Table

    from schemas.evaluation import StageRecord, Verdict


@click.command()
@click.argument("image")
@click.option(
    "--challenge",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The tier's challenge file; the container gets its blind view.",
)
@click.option(
    "--truth",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The tier's truth file, or the public challenge file, which holds the truth.",
)
@click.option(
    "--limits",
    "limits_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML file of limits.  [default: the contract's]",
)
@click.option("--runtime", help="Container runtime, for example runsc (gVisor).")
@click.option(
    "--engine",
    "engine_name",
    type=click.Choice(["docker", "podman"]),
    default="docker",
    show_default=True,
    help="Container engine.",
)
@click.option(
    "--repeat",
    type=click.IntRange(1, 9),
    default=1,
    show_default=True,
    help="Number of runs: from two on, the results must be the same.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("evaluation"),
    show_default=True,
    help="Folder of this evaluation; one that was interrupted is taken up again.",
)
@click.option(
    "--staging",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the run's own files; the container can read its path.  [default: /var/tmp]",
)
@click.option(
    "--key",
    "key_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="File whose bytes are the key of a seal beside the canonical result (HMAC-SHA256).",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, a Verdict.")
def evaluate(
    *,
    image: str,
    challenge: Path,
    truth: Path,
    limits_file: Path | None,
    runtime: str | None,
    engine_name: str,
    repeat: int,
    seed: int,
    out: Path,
    staging: Path | None,
    key_file: Path | None,
    as_json: bool,
) -> int:
    """Judge IMAGE: pre-flight, strip, run in the sandbox, sanitise, score.

    OUT/organiser holds everything; OUT/participant holds what the tier allows to be told: for the
    hidden tier a rounded score and codes. What is printed is for the organiser.
    """
    from runner.cli.output import note, print_record
    from runner.harness.engines import open_engine
    from runner.harness.limits import load_limits
    from runner.pipeline.evaluate import PARTICIPANT, Evaluation
    from runner.pipeline.stages import DEFAULT_STAGING, Plan

    limits = load_limits(limits_file)
    if runtime is not None:
        limits = limits.model_copy(update={"runtime": runtime})
    plan = Plan(
        image=image,
        challenge=challenge,
        truth=truth,
        out=out,
        limits=limits,
        repeat=repeat,
        seed=seed,
        staging=staging or DEFAULT_STAGING,
        hmac_key=key_file.read_bytes() if key_file else None,
    )
    with open_engine(engine_name) as engine:
        evaluation = Evaluation(plan, engine)
        for record in evaluation:
            note(_line(record))
        verdict = evaluation.verdict()
    if as_json:
        print_record(verdict)
    else:
        _show(verdict)
    for item in verdict.findings:
        note(item.text())
    note(f"for the participant: {out / PARTICIPANT}")
    return int(ContractError(verdict.findings).exit_code if verdict.findings else ExitCode.DONE)


def _line(record: StageRecord) -> str:
    codes = ", ".join(sorted({item.code for item in record.findings}))
    return f"{record.key}: {record.outcome}, {record.seconds:.1f} s{codes and f' ({codes})'}"


def _show(verdict: Verdict) -> None:
    from runner.cli.cards import card_table
    from runner.cli.output import print_tables

    tables = [_summary(verdict)]
    if verdict.card is not None:
        tables.append(card_table(verdict.card))
    print_tables(*tables)


def _summary(verdict: Verdict) -> Table:
    from runner.cli.output import make_table, number

    rows = [
        ["state", str(verdict.state)],
        ["score", number(verdict.score, 6)],
        ["counts as an attempt", "yes" if verdict.counts_against_quota else "no"],
        ["identity", verdict.identity or "-"],
    ]
    return make_table(f"{verdict.image} on {verdict.tier}", ["", ""], rows, left=2)
