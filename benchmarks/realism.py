"""Where the phase-object model ends: calibrators and image on data that H does not explain.

    python -m benchmarks.realism            # run, write JSON, print tables, draw
    python -m benchmarks.realism --render   # tables and picture from the JSON that is there

The means go into docs/calibration.md.
    python benchmarks/realism.py --studies levels   # one study again, the others as they are

Three studies; a family has the same scene and the same mismatch in all of them:

- levels: every level of `tiers build --realism`, all public families, calibrators `none`,
  `midpoint`, `pacbed` and `gradient`;
- effects: each effect of the severest level alone, calibrators `pacbed` and `gradient`;
- thickness: thickness alone, from 1 to 20 nm, likewise.

The image is `ptychography`'s. Samples are shared out over processes of one thread each.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # started as a script: the project lies above

from algorithms.base import Sample  # noqa: E402
from algorithms.registry import load_algorithm  # noqa: E402
from benchmarks import page, realism_report  # noqa: E402
from runner.files.challenge import ChallengeSample, open_challenge  # noqa: E402
from runner.files.result import SampleResult  # noqa: E402
from runner.scoring.score import Truth, score_sample  # noqa: E402
from runner.tiers.build import build_tier  # noqa: E402
from runner.tiers.realism import LEVELS, Effects  # noqa: E402
from runner.tiers.recipes import default_recipe  # noqa: E402
from runner.tiers.specimens import FAMILIES  # noqa: E402
from schemas.challenge import Tier, Track  # noqa: E402
from schemas.recipes import Realism  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "realism.json"
PICTURE = ROOT / "docs" / "images" / "realism.png"

STUDIES = ("levels", "effects", "thickness")
ALL_CALIBRATORS = ("none", "midpoint", "pacbed", "gradient")
MEASURING = ("pacbed", "gradient")
SOLID = ("srtio3_001", "gold_on_amorphous_carbon")
"""Public families that can be thick: a strongly and a weakly scattering one."""
EFFECT_SCENES = ("mos2_vacancies", "srtio3_001")
THICKNESSES_A = (10.0, 20.0, 50.0, 100.0, 200.0)


@dataclass(frozen=True)
class Case:
    """One sample and the calibrators that it goes through.

    Attributes:
        study: levels, effects or thickness.
        label: what is varied in the study.
        effects: what the data hold.
        family: the specimen's family.
        calibrators: their names.
        seed: decides scene, mismatch and noise.
    """

    study: str
    label: str
    effects: Effects
    family: str
    calibrators: tuple[str, ...]
    seed: int


def effects_alone() -> dict[str, Effects]:
    """Each effect of the severest level, by itself."""
    worst = LEVELS[Realism.SEVERE]
    return {
        "nothing": Effects(),
        "thickness": Effects(thickness_A=worst.thickness_A, multislice=True),
        "phonons": Effects(phonons=True),
        "focal spread": Effects(focal_spread_A=worst.focal_spread_A),
        "source size": Effects(source_A=worst.source_A),
        "scan jitter": Effects(jitter_A=worst.jitter_A),
        "descan": Effects(descan_px=worst.descan_px),
        "counts per electron": Effects(counts_per_electron=worst.counts_per_electron),
        "point spread": Effects(point_spread_px=worst.point_spread_px),
    }


def cases(seeds: int) -> list[Case]:
    """All samples, in the order of the tables."""
    found: list[Case] = []
    for seed in range(seeds):
        for level, effects in LEVELS.items():
            for family in FAMILIES[Tier.PUBLIC]:
                found.append(Case("levels", level.value, effects, family, ALL_CALIBRATORS, seed))
        for label, effects in effects_alone().items():
            for family in EFFECT_SCENES:
                if label == "thickness" and family not in SOLID:
                    continue
                found.append(Case("effects", label, effects, family, MEASURING, seed))
        for thickness in THICKNESSES_A:
            for family in SOLID:
                alone = Effects(thickness_A=thickness, multislice=True)
                label = f"{thickness / 10:g} nm"
                found.append(Case("thickness", label, alone, family, MEASURING, seed))
    return found


def cost(case: Case) -> float:
    """Roughly how long a case takes; no unit."""
    waves = 8 if case.effects.incoherent else 1
    thickness = case.effects.thickness_A if case.family in SOLID else 0.0
    return waves * thickness + 100.0 * len(case.calibrators)


def run_case(case: Case) -> list[dict[str, Any]]:
    """Simulate the sample and judge every calibrator on it: one row each."""
    torch.set_num_threads(1)
    families = FAMILIES[Tier.PUBLIC]
    # One scene and one mismatch for each family, the same in all studies.
    seed = case.seed * len(families) + families.index(case.family)
    recipe = default_recipe(Tier.PUBLIC, seed=seed, scenes=1).model_copy(
        update={"families": (case.family,)}
    )
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        files = build_tier(recipe, Path(folder), effects=case.effects)
        built = time.monotonic() - begin
        with open_challenge(files.truth) as file:
            source = file.sample(file.names[0])
            return [judge(case, source, name, built) for name in case.calibrators]


def judge(case: Case, source: ChallengeSample, calibrator: str, built: float) -> dict[str, Any]:
    """Run one calibrator with ptychography on a sample, and score it."""
    assert source.x_true is not None
    assert source.true_spec is not None
    sample = Sample(source.name, source.y, source.operator, source.ranges)
    begin = time.monotonic()
    answer = load_algorithm(f"ptychography+{calibrator}").solve(sample)
    seconds = time.monotonic() - begin
    spec = answer.spec.values() if answer.spec else source.ranges.midpoint()
    truth = Truth(source, source.x_true, source.true_spec)
    score = score_sample(truth, SampleResult(answer.x_hat, spec), Track.BLIND)
    calibration = answer.diagnostics.get("calibration", {})
    errors = calibration.get("standard_errors", {})
    return {
        "study": case.study,
        "label": case.label,
        "family": case.family,
        "seed": case.seed,
        "calibrator": calibrator,
        "effects": dataclasses.asdict(case.effects),
        "scene": source.metadata.scene,
        "description": source.metadata.description,
        "phase_scale_rad": source.operator.attrs.phase_scale_rad,
        "score": score.score,
        "psnr_db": score.psnr_db,
        "psnr_offset_free_db": score.psnr_offset_free_db,
        "ssim": score.ssim,
        "consistency": score.consistency,
        "consistency_ceiling": score.consistency_ceiling,
        "chi_square": score.chi_square,
        "reduced_chi_square": calibration.get("reduced_chi_square"),
        "warned": "warning" in calibration,
        "spec_error": score.spec_error,
        "standard_error": dict(errors),
        "build_seconds": built,
        "seconds": seconds,
    }


def run(todo: Sequence[Case], workers: int) -> Iterator[list[dict[str, Any]]]:
    """The rows that there are, in the order of `todo`, after every case."""
    found: dict[Case, list[dict[str, Any]]] = {}
    begin = time.monotonic()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        # The longest first, so that no process is left with one at the end.
        longest_first = sorted(todo, key=cost, reverse=True)
        pending = {pool.submit(run_case, case): case for case in longest_first}
        for done, future in enumerate(as_completed(pending), start=1):
            case = pending[future]
            found[case] = future.result()
            elapsed = time.monotonic() - begin
            say = f"{done}/{len(todo)} {elapsed:5.0f} s: {case.study}, {case.label}, {case.family}"
            print(say, file=sys.stderr, flush=True)
            yield [row for known in todo for row in found.get(known, [])]


def rows_there() -> list[dict[str, Any]]:
    """Rows of an earlier run."""
    if not RESULTS.is_file():
        return []
    rows: list[dict[str, Any]] = json.loads(RESULTS.read_text(encoding="utf-8"))["rows"]
    return rows


def write(rows: list[dict[str, Any]], options: argparse.Namespace, seconds: float) -> None:
    """Write the report; done after every case, so that a run that is stopped leaves what it has."""
    report = {
        "command": f"python -m benchmarks.realism --seeds {options.seeds}",
        "wall_seconds": round(seconds, 1),
        "workers": options.workers,
        "torch": torch.__version__,
        "levels": {level.value: dataclasses.asdict(e) for level, e in LEVELS.items()},
        "rows": rows,
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is asked for, and show it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=1, help="samples of each case")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--render", action="store_true", help="only from the JSON that is there")
    parser.add_argument("--studies", nargs="+", choices=STUDIES, default=STUDIES)
    options = parser.parse_args(arguments)
    if not options.render:
        begin = time.monotonic()
        kept = [row for row in rows_there() if row["study"] not in options.studies]
        todo = [case for case in cases(options.seeds) if case.study in options.studies]
        for rows in run(todo, options.workers):
            write([*rows, *kept], options, time.monotonic() - begin)
    print(realism_report.tables(rows_there()))
    realism_report.draw(rows_there(), PICTURE)
    for study in STUDIES:
        page.put(study, realism_report.study_table(rows_there(), study), page.CALIBRATION)


if __name__ == "__main__":
    main()
