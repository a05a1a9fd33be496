"""`stem4d train`: from a recipe to weights, as a person calls it."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from algorithms.networks.models import NETWORKS
from algorithms.networks.weights import read_weights
from runner.cli.train import TRAINABLE, train

DATA = """
scenes = 2
validation_scenes = 1
steps = [4, 5]
[profile]
object_shape = [64, 64]
sampling_A = 0.25
window = 24
scan_shape = [16, 16]
"""

RECIPE = "steps = 4\nbatch = 1\nwidth = 8\nvalidate_every = 2\n"


def test_every_network_can_be_trained() -> None:
    assert set(TRAINABLE) == set(NETWORKS)


def test_data_then_weights(tmp_path: Path) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    for name, text in (("data.toml", DATA), ("train.toml", RECIPE)):
        (tmp_path / name).write_text(text)
    runner = CliRunner()
    made = runner.invoke(
        train, ["data", "--config", str(tmp_path / "data.toml"), "--out", str(data)]
    )
    assert made.exit_code == 0, made.output
    assert "manifest.json sha256" in made.stdout
    options = ["--config", str(tmp_path / "train.toml"), "--data", str(data), "--out", str(run)]
    half = runner.invoke(train, ["dncnn-ed", *options, "--stop-after", "2"])
    assert half.exit_code == 0, half.output
    whole = runner.invoke(train, ["dncnn-ed", *options])
    assert whole.exit_code == 0, whole.output
    assert "step 4 of 4" in whole.stderr
    assert "min left, validation" in whole.stderr
    found = read_weights(run, "dncnn-ed")
    assert found.card.sha256 in whole.stdout
    assert found.card.steps == 4
