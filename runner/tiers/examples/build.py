"""Writing an example: a challenge file like any other, and what is to be found in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import numpy as np

from runner.container import stamp
from runner.files.analysis import AnalysedSample, AnalysisFile, StoredMap, write_analysis
from runner.files.challenge import write_challenge
from runner.files.hdf5 import make_folder
from runner.tiers.build import DATASET_VERSION, draw_spec
from runner.tiers.examples.deformed import bent_foil
from runner.tiers.examples.grains import gold_grains
from runner.tiers.examples.nanobeam import NanobeamScan
from schemas.analysis import AnalysedAttrs, AnalysisAttrs, MapAttrs
from schemas.base import CONTRACT_VERSION, VARIANT
from schemas.challenge import ChallengeAttrs, Tier
from schemas.recipes import SPEC_RANGES

TRUTH = "truth"

EXAMPLES: Mapping[str, tuple[str, NanobeamScan]] = MappingProxyType(
    {
        "strained-crystal": (
            "bent gold foil (001) with a hole: for `stem4d analyse --method strain`",
            NanobeamScan(bent_foil()),
        ),
        "gold-grains": (
            "five grains of gold: for `stem4d analyse --method orientation --set crystal=gold`",
            NanobeamScan(gold_grains()),
        ),
    }
)
"""Examples by name: one line for people, and the scan."""


@dataclass(frozen=True)
class ExampleFiles:
    """The two files of an example."""

    challenge: Path
    truth: Path


def build_example(name: str, folder: Path, *, seed: int, dose_e: float | None) -> ExampleFiles:
    """Write an example into `folder`; the same arguments give the same challenge file.

    Args:
        name: of `EXAMPLES`.
        folder: made when it is not there.
        seed: decides mismatch and noise.
        dose_e: electrons per pattern; None: the example's own.

    Raises:
        ContractError: the folder is not writable, or is full.
    """
    make_folder(folder)
    started = datetime.now(UTC)
    _, scan = EXAMPLES[name]
    profile = scan.profile
    if dose_e is not None:
        profile = profile.model_copy(update={"dose_e": dose_e})
    scan = NanobeamScan(scan.specimen, profile)
    spec_seed, noise_seed = np.random.SeedSequence(seed).generate_state(2)
    spec = draw_spec(SPEC_RANGES[Tier.PUBLIC], np.random.default_rng(spec_seed))
    files = ExampleFiles(folder / f"{name}.h5", folder / f"{name}_truth.h5")
    attrs = ChallengeAttrs(
        variant=VARIANT,
        tier=Tier.PUBLIC.value,
        version=DATASET_VERSION,
        contract_version=CONTRACT_VERSION,
    )
    write_challenge(files.challenge, attrs, [scan.measured(spec, seed=noise_seed, scene=name)])
    step = profile.scan_step_px * profile.sampling_A
    maps, valid = scan.specimen.truth(scan.points_A())
    truth = AnalysedSample(
        AnalysedAttrs(
            scan_step_y_A=step,
            scan_step_x_A=step,
            calibrator=TRUTH,
            corrected_spec=spec.values(),
        ),
        {
            title: StoredMap(
                entry.values.reshape(profile.scan_shape),
                MapAttrs(unit=entry.unit, description=entry.description),
            )
            for title, entry in maps.items()
        },
        valid.reshape(profile.scan_shape),
    )
    write_analysis(
        files.truth,
        AnalysisFile(
            AnalysisAttrs(
                variant=VARIANT,
                tier=Tier.PUBLIC.value,
                submission_type="analysis",
                method=TRUTH,
                contract_version=CONTRACT_VERSION,
            ),
            stamp.provenance(TRUTH, {"example": name}, seed, files.challenge),
            stamp.run_info(started, 0.0, {}),
            {"sample_00": truth},
        ),
    )
    return files
