"""The learned reconstructors, and what they are trained on, on scenes never trained on.

    python -m benchmarks.learned errors [--scenes N]    # where the error of plain ptychography lies
    python -m benchmarks.learned plain [--scenes N]     # plain ptychography, blind, kept in a cache
    python -m benchmarks.learned run [--weights FOLDER]    # the networks, from where that ended
    python -m benchmarks.learned tables                    # tables and pictures into docs/

`errors`: every tier's scenes with the true spec. The same scenes to first order in the noise
(`runner.training.first_order`), which is what the networks are trained on, stand beside.

`plain` and `run`: every tier's scenes on the blind track, each calibrated by `gradient` once.
Seconds beside their scores are those of `benchmarks.zoo`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from algorithms.base import Reconstruction, Sample
from algorithms.learned.method import Learned
from algorithms.networks.models import NETWORKS
from algorithms.prior import pin_background
from algorithms.reconstructors.diffed import uncertainty_of
from algorithms.reconstructors.ptychography import Ptychography
from algorithms.registry import RECONSTRUCTORS
from benchmarks import learned_card, learned_picture, page
from benchmarks.learned_scenes import PLAIN, Answer, Scene, answer, plain_of, scenes
from runner.scoring.metrics import psnr_db
from runner.tiers.recipes import default_recipe
from runner.tiers.simulate import ideal_operator, simulate
from runner.tiers.specimens import draw_specimen
from runner.training.first_order import first_order_input, parabola
from schemas.challenge import Tier
from schemas.recipes import SPEC_RANGES, Profile
from schemas.spec import MismatchSpec

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "learned.json"
ZOO = RESULTS.with_name("zoo.json")
PAGE = page.DOCS / "learned.md"
CACHE = ROOT / "benchmarks" / "results" / "learned"
"""Scenes and what plain ptychography made of them; not kept in git."""

METHODS = [*NETWORKS, "ensemble"]

SEEN_BY = 2.0
"""What is finer than this many apertures' radii only scattering beyond the disk shows."""

TRAINING_WINDOW = 32
"""Detector pixels of the data that ship a recipe."""

STEPS = 12
"""Steps to the likeliest image to first order, the middle of the recipe's range."""


@dataclass(frozen=True)
class Errors:
    """Where the error of one scene lies.

    Attributes:
        tier: whose profile.
        scene: family.
        psnr_db: plain ptychography at the true spec.
        best_constant_db: the same with the constant that is nearest to the truth.
        seen_db: the same, of the frequencies within `SEEN_BY` apertures alone.
        first_order_db: with the best constant, to first order, on the full detector.
        small_window_db: the same on the detector of the training data.
    """

    tier: str
    scene: str
    psnr_db: float
    best_constant_db: float
    seen_db: float
    first_order_db: float
    small_window_db: float


def measure(options: argparse.Namespace) -> None:
    """Measure, and write the JSON after every scene."""
    found: list[Errors] = []
    for tier in Tier:
        for entry in _tier(tier, options.scenes):
            found.append(entry)
            print(entry, flush=True)
            kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
            kept["errors"] = [asdict(one) for one in found]
            RESULTS.write_text(json.dumps(kept, indent=1) + "\n")


def _tier(tier: Tier, scenes: int) -> Iterator[Errors]:
    recipe = default_recipe(tier)
    for number in range(scenes):
        rng = np.random.default_rng([5, number])
        family = recipe.families[number % len(recipe.families)]
        profile = recipe.profile
        grid = (profile.object_shape, profile.sampling_A)
        specimen = draw_specimen(family, rng, *grid, energy_eV=profile.energy_eV)
        operator = ideal_operator(profile, specimen.phase_scale_rad)
        y = simulate(specimen.x, operator, MismatchSpec(), scan_shape=profile.scan_shape, rng=rng)
        sample = Sample("scene", y, operator, SPEC_RANGES[tier])
        fit, _ = Ptychography().fitted(sample, MismatchSpec())
        image = fit.image() / specimen.phase_scale_rad
        x = specimen.x.astype(np.float64)
        attrs = operator.attrs
        edge_invA = SEEN_BY * attrs.semiangle_mrad * 1e-3 / attrs.wavelength_A
        centred = _with_mean(image.numpy().astype(np.float64), x)
        yield Errors(
            tier.value,
            family,
            psnr_db(pin_background(image, fit.curvature.window).numpy(), specimen.x),
            _db(centred - x),
            _db(_within(centred - x, edge_invA * attrs.sampling_A)),
            *(
                _first_order(specimen.x, specimen.phase_scale_rad, one, rng)
                for one in (profile, profile.model_copy(update={"window": TRAINING_WINDOW}))
            ),
        )


def _first_order(
    x: NDArray[np.float32], phase_scale_rad: float, profile: Profile, rng: np.random.Generator
) -> float:
    operator = ideal_operator(profile, phase_scale_rad)
    found = parabola(torch.as_tensor(x.copy()), operator, rng)
    image = first_order_input(found, operator, STEPS).images[0, 0].numpy().astype(np.float64)
    truth = x.astype(np.float64)
    return _db(_with_mean(image, truth) - truth)


def _with_mean(image: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    return image - image.mean() + x.mean()


def _within(image: NDArray[np.float64], edge: float) -> NDArray[np.float64]:
    rows, cols = (np.fft.fftfreq(side) for side in image.shape)
    seen = np.hypot(rows[:, None], cols[None, :]) <= edge
    return np.asarray(np.fft.ifft2(np.fft.fft2(image) * seen).real)


def _db(error: NDArray[np.float64]) -> float:
    return float(-10 * np.log10(np.square(error).mean()))


def plain(options: argparse.Namespace) -> None:
    """Plain ptychography of every scene."""
    for scene in scenes(CACHE, options.scenes):
        print(plain_of(scene, CACHE)[2], flush=True)


def learned(method: str) -> type[Learned]:
    """The reconstructor of a network, or of several."""
    module, _, name = RECONSTRUCTORS[method].target.partition(":")
    found: type[Learned] = getattr(import_module(module), name)
    return found


def run(options: argparse.Namespace) -> None:
    """Networks on every scene, and plain ptychography beside; what is measured again replaces."""
    methods = options.only or METHODS
    kept = json.loads(RESULTS.read_text())
    answers = [one for one in kept.get("answers", []) if one["method"] not in (*methods, PLAIN)]
    coverage = [] if "diffed" in methods else kept.get("coverage", [])
    for scene in scenes(CACHE, options.scenes):
        begun, spec, base = plain_of(scene, CACHE)
        answers.append(asdict(base))
        sample = replace(scene.sample, phase=begun.likeliest.numpy())
        for method in methods:
            algorithm = learned(method)(weights=options.weights)
            algorithm.setup()
            solved = algorithm.finish(sample, spec, begun, {})
            refined = solved.spec if isinstance(solved.spec, MismatchSpec) else spec
            told = solved.diagnostics["network"]
            found = answer(scene, method, solved, refined, told["believed"])
            answers.append(asdict(found))
            print(f"{found.tier:7} {found.scene:25} {method:12} {found.psnr_db:6.2f} dB", end=" ")
            print(f"({base.psnr_db:.2f} before)", flush=True)
            if "uncertainty" in told and told["believed"]:
                entry = {"tier": found.tier, "number": found.number}
                coverage.append(entry | {"shares": _covered(solved, scene, told["uncertainty"])})
        kept |= {"answers": answers, "coverage": coverage}
        RESULTS.write_text(json.dumps(kept, indent=1) + "\n")


def _covered(solved: Reconstruction, scene: Scene, told: dict[str, Any]) -> list[float]:
    """Shares of the pixels whose truth is within so many standard deviations of x_hat."""
    spread = uncertainty_of(told).numpy()
    error = np.abs(solved.x_hat - scene.x)[:: told["stride"], :: told["stride"]]
    return [float((error <= width * spread).mean()) for width in learned_picture.COVERAGE_WIDTHS]


def tables(_: argparse.Namespace) -> None:
    """Write what was measured into the pages."""
    kept = json.loads(RESULTS.read_text())
    page.put("learned-errors", _errors_table(), PAGE)
    answers = [Answer(**one) for one in kept["answers"]]
    seconds = _seconds()
    page.put("learned-scores", _scores_table(answers, seconds), PAGE)
    for method in NETWORKS:
        text = learned_card.card_text(method, [a for a in answers if a.method == method], answers)
        page.put(f"{method}-card", text, page.DOCS / "algorithms" / f"{method}.md")
    learned_picture.draw(answers, kept["coverage"], seconds)


def _seconds() -> learned_picture.Seconds:
    """Of `benchmarks.zoo`."""
    entries = json.loads(ZOO.read_text())["entries"]
    return {
        (entry["algorithm"].removesuffix("+gradient"), entry["tier"]): (
            entry["seconds"],
            entry["slowest"],
        )
        for entry in entries
    }


def _errors_table() -> str:
    entries = [Errors(**one) for one in json.loads(RESULTS.read_text())["errors"]]
    lines = [
        "| tier | scene | ptychography | with the best constant | of it, what the disk shows"
        " | to first order | 32 x 32 detector |",
        "|---|---|---|---|---|---|---|",
    ]
    for entry in entries:
        name = entry.scene.replace("_", " ")
        lines.append(
            f"| {entry.tier} | {name} | {entry.psnr_db:.1f} | {entry.best_constant_db:.1f}"
            f" | {entry.seen_db:.1f} | {entry.first_order_db:.1f} | {entry.small_window_db:.1f} |"
        )
    means = np.mean([[v for v in asdict(e).values() if isinstance(v, float)] for e in entries], 0)
    lines.append(f"| **mean** | | {' | '.join(f'{mean:.1f}' for mean in means)} |")
    return "\n".join(lines)


def _scores_table(answers: list[Answer], seconds: learned_picture.Seconds) -> str:
    """Means of each tier, and the gain over plain ptychography, scene by scene."""
    plain_psnr = {(a.tier, a.number): a.psnr_db for a in answers if a.method == PLAIN}
    lines = [
        "| method | tier | scenes | score | PSNR [dB] | SSIM | gain [dB], mean (least to most)"
        " | believed | s a sample (slowest) |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for method in dict.fromkeys(a.method for a in answers):
        for tier in Tier:
            own = [a for a in answers if (a.method, a.tier) == (method, tier.value)]
            gains = [a.psnr_db - plain_psnr[a.tier, a.number] for a in own]
            means = [np.mean([getattr(a, k) for a in own]) for k in ("score", "psnr_db", "ssim")]
            mean_s, slowest_s = seconds[method, tier.value]
            gain = f"{np.mean(gains):+.2f} ({min(gains):+.1f} to {max(gains):+.1f})"
            lines.append(
                f"| `{method}+gradient` | {tier} | {len(own)} | {means[0]:.3f} | {means[1]:.2f}"
                f" | {means[2]:.3f} | {'' if method == PLAIN else gain}"
                f" | {'' if method == PLAIN else sum(a.believed is True for a in own)}"
                f" | {mean_s:.1f} ({slowest_s:.1f}) |"
            )
    return "\n".join(lines)


def main() -> None:
    """Measure, or write what was measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    errors = commands.add_parser("errors")
    errors.add_argument("--scenes", type=int, default=4)
    errors.set_defaults(act=measure)
    running = commands.add_parser("run")
    running.add_argument("--scenes", type=int, default=16)
    running.add_argument("--weights", help="folder of weights; those that ship without")
    running.add_argument("--only", action="append", choices=METHODS)
    running.set_defaults(act=run)
    begun = commands.add_parser("plain")
    begun.add_argument("--scenes", type=int, default=16)
    begun.set_defaults(act=plain)
    commands.add_parser("tables").set_defaults(act=tables)
    options = parser.parse_args()
    options.act(options)


if __name__ == "__main__":
    main()
