"""A small writer of DigitalMicrograph's tag files, DM3 and DM4, from the public descriptions.

C. Boothroyd, "Digital Micrograph file format"; G. Jefferis, "DM3 image format". Lengths and counts
are big-endian, 4 bytes in DM3 and 8 in DM4; values are little-endian, as the header says.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

LITTLE_ENDIAN = 1
SORTED_CLOSED = b"\x01\x00"
DATA_TAG, GROUP_TAG = 21, 20
ARRAY, UINT16, UINT32, FLOAT, BOOLEAN = 20, 4, 5, 6, 8
END = bytes(8)
HEADER_BYTES = {3: 12, 4: 16}
NOT_COUNTED_BYTES = {3: 16, 4: 24}
"""Of the file, in the length that its header states."""

UINT16_IMAGE = 10
"""DigitalMicrograph's data type of an image of unsigned 2-byte integers."""

Tags = Mapping[str, Any] | Sequence[Any]
"""Tags by name, or without names."""


@dataclass(frozen=True)
class Calibration:
    """Of one axis: value = (index - origin) * scale [units]."""

    scale: float
    units: str
    origin: float = 0.0


def write_dm(
    path: Path,
    values: np.ndarray,
    calibrations: Sequence[Calibration],
    *,
    version: int,
    tags: Mapping[str, Any] | None = None,
) -> Path:
    """Write an image of any number of axes, behind a thumbnail as DigitalMicrograph puts one.

    Args:
        path: the file.
        values: uint16, slowest axis first, as numpy has it; the file lists the fastest first.
        calibrations: of its axes, in the same order.
        version: 3 or 4.
        tags: tags of the image beside its data.
    """
    thumbnail = _image(np.zeros((2, 2), np.uint16), [Calibration(1.0, "")] * 2, {})
    image = _image(values, calibrations, tags or {})
    content = {"ImageList": [thumbnail, image], "Thumbnails": [{"ImageIndex": 0}]}
    writer = _Writer(version)
    root = writer.group(content) + END
    length = HEADER_BYTES[version] + len(root) - NOT_COUNTED_BYTES[version]
    head = struct.pack(">i", version) + writer.number(length) + struct.pack(">i", LITTLE_ENDIAN)
    path.write_bytes(head + root)
    return path


def _image(
    values: np.ndarray, calibrations: Sequence[Calibration], tags: Mapping[str, Any]
) -> Mapping[str, Any]:
    axes = [
        {"Origin": one.origin, "Scale": one.scale, "Units": one.units}
        for one in reversed(calibrations)
    ]
    brightness = {"Origin": 0.0, "Scale": 1.0, "Units": ""}
    return {
        "ImageData": {
            "Calibrations": {"Brightness": brightness, "Dimension": axes},
            "Data": values,
            "DataType": UINT16_IMAGE,
            "Dimensions": list(reversed(values.shape)),
            "PixelDepth": values.itemsize,
        },
        "ImageTags": tags,
        "Name": "scan",
    }


@dataclass(frozen=True)
class _Writer:
    version: int

    def number(self, value: int) -> bytes:
        return struct.pack(">i" if self.version == 3 else ">q", value)

    def group(self, tags: Tags) -> bytes:
        named = list(tags.items()) if isinstance(tags, Mapping) else [("", tag) for tag in tags]
        return (
            SORTED_CLOSED
            + self.number(len(named))
            + b"".join(self.entry(name, value) for name, value in named)
        )

    def entry(self, name: str, value: Any) -> bytes:
        is_group = isinstance(value, Mapping | list)
        kind = GROUP_TAG if is_group else DATA_TAG
        content = self.group(value) if is_group else self.data(value)
        length = b"" if self.version == 3 else self.number(len(content))
        return struct.pack(">bh", kind, len(name)) + name.encode() + length + content

    def data(self, value: Any) -> bytes:
        described, content = _encoded(value)
        numbers = b"".join(self.number(one) for one in (len(described), *described))
        return b"%%%%" + numbers + content


def _encoded(value: Any) -> tuple[tuple[int, ...], bytes]:
    """(description, bytes) of a value."""
    if isinstance(value, np.ndarray):
        return (ARRAY, UINT16, value.size), value.astype("<u2").tobytes()
    if isinstance(value, str):
        return (ARRAY, UINT16, len(value)), value.encode("utf-16-le")
    if isinstance(value, bool):
        return (BOOLEAN,), struct.pack("<?", value)
    if isinstance(value, float):
        return (FLOAT,), struct.pack("<f", value)
    return (UINT32,), struct.pack("<I", value)
