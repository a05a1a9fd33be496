"""Ways to spoil an HDF5 file, each a function of the open file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Damage = Callable[[h5py.File], object]


def drop(item: str) -> Damage:
    """Delete a dataset, a group, or an attribute named as `item@attribute`."""

    def damage(file: h5py.File) -> None:
        path, _, attribute = item.partition("@")
        if attribute:
            del file[path].attrs[attribute]
        else:
            del file[path]

    return damage


def put(item: str, value: Any) -> Damage:
    """Replace a dataset (or group, or link) by a value, or an attribute named `item@attribute`."""

    def damage(file: h5py.File) -> None:
        path, _, attribute = item.partition("@")
        if attribute:
            file[path].attrs[attribute] = value
            return
        if path in file:
            del file[path]
        file[path] = value

    return damage


def poke(item: str, index: tuple[int, ...], value: float) -> Damage:
    """Change one number of a dataset."""

    def damage(file: h5py.File) -> None:
        file[item][index] = value

    return damage


def put_bytes(item: str, raw: bytes) -> Damage:
    """An attribute of variable-length text with these very bytes, UTF-8 or not."""
    path, _, attribute = item.partition("@")
    return lambda file: file[path].attrs.create(attribute, raw, dtype=h5py.string_dtype("utf-8"))


def garble_chunk(path: Path, dataset: str) -> None:
    """Overwrite the inside of a compressed dataset's first chunk in the closed file."""
    with h5py.File(path) as file:
        chunk = file[dataset].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    middle = chunk.byte_offset + chunk.size // 2
    content[middle : middle + 32] = np.arange(32, dtype=np.uint8).tobytes()
    content[chunk.byte_offset + 2 : chunk.byte_offset + 10] = b"\xff" * 8
    path.write_bytes(content)
