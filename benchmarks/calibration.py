"""How near the calibrators come to what the electrons allow, and how honest their errors are.

    python -m benchmarks.calibration [--out FILE] [--processes N] [--most N]

Random samples of the public profile, several conditions. For each sample: the joint Cramer-Rao
bound at the truth, the errors of `gradient` and `pacbed`, and the error of `pacbed` on the same
sample without noise, which is the specimen's doing alone. Then what an error costs: the blind score
of `ptychography` for a spec that is wrong by so many bounds in one parameter.
`calibration_report.py` makes the tables and the pictures.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from algorithms.base import Calibration, Sample
from algorithms.calibrators.gradient import Gradient
from algorithms.calibrators.pacbed import Pacbed
from algorithms.pixels import PixelStatistics
from algorithms.reconstructors.ptychography import Ptychography
from physics.bounds import cramer_rao
from physics.ideal import ArrayPatterns
from physics.information import DARK_E, FisherInformation
from physics.operator import ForwardOperator, batches
from runner.scoring import metrics
from runner.scoring.formulas import blind_score
from runner.tiers.build import draw_spec
from runner.tiers.simulate import ideal_operator, simulate
from runner.tiers.specimens import FAMILIES, draw_specimen
from schemas import PARAMETERS
from schemas.challenge import Tier
from schemas.recipes import DOSE_E, SPEC_RANGES, Profile
from schemas.spec import MismatchSpec

DOSES = tuple(DOSE_E[tier] for tier in Tier)
RANGES = SPEC_RANGES[Tier.PUBLIC]
COST_SCENES = (0, 2)
"""Samples of the first condition that show what an error costs: a sheet and a crystal."""

WRONG_BY = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
"""Errors of a parameter, in joint bounds."""

RESULT = Path(__file__).parent / "results" / "calibration.json"


@dataclass(frozen=True)
class Condition:
    """Under what the calibrators are tried.

    Attributes:
        name: for the table.
        samples: how many.
        doses_e: electrons per pattern, in turn.
        phase: factor on the specimen's phase: 4 blurs the disk's edge beyond recognition.
        corners: the spec lies at the corners of its ranges, in turn, and not anywhere in them.
        broken: share of the detector's pixels that are dead or saturated.
        read_noise: standard deviation [electrons].
    """

    name: str
    samples: int = 8
    doses_e: tuple[float, ...] = DOSES
    phase: float = 1.0
    corners: bool = False
    broken: float = 0.0
    read_noise: float = 0.0


CONDITIONS = (
    Condition("public profile", samples=24),
    Condition("500 electrons", samples=24, doses_e=(500.0,)),
    Condition("four times the phase", phase=4.0),
    Condition("corners of the ranges", corners=True),
    Condition("10 % broken pixels", broken=0.1),
    Condition("read noise 0.5 e", read_noise=0.5),
)


@dataclass(frozen=True)
class Task:
    """One sample of one condition."""

    condition: Condition
    number: int


def tasks() -> Iterator[Task]:
    """All samples, the conditions in turn."""
    for condition in CONDITIONS:
        for number in range(condition.samples):
            yield Task(condition, number)


def make(task: Task) -> tuple[Sample, np.ndarray[Any, Any], ForwardOperator]:
    """(sample, its true phase, the operator)."""
    condition, number = task.condition, task.number
    streams = np.random.SeedSequence([7, CONDITIONS.index(condition), number]).spawn(4)
    scene, place, noise, damage = (np.random.default_rng(stream) for stream in streams)
    families = FAMILIES[Tier.PUBLIC]
    specimen = draw_specimen(families[number % len(families)], scene)
    dose_e = condition.doses_e[number // len(families) % len(condition.doses_e)]
    profile = Profile(dose_e=dose_e, read_noise=condition.read_noise)
    ideal = ideal_operator(profile, condition.phase * specimen.phase_scale_rad)
    spec = corner(number) if condition.corners else draw_spec(RANGES, place)
    y = simulate(specimen.x, ideal, spec, scan_shape=profile.scan_shape, rng=noise)
    if condition.broken:
        y = ArrayPatterns(break_pixels(y.read(0, len(ideal.positions_px)), condition, damage, y))
    sample = Sample(f"{specimen.name} {number}", y, ideal, RANGES, true_spec=spec)
    return sample, specimen.x * ideal.attrs.phase_scale_rad, ForwardOperator(ideal)


def corner(number: int) -> MismatchSpec:
    """One of the eight corners of the ranges."""
    ends = list(product(*((entry.min, entry.max) for entry in RANGES.root)))
    return MismatchSpec.from_vector(ends[number % len(ends)])


def break_pixels(
    counts: np.ndarray[Any, Any], condition: Condition, rng: np.random.Generator, y: Any
) -> np.ndarray[Any, Any]:
    """The counts (Ny, Nx, Ky, Kx) of a detector of which some pixels are dead, others saturated."""
    broken = rng.uniform(size=counts.shape[1:]) < condition.broken
    level = np.where(rng.uniform(size=broken.shape) < 0.5, 0.0, counts.max())
    damaged = counts.copy()
    damaged[:, broken] = level[broken]
    return damaged.reshape(y.shape)


def noiseless(sample: Sample, phase: np.ndarray[Any, Any], forward: ForwardOperator) -> Sample:
    """The sample as it would be with electrons without number."""
    assert sample.true_spec is not None
    phi = forward.tensor(phase)
    patterns = [
        forward.expected(phi, sample.true_spec, index).numpy()
        for index in batches(forward.count, forward.batch)
    ]
    return replace(sample, y=ArrayPatterns(np.concatenate(patterns).reshape(sample.y.shape)))


def bound(sample: Sample, phase: np.ndarray[Any, Any], forward: ForwardOperator) -> dict[str, Any]:
    """The Cramer-Rao bound at the truth, on the pixels that work."""
    assert sample.true_spec is not None
    alive = forward.tensor(PixelStatistics.of(sample.y).usable(1.0))
    variance = sample.operator.attrs.read_noise**2 + DARK_E
    information = FisherInformation(
        forward, sample.true_spec, forward.tensor(phase), lambda i: alive / (i + variance)
    )
    found = cramer_rao(information)
    return {"known": list(found.known_sigma.values()), "joint": list(found.joint_sigma.values())}


def run(task: Task) -> dict[str, Any]:
    """Everything about one sample."""
    torch.set_num_threads(1)
    sample, phase, forward = make(task)
    truth = np.array(sample.true_spec.vector()) if sample.true_spec else np.zeros(3)

    def errors(found: Calibration) -> list[float]:
        return (np.array(found.spec.vector()) - truth).tolist()

    begun = time.process_time()
    gradient = Gradient().estimate(sample)
    seconds = time.process_time() - begun
    biased = Pacbed().estimate(noiseless(sample, phase, forward))
    return {
        "condition": asdict(task.condition),
        "sample": sample.name,
        "dose_e": sample.operator.attrs.dose_e,
        "spec": truth.tolist(),
        "bound": bound(sample, phase, forward),
        "gradient": errors(gradient),
        "stated": [gradient.standard_errors[name] for name in PARAMETERS],
        "chi_square": gradient.diagnostics["reduced_chi_square"],
        "warned": "warning" in gradient.diagnostics,
        "cpu_s": seconds,
        "pacbed": errors(Pacbed().estimate(sample)),
        "pacbed_bias": errors(biased),
    }


def wrong_specs() -> Iterator[tuple[int, int, float]]:
    """(scene, parameter, error in bounds) of the samples that show what an error costs."""
    for scene in COST_SCENES:
        yield scene, 0, 0.0
        for parameter in range(len(PARAMETERS)):
            for factor in WRONG_BY:
                yield scene, parameter, factor


def cost_of_error(case: tuple[int, int, float]) -> dict[str, Any]:
    """Blind score of `ptychography` for a spec that is wrong in one parameter."""
    torch.set_num_threads(1)
    scene, parameter, factor = case
    sample, phase, forward = make(Task(CONDITIONS[0], scene))
    assert sample.true_spec is not None
    sigma = np.array(bound(sample, phase, forward)["joint"])
    error = factor * sigma * np.eye(3)[parameter]
    wrong = MismatchSpec.from_vector(tuple(np.array(sample.true_spec.vector()) + error))
    x_hat = Ptychography().reconstruct(sample, wrong).x_hat
    x_true = (phase / sample.operator.attrs.phase_scale_rad).astype(np.float32)
    psnr_db = metrics.psnr_db(x_hat, x_true)
    consistency = metrics.residual(sample.y, sample.operator, x_hat, wrong).consistency
    ssim = metrics.ssim(x_hat, x_true)
    return {
        "scene": sample.name,
        "parameter": PARAMETERS[parameter],
        "bounds": factor,
        "error": float(error[parameter]),
        "score": blind_score(psnr_db=psnr_db, ssim=ssim, consistency=consistency),
        "psnr_db": psnr_db,
    }


def main() -> None:
    """Run all samples, write the figures, say how far it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--most", type=int, default=1000, help="samples of a condition at most")
    options = parser.parse_args()
    todo = [task for task in tasks() if task.number < options.most]
    wrong = list(wrong_specs())
    rows, costs = [], []
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        for row in pool.imap(run, todo):
            rows.append(row)
            z = (np.array(row["gradient"]) / row["bound"]["joint"]).round(2)
            name = row["condition"]["name"]
            print(f"{len(rows)}/{len(todo)} {name}, {row['sample']}: {z} bounds", flush=True)
        for cost in pool.imap(cost_of_error, wrong):
            costs.append(cost)
            print(f"{len(costs)}/{len(wrong)} {cost}", flush=True)
    result = {"parameters": PARAMETERS, "rows": rows, "cost_of_error": costs}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
