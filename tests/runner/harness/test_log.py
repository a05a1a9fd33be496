"""A log while it is written: bounded, counted, cleaned."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.harness.engine import LogPiece, engine_failed
from runner.harness.log import FLOOD_FACTOR, Log, clean_log


def read(pieces: list[LogPiece], most_bytes: int) -> Log:
    with Log(iter(pieces), most_bytes) as log:
        pass
    return log


def lines(text: bytes) -> list[LogPiece]:
    return [LogPiece("stdout", text)]


@given(st.lists(st.binary(max_size=40), max_size=30), st.integers(2, 60))
def test_beginning_and_end_are_kept_whatever_the_pieces(parts: list[bytes], most: int) -> None:
    log = read([LogPiece("stdout", part) for part in parts], most)
    whole = b"".join(parts)
    assert log.total_bytes == len(whole)
    half = most // 2
    if len(whole) <= 2 * half:
        assert log.text() in (clean_log(whole), clean_log(whole[:half]) + clean_log(whole[half:]))
    else:
        left_out = len(whole) - 2 * half
        between = f"\n[... {left_out} bytes of log are left out ...]\n"
        assert log.text() == clean_log(whole[:half]) + between + clean_log(whole[-half:])


def test_only_stderr_is_handed_on() -> None:
    log = read([LogPiece("stdout", b"{}"), LogPiece("stderr", b"10 %\n")], 1000)
    assert log.fresh() == "10 %\n"
    assert log.fresh() == ""
    assert log.text() == "{}10 %\n"


def test_memory_does_not_grow_with_the_log() -> None:
    block = b"x" * 65536
    with Log((LogPiece("stderr", block) for _ in range(2000)), 1 << 16) as log:
        pass
    assert log.total_bytes == 2000 * 65536
    assert log.flooded
    assert max(len(part) for part in (log._head, log._tail, log._fresh)) <= 2 * (1 << 16)


@pytest.mark.parametrize(("size", "flooded"), [(100 * FLOOD_FACTOR, False), (1601, True)])
def test_a_flood_is_told_from_a_long_log(size: int, flooded: bool) -> None:
    assert read(lines(b"x" * size), 100).flooded is flooded


def test_a_log_that_breaks_off_says_so() -> None:
    def broken() -> Iterator[LogPiece]:
        yield LogPiece("stderr", b"so far\n")
        raise engine_failed("reading", OSError("gone"))

    with Log(broken(), 10_000) as log:
        pass
    assert log.text().startswith("so far\n")
    assert "breaks off" in log.text()


def test_commands_of_a_terminal_go_as_a_whole() -> None:
    raw = b"\x1b[2Jcleared\x07 \x1b[31mred\x1b[0m\ttab\r\nnext\x00 " + "\x9b31m\u00e9".encode()
    assert clean_log(raw) == "cleared red\ttab\nnext 31m\u00e9"


@given(st.binary(max_size=200))
def test_nothing_commands_a_terminal(raw: bytes) -> None:
    told = clean_log(raw)
    controls = {chr(code) for code in (*range(32), *range(0x7F, 0xA0))} - {"\t", "\n"}
    assert not controls & set(told)


def test_text_is_shown_in_its_own_order() -> None:
    assert clean_log("score \u202e99.0\u202c\u2066".encode()) == "score 99.0"
