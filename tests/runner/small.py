"""A small challenge and answers to it, simulated in milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from physics.ideal import ArrayPatterns, IdealOperator
from physics.operator import ForwardOperator
from runner.files.challenge import ChallengeSample, write_challenge
from runner.files.result import ResultFile, SampleResult, write_result
from schemas import (
    ChallengeAttrs,
    MismatchSpec,
    Provenance,
    ResultAttrs,
    RunInfo,
    SampleMetadata,
    SampleRun,
    Tier,
)
from schemas.recipes import SPEC_RANGES
from tests.helpers.operators import make_ideal

WINDOW = 16
SIDE = 32
STEP = 4
SPECS = (
    MismatchSpec(
        camera_length=2.03571428, center_offset=1.0178571, elliptical_distortion=0.0050892857
    ),
    MismatchSpec(
        camera_length=-1.0357142, center_offset=0.2517857, elliptical_distortion=-0.0020892857
    ),
)


@dataclass(frozen=True)
class SmallChallenge:
    """A public challenge file of two samples, with its truth."""

    path: Path
    samples: tuple[ChallengeSample, ...]


@dataclass(frozen=True)
class SmallTier:
    """The two files of a tier, and what is in them."""

    challenge: Path
    truth: Path
    samples: tuple[ChallengeSample, ...]


TierName = Literal["public", "dev", "hidden"]


def make_operator(*, dose_e: float = 2000.0, gain: float = 1.0) -> IdealOperator:
    """A 16 x 16 detector over a periodic 32 x 32 object, 8 x 8 positions."""
    return make_ideal(window=WINDOW, object_shape=(SIDE, SIDE), step=STEP, dose_e=dose_e, gain=gain)


def make_object(seed: int) -> np.ndarray:
    """Two smooth bumps on a zero background, (32, 32) float32, scaled to [0, 1]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    image = np.zeros((SIDE, SIDE))
    for center in rng.uniform(8, 24, size=(2, 2)):
        image += np.exp(-((y - center[0]) ** 2 + (x - center[1]) ** 2) / 18)
    return (image / image.max()).astype(np.float32)


def make_sample(
    index: int, spec: MismatchSpec, *, dose_e: float = 2000.0, gain: float = 1.0
) -> ChallengeSample:
    """One simulated sample with its truth, Poisson noise included."""
    operator = make_operator(dose_e=dose_e, gain=gain)
    x = make_object(index)
    model = ForwardOperator(operator, dtype=torch.float64)
    electrons = model.expected(model.tensor(x * operator.attrs.phase_scale_rad), spec).numpy()
    counts = gain * np.random.default_rng(index).poisson(electrons)
    ny = SIDE // STEP
    y = counts.reshape(ny, ny, WINDOW, WINDOW).astype(np.float32)
    metadata = SampleMetadata(scene=f"scene_{index:02d}", shape=y.shape, noise_model="poisson")
    return ChallengeSample(
        f"sample_{index:02d}",
        ArrayPatterns(y),
        operator,
        SPEC_RANGES[Tier.PUBLIC],
        metadata,
        x,
        spec,
    )


def write_small_challenge(path: Path) -> SmallChallenge:
    """A public challenge file of two samples, truth included."""
    samples = tuple(make_sample(index, spec) for index, spec in enumerate(SPECS))
    write_challenge(path, _attrs("public"), samples)
    return SmallChallenge(path, samples)


def write_small_tier(folder: Path, tier: TierName, *, scene: str = "") -> SmallTier:
    """Challenge and truth file of a tier of two samples; only the truth file holds the truth."""
    samples = tuple(
        replace(sample, metadata=sample.metadata.model_copy(update={"description": scene}))
        for sample in (make_sample(index, spec) for index, spec in enumerate(SPECS))
    )
    blind = [replace(sample, x_true=None, true_spec=None) for sample in samples]
    written = SmallTier(folder / f"challenge_{tier}.h5", folder / f"truth_{tier}.h5", samples)
    write_challenge(written.challenge, _attrs(tier), blind)
    write_challenge(written.truth, _attrs(tier), samples)
    return written


def _attrs(tier: TierName) -> ChallengeAttrs:
    return ChallengeAttrs(
        variant="electron_diffraction", tier=tier, version="1.0", contract_version="1.0"
    )


Answers = Mapping[str, tuple[np.ndarray, MismatchSpec]]
"""{sample name: (x_hat, corrected spec)}."""


def true_answers(
    challenge: SmallChallenge | SmallTier,
) -> dict[str, tuple[np.ndarray, MismatchSpec]]:
    """The answer that knows everything: x_true and true_spec of every sample."""
    answers = {}
    for sample in challenge.samples:
        assert sample.x_true is not None
        assert sample.true_spec is not None
        answers[sample.name] = (sample.x_true, sample.true_spec)
    return answers


def write_answers(
    path: Path,
    answers: Answers,
    *,
    input_sha256: str,
    algorithm: str = "test+truth",
    nonce: str | None = None,
    diagnostics: Mapping[str, str] | None = None,
) -> Path:
    """A result file with these answers."""
    result = ResultFile(
        ResultAttrs(
            variant="electron_diffraction",
            tier="public",
            submission_type="reconstruction",
            contract_version="1.0",
        ),
        Provenance(
            runner_version="0.1.0",
            algorithm=algorithm,
            parameters={},
            seed=0,
            libraries={},
            input_sha256=input_sha256,
            nonce=nonce,
        ),
        RunInfo(
            started_utc="2024-01-01T00:00:00Z",
            host="test",
            device="cpu",
            threads=1,
            setup_seconds=0.5,
            peak_memory_mib=1.0,
            samples={key: SampleRun(seconds=1.25) for key in answers},
        ),
        {
            key: SampleResult(x.astype(np.float32), spec.values(), diagnostics or {})
            for key, (x, spec) in answers.items()
        },
    )
    write_result(path, result)
    return path
