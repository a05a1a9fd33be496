"""From a scored run to the panels of the report's picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from algorithms.pixels import PixelStatistics
from runner.files.challenge import ChallengeSample, open_challenge
from runner.pipeline.scenarios import ScenarioRun
from runner.report.drawing import ScenarioImage
from runner.report.figure import ScenePanel
from runner.scoring.leaderboard import Gallery, GalleryRow
from schemas.spec import MismatchSpec


def scene_panels(truth: Path, scenarios: Sequence[ScenarioRun], found: Gallery) -> list[ScenePanel]:
    """One panel for each scene.

    Args:
        truth: file with patterns and truth.
        scenarios: the runs whose images are shown; III is the submission's own.
        found: PSNR and SSIM of these images.
    """
    with open_challenge(truth) as file:
        return [
            _panel(sample, scenarios, row) for sample, row in zip(file, found.scenes, strict=True)
        ]


def _panel(
    sample: ChallengeSample, scenarios: Sequence[ScenarioRun], row: GalleryRow
) -> ScenePanel:
    answers = {run.name: run.answers.get(sample.name) for run in scenarios}
    own = answers["III"]
    return ScenePanel(
        scene=row.scene,
        pacbed=PixelStatistics.of(sample.y).mean / sample.operator.attrs.gain,
        operator=sample.operator,
        images={
            name: ScenarioImage(answer.x_hat, row.scenarios[name].psnr_db, row.scenarios[name].ssim)
            for name, answer in answers.items()
            if answer is not None
        },
        fitted=MismatchSpec.from_values(own.corrected_spec) if own is not None else None,
        truth=sample.x_true,
    )
