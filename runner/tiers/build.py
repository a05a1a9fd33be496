"""Building a tier: scenes, random spec, counts; one challenge file and one truth file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from physics.ideal import IdealOperator, Patterns
from runner.files.challenge import ChallengeSample, write_challenge
from runner.files.hdf5 import make_folder
from runner.tiers.realism import LEVELS, Effects, Streams, draw_thick, measure, thick_from_file
from runner.tiers.simulate import ideal_operator, simulate
from runner.tiers.specimens import Specimen, draw_specimen, from_structure_file
from schemas.base import CONTRACT_VERSION, VARIANT
from schemas.challenge import ChallengeAttrs, SampleMetadata, Tier, Track
from schemas.recipes import TierRecipe
from schemas.spec import MismatchSpec, SpecRanges

DATASET_VERSION: Final = "1.0"

Observe = Callable[[MismatchSpec, np.random.Generator], tuple[IdealOperator, Patterns]]
"""What H states of a scene, and its counts on a mismatched detector, drawn with the generator."""


@dataclass(frozen=True)
class TierFiles:
    """The two files of a tier."""

    challenge: Path
    truth: Path


def tier_files(tier: Tier, folder: Path) -> TierFiles:
    """Where the files of a tier lie in `folder`."""
    return TierFiles(
        folder / f"electron_diffraction_challenge_{tier}.h5",
        folder / f"electron_diffraction_truth_{tier}.h5",
    )


def build_tier(
    recipe: TierRecipe,
    folder: Path,
    *,
    structures: Sequence[Path] = (),
    effects: Effects | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> TierFiles:
    """Build a tier into `folder`; the same recipe gives the same bytes.

    The challenge file of the public tier holds the truth as well; those of dev and hidden do not.

    Args:
        recipe: every number of the tier.
        folder: made when it is not there.
        structures: files that ASE reads, used instead of the recipe's families.
        effects: what a microscope does, instead of what the recipe's level of realism says.
        progress: told one line for each scene.

    Raises:
        ContractError: the folder is not writable, or a structure needs a package that is missing.
    """
    make_folder(folder)
    files = tier_files(recipe.tier, folder)
    attrs = ChallengeAttrs(
        variant=VARIANT,
        tier=recipe.tier.value,
        version=DATASET_VERSION,
        contract_version=CONTRACT_VERSION,
    )
    chosen = LEVELS[recipe.realism] if effects is None else effects
    samples = list(_samples(recipe, structures, chosen, progress))
    write_challenge(files.truth, attrs, samples)
    if recipe.tier != Tier.PUBLIC:
        samples = [replace(sample, x_true=None, true_spec=None) for sample in samples]
    write_challenge(files.challenge, attrs, samples)
    return files


def draw_spec(ranges: SpecRanges, rng: np.random.Generator) -> MismatchSpec:
    """A mismatch drawn uniformly within the ranges."""
    return MismatchSpec.from_values(
        {entry.name: float(rng.uniform(entry.min, entry.max)) for entry in ranges.root}
    )


def _samples(
    recipe: TierRecipe,
    structures: Sequence[Path],
    effects: Effects,
    progress: Callable[[str], None],
) -> Iterator[ChallengeSample]:
    for number, seeds in enumerate(np.random.SeedSequence(recipe.seed).spawn(recipe.scenes)):
        *known, unknown = seeds.spawn(4)
        scene_rng, spec_rng, noise_rng = (np.random.default_rng(s) for s in known)
        if effects == Effects():
            specimen, observe = _ideal(recipe, number, structures, scene_rng)
        else:
            streams = Streams.of(unknown)
            specimen, observe = _real(recipe, number, structures, scene_rng, effects, streams)
        progress(f"scene {number + 1} of {recipe.scenes}: {specimen.name}")
        blind = recipe.track == Track.BLIND
        spec = draw_spec(recipe.spec_ranges, spec_rng) if blind else MismatchSpec()
        operator, y = observe(spec, noise_rng)
        yield ChallengeSample(
            name=f"sample_{number:02d}",
            y=y,
            operator=operator,
            ranges=recipe.spec_ranges,
            metadata=SampleMetadata(
                scene=specimen.name,
                shape=y.shape,
                noise_model="poisson-gaussian" if recipe.profile.read_noise else "poisson",
                track=recipe.track,
                description=specimen.description,
            ),
            x_true=specimen.x,
            true_spec=spec,
        )


def _ideal(
    recipe: TierRecipe, number: int, structures: Sequence[Path], rng: np.random.Generator
) -> tuple[Specimen, Observe]:
    """A scene, seen as H says."""
    specimen = _specimen(recipe, number, structures, rng)

    def observe(spec: MismatchSpec, noise: np.random.Generator) -> tuple[IdealOperator, Patterns]:
        operator = ideal_operator(recipe.profile, specimen.phase_scale_rad)
        shape = recipe.profile.scan_shape
        return operator, simulate(specimen.x, operator, spec, scan_shape=shape, rng=noise)

    return specimen, observe


def _real(
    recipe: TierRecipe,
    number: int,
    structures: Sequence[Path],
    rng: np.random.Generator,
    effects: Effects,
    streams: Streams,
) -> tuple[Specimen, Observe]:
    """A scene, seen as a microscope does."""
    if structures:
        thick = thick_from_file(structures[number % len(structures)], rng, recipe.profile)
    else:
        family = recipe.families[number % len(recipe.families)]
        thick = draw_thick(family, rng, recipe.profile, effects.thickness_A, streams.film)

    def observe(spec: MismatchSpec, noise: np.random.Generator) -> tuple[IdealOperator, Patterns]:
        return measure(thick, recipe.profile, spec, effects, streams, noise)

    return thick.specimen, observe


def _specimen(
    recipe: TierRecipe, number: int, structures: Sequence[Path], rng: np.random.Generator
) -> Specimen:
    profile = recipe.profile
    grid = (profile.object_shape, profile.sampling_A)
    if structures:
        path = structures[number % len(structures)]
        return from_structure_file(path, rng, *grid, energy_eV=profile.energy_eV)
    family = recipe.families[number % len(recipe.families)]
    return draw_specimen(family, rng, *grid, energy_eV=profile.energy_eV)
