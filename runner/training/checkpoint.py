"""The state of a training as one file of plain tensors: nothing is ever unpickled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from runner.files.hdf5 import atomic_path
from runner.training.recipes import TrainRecipe
from schemas.base import Record, StrictJSONError, json_text, record_from_json
from schemas.findings import refuse

CHECKPOINT_NAME = "checkpoint.safetensors"

MAX_STAMP_BYTES = 4 << 20

Learners = Mapping[str, nn.Module | torch.optim.AdamW]
"""What changes as a training goes on, by name."""


class Point(Record):
    """One point of the curves."""

    step: int = Field(description="steps taken")
    loss: float = Field(description="mean training loss since the last point")
    validation_psnr_db: float = Field(description="of the validation scenes, their mean given")


class Stamp(Record):
    """What a training is of, and how far it is."""

    method: str
    recipe: TrainRecipe
    data_sha256: str = Field(description="of the data set's manifest")
    step: int = Field(description="steps taken")
    curve: tuple[Point, ...]


def save(path: Path, stamp: Stamp, learners: Learners) -> None:
    """Write the state, whole or not at all."""
    tensors: dict[str, Tensor] = {}
    for part, learner in learners.items():
        if isinstance(learner, nn.Module):
            tensors |= {f"{part}.{name}": value for name, value in learner.state_dict().items()}
            continue
        for number, state in learner.state_dict()["state"].items():
            tensors |= {f"{part}.{number}.{name}": value for name, value in state.items()}
    plain = {name: value.contiguous().cpu() for name, value in tensors.items()}
    with atomic_path(path) as temporary:
        save_file(plain, temporary, metadata={"stamp": json_text(stamp)})


def read_stamp(path: Path) -> Stamp:
    """What a file's training is of.

    Raises:
        ContractError: INPUT_MALFORMED.
    """
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get("stamp", "")
        return record_from_json(Stamp, text, max_bytes=MAX_STAMP_BYTES)
    except (OSError, SafetensorError, StrictJSONError, ValidationError) as error:
        raise refuse(
            "INPUT_MALFORMED",
            str(path),
            expected="the state of a training",
            found=f"{type(error).__name__}: {error}",
            hint="remove the file, and train from the beginning",
        ) from error


def load(path: Path, learners: Learners) -> None:
    """Put a state back; its stamp has been compared already."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for part, learner in learners.items():
        own = _under(tensors, part)
        if isinstance(learner, nn.Module):
            learner.load_state_dict(own)
            continue
        held: dict[int, dict[str, Tensor]] = {}
        for name, value in own.items():
            number, _, quantity = name.partition(".")
            held.setdefault(int(number), {})[quantity] = value
        state: dict[str, Any] = learner.state_dict()
        state["state"] = dict(sorted(held.items()))
        learner.load_state_dict(state)


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(f"{prefix}."): value
        for name, value in tensors.items()
        if name.startswith(f"{prefix}.")
    }
