"""Every number of a data set and of a training, as records; read from TOML."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from pydantic import Field, ValidationError

from schemas.base import Record, quantity
from schemas.findings import refuse
from schemas.recipes import Profile

RecordT = TypeVar("RecordT", bound=Record)

CONFIGS = files("runner.training").joinpath("configs")
"""The configurations that ship: one for the data, one a method."""


class DataRecipe(Record):
    """How training data are made; the same recipe gives the same bytes."""

    seed: int = Field(default=0, ge=0, description="seed of everything random")
    scenes: int = Field(default=512, ge=1, description="scenes to train on")
    validation_scenes: int = Field(default=48, ge=1, description="scenes of materials kept apart")
    random_share: float = quantity(
        "", "share of random crystals among the training scenes", default=0.25, ge=0.0, le=1.0
    )
    light_share: float = quantity(
        "", "share of light, dense crystals, apart from those", default=0.25, ge=0.0, le=1.0
    )
    doses_e: tuple[float, float] = Field(
        default=(500.0, 20000.0), description="electrons per pattern, drawn evenly in its logarithm"
    )
    steps: tuple[int, int] = Field(
        default=(8, 16), description="steps to the likeliest phase, from and to"
    )
    profile: Profile = Field(default=Profile(), description="instrument; its dose is drawn")
    shard_scenes: int = Field(default=32, ge=1, description="scenes a file")


class TrainRecipe(Record):
    """How a network is trained; with its data, the same recipe gives the same bytes."""

    seed: int = Field(default=0, ge=0, description="seed of the first weights and of the batches")
    steps: int = Field(default=3000, ge=1, description="steps of the optimiser")
    batch: int = Field(default=4, ge=1, description="scenes a step")
    learning_rate: float = quantity("", "largest learning rate of AdamW", default=1e-3, gt=0.0)
    warm_up: int = Field(default=50, ge=1, description="steps in which the rate rises from 0")
    weight_decay: float = quantity("", "weight decay of AdamW", default=1e-4, ge=0.0)
    clip: float = quantity("", "largest norm of the slope", default=1.0, gt=0.0)
    validate_every: int = Field(default=200, ge=1, description="steps between two validations")
    average: float = quantity(
        "",
        "decay a step of the moving average of the weights, which is what is kept",
        default=0.99,
        ge=0.0,
        lt=1.0,
    )
    width: int = Field(default=32, ge=8, description="channels at the finest scale")
    adversarial: float = quantity(
        "", "weight of the adversary's displeasure; 0: there is none", default=0.0, ge=0.0
    )
    unpaired: float = quantity(
        "",
        "share of the steps, at the beginning, in which the counts and the adversary alone teach",
        default=0.0,
        ge=0.0,
        le=1.0,
    )


def data_recipe(path: Path | None) -> DataRecipe:
    """A data recipe of a TOML file; without one, that which ships."""
    return _read(DataRecipe, path, "data")


def train_recipe(path: Path | None, method: str) -> TrainRecipe:
    """A method's recipe of a TOML file; without one, that which ships."""
    return _read(TrainRecipe, path, method)


def _read(record: type[RecordT], path: Path | None, name: str) -> RecordT:
    """Read a record.

    Raises:
        ContractError: USAGE, the file is missing or malformed.
    """
    try:
        if path is None:
            text = CONFIGS.joinpath(f"{name}.toml").read_text(encoding="utf-8")
        else:
            text = path.read_text(encoding="utf-8")
        return record.model_validate(_with_tuples(tomllib.loads(text)))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise refuse(
            "USAGE",
            str(path or f"{name}.toml"),
            expected=f"a TOML file of {record.__name__}",
            found=f"{type(error).__name__}: {error}",
            hint="start from those in runner/training/configs",
        ) from error


def _with_tuples(values: dict[str, object]) -> dict[str, object]:
    """TOML has arrays; the records, which coerce nothing, have tuples."""
    made: dict[str, object] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            made[key] = _with_tuples(value)
        else:
            made[key] = tuple(value) if isinstance(value, list) else value
    return made
