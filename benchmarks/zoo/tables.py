"""The zoo's tables, written into docs/algorithms."""

from __future__ import annotations

from collections.abc import Iterator

from algorithms.registry import DEFAULT_CALIBRATOR
from benchmarks import page
from benchmarks.zoo.measure import Measured, Zoo
from runner.scoring.leaderboard import overall_score, overall_table
from schemas.challenge import Tier

PAGES = page.DOCS / "algorithms"
INDEX = PAGES / "README.md"
INDEX_MARK = "zoo"

Cells = list[str]


def write(zoo: Zoo) -> None:
    """The table of all into the index, and its own figures into the page of each algorithm."""
    page.put(INDEX_MARK, f"{overview(zoo)}\n\n{_made_on(zoo)}", INDEX)
    for algorithm in zoo.of(Tier.PUBLIC):
        name = algorithm.partition("+")[0]
        page.put(name, f"{own_table(zoo, algorithm)}\n\n{_made_on(zoo)}", PAGES / f"{name}.md")


def overview(zoo: Zoo) -> str:
    """One line an algorithm or published row, best overall score first."""
    rows = [*_ours(zoo), *_published()]
    rows.sort(key=lambda row: row[0], reverse=True)
    head = [
        "| algorithm | overall | public: score (dB, SSIM) | dev | hidden"
        " | s a sample (slowest) | MiB |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *(f"| {' | '.join(cells)} |" for _, cells in rows)])


def _ours(zoo: Zoo) -> Iterator[tuple[float, Cells]]:
    tiers = {tier: zoo.of(tier) for tier in Tier}
    for algorithm in tiers[Tier.PUBLIC]:
        entries = [tiers[tier].get(algorithm) for tier in Tier]
        scores = [_score(entry) for entry in entries if entry is not None]
        complete = len(scores) == len(Tier)
        overall = overall_score(scores) if complete else 0.0
        measured = [entry for entry in entries if entry is not None]
        yield (
            overall,
            [
                f"**[{algorithm}]({algorithm.partition('+')[0]}.md)**",
                f"**{overall:.3f}**" if complete else "-",
                *(_tier_cell(entry) for entry in entries),
                f"{_mean([e.seconds for e in measured]):.1f}"
                f" ({max(e.slowest for e in measured):.1f})",
                f"{max(e.peak_mib for e in measured):.0f}",
            ],
        )


def _published() -> Iterator[tuple[float, Cells]]:
    for row in overall_table():
        assert row.overall is not None
        yield (
            row.overall,
            [
                f"published: {row.method}",
                f"{row.overall:.3f}",
                *(f"{row.tiers[tier]:.3f}" for tier in Tier),
                "",
                "",
            ],
        )


def own_table(zoo: Zoo, algorithm: str) -> str:
    """Every scene of the public tier, then the mean of each tier; what was refused below."""
    lines = [
        f"`{algorithm}`",
        "",
        "| scene or tier | score | PSNR [dB] | SSIM | consistency (ceiling) | s |",
        "|---|---|---|---|---|---|",
    ]
    entries = [zoo.of(tier).get(algorithm) for tier in Tier]
    public = entries[0]
    if public is not None and public.card is not None:
        for sample in public.card.samples:
            if sample.psnr_db is None or sample.consistency is None:
                lines.append(f"| {_scene(sample.scene)} | 0 | refused | | | |")
                continue
            lines.append(
                f"| {_scene(sample.scene)} | {sample.score:.3f} | {sample.psnr_db:.2f}"
                f" | {sample.ssim:.3f} | {sample.consistency:.3f}"
                f" ({sample.consistency_ceiling:.3f}) | {sample.seconds:.1f} |"
            )
    for entry in entries:
        if entry is not None and entry.card is not None:
            card = entry.card
            lines.append(
                f"| **{entry.tier}**, mean of {entry.scenes} | {card.score:.3f}"
                f" | {card.psnr_db:.2f} | {card.ssim:.3f} | {card.consistency:.3f}"
                f" | {entry.seconds:.1f} |"
            )
    for entry in entries:
        if entry is not None and entry.served < entry.scenes:
            lines += [
                "",
                f"Refused {entry.scenes - entry.served} of {entry.scenes} ({entry.tier}):",
                "",
            ]
            lines += [f"- {item.where}: {item.found}" for item in entry.findings]
    return "\n".join(lines)


def _scene(name: str) -> str:
    return name.replace("_", " ")


def _tier_cell(entry: Measured | None) -> str:
    if entry is None:
        return "-"
    if entry.card is None:
        return "refused"
    text = f"{entry.card.score:.3f} ({entry.card.psnr_db:.2f}, {entry.card.ssim:.3f})"
    if entry.served < entry.scenes:
        text += f", {entry.served} of {entry.scenes} served"
    return text


def _score(entry: Measured) -> float:
    return 0.0 if entry.card is None else entry.card.score


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _made_on(zoo: Zoo) -> str:
    return (
        f"Blind track, seed 0, calibrated by `{DEFAULT_CALIBRATOR}`,"
        f" {zoo.machine['cores_used']} cores of {zoo.machine['cpu']};"
        " made by `python -m benchmarks.zoo run`."
    )
