"""The superblock's few bytes, in each version; the corpus (tests/adversarial) has the rest."""

from __future__ import annotations

import struct

import pytest

from runner.files.structure import SIGNATURE, SUPERBLOCK_BYTES, check_superblock
from schemas import ContractError

END = 5000


def superblock(
    version: int,
    *,
    base: int = 0,
    end: int = END,
    sizes: bytes = b"\x08\x08",
    driver: int = 2**64 - 1,
) -> bytes:
    """By the specification, field by field."""
    if version < 2:
        head = SIGNATURE + bytes([version, 0, 0, 0, 0]) + sizes + b"\0"
        head += struct.pack("<HHI", 4, 16, 0) + (struct.pack("<HH", 32, 0) if version else b"")
        head += struct.pack("<QQQQ", base, 2**64 - 1, end, driver)
    else:
        head = SIGNATURE + bytes([version]) + sizes + b"\0"
        head += struct.pack("<QQQQ", base, 2**64 - 1, end, 48) + bytes(4)
    return head.ljust(SUPERBLOCK_BYTES, b"\0")[:SUPERBLOCK_BYTES]


@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_every_version_is_read(version: int) -> None:
    check_superblock(superblock(version), END, "result.h5")


@pytest.mark.parametrize("version", [0, 1, 2, 3])
@pytest.mark.parametrize(
    ("fields", "size", "code"),
    [
        ({}, END + 1, "RESULT_FOREIGN_BYTES"),
        ({"base": 512}, END, "RESULT_FOREIGN_BYTES"),
        ({}, END - 1, "RESULT_NOT_HDF5"),
        ({"sizes": b"\x04\x04"}, END, "RESULT_NOT_HDF5"),
    ],
)
def test_each_lie_is_named(version: int, fields: dict, size: int, code: str) -> None:
    with pytest.raises(ContractError) as failure:
        check_superblock(superblock(version, **fields), size, "result.h5")
    assert failure.value.findings[0].code == code


@pytest.mark.parametrize("version", [0, 1])
def test_a_part_of_several_files(version: int) -> None:
    with pytest.raises(ContractError) as failure:
        check_superblock(superblock(version, driver=600), END, "result.h5")
    assert failure.value.findings[0].code == "RESULT_STORAGE"


@pytest.mark.parametrize(
    "head",
    [b"", SIGNATURE, b"PK\x03\x04" + bytes(60), superblock(0)[1:], superblock(4)],
    ids=["nothing", "the signature alone", "a zip", "from its second byte", "version 4"],
)
def test_what_is_no_superblock(head: bytes) -> None:
    with pytest.raises(ContractError) as failure:
        check_superblock(head, len(head), "result.h5")
    assert failure.value.findings[0].code == "RESULT_NOT_HDF5"
