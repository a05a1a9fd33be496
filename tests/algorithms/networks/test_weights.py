"""Weights are read only when they are those that their card names, and never unpickled."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from algorithms.networks.models import NETWORKS
from algorithms.networks.weights import (
    NETWORK_PREFIX,
    SHARE_NAME,
    read_weights,
)
from schemas.findings import ContractError
from tests.helpers.weights import weights_card

METHOD, WIDTH = "dncnn-ed", 8


def _content() -> bytes:
    torch.manual_seed(0)
    network = NETWORKS[METHOD](WIDTH)
    tensors = {f"{NETWORK_PREFIX}{name}": value for name, value in network.state_dict().items()}
    return save(tensors | {SHARE_NAME: torch.linspace(0, 1, 5)})


def _write(folder: Path, content: bytes, *, sha256: str | None = None, width: int = WIDTH) -> None:
    digest = sha256 or hashlib.sha256(content).hexdigest()
    card = weights_card(method=METHOD, width=width, sha256=digest)
    (folder / f"{METHOD}.json").write_text(card.model_dump_json())
    (folder / f"{METHOD}.safetensors").write_bytes(content)


def _refused(folder: Path) -> str:
    with pytest.raises(ContractError) as caught:
        read_weights(folder, METHOD)
    (found,) = caught.value.findings
    assert found.code == "WEIGHTS_INVALID"
    assert "stem4d train" in found.hint
    return found.text()


def test_what_was_written_is_read(tmp_path: Path) -> None:
    _write(tmp_path, _content())
    found = read_weights(tmp_path, METHOD)
    torch.manual_seed(0)
    wanted = NETWORKS[METHOD](WIDTH).state_dict()
    for name, value in found.network.state_dict().items():
        assert torch.equal(value, wanted[name])
    assert torch.equal(found.data_share, torch.linspace(0, 1, 5))
    assert not any(value.requires_grad for value in found.network.parameters())


def test_one_byte_of_difference_is_refused(tmp_path: Path) -> None:
    content = bytearray(_content())
    sha256 = hashlib.sha256(content).hexdigest()
    content[-1] ^= 1
    _write(tmp_path, bytes(content), sha256=sha256)
    assert sha256 in _refused(tmp_path)


def test_a_pickle_is_refused_and_not_opened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (str(tmp_path / "sprung"),)

    _write(tmp_path, pickle.dumps(Trap()))  # with the right sha256
    _refused(tmp_path)
    assert not (tmp_path / "sprung").exists()


def test_weights_of_another_width_are_refused(tmp_path: Path) -> None:
    _write(tmp_path, _content(), width=16)
    assert "size mismatch" in _refused(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert f"{METHOD}.json" in _refused(tmp_path)
    _write(tmp_path, _content())
    (tmp_path / f"{METHOD}.safetensors").unlink()
    assert f"{METHOD}.safetensors" in _refused(tmp_path)


def test_a_card_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    _write(tmp_path, _content())
    place = tmp_path / f"{METHOD}.json"
    place.write_text(json.dumps(json.loads(place.read_text()) | {"more": 1}))
    assert "more" in _refused(tmp_path)
