"""Scenes for the learned reconstructors, plain ptychography of each, blind: made once, and kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from algorithms.base import Reconstruction, Sample
from algorithms.calibrators.gradient import Gradient
from algorithms.learned.plain import Plain
from algorithms.objective import Objective
from algorithms.pixels import PixelStatistics
from algorithms.prior import pin_background
from algorithms.reconstructors.ptychography import Ptychography
from physics.curvature import Curvature, FrequencyBins
from runner.files.challenge import open_challenge
from runner.scoring.formulas import blind_score
from runner.scoring.metrics import psnr_db, residual, ssim
from runner.tiers.build import build_tier, tier_files
from runner.tiers.recipes import default_recipe
from schemas.challenge import Tier
from schemas.spec import MismatchSpec

SEED = 41
"""Of the scenes; another than the zoo's and than any training's."""

PLAIN = "ptychography"


@dataclass(frozen=True)
class Answer:
    """What one method made of one scene.

    Attributes:
        method: its name, without the calibrator.
        tier: whose profile.
        number: of the scene within the tier.
        scene: its family.
        psnr_db: of x.
        ssim: of x.
        consistency: of the counts.
        score: blind.
        believed: whether the network's image was returned; None: there is no network.
    """

    method: str
    tier: str
    number: int
    scene: str
    psnr_db: float
    ssim: float
    consistency: float
    score: float
    believed: bool | None = None


@dataclass(frozen=True)
class Scene:
    """A scene of a tier with its truth."""

    tier: Tier
    number: int
    name: str
    sample: Sample
    x: NDArray[np.float32]


def scenes(folder: Path, count: int) -> Iterator[Scene]:
    """`count` scenes of each tier, the tiers in turn; built in `folder` if they are not there."""
    for tier in Tier:
        place = folder / tier.value
        if not tier_files(tier, place).truth.is_file():
            build_tier(default_recipe(tier, seed=SEED, scenes=count), place)
    for number in range(count):
        for tier in Tier:
            with open_challenge(tier_files(tier, folder / tier.value).truth) as challenge:
                entry = list(challenge)[number]
                assert entry.x_true is not None
                sample = Sample(entry.name, entry.y, entry.operator, entry.ranges)
                yield Scene(tier, number, entry.metadata.scene, sample, entry.x_true)


def answer(
    scene: Scene,
    method: str,
    solved: Reconstruction,
    spec: MismatchSpec,
    believed: bool | None = None,
) -> Answer:
    """Score one."""
    x_hat = solved.x_hat.astype(np.float64)
    left = residual(scene.sample.y, scene.sample.operator, x_hat, spec).consistency
    quality = psnr_db(x_hat, scene.x), ssim(x_hat, scene.x)
    return Answer(
        method,
        scene.tier.value,
        scene.number,
        scene.name,
        *quality,
        left,
        blind_score(*quality, left),
        believed,
    )


def plain_of(scene: Scene, cache: Path) -> tuple[Plain, MismatchSpec, Answer]:
    """Plain ptychography of a scene, its spec, and how good it is; from the cache if there."""
    place = cache / f"{scene.tier.value}_{scene.number:02d}.npz"
    if not place.is_file():
        _make(scene, place)
    with np.load(place, allow_pickle=False) as kept:
        spec = MismatchSpec.from_values(json.loads(str(kept["spec"])))
        arrays = {
            name: torch.as_tensor(kept[name])
            for name in ("image", "likeliest", "spectrum", "coverage", "window")
        }
        found = Answer(**json.loads(str(kept["answer"])))
    height, width = scene.sample.object_shape
    bins = FrequencyBins.of((height, width), torch.device("cpu"))
    curvature = Curvature(arrays["spectrum"], arrays["coverage"], arrays["window"], bins)
    usable = PixelStatistics.of(scene.sample.y).usable(scene.sample.operator.attrs.gain)
    objective = Objective(scene.sample, usable=usable)
    return Plain(arrays["image"], arrays["likeliest"], curvature, objective), spec, found


def _make(scene: Scene, place: Path) -> None:
    calibration = Gradient().estimate(scene.sample)
    begun = Sample(**{**vars(scene.sample), "phase": calibration.phase})
    fit, _ = Ptychography().fitted(begun, calibration.spec)
    plain = Plain.of(fit)
    scale = scene.sample.operator.attrs.phase_scale_rad
    x = pin_background(plain.image / scale, plain.curvature.window)
    found = answer(scene, PLAIN, Reconstruction(x.numpy()), calibration.spec)
    place.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        place,
        image=plain.image.numpy(),
        likeliest=plain.likeliest.numpy(),
        spectrum=plain.curvature.spectrum.numpy(),
        coverage=plain.curvature.coverage.numpy(),
        window=plain.curvature.window.numpy(),
        spec=json.dumps(calibration.spec.values()),
        answer=json.dumps(asdict(found)),
    )
