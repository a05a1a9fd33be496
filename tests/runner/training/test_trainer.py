"""Data and training: the same bytes again, what is damaged is refused, and something is learned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from algorithms.networks.models import NETWORKS
from algorithms.networks.weights import read_weights
from runner.files.hdf5 import sha256_of
from runner.training import losses, settle
from runner.training.checkpoint import CHECKPOINT_NAME
from runner.training.export import export
from runner.training.recipes import DataRecipe, TrainRecipe, data_recipe, train_recipe
from runner.training.shards import Manifest, Scenes, make_data, read_manifest, read_scenes
from runner.training.trainer import learning_rate, train
from schemas.findings import ContractError
from schemas.recipes import Profile

TINY = DataRecipe(
    scenes=6,
    validation_scenes=2,
    shard_scenes=4,
    steps=(4, 6),
    light_share=0.0,
    profile=Profile(object_shape=(64, 64), sampling_A=0.25, window=24, scan_shape=(16, 16)),
)
RECIPE = TrainRecipe(steps=12, batch=2, width=8, validate_every=4, warm_up=4)

RECIPES = {"phasegan-ed": RECIPE.model_copy(update={"adversarial": 0.1, "unpaired": 0.5})}
"""Of the methods that have more to keep."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    make_data(TINY, folder)
    return folder


def _digests(folder: Path) -> list[str]:
    return [shard.sha256 for shard in read_manifest(folder)[0].shards]


# --- data -----------------------------------------------------------------------------------------


def test_an_interrupted_data_set_goes_on_to_the_same_bytes(data: Path, tmp_path: Path) -> None:
    make_data(TINY, tmp_path)
    first = tmp_path / "train_0000.h5"
    made = first.stat().st_mtime_ns
    (tmp_path / "train_0001.h5").unlink()
    (tmp_path / "manifest.json").unlink()
    make_data(TINY, tmp_path)
    assert first.stat().st_mtime_ns == made  # kept, not made again
    assert _digests(tmp_path) == _digests(data)


def test_what_is_made_by_another_recipe_is_made_anew(data: Path, tmp_path: Path) -> None:
    one = TINY.model_copy(update={"scenes": 1, "validation_scenes": 1})
    make_data(one, tmp_path)
    make_data(one.model_copy(update={"seed": 1}), tmp_path)
    assert not set(_digests(tmp_path)) & set(_digests(data))


def test_a_damaged_shard_is_refused(data: Path, tmp_path: Path) -> None:
    manifest, _ = read_manifest(data)
    for shard in manifest.shards:
        (tmp_path / shard.name).write_bytes((data / shard.name).read_bytes() + b"!")
    with pytest.raises(ContractError, match="sha256"):
        read_scenes(tmp_path, manifest, "train")


def test_no_data_set_is_told(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="stem4d train data"):
        read_manifest(tmp_path)


def test_images_have_no_mean_and_the_truth_is_near(data: Path) -> None:
    manifest: Manifest = read_manifest(data)[0]
    scenes = read_scenes(data, manifest, "train")
    assert len(scenes) == TINY.scenes
    assert np.abs(scenes.images.mean(axis=(2, 3))).max() < 1e-5
    for x, image in zip(scenes.x, scenes.images[:, 0], strict=True):
        assert np.corrcoef(x.ravel(), image.ravel())[0, 1] > 0.5


def test_the_step_leads_to_the_truth_but_for_its_noise(data: Path) -> None:
    manifest = read_manifest(data)[0]
    scenes = read_scenes(data, manifest, "train")
    scenes.slope[:] = 0.0  # counts without noise
    batch = losses.batch_of(scenes, np.arange(4), None, torch.device("cpu"))
    here = batch.given.images[:, 0]
    missing = batch.x - batch.x.mean(dim=(1, 2), keepdim=True) - here
    left = missing - batch.step(here)
    assert bool((left.square().sum(dim=(1, 2)) < missing.square().sum(dim=(1, 2))).all())
    at_truth = batch.step(batch.x)
    assert float(at_truth.abs().max()) < 1e-5


# --- training -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["dncnn-ed", "physed", "phasegan-ed", "diffed"])
def test_a_training_that_is_interrupted_ends_with_the_same_bytes(
    method: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settle, "STEPS", 100)
    recipe = RECIPES.get(method, RECIPE)
    whole = train(method, recipe, data, tmp_path / "whole")
    train(method, recipe, data, tmp_path / "parts", stop_after=8)
    parts = train(method, recipe, data, tmp_path / "parts")
    assert sha256_of(tmp_path / "whole" / CHECKPOINT_NAME) == sha256_of(
        tmp_path / "parts" / CHECKPOINT_NAME
    )
    for training, name in ((whole, "whole"), (parts, "parts")):
        export(training, data, tmp_path / name)
    weights = [tmp_path / name / f"{method}.safetensors" for name in ("whole", "parts")]
    assert sha256_of(weights[0]) == sha256_of(weights[1])


def test_a_few_steps_learn_something_and_can_be_read_again(data: Path, tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={"steps": 40, "validate_every": 10, "learning_rate": 3e-3})
    training = train("dncnn-ed", recipe, data, tmp_path)
    seen = read_scenes(data, read_manifest(data)[0], "train")
    batch = losses.batch_of(seen, np.arange(len(seen)), None, torch.device("cpu"))
    with torch.no_grad():
        first, last = (
            float(losses.loss(network(batch.given, batch.step), batch.x))
            for network in (NETWORKS["dncnn-ed"](RECIPE.width), training.average)
        )
    assert last < first - 0.003
    before = _errors_of_the_constant(training.average, seen)
    card = export(training, data, tmp_path)
    found = read_weights(tmp_path, "dncnn-ed")
    assert found.card == card
    scenes = read_scenes(data, read_manifest(data)[0], "validation")
    batch = losses.batch_of(scenes, np.arange(2), None, torch.device("cpu"))
    with torch.no_grad():
        again, there = (
            network(batch.given, batch.step) for network in (found.network, training.average)
        )
    assert torch.equal(again, there)
    assert float(found.data_share.min()) >= 0.0
    assert float(found.data_share.max()) <= 1.0
    assert _errors_of_the_constant(found.network, seen) < before / 2
    assert (tmp_path / "dncnn-ed.csv").read_text().count("\n") == 1 + len(training.curve)


def _errors_of_the_constant(network: torch.nn.Module, scenes: Scenes) -> float:
    batch = losses.batch_of(scenes, np.arange(len(scenes)), None, torch.device("cpu"))
    with torch.no_grad():
        error = (network(batch.given, batch.step) - batch.x).mean(dim=(1, 2))
    return float(error.abs().mean())


def test_the_state_of_another_training_is_refused(data: Path, tmp_path: Path) -> None:
    train("dncnn-ed", RECIPE, data, tmp_path, stop_after=4)
    other = RECIPE.model_copy(update={"seed": 1})
    with pytest.raises(ContractError, match="this very training"):
        train("dncnn-ed", other, data, tmp_path)
    (tmp_path / CHECKPOINT_NAME).write_bytes(b"no tensors")
    with pytest.raises(ContractError, match="state of a training"):
        train("dncnn-ed", RECIPE, data, tmp_path)


def test_the_rate_rises_then_falls() -> None:
    rates = [learning_rate(RECIPE, step) for step in range(RECIPE.steps)]
    assert rates[: RECIPE.warm_up] == sorted(rates[: RECIPE.warm_up])
    assert rates[RECIPE.warm_up :] == sorted(rates[RECIPE.warm_up :], reverse=True)
    assert max(rates) == pytest.approx(RECIPE.learning_rate)


# --- recipes --------------------------------------------------------------------------------------


def test_recipes_that_ship_can_be_read() -> None:
    assert data_recipe(None).profile.window == 32
    for method in NETWORKS:
        assert train_recipe(None, method).steps > 0


@pytest.mark.parametrize("text", ["scenes = 0", "unknown = 1", "scenes = ["])
def test_a_recipe_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(ContractError, match="TOML file of DataRecipe"):
        data_recipe(path)
