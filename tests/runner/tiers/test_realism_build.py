"""Tiers with realism: the file is the contract's, the operator the ideal one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from runner.files.challenge import ChallengeSample, open_challenge
from runner.files.hdf5 import sha256_of
from runner.scoring.metrics import residual
from runner.tiers.build import build_tier
from runner.tiers.realism import LEVELS, Effects
from runner.tiers.simulate import ideal_operator
from runner.tiers.strip import strip
from schemas import Tier, TierRecipe
from schemas.recipes import Realism
from tests.helpers.recipes import SMALL_PROFILE, small_recipe

FAMILY = "mos2_vacancies"


def recipe(level: Realism = Realism.NONE, **changes: object) -> TierRecipe:
    return small_recipe(Tier.PUBLIC, scenes=1, realism=level, families=(FAMILY,), **changes)


def sample(folder: Path, effects: Effects | None = None) -> ChallengeSample:
    files = build_tier(recipe(), folder, effects=effects)
    with open_challenge(files.truth) as file:
        found = file.sample("sample_00")
        values = found.y.read(0, 16)
    return ChallengeSample(
        found.name,
        _Held(values, found.y.shape),
        found.operator,
        found.ranges,
        found.metadata,
        found.x_true,
        found.true_spec,
    )


class _Held:
    """Patterns that outlive their file."""

    def __init__(self, values: np.ndarray, shape: tuple[int, int, int, int]) -> None:
        self.values, self.shape = values, shape

    def read(self, start: int, stop: int) -> np.ndarray:
        return self.values[start:stop]


def chi_square(one: ChallengeSample) -> float:
    return residual(one.y, one.operator, one.x_true, one.true_spec).chi_square


@pytest.mark.parametrize("level", list(Realism)[1:3])
def test_same_recipe_same_bytes(tmp_path: Path, level: Realism) -> None:
    first, again = (build_tier(recipe(level), tmp_path / name) for name in "ab")
    assert sha256_of(first.truth) == sha256_of(again.truth)


def test_a_level_is_its_effects(tmp_path: Path) -> None:
    named = build_tier(recipe(Realism.MODERATE), tmp_path / "named")
    given = build_tier(recipe(), tmp_path / "given", effects=LEVELS[Realism.MODERATE])
    assert sha256_of(named.truth) == sha256_of(given.truth)
    plain = build_tier(recipe(), tmp_path / "plain")
    assert sha256_of(plain.truth) != sha256_of(named.truth)


def test_scene_and_mismatch_are_those_of_the_plain_tier(tmp_path: Path) -> None:
    """So that levels can be compared: a sheet is the same in all of them."""
    plain, severe = sample(tmp_path / "0"), sample(tmp_path / "1", LEVELS[Realism.SEVERE])
    assert plain.true_spec == severe.true_spec
    np.testing.assert_allclose(plain.x_true, severe.x_true, atol=1e-4)


def test_the_operator_is_the_ideal_one(tmp_path: Path) -> None:
    effects = LEVELS[Realism.STRONG]
    one = sample(tmp_path, effects)
    own = ideal_operator(SMALL_PROFILE, one.operator.attrs.phase_scale_rad)
    np.testing.assert_array_equal(one.operator.probe, own.probe)
    np.testing.assert_array_equal(one.operator.positions_px, own.positions_px)
    assert one.operator.attrs.gain == effects.counts_per_electron
    stated = one.operator.attrs.model_dump(exclude={"gain", "dose_e"})
    assert stated == own.attrs.model_dump(exclude={"gain", "dose_e"})


def test_the_blind_view_tells_nothing(tmp_path: Path) -> None:
    files = build_tier(recipe(Realism.SLIGHT), tmp_path)
    with open_challenge(strip(files.challenge, tmp_path / "view.h5")) as view:
        assert view.sample("sample_00").x_true is None


@pytest.mark.parametrize(
    "effects", [Effects(multislice=True), Effects(jitter_A=1e-6)], ids=["thin", "still"]
)
def test_a_trace_of_an_effect_leaves_the_model_right(tmp_path: Path, effects: Effects) -> None:
    """A sheet is thin: H explains it, multislice or not."""
    assert chi_square(sample(tmp_path, effects)) == pytest.approx(1.0, abs=0.08)


WRONG = {
    "source": Effects(source_A=1.0),
    "focal spread": Effects(focal_spread_A=150.0),
    "jitter": Effects(jitter_A=1.0),
    "descan": Effects(descan_px=3.0),
    "counts per electron": Effects(counts_per_electron=4.0),
}


@pytest.mark.parametrize("effects", WRONG.values(), ids=WRONG)
def test_every_effect_can_be_seen(tmp_path: Path, effects: Effects) -> None:
    """Exaggerated, each is far from what H and the truth predict."""
    assert abs(chi_square(sample(tmp_path, effects)) - 1.0) > 0.2


def test_counts_are_the_dose_times_the_gain(tmp_path: Path) -> None:
    effects = Effects(counts_per_electron=2.5, point_spread_px=0.3)
    one = sample(tmp_path, effects)
    per_pattern = one.y.values.sum(axis=(1, 2)).mean()
    assert per_pattern == pytest.approx(2.5 * one.operator.attrs.dose_e, rel=0.02)


def test_read_noise_comes_on_top(tmp_path: Path) -> None:
    noisy = recipe(profile=SMALL_PROFILE.model_copy(update={"read_noise": 2.0}))
    files = build_tier(noisy, tmp_path, effects=Effects(counts_per_electron=2.0))
    with open_challenge(files.truth) as file:
        y = file.sample("sample_00").y.read(0, 16)
    assert (y < -1.0).mean() > 0.05


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    script = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {{"abtem", "ase", "scipy"}}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
from pathlib import Path
from runner.tiers.build import build_tier
from schemas.findings import ContractError
from schemas.recipes import Realism
from tests.helpers.recipes import small_recipe
from schemas import Tier
build_tier(small_recipe(Tier.PUBLIC, scenes=1), Path({str(tmp_path)!r}) / "plain")
try:
    real = small_recipe(Tier.PUBLIC, scenes=1, realism=Realism.SLIGHT)
    build_tier(real, Path({str(tmp_path)!r}) / "real")
except ContractError as error:
    print(error)
"""
    root = Path(__file__).parents[3]
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True
    )
    assert "EXTRA_MISSING" in run.stdout
    assert "stem4d[organizer]" in run.stdout
    assert "without realism" in run.stdout


def test_the_command_passes_the_level_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from runner.cli.tiers import tiers
    from runner.tiers import build as module

    asked: list[Realism] = []

    def fake(recipe: TierRecipe, folder: Path, **_: object) -> object:
        asked.append(recipe.realism)
        return module.tier_files(recipe.tier, folder)

    monkeypatch.setattr(module, "build_tier", fake)
    for words in ([], ["--realism", "strong"]):
        run = CliRunner().invoke(tiers, ["build", "public", "--out", str(tmp_path), *words])
        assert run.exit_code == 0, run.output
    assert asked == [Realism.NONE, Realism.STRONG]
    refused = CliRunner().invoke(tiers, ["build", "public", "--realism", "perfect"])
    assert refused.exit_code == 2
    assert "severe" in refused.output
