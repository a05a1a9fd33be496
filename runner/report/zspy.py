"""HyperSpy's `.zspy`: the layout of `.hspy` in a Zarr 2 store, here in one zip file.

A store of plain JSON and one raw chunk (Zarr specification 2) needs no package. RosettaSciIO 0.15,
whose layout it is, writes by zarr-python 2 alone, and abTEM wants zarr-python 3.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from runner.files.hdf5 import atomic_path

FORMAT_VERSION = "3.3"
"""Of HyperSpy's layout."""

ZARR_FORMAT = {"zarr_format": 2}


def write_zspy(path: Path, signal: Mapping[str, Any]) -> None:
    """Write a signal, as HyperSpy hands it to its writers; the same signal gives the same bytes.

    Args:
        path: the file.
        signal: "data", an array of numbers; "axes", a mapping of plain values each;
            "package_info", plain values; every other mapping is a group of that name.

    Raises:
        ContractError: OUTPUT_NOT_WRITABLE, NO_SPACE.
    """
    name = f"Experiments/{signal['metadata']['General']['title'].replace('/', '-')}"
    about = {"file_format": "ZSpy", "file_format_version": FORMAT_VERSION}
    axes = {f"axis-{index}": axis for index, axis in enumerate(signal["axes"])}
    groups = {key: value for key, value in signal.items() if isinstance(value, Mapping)}
    package = groups.pop("package_info")
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as store:
        entries = {
            **dict(_group("", about)),
            **dict(_group("Experiments/", {})),
            **dict(_group(f"{name}/", {**package, **groups, **axes})),
            **_array(f"{name}/data/", signal["data"]),
        }
        for key, content in entries.items():
            store.writestr(zipfile.ZipInfo(key), content)  # its time is that of every ZipInfo


def _group(prefix: str, content: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """The entries of a group: plain values are its attributes, mappings groups within it."""
    yield f"{prefix}.zgroup", _json(ZARR_FORMAT)
    plain = {key: value for key, value in content.items() if not isinstance(value, Mapping)}
    if plain:
        yield f"{prefix}.zattrs", _json(plain)
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _group(f"{prefix}{key}/", value)


def _array(prefix: str, values: np.ndarray[Any, Any]) -> dict[str, bytes]:
    """The entries of an array that is one chunk, not compressed."""
    described = {
        **ZARR_FORMAT,
        "shape": values.shape,
        "chunks": values.shape,
        "dtype": values.dtype.str,
        "order": "C",
        "compressor": None,
        "filters": None,
        "fill_value": 0.0,
        "dimension_separator": "/",
    }
    chunk = "/".join("0" * values.ndim)
    return {f"{prefix}.zarray": _json(described), f"{prefix}{chunk}": values.tobytes()}


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=4, sort_keys=True).encode()
