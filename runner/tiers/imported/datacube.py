"""A 4-D datacube in any HDF5 file, read block by block: axis order, flips, crops, binning.

Everything after `Layout` speaks of the ordered cube: axes (scan_y, scan_x, det_y, det_x), slow axis
first, already flipped. Crops are ranges [start, stop) of raw pixels of that cube.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from schemas.findings import refuse

AXES = ("scan_y", "scan_x", "det_y", "det_x")
"""Names of the axes, in the order that a challenge file has them."""

Range = tuple[int, int]
"""A crop [start, stop)."""


@dataclass(frozen=True)
class Layout:
    """How the file's array is to be read.

    Attributes:
        dataset: path of the dataset within the file; None takes the only one of four dimensions.
        axes: what each of its axes is, in the file's order; exchanging det_y and det_x transposes
            the detector.
        flips: axes that run the other way round.
    """

    dataset: str | None = None
    axes: tuple[str, ...] = AXES
    flips: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse names that are no axes.

        Raises:
            ContractError: USAGE.
        """
        if sorted(self.axes) != sorted(AXES):
            raise refuse(
                "USAGE",
                "--axes",
                expected=f"each of {', '.join(AXES)} once, in the file's order",
                found=", ".join(self.axes),
                hint="write the slowest axis of the array first, as h5py and h5dump show its shape",
            )
        unknown = [name for name in self.flips if name not in AXES]
        if unknown:
            raise refuse(
                "USAGE",
                "--flip",
                expected=f"one of {', '.join(AXES)}",
                found=", ".join(unknown),
                hint="repeat the option to flip more than one axis",
            )


@dataclass(frozen=True)
class DetectorWindow:
    """The square part of the detector that is kept, and how it is binned.

    Attributes:
        top: first raw row.
        left: first raw column.
        size: side after binning [binned pixels].
        bin: raw pixels summed along each axis.
    """

    top: int
    left: int
    size: int
    bin: int = 1

    @property
    def rows(self) -> Range:
        """Raw rows [start, stop)."""
        return self.top, self.top + self.size * self.bin

    @property
    def columns(self) -> Range:
        """Raw columns [start, stop)."""
        return self.left, self.left + self.size * self.bin


class Stored(Protocol):
    """An array in a file, of which parts are read: a dataset of HDF5, or of another format."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes, slowest axis first."""

    def __getitem__(self, index: tuple[slice, ...], /) -> Any:
        """A part of it, read now."""


@dataclass(frozen=True)
class Datacube:
    """The whole cube of an open file, in the order of `AXES`.

    Attributes:
        dataset: where it lies.
        layout: how it is to be read.
        label: FILE:PATH, for people; of HDF5 it is the dataset's own.
    """

    dataset: Stored
    layout: Layout
    label: str = ""

    @property
    def name(self) -> str:
        """FILE:PATH of the dataset, for people."""
        if isinstance(self.dataset, h5py.Dataset):
            return f"{self.dataset.file.filename}:{self.dataset.name}"
        return self.label

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(Ny, Nx, raw detector rows, raw detector columns)."""
        sizes = dict(zip(self.layout.axes, self.dataset.shape, strict=True))
        ny, nx, ky, kx = (int(sizes[name]) for name in AXES)
        return ny, nx, ky, kx

    def block(self, ranges: Mapping[str, Range]) -> NDArray[np.float32]:
        """The part of the cube within `ranges` (one for each axis), as float32 counts.

        Raises:
            ContractError: a count is NaN or infinite.
        """
        axes, flips = self.layout.axes, self.layout.flips
        index = tuple(
            slice(size - ranges[name][1], size - ranges[name][0])
            if name in flips
            else slice(*ranges[name])
            for name, size in zip(axes, self.dataset.shape, strict=True)
        )
        raw: NDArray[np.generic] = np.asarray(self.dataset[index])
        values = np.flip(raw, tuple(i for i, name in enumerate(axes) if name in flips))
        ordered: NDArray[np.float32] = values.transpose([axes.index(name) for name in AXES]).astype(
            np.float32
        )
        if not np.isfinite(ordered).all():
            raise refuse(
                "INPUT_MALFORMED",
                self.name,
                expected="finite counts",
                found=f"NaN or infinity in scan rows {ranges['scan_y']}",
                hint="crop the bad part away with --scan-crop or --detector-crop",
            )
        return ordered


@dataclass(frozen=True)
class CubePatterns:
    """The patterns that are imported: a `physics.ideal.Patterns` that reads scan rows on demand.

    Attributes:
        cube: where they are read from.
        scan_rows: scan rows [start, stop).
        scan_columns: scan columns [start, stop).
        window: detector crop and binning; counts of a bin are summed.
    """

    cube: Datacube
    scan_rows: Range
    scan_columns: Range
    window: DetectorWindow

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(Ny, Nx, n, n)."""
        (y0, y1), (x0, x1), n = self.scan_rows, self.scan_columns, self.window.size
        return y1 - y0, x1 - x0, n, n

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Scan rows `start` to `stop - 1`, (rows, Nx, n, n) counts."""
        window, n, b = self.window, self.window.size, self.window.bin
        raw = self.cube.block(
            {
                "scan_y": (self.scan_rows[0] + start, self.scan_rows[0] + stop),
                "scan_x": self.scan_columns,
                "det_y": window.rows,
                "det_x": window.columns,
            }
        )
        binned: NDArray[np.float32] = raw.reshape(*raw.shape[:2], n, b, n, b).sum(axis=(3, 5))
        return binned

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Patterns `start` to `stop - 1` of the scan, flattened row by row; (B, n, n) counts."""
        _, nx, n, _ = self.shape
        first, last = start // nx, -(-stop // nx)
        block = self.rows(first, last).reshape(-1, n, n)
        return block[start - first * nx : stop - first * nx]


def find_datacube(file: h5py.File, layout: Layout) -> Datacube:
    """The datacube of an open file.

    Raises:
        ContractError: no such dataset, not four axes, not real numbers, or a choice to be made.
    """
    cubes = _datasets(file)
    listed = ", ".join(f"{name} {item.shape}" for name, item in cubes.items()) or "none"
    name = layout.dataset
    if name is None:
        four = [key for key, item in cubes.items() if item.ndim == len(AXES)]
        if len(four) != 1:
            raise refuse(
                "INPUT_MISSING_ITEM" if not four else "USAGE",
                file.filename,
                expected="one dataset of four dimensions, or --dataset",
                found=f"datasets: {listed}",
                hint="name the datacube: --dataset PATH/IN/FILE",
            )
        name = four[0]
    dataset = file.get(name)
    if not isinstance(dataset, h5py.Dataset):
        raise refuse(
            "INPUT_MISSING_ITEM",
            f"{file.filename}:{name}",
            expected="the dataset that holds the datacube",
            found=f"{'nothing' if dataset is None else 'a group'}; datasets: {listed}",
            hint="give its path within the file: --dataset PATH/IN/FILE",
        )
    if dataset.ndim != len(AXES) or dataset.dtype.kind not in "fiu" or not dataset.size:
        raise refuse(
            "INPUT_MALFORMED",
            f"{file.filename}:{name}",
            expected=f"real numbers with four axes, {', '.join(AXES)} in any order",
            found=f"{dataset.dtype} of shape {dataset.shape}",
            hint="a scan flattened to (positions, rows, columns) must be reshaped first, and"
            f" complex or compound data are no counts; datasets: {listed}",
        )
    return Datacube(dataset, layout)


def cropped(
    option: str, crop: tuple[Range, Range] | None, size: tuple[int, int]
) -> tuple[Range, Range]:
    """A crop that fits an extent of `size`; all of it without one.

    Raises:
        ContractError: USAGE, outside or empty.
    """
    if crop is None:
        return (0, size[0]), (0, size[1])
    if not all(0 <= a < b <= n for (a, b), n in zip(crop, size, strict=True)):
        raise refuse(
            "USAGE",
            option,
            expected=f"START:STOP,START:STOP within 0:{size[0]},0:{size[1]} (rows, columns)",
            found=",".join(f"{a}:{b}" for a, b in crop),
            hint="ranges are raw pixels after --axes and --flip; STOP is not included",
        )
    return crop


def _datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
    """Every dataset of a file, by path."""
    found: dict[str, h5py.Dataset] = {}

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item

    file.visititems(visit)
    return found
