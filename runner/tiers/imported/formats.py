"""Datacubes of other formats, by RosettaSciIO, read lazily: Merlin .mib, .blo, .dm3, .dm4, EMPAD.

Its readers map the file or give Dask arrays, of which one scan row is computed at a time; so memory
does not grow with the scan. HDF5 (also .hspy and py4DSTEM's) is read without it.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from runner.files.hdf5 import open_input
from runner.tiers.imported.datacube import AXES, Datacube, Layout, find_datacube
from schemas.findings import ContractError, refuse

MICROGRAPH = "digitalmicrograph"

READERS: Mapping[str, str] = MappingProxyType(
    {
        ".mib": "quantumdetector",
        ".blo": "blockfile",
        ".dm3": MICROGRAPH,
        ".dm4": MICROGRAPH,
        ".xml": "empad",
    }
)
"""Suffix -> RosettaSciIO's module. EMPAD's .raw is named by the .xml beside it."""

SWAPPED_TAG = ("ImageList", "TagGroup0", "ImageTags", "Meta Data", "Data Order Swapped")
"""Where DigitalMicrograph tells that a scan is stored pattern by pattern, the detector's axes
fastest. Files without it are older, or from K2 IS: stored pixel by pixel, the scan's axes fastest.
RosettaSciIO does not look at it."""

UNREADABLE = (Exception,)
"""What a reader raises at a file that it does not understand: anything, down to a MemoryError for
the size that it takes nonsense for."""

STACK_AXES = 3
"""Axes of a scan whose shape the file does not tell: (positions, rows, columns)."""


@dataclass(frozen=True)
class LazyArray:
    """A lazily read array: each part is computed when it is asked for."""

    values: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes, slowest axis first."""
        return tuple(int(size) for size in self.values.shape)

    def __getitem__(self, index: tuple[slice, ...], /) -> Any:
        """A part, as a numpy array."""
        part = self.values[index]
        return np.asarray(part.compute() if hasattr(part, "compute") else part)


@contextmanager
def open_datacube(
    source: Path, layout: Layout, scan_shape: tuple[int, int] | None
) -> Iterator[Datacube]:
    """The datacube of a file of any format, open while the block lasts.

    Args:
        source: the file; its suffix tells the format, and what is not in `READERS` is HDF5.
        layout: axes and flips; `dataset` is HDF5's alone.
        scan_shape: (Ny, Nx) of a stack of patterns whose scan the file does not tell.

    Raises:
        ContractError: INPUT_NOT_FOUND, INPUT_MALFORMED, USAGE, or as `find_datacube`.
        ModuleNotFoundError: the extra `formats` is not installed.
    """
    module = READERS.get(source.suffix.lower())
    if module is None:
        if source.suffix.lower() == ".raw":
            raise _raw(source)
        with open_input(source, not_found="INPUT_NOT_FOUND", not_hdf5="INPUT_NOT_HDF5") as file:
            yield find_datacube(file, layout)
        return
    if not source.is_file():
        raise refuse(
            "INPUT_NOT_FOUND",
            str(source),
            expected="a datacube",
            found="a folder" if source.is_dir() else "nothing",
            hint="check the path",
        )
    cubes = [LazyArray(values) for values in _read(source, module, scan_shape)]
    yield _the_one(source, [_unfolded(cube, source, scan_shape) for cube in cubes], layout)


def _read(source: Path, module: str, scan_shape: tuple[int, int] | None) -> list[Any]:
    """The arrays of a file, not yet in memory."""
    reader = importlib.import_module(f"rsciio.{module}")
    options: dict[str, Any] = {"lazy": True}
    if module == "quantumdetector" and scan_shape is not None:
        options["navigation_shape"] = scan_shape[::-1]  # (x, y), as HyperSpy counts
    try:
        entries = reader.file_reader(str(source), **options)
    except UNREADABLE as error:
        raise refuse(
            "INPUT_MALFORMED",
            str(source),
            expected=f"a complete {source.suffix} file that RosettaSciIO's {module} reads",
            found=f"{type(error).__name__}: {error}",
            hint="copy it again, with the files that belong to it (.hdr of .mib, .raw of .xml); or"
            " save the cube as HDF5 from the program that made it",
        ) from error
    if module == MICROGRAPH:
        return [_pattern_by_pattern(entry) for entry in entries]
    return [entry["data"] for entry in entries]


def _pattern_by_pattern(entry: Mapping[str, Any]) -> Any:
    """The array of a DigitalMicrograph image; of a scan, the detector's axes last."""
    values, tag = entry["data"], entry["original_metadata"]
    for name in SWAPPED_TAG:
        tag = tag.get(name, {})
    return values if values.ndim != len(AXES) or tag else values.transpose(2, 3, 0, 1)


def _unfolded(cube: LazyArray, source: Path, scan_shape: tuple[int, int] | None) -> LazyArray:
    """A stack of patterns as a scan, where its shape was given."""
    if len(cube.shape) != STACK_AXES or scan_shape is None:
        return cube
    count, rows, columns = cube.shape
    if count != scan_shape[0] * scan_shape[1]:
        raise refuse(
            "USAGE",
            "--scan-shape",
            expected=f"a shape of {count} positions, as {source.name} has",
            found=f"{scan_shape[0]} x {scan_shape[1]}",
            hint="crop what is too much with --scan-crop after giving the shape of all",
        )
    return LazyArray(cube.values.reshape(*scan_shape, rows, columns))


def _the_one(source: Path, cubes: list[LazyArray], layout: Layout) -> Datacube:
    four = [cube for cube in cubes if len(cube.shape) == len(AXES)]
    if len(four) != 1:
        raise refuse(
            "INPUT_MISSING_ITEM" if not four else "USAGE",
            str(source),
            expected="one array of four axes",
            found="arrays of shape " + (", ".join(str(cube.shape) for cube in cubes) or "none"),
            hint="a stack of patterns needs --scan-shape NY NX; of several, save one by itself",
        )
    return Datacube(four[0], layout, str(source))


def _raw(source: Path) -> ContractError:
    beside = source.with_suffix(".xml")
    return refuse(
        "USAGE",
        str(source),
        expected="the .xml of an EMPAD scan, which names the .raw beside it",
        found=f".raw; {beside.name} is {'there' if beside.is_file() else 'not there'}",
        hint=f"give {beside.name}: the scan's shape stands in it and not in the .raw",
    )
