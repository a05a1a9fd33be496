"""Is the structure of a result file harmless? Asked before any value of it is read.

HDF5 follows links into other files, reads other files as its own data, and inflates a few bytes to
gigabytes, all without a question. A result needs none of that, so each is refused here: by looking
at headers only, one link at a time, with HDF5's low-level functions, which follow nothing.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import h5py
from h5py import h5a, h5d, h5g, h5l, h5o, h5s, h5t, h5z

from schemas.base import MAX_JSON_BYTES
from schemas.findings import ContractError, Finding, finding, refuse

SIGNATURE = b"\x89HDF\r\n\x1a\n"
SUPERBLOCK_BYTES = 60
"""How much of a file's beginning tells its version, base and end, in every version; there is no
HDF5 file as short as that."""

UNDEFINED = b"\xff" * 8
"""HDF5's address of what is not there."""

SUPERBLOCK_VERSIONS = (0, 1, 2, 3)
"""Up to HDF5 2.0; a newer one is not read before it is known."""

MAX_CHUNK_BYTES = 32 << 20
"""Largest chunk [bytes], inflated: twice an image of 2048 x 2048."""

MAX_ATTRIBUTES = 16
"""Most attributes of one object: the contract has six."""

MAX_EXTRA_ITEMS = 64
"""How many items beyond the contract's are named one by one before the file is refused whole."""

ENCODINGS = (h5t.CSET_ASCII, h5t.CSET_UTF8)
NUMBERS = (h5t.FLOAT, h5t.INTEGER)
FILTER_CHAINS = (
    (),
    (h5z.FILTER_SHUFFLE,),
    (h5z.FILTER_DEFLATE,),
    (h5z.FILTER_SHUFFLE, h5z.FILTER_DEFLATE),
)
"""Two deflates make 380 000 bytes of one; a filter that is unknown is looked for as a plug-in."""

LIBRARY_ERRORS = (OSError, RuntimeError, KeyError, ValueError)
"""What h5py raises at what HDF5 cannot decode."""


@contextmanager
def damage_named(where: str) -> Iterator[None]:
    """Whatever HDF5 cannot decode in this block is a damaged file.

    Raises:
        ContractError: RESULT_NOT_HDF5.
    """
    try:
        yield
    except ContractError:
        raise
    except LIBRARY_ERRORS as error:
        raise refuse(
            "RESULT_NOT_HDF5",
            where,
            expected="items that HDF5 can read",
            found=f"{type(error).__name__}: {error}",
            hint="the file is damaged: write it again",
        ) from error


def check_superblock(head: bytes, size: int, name: str) -> None:
    """Refuse a file that does not begin and end where HDF5 says.

    Args:
        head: the first `SUPERBLOCK_BYTES` bytes, or all if there are fewer.
        size: length of the file [bytes].
        name: how findings name the file.

    Raises:
        ContractError: RESULT_NOT_HDF5, RESULT_FOREIGN_BYTES or RESULT_STORAGE.

    Source: HDF5 File Format Specification, version 3.0, II.A (disk format level 0A).
    """
    if not head.startswith(SIGNATURE) or len(head) < SUPERBLOCK_BYTES:
        raise _not_hdf5(name, f"{size} bytes that begin with {head[:8]!r}")
    version = head[8]
    if version not in SUPERBLOCK_VERSIONS:
        raise _not_hdf5(name, f"superblock version {version}")
    sizes_at = 13 if version < 2 else 9
    if head[sizes_at : sizes_at + 2] != b"\x08\x08":
        raise _not_hdf5(name, "addresses or lengths of another size than 8 bytes")
    base_at, end_at = {0: (24, 40), 1: (28, 44), 2: (12, 28), 3: (12, 28)}[version]
    (base,) = struct.unpack_from("<Q", head, base_at)
    (end,) = struct.unpack_from("<Q", head, end_at)
    if base != 0 or end < size:
        raise refuse(
            "RESULT_FOREIGN_BYTES",
            name,
            expected="a file that is HDF5 from its first byte to its last",
            found=f"HDF5 begins at byte {base} and ends at {end}, of {size}",
            hint="write the file anew, with no user block and nothing appended",
        )
    if end > size:
        raise _not_hdf5(name, f"{size} bytes of {end}: the end is cut off")
    if version < 2 and head[end_at + 8 : end_at + 16] != UNDEFINED:
        raise refuse(
            "RESULT_STORAGE",
            name,
            expected="one file",
            found="a part of a file that is spread over several",
            hint="write the file with h5py's default driver",
        )


def structure_findings(file: h5py.File, name: str, *, samples: int) -> tuple[Finding, ...]:
    """Everything about the file's structure that no result needs; empty means safe to read.

    Args:
        file: open file, of which nothing has been read.
        name: how findings name the file.
        samples: how many samples the challenge has; each may be a group and a dataset.

    Raises:
        ContractError: RESULT_NOT_HDF5, headers that HDF5 cannot decode.
    """
    walk = _Walk(name, 1 + 2 * samples + MAX_EXTRA_ITEMS)
    with damage_named(name):
        walk.everything(file.id)
    return tuple(walk.findings)


class _Walk:
    """Goes through all objects, without recursion, each at most once."""

    def __init__(self, name: str, max_items: int) -> None:
        self.findings: list[Finding] = []
        self._name = name
        self._max_items = max_items
        self._items = 0
        self._seen: dict[tuple[int, int], str] = {}

    def everything(self, file: Any) -> None:
        root = h5o.open(file, b"/")
        self._enter(root, "/")
        self._attributes(root, "/")
        waiting = [(root, "/")]
        while waiting:
            group, path = waiting.pop()
            for name in self._links(group, path):
                where = f"{path.rstrip('/')}/{name.decode('utf-8', 'backslashreplace')}"
                if group.links.get_info(name).type != h5l.TYPE_HARD:
                    self._link(where, "a soft or external link")
                    continue
                item = h5o.open(group, name)
                if not self._enter(item, where):
                    continue
                if isinstance(item, h5g.GroupID):
                    self._attributes(item, where)
                    waiting.append((item, where))
                elif isinstance(item, h5d.DatasetID):
                    self._attributes(item, where)
                    self._dataset(item, where)
                else:
                    self._type(where, "a committed type")

    def _links(self, group: Any, path: str) -> list[bytes]:
        """Names of a group's links; none of a group that has more than a whole file may."""
        count = group.get_num_objs()
        self._items += count
        if self._items <= self._max_items:
            return list(group)
        self._too_many(path, f"at most {self._max_items} items in the file", self._items)
        return []

    def _enter(self, item: Any, where: str) -> bool:
        """Whether the object is met for the first time: two names for one may be a circle."""
        info = h5o.get_info(item)
        first = self._seen.setdefault((info.fileno, info.addr), where)
        if first != where:
            self._link(where, f"another name of {first}")
        return first == where

    def _attributes(self, item: Any, where: str) -> None:
        count = h5o.get_info(item).num_attrs
        if count > MAX_ATTRIBUTES:
            self._too_many(where, f"at most {MAX_ATTRIBUTES} attributes of an item", count)
            return
        for index in range(count):
            attribute = h5a.open(item, index=index)
            name = attribute.name.decode("utf-8", "backslashreplace")
            self._attribute(attribute, f"{where}@{name}")

    def _attribute(self, attribute: Any, where: str) -> None:
        kind, space = attribute.get_type(), attribute.get_space()
        if kind.committed():
            self._type(where, "a committed type")
        elif kind.get_class() != h5t.STRING or space.get_simple_extent_type() != h5s.SCALAR:
            self._attribute_refused(where, f"{type_name(kind)}, {_extent(space)}")
        elif kind.get_cset() not in ENCODINGS:
            self._attribute_refused(where, "text in an unknown encoding")
        elif not kind.is_variable_str() and kind.get_size() > MAX_JSON_BYTES:
            self._attribute_refused(where, f"text of {kind.get_size()} bytes")

    def _dataset(self, dataset: Any, where: str) -> None:
        kind = dataset.get_type()
        if kind.committed():
            self._type(where, "a committed type")
        elif kind.get_class() not in NUMBERS:
            self._type(where, type_name(kind))
        creation = dataset.get_create_plist()
        layout = creation.get_layout()
        if creation.get_external_count() > 0 or layout not in (h5d.CONTIGUOUS, h5d.CHUNKED):
            names = {h5d.VIRTUAL: "virtual", h5d.COMPACT: "compact"}
            self._add(
                "RESULT_STORAGE",
                where,
                "data in this file, contiguous or in chunks",
                names.get(layout, "external") + " storage",
                "write the data themselves",
            )
            return
        if layout == h5d.CHUNKED:
            size = math.prod(creation.get_chunk()) * kind.get_size()
            if size > MAX_CHUNK_BYTES:
                self._add(
                    "RESULT_CHUNK",
                    where,
                    f"chunks of at most {MAX_CHUNK_BYTES} bytes",
                    f"{size} bytes",
                    "let h5py choose the chunks",
                )
        count = creation.get_nfilters()
        # No more than one beyond the longest chain is looked at, however many there are.
        chain = tuple(creation.get_filter(i)[0] for i in range(min(count, 3)))
        if chain not in FILTER_CHAINS:
            self._add(
                "RESULT_FILTER",
                where,
                "no filter, or shuffle, then deflate (gzip), each once",
                f"{count} filters, the first with numbers {', '.join(map(str, chain))}",
                "write with compression='gzip', shuffle=True",
            )

    def _link(self, where: str, found: str) -> None:
        hint = "write the data themselves, once"
        self._add("RESULT_LINK", where, "an item of this very file, with one name", found, hint)

    def _type(self, where: str, found: str) -> None:
        self._add("RESULT_TYPE", where, "plain numbers", found, "write x_hat.astype('float32')")

    def _too_many(self, where: str, expected: str, found: int) -> None:
        hint = "write what the contract names, and nothing else"
        self._add("RESULT_TOO_MANY_ITEMS", where, expected, str(found), hint)

    def _attribute_refused(self, where: str, found: str) -> None:
        self._add(
            "RESULT_ATTRIBUTE",
            where,
            f"one text of at most {MAX_JSON_BYTES} bytes",
            found,
            "write the attribute as a string (JSON, where the contract says so)",
        )

    def _add(self, code: str, where: str, expected: str, found: str, hint: str) -> None:
        self.findings.append(
            finding(code, f"{self._name}:{where}", expected=expected, found=found, hint=hint)
        )


TYPE_NAMES = {
    h5t.INTEGER: "integers",
    h5t.FLOAT: "floating-point numbers",
    h5t.STRING: "text",
    h5t.BITFIELD: "bit fields",
    h5t.OPAQUE: "opaque bytes",
    h5t.COMPOUND: "compound values",
    h5t.REFERENCE: "references",
    h5t.ENUM: "enumerated values",
    h5t.VLEN: "values of variable length",
    h5t.ARRAY: "arrays",
}


def type_name(kind: Any) -> str:
    """What values of an HDF5 type are, in words."""
    return TYPE_NAMES.get(kind.get_class(), f"values of HDF5's type class {kind.get_class()}")


def _extent(space: Any) -> str:
    names = {h5s.SCALAR: "one value", h5s.NULL: "no value"}
    return names.get(space.get_simple_extent_type(), "an array")


def _not_hdf5(name: str, found: str) -> ContractError:
    return refuse(
        "RESULT_NOT_HDF5",
        name,
        expected="a complete HDF5 file",
        found=found,
        hint="write the file with h5py, and close it before it is handed in",
    )
