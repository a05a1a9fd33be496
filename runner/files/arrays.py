"""Samples of other variants of the benchmark: H is a plain array, y of any shape.

Their files state less than this variant's contract asks for, so that what can be read off the
shapes is (`physics.ideal.ArrayOperator.of`), and what cannot is asked for by name.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import h5py
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from physics.ideal import Action, ArrayOperator
from runner.files import hdf5
from schemas.base import StrictJSONError, json_text, record_from_json, strict_json
from schemas.challenge import ArrayMetadata
from schemas.findings import refuse
from schemas.spec import NamedSpec, SpecRanges

ACTION_ATTR = "acts_as"
"""Attribute of `H_ideal` that states how it acts, one of `Action`."""

PAGE_HINT = "docs/primitives.md says how files of other variants are read"


@dataclass(frozen=True)
class ArraySample:
    """A sample of another variant of the benchmark.

    Attributes:
        name: group name, `sample_NN`.
        y: measurement, of any shape.
        operator: H, how it acts, and the shapes of x and y.
        ranges: published ranges of the mismatch parameters, whatever their names.
        metadata: scene, noise model, notation of the forward model.
        x_true: the signal; only where the file holds the truth.
        true_spec: the mismatch that y was made with; likewise.
    """

    name: str
    y: NDArray[np.float32]
    operator: ArrayOperator
    ranges: SpecRanges
    metadata: ArrayMetadata = field(default_factory=ArrayMetadata)
    x_true: NDArray[np.float32] | None = None
    true_spec: NamedSpec | None = None

    @property
    def signal_shape(self) -> tuple[int, ...]:
        """Shape that x_hat must have."""
        return self.operator.signal_shape


def read_array_sample(group: h5py.Group) -> ArraySample:
    """A sample group whose `H_ideal` is a dataset.

    Raises:
        ContractError: an item is malformed, or items contradict each other.
    """
    where = f"{group.file.filename}:{group.name}"
    y, values = (hdf5.real_array(group, item) for item in ("y", "H_ideal"))
    for item, array in (("y", y), ("H_ideal", values)):
        if array.size == 0 or array.ndim == 0:
            raise refuse(
                "INPUT_MALFORMED",
                f"{where}/{item}",
                expected="an array with at least one number",
                found=f"shape {array.shape}",
                hint="build or copy the file again",
            )
    metadata, shape_hint = _metadata(group)
    x_true = hdf5.real_array(group, "x_true") if "x_true" in group else None
    true_spec = None
    if "true_spec" in group.attrs:
        true_spec = hdf5.json_attribute(
            group,
            "true_spec",
            NamedSpec,
            missing="TRUTH_MISSING",
            malformed="INPUT_MALFORMED",
        )
    stated = metadata.signal_shape
    try:
        operator = ArrayOperator.of(
            values, y.shape, signal_shape=stated, action=_action(group["H_ideal"])
        )
    except ValueError as error:
        raise refuse(
            "INPUT_INCONSISTENT",
            f"{where}/H_ideal",
            expected="an array that acts in one way on x and gives y",
            found=str(error),
            hint=f"state it: attribute `{ACTION_ATTR}` of H_ideal is one of {', '.join(Action)},"
            f" `signal_shape` in the metadata is the shape of x; {PAGE_HINT}",
        ) from error
    known = (None if x_true is None else x_true.shape, shape_hint)
    if stated is None:
        operator = replace(operator, signal_shape=_shape_of_flat(operator, known))
    if x_true is not None and x_true.shape != operator.signal_shape:
        warnings.warn(
            f"{where}/x_true: ignored, for its shape is {x_true.shape} and H acts on"
            f" {operator.signal_shape}",
            stacklevel=2,
        )
        x_true = None
    name = group.name.rpartition("/")[2]
    return ArraySample(name, y, operator, _ranges(group), metadata, x_true, true_spec)


def write_array_sample(group: h5py.Group, sample: ArraySample) -> None:
    """Write a sample into its group, how H acts and the signal's shape spelled out."""
    hdf5.write_array(group, "y", sample.y.astype(np.float32))
    hdf5.write_array(group, "H_ideal", sample.operator.values.astype(np.float32))
    group["H_ideal"].attrs[ACTION_ATTR] = sample.operator.action.value
    metadata = sample.metadata.model_copy(update={"signal_shape": sample.signal_shape})
    hdf5.set_json(group, "spec_ranges", sample.ranges)
    hdf5.set_json(group, "metadata", metadata)
    if sample.x_true is not None:
        hdf5.write_array(group, "x_true", sample.x_true.astype(np.float32))
    if sample.true_spec is not None:
        hdf5.set_json(group, "true_spec", sample.true_spec)


def _action(dataset: h5py.Dataset) -> Action | None:
    stated = dataset.attrs.get(ACTION_ATTR)
    if stated is None:
        return None
    try:
        return Action(stated)
    except ValueError as error:
        raise refuse(
            "INPUT_MALFORMED",
            f"{dataset.file.filename}:{dataset.name}@{ACTION_ATTR}",
            expected=f"one of {', '.join(Action)}",
            found=str(stated),
            hint=PAGE_HINT,
        ) from error


def _shape_of_flat(
    operator: ArrayOperator, known: tuple[tuple[int, ...] | None, ...]
) -> tuple[int, ...]:
    """The signal's shape: of a matrix on a flat one, the first that is known and fits."""
    size = math.prod(operator.signal_shape)
    fitting = (shape for shape in known if shape is not None and math.prod(shape) == size)
    if operator.action is Action.FLAT:
        return next(fitting, operator.signal_shape)
    return operator.signal_shape


def _metadata(group: h5py.Group) -> tuple[ArrayMetadata, tuple[int, ...] | None]:
    """The metadata, and their `shape`: the signal's in some variants, another's in others."""
    if "metadata" not in group.attrs:
        return ArrayMetadata(), None
    raw = _json_of(group, "metadata", "a JSON object")
    if not isinstance(raw, dict):
        _malformed(group, "metadata", "a JSON object", type(raw).__name__)
    known = {k: v for k, v in raw.items() if k in ArrayMetadata.model_fields}
    hdf5.warn_of_unknown(group, "@metadata", set(raw) - set(known) - {"shape"})
    try:
        metadata = record_from_json(ArrayMetadata, json_text(known))
    except ValidationError as error:
        _malformed(group, "metadata", "scene, noise_model, signal_shape", hdf5.explain(error))
    shape = raw.get("shape")
    if isinstance(shape, list) and all(type(n) is int and n > 0 for n in shape):
        return metadata, tuple(shape)
    return metadata, None


def _ranges(group: h5py.Group) -> SpecRanges:
    """`spec_ranges` as this contract's list, or as {name: {min, max, unit}}."""
    expected = "a list of {name, min, max, unit}, or {name: {min, max, unit}}"
    if "spec_ranges" not in group.attrs:
        raise refuse(
            "INPUT_MISSING_ITEM",
            f"{group.file.filename}:{group.name}@spec_ranges",
            expected=expected,
            found=f"attributes {sorted(hdf5.names(group.attrs))}",
            hint="`[]` says that nothing is to be calibrated",
        )
    raw = _json_of(group, "spec_ranges", expected)
    if isinstance(raw, dict):
        if not all(isinstance(entry, dict) for entry in raw.values()):
            _malformed(group, "spec_ranges", expected, "names without {min, max, unit}")
        raw = [{"name": name, "unit": "", **entry} for name, entry in raw.items()]
    try:
        return record_from_json(SpecRanges, json_text(raw))
    except ValidationError as error:
        _malformed(group, "spec_ranges", expected, hdf5.explain(error))


def _json_of(group: h5py.Group, name: str, expected: str) -> Any:
    try:
        return strict_json(group.attrs[name])
    except StrictJSONError as error:
        _malformed(group, name, expected, str(error))


def _malformed(group: h5py.Group, name: str, expected: str, found: str) -> NoReturn:
    raise refuse(
        "INPUT_MALFORMED",
        f"{group.file.filename}:{group.name}@{name}",
        expected=expected,
        found=found,
        hint=f"mend the attribute; {PAGE_HINT}",
    )
