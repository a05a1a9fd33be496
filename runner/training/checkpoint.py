"""The state of a training as one file of plain tensors: nothing is ever unpickled."""

from __future__ import annotations

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


class Point(Record):
    """One point of the curves."""

    step: int = Field(description="steps taken")
    loss: float = Field(description="mean training loss since the last point")
    validation_psnr_db: float = Field(description="mean PSNR of the validation scenes")


class Stamp(Record):
    """What a training is of, and how far it is."""

    method: str
    recipe: TrainRecipe
    data_sha256: str = Field(description="of the data set's manifest")
    step: int = Field(description="steps taken")
    curve: tuple[Point, ...]


def save(
    path: Path, stamp: Stamp, network: nn.Module, average: nn.Module, optimiser: torch.optim.AdamW
) -> None:
    """Write the state, whole or not at all."""
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in average.state_dict().items()}
    for number, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": value for name, value in state.items()}
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


def load(path: Path, network: nn.Module, average: nn.Module, optimiser: torch.optim.AdamW) -> None:
    """Put a state back; its stamp has been compared already."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    network.load_state_dict(_under(tensors, "network"))
    average.load_state_dict(_under(tensors, "average"))
    held: dict[int, dict[str, Tensor]] = {}
    for name, value in _under(tensors, "optimiser").items():
        number, _, part = name.partition(".")
        held.setdefault(int(number), {})[part] = value
    state: dict[str, Any] = optimiser.state_dict()
    state["state"] = dict(sorted(held.items()))
    optimiser.load_state_dict(state)


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(f"{prefix}."): value
        for name, value in tensors.items()
        if name.startswith(f"{prefix}.")
    }
