"""Building a tier: the same recipe the same bytes, and the truth only where it belongs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from runner.files.challenge import ChallengeSample, open_challenge
from runner.files.hdf5 import sha256_of
from runner.scoring.metrics import residual
from runner.tiers.build import TierFiles, build_tier
from runner.tiers.recipes import default_recipe
from runner.tiers.specimens import FAMILIES
from runner.tiers.strip import StripError, prove
from schemas import ContractError, MismatchSpec, Profile, Tier, TierRecipe, Track
from schemas.recipes import DOSE_E, SPEC_RANGES
from tests.helpers.recipes import small_recipe


def build(recipe: TierRecipe, folder: Path) -> tuple[TierFiles, list[ChallengeSample]]:
    """The two files, and the samples of the truth file with their patterns in memory."""
    files = build_tier(recipe, folder)
    return files, read(files.truth)


def read(path: Path) -> list[ChallengeSample]:
    with open_challenge(path) as challenge:
        samples = list(challenge)
        for sample in samples:
            sample.y.read(0, 1)
    return samples


def patterns(path: Path, name: str = "sample_00") -> bytes:
    with open_challenge(path) as challenge:
        y = challenge.sample(name).y
        return y.read(0, y.shape[0] * y.shape[1]).tobytes()


def test_same_recipe_same_bytes(tmp_path: Path) -> None:
    first, again = (build_tier(small_recipe(Tier.PUBLIC), tmp_path / f) for f in ("a", "b"))
    assert sha256_of(first.challenge) == sha256_of(again.challenge)
    assert sha256_of(first.truth) == sha256_of(again.truth)


def test_another_seed_changes_scene_spec_and_noise(tmp_path: Path) -> None:
    (one, two) = (
        build(small_recipe(Tier.PUBLIC, scenes=1, seed=seed), tmp_path / str(seed))
        for seed in (1, 2)
    )
    (mine,), (other,) = one[1], two[1]
    assert mine.true_spec != other.true_spec
    assert not np.array_equal(mine.x_true, other.x_true)
    assert patterns(one[0].truth) != patterns(two[0].truth)
    assert mine.operator.probe.tobytes() == other.operator.probe.tobytes()


def test_a_scene_does_not_depend_on_how_many_there_are(tmp_path: Path) -> None:
    few, many = (
        build_tier(small_recipe(Tier.PUBLIC, scenes=count), tmp_path / str(count))
        for count in (1, 3)
    )
    assert patterns(few.truth) == patterns(many.truth)


@pytest.mark.parametrize("tier", list(Tier))
def test_the_truth_is_where_it_belongs(tmp_path: Path, tier: Tier) -> None:
    """The public challenge holds it, those of dev and hidden do not: not even its bytes."""
    files, truth = build(small_recipe(tier), tmp_path)
    assert files.challenge.name == f"electron_diffraction_challenge_{tier.value}.h5"
    assert files.truth.name == f"electron_diffraction_truth_{tier.value}.h5"
    assert {path.name for path in tmp_path.iterdir()} == {files.challenge.name, files.truth.name}
    with open_challenge(files.challenge) as challenge:
        assert challenge.attrs.tier == tier.value
        for sample, true in zip(challenge, truth, strict=True):
            assert true.x_true is not None
            assert true.true_spec is not None
            assert (sample.x_true is not None) == (tier == Tier.PUBLIC)
            assert (sample.true_spec is not None) == (tier == Tier.PUBLIC)
            assert sample.ranges == true.ranges == SPEC_RANGES[tier]
        assert patterns(files.challenge) == patterns(files.truth)
    if tier == Tier.PUBLIC:
        with pytest.raises(StripError):
            prove(files.challenge, tuple(truth))
    else:
        prove(files.challenge, tuple(truth))


def test_counts_belong_to_the_truth(tmp_path: Path) -> None:
    _, truth = build(small_recipe(Tier.PUBLIC), tmp_path)
    for sample in truth:
        with open_challenge(tmp_path / "electron_diffraction_truth_public.h5") as challenge:
            y = challenge.sample(sample.name).y
            right = residual(y, sample.operator, sample.x_true, sample.true_spec)
        assert right.chi_square == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("tier", list(Tier))
def test_true_specs_fill_the_published_ranges(tmp_path: Path, tier: Tier) -> None:
    """A new one for each sample, uniform: 30 of them lie within, and in both halves."""
    tiny = Profile(window=16, scan_shape=(1, 1), scan_step_px=32, semiangle_mrad=10.0)
    _, truth = build(small_recipe(tier, scenes=30, profile=tiny), tmp_path)
    drawn = np.array([sample.true_spec.vector() for sample in truth])
    assert len(np.unique(drawn, axis=0)) == 30
    for column, entry in zip(drawn.T, SPEC_RANGES[tier].root, strict=True):
        assert column.min() >= entry.min
        assert column.max() <= entry.max
        assert column.min() < entry.midpoint < column.max()
        assert column.std() == pytest.approx((entry.max - entry.min) / np.sqrt(12), rel=0.35)


def test_the_standard_track_has_a_nominal_detector(tmp_path: Path) -> None:
    _, truth = build(small_recipe(Tier.PUBLIC, track=Track.STANDARD), tmp_path)
    for sample in truth:
        assert sample.true_spec == MismatchSpec()
        assert sample.metadata.track == Track.STANDARD


def test_scenes_are_described_for_the_organiser(tmp_path: Path) -> None:
    told: list[str] = []
    build_tier(small_recipe(Tier.PUBLIC, scenes=3), tmp_path, progress=told.append)
    truth = read(tmp_path / "electron_diffraction_truth_public.h5")
    assert len(told) == 3
    for line, sample, family in zip(told, truth, FAMILIES[Tier.PUBLIC], strict=False):
        assert sample.metadata.scene.startswith(family)
        assert sample.metadata.scene in line
        assert sample.metadata.description
        assert sample.metadata.noise_model == "poisson"
        assert sample.metadata.track == Track.BLIND
        assert sample.x_true.min() >= 0.0
        assert sample.x_true.max() <= 1.0


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("the user's own")
    with pytest.raises(ContractError, match="OUTPUT_NOT_WRITABLE"):
        build_tier(small_recipe(Tier.PUBLIC), tmp_path / "data")


@pytest.mark.parametrize("tier", list(Tier))
def test_default_recipes_are_the_contract_s(tier: Tier) -> None:
    """Section 6, number by number."""
    recipe = default_recipe(tier)
    profile = recipe.profile
    assert (profile.energy_eV, profile.semiangle_mrad, profile.C10_A) == (80e3, 21.4, -100.0)
    assert (profile.object_shape, profile.sampling_A, profile.window) == ((128, 128), 0.2, 64)
    assert (profile.scan_shape, profile.scan_step_px) == ((32, 32), 4)
    assert (profile.gain, profile.read_noise) == (1.0, 0.0)
    assert profile.dose_e == DOSE_E[tier] == {"public": 8e3, "dev": 4e3, "hidden": 2e3}[tier]
    assert recipe.scenes == 4
    assert recipe.track == Track.BLIND
    assert recipe.families == FAMILIES[tier]
