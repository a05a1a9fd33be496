"""Trained weights: safetensors files beside a record of what each is; nothing is ever unpickled."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from pydantic import Field, JsonValue, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor, nn

from algorithms.networks.models import NETWORKS
from schemas.base import Record, StrictJSONError, quantity, record_from_json
from schemas.findings import ContractError, refuse

WEIGHTS = files("algorithms").joinpath("weights")
"""Where those that ship lie."""

NETWORK_PREFIX = "network."
SHARE_NAME = "data_share"

MAX_CARD_BYTES = 1 << 20


class TrainedRange(Record):
    """What a network has been trained on: beyond it, it guesses."""

    energy_eV: float = quantity("eV", "beam energy")
    semiangle_mrad: float = quantity("mrad", "convergence semi-angle")
    C10_A: float = quantity("A", "defocus aberration")
    sampling_A: float = quantity("A", "object pixel")
    phase_rad: tuple[float, float] = Field(description="phase scale, least and largest [rad]")
    noise: tuple[float, float] = Field(
        description="log10 of the noise of the likeliest x in the middle band, least and largest"
    )


class WeightsCard(Record):
    """What a file of weights is."""

    method: str = Field(description="name of the network")
    width: int = Field(description="channels at its finest scale")
    parameters: int = Field(description="number of weights")
    sha256: str = Field(description="of the safetensors file")
    data_sha256: str = Field(description="of the training data's manifest")
    commit: str = Field(description="of the code that trained it")
    steps: int = Field(description="steps of the training")
    validation_psnr_db: float = quantity("dB", "mean over the validation scenes")
    plain_psnr_db: float = quantity("dB", "plain ptychography on the same")
    recipe: dict[str, JsonValue] = Field(description="every number of the training")
    trained: TrainedRange


@dataclass(frozen=True)
class Trained:
    """A network with its weights.

    Attributes:
        network: ready to be applied.
        data_share: how much of a step towards the likeliest image mends what the network makes, at
            each of as many frequencies from 0 to Nyquist, (bins,), 0 to 1; see `consistency`.
        card: what it is.
    """

    network: nn.Module
    data_share: Tensor
    card: WeightsCard


@cache
def shipped(method: str) -> Trained:
    """The weights that ship, read once."""
    return read_weights(WEIGHTS, method)


def read_weights(folder: Traversable | Path, method: str) -> Trained:
    """Weights of a method: `METHOD.safetensors`, as `METHOD.json` says.

    Raises:
        ContractError: WEIGHTS_INVALID; a file is missing, or is not the one that the card names.
    """
    card = _card(folder, method)
    place = folder.joinpath(f"{method}.safetensors")
    try:
        content = place.read_bytes()
    except OSError as error:
        raise _invalid(str(place), "a file of weights", str(error)) from error
    found = hashlib.sha256(content).hexdigest()
    if found != card.sha256:
        raise _invalid(str(place), f"sha256 {card.sha256}, as its card says", found)
    network = NETWORKS[method](card.width)
    try:
        tensors = load_tensors(content)
        share = tensors.pop(SHARE_NAME)
        network.load_state_dict(
            {name.removeprefix(NETWORK_PREFIX): value for name, value in tensors.items()}
        )
    except (SafetensorError, KeyError, RuntimeError) as error:
        raise _invalid(str(place), f"the weights of {method}", str(error)) from error
    return Trained(network.eval().requires_grad_(False), share, card)


def _card(folder: Traversable | Path, method: str) -> WeightsCard:
    place = folder.joinpath(f"{method}.json")
    try:
        return record_from_json(WeightsCard, place.read_bytes(), max_bytes=MAX_CARD_BYTES)
    except (OSError, StrictJSONError, ValidationError) as error:
        raise _invalid(str(place), "the card of a file of weights", str(error)) from error


def _invalid(where: str, expected: str, found: str) -> ContractError:
    return refuse(
        "WEIGHTS_INVALID",
        where,
        expected=expected,
        found=found,
        hint="install stem4d again, or train the method anew: `stem4d train METHOD --help`",
    )
