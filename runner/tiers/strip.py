"""The blind view of a challenge file: written afresh from an allow-list, and proved.

Deleting a dataset in place leaves its bytes in the file, so nothing is ever deleted: the view is a
new file into which only what a container may see is written.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from runner.files.arrays import ACTION_ATTR, ArraySample
from runner.files.challenge import AnySample, open_challenge, write_challenge
from runner.files.hdf5 import open_input
from schemas.base import json_text
from schemas.challenge import BLIND_TIER, ChallengeAttrs
from schemas.findings import refuse
from schemas.operator import OperatorAttrs

ALLOWED_ROOT_ATTRS = frozenset(ChallengeAttrs.model_fields)
ALLOWED_ITEMS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "": frozenset({"spec_ranges", "metadata"}),
        "/y": frozenset(),
        "/H_ideal": frozenset(OperatorAttrs.model_fields),
        "/H_ideal/probe": frozenset(),
        "/H_ideal/positions_px": frozenset(),
    }
)
"""Items of a sample's group, itself first, and the attributes of each."""

ALLOWED_ARRAY_ITEMS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "": frozenset({"spec_ranges", "metadata"}),
        "/y": frozenset(),
        "/H_ideal": frozenset({ACTION_ATTR}),
    }
)
"""The same of a sample whose H is a plain array."""

RUN_BYTES = 24
"""Length of the byte runs of the truth that are searched for in the view."""

RUNS_PER_ARRAY = 256
"""How many runs are taken from each form of x_true, evenly spread."""

TELLING_DIGITS = 10
"""Shortest decimal form of a true value whose occurrence in the view is no chance."""


class StripError(AssertionError):
    """The view would disclose the truth: a fault of stem4d, never of its user."""


def strip(source: Path, target: Path) -> Path:
    """Write the blind view of `source` to `target` and prove it; returns `target`.

    Scene names become the sample's name, descriptions go, the tier is "blind".

    Raises:
        ContractError: `source` is no challenge file, or is `target` itself, which would lose the
            truth; or `target` cannot be written.
        StripError: the proof failed; no file is left at `target`.
    """
    if target.exists() and source.exists() and target.samefile(source):
        raise refuse(
            "USAGE",
            str(target),
            expected="another file than the one that is stripped",
            found="the same file",
            hint="name a new file: the truth in this one would be lost",
        )
    with open_challenge(source) as challenge:
        attrs = challenge.attrs.model_copy(update={"tier": BLIND_TIER})
        write_challenge(target, attrs, (_blind(sample) for sample in challenge.any_samples()))
        try:
            prove(target, tuple(challenge.any_samples()))
        except StripError:
            target.unlink()
            raise
    return target


def _blind(sample: AnySample) -> AnySample:
    hidden = {"scene": sample.name, "description": ""}
    if isinstance(sample, ArraySample):
        array_metadata = sample.metadata.model_copy(update=hidden)
        return replace(sample, metadata=array_metadata, x_true=None, true_spec=None)
    metadata = sample.metadata.model_copy(update=hidden)
    return replace(sample, metadata=metadata, x_true=None, true_spec=None)


def prove(view: Path, samples: tuple[AnySample, ...]) -> None:
    """Prove that `view` holds the allowed items alone and no byte run of the samples' truth.

    Raises:
        StripError: names what was found.
    """
    with open_input(view, not_found="INPUT_NOT_FOUND", not_hdf5="INPUT_NOT_HDF5") as file:
        _closed_keys(file, {sample.name: _allowed(sample) for sample in samples})
    content = view.read_bytes()
    for sample in samples:
        for what, run in _secret_runs(sample):
            if run in content:
                raise StripError(f"{view}: bytes of {sample.name}'s {what} are in the blind view")


def _allowed(sample: AnySample) -> Mapping[str, frozenset[str]]:
    return ALLOWED_ARRAY_ITEMS if isinstance(sample, ArraySample) else ALLOWED_ITEMS


def _closed_keys(file: h5py.File, allowed: Mapping[str, Mapping[str, frozenset[str]]]) -> None:
    if set(file.attrs) != ALLOWED_ROOT_ATTRS or set(file) != set(allowed):
        raise StripError(f"{file.filename}: root holds {sorted(file.attrs)}, {sorted(file)}")
    for name in allowed:
        items = dict(_items(file, name, ""))
        if items != allowed[name]:
            raise StripError(f"{file.filename}:{name} holds {items}")


def _items(parent: h5py.Group, name: str, path: str) -> Iterator[tuple[str, frozenset[str]]]:
    """(path, names of its attributes) of an item and all below it; a link is told, not followed."""
    if not isinstance(parent.get(name, getlink=True), h5py.HardLink):
        yield path, frozenset({"a link"})
        return
    item = parent[name]
    yield path, frozenset(item.attrs)
    if isinstance(item, h5py.Group):
        for child in item:
            yield from _items(item, child, f"{path}/{child}")


def _secret_runs(sample: AnySample) -> list[tuple[str, bytes]]:
    """Byte runs that the view must not hold: the image in its number forms, the spec as text."""
    runs: list[tuple[str, bytes]] = []
    if sample.x_true is not None:
        forms: list[NDArray[Any]] = [sample.x_true, sample.x_true.astype(np.float64)]
        if not isinstance(sample, ArraySample):
            forms.append(sample.x_true * np.float32(sample.operator.attrs.phase_scale_rad))
        for form in forms:
            raw = form.tobytes()
            starts = np.linspace(0, max(0, len(raw) - RUN_BYTES), RUNS_PER_ARRAY).astype(int)
            candidates = {raw[start : start + RUN_BYTES] for start in starts}
            # A run of one repeated value (an empty background) tells nothing, and may be anywhere.
            runs += [("x_true", run) for run in candidates if len(set(run)) > RUN_BYTES // 3]
    if sample.true_spec is not None:
        runs.append(("true_spec", json_text(sample.true_spec).encode()))
        for value in sample.true_spec.values().values():
            # A round value (2.0, 0.005) stands in any file by chance, in the ranges for one.
            if len(repr(value)) >= TELLING_DIGITS:
                runs.append(("true_spec", repr(value).encode()))
                runs.append(("true_spec", struct.pack("<d", value)))
    return runs
