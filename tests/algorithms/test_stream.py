"""Patterns come once, in order, within the budget, and no thread is left behind."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from algorithms.base import Sample
from algorithms.objective import Objective
from algorithms.stream import BLOCK_BYTES, BLOCKS_ALIVE, PatternStream
from schemas.spec import MismatchSpec
from tests.runner.small import make_sample

PATTERN_BYTES = 4 * 4 * 4
"""A float32 pattern of 4 x 4 pixels."""


@dataclass
class Scan:
    """Patterns whose every value is their place in the scan; keeps account of what is read."""

    shape: tuple[int, int, int, int]
    reads: list[tuple[int, int]] = field(default_factory=list)
    before: Callable[[int, int], None] = lambda start, stop: None

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        self.before(start, stop)
        self.reads.append((start, stop))
        place = np.arange(start, stop, dtype=np.float32)
        return np.broadcast_to(place[:, None, None], (stop - start, *self.shape[2:])).copy()


def twice(counts: NDArray[np.float32]) -> Tensor:
    return 2 * torch.as_tensor(counts)


def stream(scan: Scan, budget_bytes: int) -> PatternStream:
    return PatternStream(scan, twice, budget_bytes=budget_bytes)


def blocks_of(patterns: int) -> int:
    """The budget that allows blocks of so many patterns."""
    return patterns * BLOCKS_ALIVE * PATTERN_BYTES


SHAPES = {
    "square": (9, 7, 4, 4),
    "one row": (1, 50, 4, 4),
    "one column": (50, 1, 4, 4),
    "one pattern": (1, 1, 4, 4),
}
BUDGETS = {
    "none": 0,
    "a pattern": blocks_of(1),
    "part of a row": blocks_of(5),
    "two rows": blocks_of(15),
    "all": 1 << 30,
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("budget", BUDGETS.values(), ids=BUDGETS)
def test_every_pattern_comes_once_in_order(shape: tuple[int, int, int, int], budget: int) -> None:
    count = shape[0] * shape[1]
    patterns = stream(Scan(shape), budget)
    for _ in range(2):
        end = 0
        for index, prepared in patterns.blocks():
            assert index.start == end
            end = index.stop
            assert prepared.shape == (index.stop - index.start, 4, 4)
            assert prepared[:, 1, 2].tolist() == [2 * place for place in range(index.start, end)]
        assert end == count


def test_what_fits_is_read_once() -> None:
    scan = Scan((9, 7, 4, 4))
    patterns = stream(scan, 63 * PATTERN_BYTES)
    assert patterns.kept
    passes = [list(patterns.blocks()) for _ in range(3)]
    assert sum(stop - start for start, stop in scan.reads) == 63
    assert all(len(blocks) == 1 for blocks in passes)


def test_one_byte_less_and_it_is_streamed() -> None:
    scan = Scan((9, 7, 4, 4))
    patterns = stream(scan, 63 * PATTERN_BYTES - 1)
    assert not patterns.kept
    for _ in range(3):
        list(patterns.blocks())
    assert sum(stop - start for start, stop in scan.reads) == 3 * 63


def test_the_budget_is_for_what_is_kept_not_for_what_is_read() -> None:
    """In double precision the same patterns take twice the room."""
    scan = Scan((9, 7, 4, 4))
    double = PatternStream(
        scan, lambda counts: torch.as_tensor(counts).double(), budget_bytes=63 * PATTERN_BYTES
    )
    assert not double.kept


@pytest.mark.parametrize(("patterns", "size"), [(7, 7), (20, 14), (6, 4), (3, 3), (2, 2)])
def test_blocks_are_whole_rows_or_parts_of_one(patterns: int, size: int) -> None:
    """A chunk of the file is at most a row: none is inflated for two blocks that need not be."""
    scan = Scan((9, 7, 4, 4))
    list(stream(scan, blocks_of(patterns)).blocks())
    assert max(stop - start for start, stop in scan.reads) == size <= patterns
    for start, stop in scan.reads:
        assert start % 7 == stop % 7 == 0 or start // 7 == (stop - 1) // 7


def test_blocks_do_not_grow_with_the_budget() -> None:
    scan = Scan((64, 256, 4, 4))
    patterns = PatternStream(scan, twice, budget_bytes=scan.shape[0] * 256 * PATTERN_BYTES - 1)
    sizes = [len(block) * PATTERN_BYTES for _, block in patterns.blocks()]
    assert max(sizes) <= min(BLOCK_BYTES, 64 * 256 * PATTERN_BYTES / BLOCKS_ALIVE)


def test_the_next_block_is_read_while_the_present_one_is_worked_on() -> None:
    begun = threading.Event()

    def before(start: int, stop: int) -> None:
        if start > 0:
            begun.set()

    blocks = stream(Scan((4, 7, 4, 4), before=before), blocks_of(7)).blocks()
    next(blocks)
    assert begun.wait(timeout=10)


def test_an_error_of_the_reader_reaches_whoever_asks_for_the_block() -> None:
    def before(start: int, stop: int) -> None:
        if start >= 14:
            raise OSError("disk gone")

    blocks = stream(Scan((9, 7, 4, 4), before=before), blocks_of(7)).blocks()
    assert [next(blocks)[0].start for _ in range(2)] == [0, 7]
    with pytest.raises(OSError, match="disk gone"):
        next(blocks)


def test_no_thread_outlives_its_pass() -> None:
    """Neither a finished pass, nor one that was left half-way, nor one that failed."""
    before = threading.active_count()
    patterns = stream(Scan((9, 7, 4, 4)), blocks_of(7))
    list(patterns.blocks())
    assert threading.active_count() == before
    for _ in patterns.blocks():
        break
    assert threading.active_count() == before

    def stumble() -> None:
        for _ in patterns.blocks():
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stumble()
    assert threading.active_count() == before


def test_an_error_half_way_leaves_nothing_half_kept() -> None:
    """A scan that could not be gathered is gathered anew, whole, when it is asked for again."""
    fails = [True]

    def before(start: int, stop: int) -> None:
        if fails.pop() if fails else False:
            raise OSError("try again")

    patterns = stream(Scan((9, 7, 4, 4), before=before), 1 << 30)
    with pytest.raises(OSError, match="try again"):
        list(patterns.blocks())
    ((index, prepared),) = patterns.blocks()
    assert (index, len(prepared)) == (slice(0, 63), 63)


def test_memory_is_bounded_whatever_the_scan() -> None:
    """256 MiB of patterns through a budget of 12, in a process whose peak is its own."""
    script = textwrap.dedent("""
        import resource
        import numpy as np
        import torch
        from algorithms.stream import PatternStream

        class Scan:
            shape = (1024, 256, 16, 16)
            def read(self, start, stop):
                return np.ones((stop - start, 16, 16), dtype=np.float32)

        stream = PatternStream(Scan(), lambda counts: torch.tensor(counts), budget_bytes=12 << 20)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        total = sum(float(block.sum()) for _, block in stream.blocks())
        assert total == 1024 * 256 * 16 * 16
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    unit = 1 if sys.platform == "darwin" else 1024
    # The rest is what torch and the allocator take for a first pass.
    assert int(done.stdout) * unit < 64 << 20


def test_patterns_leave_the_memory_with_their_owner() -> None:
    """A calibrator's are gone before the reconstructor keeps its own: at once, without a cycle."""
    found = make_sample(0, MismatchSpec())
    objective = Objective(Sample(found.name, found.y, found.operator, found.ranges))
    phi = torch.zeros(found.operator.attrs.object_shape)
    gc.disable()
    try:
        objective.gradient(phi, MismatchSpec())
        patterns = weakref.ref(objective._patterns)
        assert patterns().kept
        del objective
        assert patterns() is None
    finally:
        gc.enable()
