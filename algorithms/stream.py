"""The patterns of a scan, ready for a likelihood: kept in memory, or read again in each pass.

Scans that fit the budget are read once. Larger ones come in blocks of whole scan rows, as they are
stored, and the next block is read and inflated in a thread while the present one is worked on: both
HDF5 and zlib leave Python's lock to others meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from physics.ideal import Patterns

BLOCK_BYTES = 32 << 20
"""Largest block of prepared patterns [bytes]: two scan rows of 256 patterns of 128 x 128. Larger
ones are read no faster."""

BLOCKS_ALIVE = 6
"""Blocks in memory at the worst moment of a streamed pass: the last one and the present one, ready;
the counts of the present one, and two copies while they are made ready; the next one's counts."""


class PatternStream:
    """Prepared patterns, block by block, within a memory budget.

    Args:
        patterns: where they are read from.
        prepare: counts (B, Ky, Kx) to what is worked with, a tensor (B, Ky, Kx).
        budget_bytes: memory that the patterns may take. One pattern at a time is always taken.

    Attributes:
        kept: all of them fit the budget, and stay in memory from the first pass on.
    """

    def __init__(
        self,
        patterns: Patterns,
        prepare: Callable[[NDArray[np.float32]], Tensor],
        *,
        budget_bytes: int,
    ) -> None:
        self._patterns, self._prepare = patterns, prepare
        ny, self._row, ky, kx = patterns.shape
        self._count = ny * self._row
        empty = prepare(np.empty((0, ky, kx), dtype=np.float32))
        each = ky * kx * empty.element_size()
        self.kept = self._count * each <= budget_bytes
        self._block = max(1, min(BLOCK_BYTES, budget_bytes // BLOCKS_ALIVE) // each)
        self._all: Tensor | None = None

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Slices of the flattened scan that cover it once, in order, each with its patterns.

        Whoever stops half-way should `close()` the iterator, or drop it: the thread ends then.

        Raises:
            ContractError: the file is damaged; whatever else the reader raises comes out as well.
        """
        if self.kept:
            if self._all is None:
                self._all = self._gathered()
            yield slice(0, self._count), self._all
        else:
            yield from self._streamed()

    def _gathered(self) -> Tensor:
        """All patterns (Ny*Nx, Ky, Kx), put in place block by block: never in memory twice."""
        blocks = self._streamed()
        index, block = next(blocks)
        gathered = block.new_empty((self._count, *block.shape[1:]))
        gathered[index] = block
        for index, block in blocks:
            gathered[index] = block
        return gathered

    def _streamed(self) -> Iterator[tuple[slice, Tensor]]:
        slices = self._slices()
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="patterns") as reader:
            coming = reader.submit(self._read, slices[0])
            for place, index in enumerate(slices):
                counts = coming.result()
                if place + 1 < len(slices):
                    coming = reader.submit(self._read, slices[place + 1])
                prepared = self._prepare(counts)
                del counts  # so that it is not held while the block is worked on
                yield index, prepared

    def _slices(self) -> list[slice]:
        """Blocks of as many whole rows as fit, or of equal parts of a row that does not."""
        if self._block >= self._row:
            size = self._block // self._row * self._row
            return [slice(s, min(s + size, self._count)) for s in range(0, self._count, size)]
        parts = -(-self._row // self._block)
        size = -(-self._row // parts)
        return [
            slice(row + s, row + min(s + size, self._row))
            for row in range(0, self._count, self._row)
            for s in range(0, self._row, size)
        ]

    def _read(self, index: slice) -> NDArray[np.float32]:
        return self._patterns.read(index.start, index.stop)
