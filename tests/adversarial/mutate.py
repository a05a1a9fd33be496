"""Ways to make one more hostile file out of those that are there, each a function of a generator.

Most spoil bytes, as a damaged disk or a patient stranger would; some know the structure: they mix
the damages of the corpus, or write JSON that is nearly right.
"""

from __future__ import annotations

import os
import random
import signal
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import h5py

from tests.adversarial.files.corpus import CASES
from tests.adversarial.files.workshop import Workshop
from tests.helpers.damage import Damage

LONGEST_DAMAGE_S = 3
"""After this time [s] a damage that goes round in circles is ended."""

LARGEST_SEED = 1 << 20
"""Files of the corpus up to this size [bytes] are seeds."""

TELLING = (0, 1, 2, 3, 6, 8, 16, 24, 0x7F, 0x80, 0xFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63)
"""Numbers at which parsers go wrong: ends of ranges, class numbers, undefined addresses."""

TOKENS = (
    *("{", "}", "[", "]", ":", ",", '"', "\\", "\\u0000", "\\ud800", "\x00", "\xff", " " * 70_000),
    *("NaN", "-Infinity", "1e999", "-0.0", "1e-400", "9" * 400, "true", "null", '"1.0"', "1e5"),
    *('"camera_length":0,', '"seed":-1', '"nonce":1', "[[[[[[[[[[[[[[[[[[", "{}", "[]"),
)
"""Pieces of JSON, right and wrong."""

TEXTS = ("/@provenance", "/@run_info", "sample_00@corrected_spec", "sample_01@corrected_spec")
DAMAGES = [case.damages for case in CASES if case.damages and not case.slow]

Mutation = Callable[[random.Random, "Stock"], bytes]


@dataclass(frozen=True)
class Stock:
    """What mutations start from.

    Attributes:
        shop: where files are made.
        honest: files that are accepted.
        all: those, and the corpus.
    """

    shop: Workshop
    honest: Sequence[bytes]
    all: Sequence[bytes]


def stock_of(shop: Workshop) -> Stock:
    """The corpus as bytes."""
    honest, others = [], []
    for case in CASES:
        if case.slow:
            continue
        path = case.make(shop)
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= LARGEST_SEED:
            kind = honest if case.samples and not case.codes else others
            kind.append(path.read_bytes())
        _clear(path)
    return Stock(shop, honest, [*honest, *others])


def bit_flips(rng: random.Random, stock: Stock) -> bytes:
    """One to sixteen bits of any file."""
    content = bytearray(rng.choice(stock.all))
    for _ in range(rng.choice((1, 1, 2, 4, 16)) if content else 0):
        content[_place(rng, content)] ^= 1 << rng.randrange(8)
    return bytes(content)


def telling_numbers(rng: random.Random, stock: Stock) -> bytes:
    """Fields of one to eight bytes, set to numbers at which parsers go wrong."""
    content = bytearray(rng.choice(stock.all))
    for _ in range(rng.choice((1, 1, 2, 3))):
        size = rng.choice((1, 2, 4, 8))
        if len(content) < 2 * size:
            continue
        at = _place(rng, content) // size * size
        value = rng.choice(TELLING) + rng.choice((0, 0, -1, 1))
        content[at : at + size] = struct.pack("<Q", value % 2**64)[:size]
    return bytes(content)


def truncation(rng: random.Random, stock: Stock) -> bytes:
    """A file that ends too early or too late, sometimes with an end that it knows of."""
    content = bytearray(rng.choice(stock.all))
    length = rng.randrange(len(content) + 1)
    content = content[:length] if rng.random() < 0.7 else content + bytes(length)
    if rng.random() < 0.5 and len(content) > 48:
        content[40:48] = struct.pack("<Q", len(content))  # superblock 0: the end of the file
    return bytes(content)


def splice(rng: random.Random, stock: Stock) -> bytes:
    """A piece of one file in another, at the same place or elsewhere."""
    content, other = bytearray(rng.choice(stock.all)), rng.choice(stock.all)
    if not content or not other:
        return bytes(content)
    start = rng.randrange(len(other))
    piece = other[start : start + rng.choice((8, 64, 512, 4096))]
    at = start if rng.random() < 0.6 else rng.randrange(len(content))
    content[at : at + len(piece)] = piece
    return bytes(content)


def moved_block(rng: random.Random, stock: Stock) -> bytes:
    """A piece of a file copied over another piece of itself: headers in each other's place."""
    content = bytearray(rng.choice(stock.honest))
    size = rng.choice((8, 16, 40, 272, 512))
    source, target = (_place(rng, content) // 8 * 8 for _ in range(2))
    piece = bytes(content[source : source + size])
    content[target : target + len(piece)] = piece
    return bytes(content)


def mixed_damage(rng: random.Random, stock: Stock) -> bytes:
    """Two or three damages of the corpus in one file.

    Made in a process of its own: writing one damage over another has crashed HDF5 itself. What it
    leaves behind then is one more damaged file.
    """
    path = stock.shop.copy()
    chosen = rng.sample(DAMAGES, rng.choice((2, 2, 3)))
    maker = os.fork()
    if maker == 0:
        try:
            _damage(path, chosen)
        finally:
            os._exit(0)
    os.waitpid(maker, 0)
    content = bytearray(path.read_bytes())
    _clear(path)
    if content and rng.random() < 0.3:
        content[_place(rng, content)] ^= 1 << rng.randrange(8)
    return bytes(content)


def loose_json(rng: random.Random, stock: Stock) -> bytes:
    """A JSON attribute that is nearly right."""
    path = stock.shop.copy()
    with h5py.File(path, "r+") as file:
        for text in rng.sample(TEXTS, rng.choice((1, 1, 2))):
            place, _, name = text.partition("@")
            with suppress(ValueError, OSError):  # h5py refuses some texts itself
                file[place].attrs[name] = _loosened(rng, file[place].attrs[name])
    content = path.read_bytes()
    _clear(path)
    return content


def other_values(rng: random.Random, stock: Stock) -> bytes:
    """Pixels of any bits, in a file that is right otherwise."""
    path = stock.shop.copy()
    with h5py.File(path, "r+") as file:
        x_hat = file[rng.choice(("sample_00", "sample_01"))]["x_hat"]
        values = x_hat[...]
        for _ in range(rng.choice((1, 10))):
            bits = rng.getrandbits(32) if rng.random() < 0.5 else rng.choice(TELLING) % 2**32
            number = struct.unpack("<f", struct.pack("<I", bits))[0]
            values[rng.randrange(values.shape[0]), rng.randrange(values.shape[1])] = number
        x_hat[...] = values
    content = path.read_bytes()
    _clear(path)
    return content


MUTATIONS: tuple[Mutation, ...] = (
    bit_flips,
    telling_numbers,
    truncation,
    splice,
    moved_block,
    mixed_damage,
    loose_json,
    other_values,
)


def _loosened(rng: random.Random, text: str) -> str:
    for _ in range(rng.choice((1, 1, 2, 5))):
        at, to = sorted(rng.randrange(len(text) + 1) for _ in range(2))
        kind = rng.randrange(4)
        if kind == 0:
            text = text[:at] + rng.choice(TOKENS) + text[at:]
        elif kind == 1:
            text = text[:at] + text[to:]
        elif kind == 2:
            text = text[:to] + text[at:to] + text[to:]
        else:
            digits = [place for place, char in enumerate(text) if char.isdigit()]
            if digits:
                place = rng.choice(digits)
                text = text[:place] + rng.choice("0123456789.eE-+") + text[place + 1 :]
    return text[: 1 << 18]


def _damage(path: Path, chosen: Sequence[Sequence[Damage]]) -> None:
    signal.alarm(LONGEST_DAMAGE_S)
    with h5py.File(path, "r+") as file:
        for damages in chosen:
            # One damage may have removed what the next one needs, or lead in a circle.
            with suppress(Exception):
                for damage in damages:
                    damage(file)


def _place(rng: random.Random, content: bytearray) -> int:
    """A byte of a file: half of the time among the first, where the headers are."""
    length = len(content)
    return rng.randrange(min(length, 2048) if rng.random() < 0.5 else length)


def _clear(path: Path) -> None:
    if path.parent.name == "output":
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)
