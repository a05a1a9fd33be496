"""Every check of a submission's folder, before anything goes to a server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from algorithms.registry import load_algorithm
from runner.harness.docker_engine import connect
from runner.harness.preflight import preflight
from runner.pipeline.backend import Backend
from runner.pipeline.dry_run import Plan, run_and_judge
from runner.pipeline.scenarios import Say
from runner.submission.check import Checked
from runner.submission.files import script_findings, weights_findings
from runner.submission.manifest import Manifest, declare, load_manifest
from schemas.findings import ContractError, Finding, finding
from schemas.limits import ResourceLimits
from schemas.score import ScoreCard
from schemas.submission import DeclaredScore

Found = tuple[tuple[Finding, ...], str]
"""What is wrong, and what else is to be said."""


@dataclass(frozen=True)
class Task:
    """What is to be checked, and with what.

    Attributes:
        folder: the submission's folder.
        data: folder of the public tier's files.
        out: folder of the dry run.
        limits: what a run may use.
        image: image to run; None: the algorithm's file, in this process.
        run: whether the method is run at all.
        declare: whether what the run reaches is written into submission.toml.
    """

    folder: Path
    data: Path
    out: Path
    limits: ResourceLimits
    image: str | None
    run: bool = True
    declare: bool = False


def check_submission(task: Task, backend: Backend, say: Say) -> Iterator[Checked]:
    """Check a folder, part by part; what needs a part that is wrong is skipped.

    Args:
        task: what is to be checked.
        backend: what runs the method.
        say: told, line by line, what is being done.
    """
    manifests: list[Manifest] = []

    def read() -> Found:
        manifests.append(load_manifest(task.folder))
        return _declared_limits(manifests[0], task.limits), manifests[0].submission.method.name

    first = _checked("submission.toml", read)
    yield first
    if not manifests:
        return
    manifest = manifests[0]
    static = [
        _checked("weights", lambda: _weights(manifest)),
        _checked("scripts", lambda: (tuple(script_findings(task.folder)), "")),
        _checked("image", lambda: _image(task, task.image))
        if task.image
        else _checked("algorithm", lambda: _algorithm(manifest)),
    ]
    yield from static
    if not task.run or any(check.findings for check in (first, *static)):
        why = "as asked for" if not task.run else "mend the above first"
        yield Checked("result", note=why, skipped=True)
        yield Checked("public score", note=why, skipped=True)
        return
    cards: list[ScoreCard] = []

    def run() -> Found:
        cards.append(_card(task, manifest, backend, say))
        return cards[0].findings, f"{task.out / 'result.h5'}, {cards[0].seconds or 0.0:.0f} s"

    yield _checked("result", run)
    if cards and task.declare and not cards[0].findings:
        values = declaration(cards[0])
        declare(manifest, values)
        yield Checked("public score", note=f"declared: {values}")
    elif cards:
        yield _checked("public score", lambda: _score(manifest, cards[0]))
    else:
        yield Checked("public score", note="there is no result", skipped=True)


def reproduced(declared: DeclaredScore, card: ScoreCard) -> str | None:
    """How a score differs from the declared one, beyond the tolerance; None: it does not."""
    pairs = {
        "score": (declared.score, card.score, declared.tolerance),
        "ssim": (declared.ssim, card.ssim, declared.tolerance),
        "psnr": (declared.psnr, card.psnr_db, declared.psnr_tolerance),
    }
    off = [
        f"{name} {found:.4f}" if found is not None else f"no {name}"
        for name, (stated, found, tolerance) in pairs.items()
        if found is None or abs(found - stated) > tolerance
    ]
    return ", ".join(off) or None


def declaration(card: ScoreCard) -> dict[str, str]:
    """Keys and values of the table `[public]` that declare a score."""
    values = {"psnr": (card.psnr_db, 3), "ssim": (card.ssim, 4), "score": (card.score, 4)}
    return {
        name: f"{value:.{digits}f}" for name, (value, digits) in values.items() if value is not None
    }


def _checked(name: str, look: Callable[[], Found]) -> Checked:
    begin = time.monotonic()
    try:
        findings, note = look()
    except ContractError as error:
        findings, note = error.findings, ""
    return Checked(name, findings, note, seconds=time.monotonic() - begin)


def _declared_limits(manifest: Manifest, limits: ResourceLimits) -> tuple[Finding, ...]:
    needs = manifest.submission.limits
    too_much = [
        (name, getattr(needs, name), getattr(limits, name))
        for name in ("memory_mib", "wall_s", "sample_wall_s", "gpu")
        if getattr(needs, name) > getattr(limits, name)
    ]
    return tuple(
        finding(
            "DECLARED_LIMITS",
            manifest.where("limits", name),
            expected=f"at most {given:g}" if name != "gpu" else "a method that runs on the CPU too",
            found=f"{name} = {str(need).lower()}",
            hint="limits.toml is what the server gives: make the method need less",
        )
        for name, need, given in too_much
    )


def _weights(manifest: Manifest) -> Found:
    count = len(manifest.submission.weights)
    return tuple(weights_findings(manifest)), f"{count} files" if count else "none are declared"


def _image(task: Task, image: str | None) -> Found:
    assert image is not None
    with connect() as engine:
        seen = preflight(engine, image, task.limits)
    return seen.findings, seen.image.id


def _algorithm(manifest: Manifest) -> Found:
    load_algorithm(path_of(manifest))
    return (), manifest.submission.run.algorithm


def path_of(manifest: Manifest) -> str:
    """The algorithm's name, with its file as seen from here."""
    name = manifest.submission.run.algorithm
    return str(manifest.folder / name) if ".py:" in name else name


def _card(task: Task, manifest: Manifest, backend: Backend, say: Say) -> ScoreCard:
    public = manifest.submission.public
    algorithm = None if task.image else path_of(manifest)
    plan = Plan(algorithm, task.data, task.out)
    if public is not None:
        plan = Plan(algorithm, task.data, task.out, public.scenes, public.seed)
    return run_and_judge(plan, backend, say).card


def _declare_hint(card: ScoreCard) -> str:
    lines = "; ".join(f"{name} = {value}" for name, value in declaration(card).items())
    return f"if that is what the method reaches, `stem4d validate . --declare` writes: {lines}"


def _score(manifest: Manifest, card: ScoreCard) -> Found:
    declared = manifest.submission.public
    if declared is None:
        wanting = finding(
            "SCORE_NOT_DECLARED",
            manifest.where("public"),
            expected="a table [public] with psnr, ssim and score",
            found="none",
            hint=_declare_hint(card),
        )
        return (wanting,), ""
    off = reproduced(declared, card)
    if off is None:
        return (), (
            f"score {card.score:.4f}, declared {declared.score:.4f} +- {declared.tolerance:g};"
            f" {card.psnr_db:.2f} dB, SSIM {card.ssim:.4f}"
        )
    differs = finding(
        "SCORE_NOT_REPRODUCED",
        manifest.where("public", off.split()[0] if not off.startswith("no ") else "score"),
        expected=f"score {declared.score:g}, ssim {declared.ssim:g} (+- {declared.tolerance:g}),"
        f" psnr {declared.psnr:g} (+- {declared.psnr_tolerance:g} dB)",
        found=off,
        hint=_declare_hint(card),
    )
    return (differs,), ""
