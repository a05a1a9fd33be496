"""Small HDF5 helpers: atomic writes, strict JSON attributes, errors that name the item."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from schemas.base import MAX_JSON_BYTES, StrictJSONError, json_text, record_from_json
from schemas.findings import refuse

RecordT = TypeVar("RecordT", bound=BaseModel)

GZIP_LEVEL = 4
"""Deflate level of every dataset: fixed, so that the same values give the same bytes."""

COPY_BYTES = 1 << 20

CHUNK_CACHE_BYTES = 32 << 20
"""Inflated chunks that HDF5 keeps for a dataset that is read [bytes]. The contract allows a whole
scan row a chunk (16 MiB for 256 patterns of 128 x 128); a chunk that is larger than the cache (1 or
8 MiB by itself, as the version is) is inflated anew for every part that is read."""


def sha256_of(path: Path) -> str:
    """sha256 of a file's bytes, as 64 hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(COPY_BYTES):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """A temporary path beside `target` that takes its name when the block ends without an error.

    A run that dies inside the block leaves `target` as it was, and no temporary file.

    Raises:
        ContractError: OUTPUT_NOT_WRITABLE or NO_SPACE.
    """
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
        os.close(handle)
    except OSError as error:
        raise output_error(target, error) from error
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(target)
    except OSError as error:
        raise output_error(target, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, where they are not there.

    Raises:
        ContractError: OUTPUT_NOT_WRITABLE or NO_SPACE.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error


def output_error(target: Path, error: OSError) -> Exception:
    """The finding that fits an error met while writing `target`."""
    found = f"{type(error).__name__}: {error.strerror or error}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return refuse(
            "NO_SPACE",
            str(target),
            expected="room for the file",
            found=found,
            hint="free some space, or write to another folder",
        )
    return refuse(
        "OUTPUT_NOT_WRITABLE",
        str(target),
        expected=f"a folder that user id {os.getuid()} may write to",
        found=found,
        hint="make the folder writable (for a container: chmod 777 on the host folder that is"
        " mounted at /output, and no ':ro'), or choose another with --output",
    )


@contextmanager
def open_input(path: Path, *, not_found: str, not_hdf5: str) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading; the two codes name what went wrong.

    Raises:
        ContractError: `not_found` or `not_hdf5`.
    """
    if not path.is_file():
        raise refuse(
            not_found,
            str(path),
            expected="an HDF5 file",
            found="a folder" if path.is_dir() else "nothing",
            hint="check the path; `stem4d tiers build public` makes the public challenge file",
        )
    try:
        file = h5py.File(path, "r", rdcc_nbytes=CHUNK_CACHE_BYTES)
    except OSError as error:
        raise refuse(
            not_hdf5,
            str(path),
            expected="a complete HDF5 file",
            found=f"{path.stat().st_size} bytes that HDF5 cannot open: {error}",
            hint="the file may be truncated or of another kind: copy or build it again",
        ) from error
    with file:
        yield file


def names(items: Iterable[str | bytes]) -> list[str]:
    """Names in a group or of its attributes; h5py gives those that are not UTF-8 as bytes."""
    return [n if isinstance(n, str) else n.decode("utf-8", "backslashreplace") for n in items]


def read(dataset: h5py.Dataset, selection: Any = ..., *, damaged: str) -> NDArray[np.float32]:
    """Real values of a dataset as float32; what is too large becomes infinite.

    Raises:
        ContractError: `damaged`, when the stored bytes cannot be decoded.
    """
    try:
        values = dataset[selection]
    except OSError as error:
        raise refuse(
            damaged,
            f"{dataset.file.filename}:{dataset.name}",
            expected="data that HDF5 can read back",
            found=str(error),
            hint="the file is damaged: copy or make it again",
        ) from error
    with np.errstate(over="ignore"):
        return np.asarray(values, dtype=np.float32)


def real_array(parent: h5py.Group, name: str) -> NDArray[np.float32]:
    """A dataset of real numbers, whole, as float32.

    Args:
        parent: the group that holds it, or the file.
        name: its name within.

    Raises:
        ContractError: INPUT_MALFORMED, no dataset of finite real numbers; INPUT_NOT_HDF5, damaged.
    """
    dataset = parent[name]
    where = f"{parent.file.filename}:{parent[name].name}"
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "fiu":
        raise refuse(
            "INPUT_MALFORMED",
            where,
            expected="a dataset of real numbers",
            found=str(getattr(dataset, "dtype", "a group")),
            hint="see the contract's table of items (docs/contract.md)",
        )
    values = read(dataset, damaged="INPUT_NOT_HDF5")
    require_finite(values, where)
    return values


def require_finite(values: NDArray[np.float32], where: str) -> None:
    """Refuse NaN and infinity.

    Raises:
        ContractError: INPUT_MALFORMED.
    """
    if not np.isfinite(values).all():
        raise refuse(
            "INPUT_MALFORMED",
            where,
            expected="finite values",
            found="NaN or infinity",
            hint="build or copy the file again",
        )


def warn_of_unknown(item: h5py.Group, part: str, unknown: set[str]) -> None:
    """Tell of names that the contract does not have; they are ignored.

    Args:
        item: group that they were found in.
        part: what of it, "" for its items.
        unknown: the names.
    """
    if unknown:
        where = f"{item.file.filename}:{item.name}{part}"
        listed = ", ".join(sorted(unknown))
        warnings.warn(f"{where}: unknown items are ignored: {listed}", stacklevel=3)


def json_attribute(
    item: h5py.Group,
    name: str,
    model: type[RecordT],
    *,
    missing: str,
    malformed: str,
    loose: str | None = None,
) -> RecordT:
    """Read a JSON attribute as a record.

    Args:
        item: group that has the attribute.
        name: the attribute's name.
        model: record that the JSON must be.
        missing: code for an attribute that is not there.
        loose: code for text that is not strict JSON, where it is another one than `malformed`.
        malformed: code for JSON that is not this record.

    Raises:
        ContractError: one of the three codes, naming the item.
    """
    where = f"{item.file.filename}:{item.name}@{name}"
    if name not in item.attrs:
        raise refuse(
            missing,
            where,
            expected=f"a JSON attribute `{name}`",
            found=f"attributes {sorted(names(item.attrs))}",
            hint="see the contract's table of items (docs/contract.md)",
        )
    try:
        return record_from_json(model, item.attrs[name])
    except (StrictJSONError, ValidationError) as error:
        raise refuse(
            loose or malformed if isinstance(error, StrictJSONError) else malformed,
            where,
            expected=f"JSON of a {model.__name__} (`stem4d schema` prints it)",
            found=explain(error),
            hint="mend the attribute; every key, type and bound is in docs/schema.md",
        ) from error


def attributes_as(
    item: h5py.Group, model: type[RecordT], *, missing: str, malformed: str
) -> RecordT:
    """Read HDF5 attributes as a record; attributes that the record does not know are left.

    Raises:
        ContractError: `missing` (all missing names at once) or `malformed`.
    """
    where = f"{item.file.filename}:{item.name}"
    fields = model.model_fields
    absent = [n for n, f in fields.items() if f.is_required() and n not in item.attrs]
    if absent:
        raise refuse(
            missing,
            where,
            expected=f"attributes {', '.join(fields)}",
            found=f"no {', '.join(absent)}",
            hint="see the contract's table of items (docs/contract.md)",
        )
    plain = {n: _plain(item.attrs[n]) for n in fields if n in item.attrs}
    try:
        return model.model_validate(plain)
    except ValidationError as error:
        raise refuse(
            malformed,
            where,
            expected=f"attributes of a {model.__name__} (`stem4d schema` prints it)",
            found=explain(error),
            hint="mend the attributes; every type, unit and bound is in docs/schema.md",
        ) from error


def set_attributes(item: h5py.Group, record: BaseModel) -> None:
    """Write a record's fields as HDF5 attributes, in the record's order."""
    for name, value in record.model_dump(mode="json", exclude_none=True).items():
        item.attrs[name] = np.asarray(value) if isinstance(value, list) else value


def set_json(item: h5py.Group, name: str, value: Any) -> None:
    """Write a JSON attribute.

    Raises:
        ValueError: longer than `MAX_JSON_BYTES`.
    """
    text = json_text(value)
    if len(text.encode()) > MAX_JSON_BYTES:
        raise ValueError(f"attribute {name}: {len(text.encode())} bytes, at most {MAX_JSON_BYTES}")
    item.attrs[name] = text


def write_array(
    group: h5py.Group, name: str, values: NDArray[Any], *, chunks: tuple[int, ...] | bool = True
) -> None:
    """Write a gzip dataset whose bytes depend on the values alone."""
    group.create_dataset(
        name,
        data=values,
        chunks=chunks,
        compression="gzip",
        compression_opts=GZIP_LEVEL,
        shuffle=True,
    )


def explain(error: BaseException) -> str:
    """A validation error on one line for each fault, without pydantic's addresses."""
    if isinstance(error, ValidationError):
        faults = (
            f"{'.'.join(str(part) for part in e['loc']) or 'value'}: {e['msg']}"
            for e in error.errors(include_url=False)
        )
        return "; ".join(faults)
    return str(error)


def _plain(value: Any) -> Any:
    """An HDF5 attribute as the plain Python value that pydantic's strict mode expects."""
    if isinstance(value, np.ndarray):
        return tuple(_plain(entry) for entry in value)
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, np.floating):
        return float(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value
