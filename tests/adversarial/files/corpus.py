"""The corpus: every way in which a result file is known to lie, and honest files beside them.

No file is stored; each case makes its own. A new attack is one more line in `CASES`.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5p, h5s, h5t, h5z

from runner.files.hdf5 import sha256_of
from schemas.base import MAX_JSON_BYTES, MAX_JSON_DEPTH, json_text
from schemas.result import MAX_MAGNITUDE, MAX_RESULT_BYTES
from tests.adversarial.files.workshop import SECRET, Workshop
from tests.helpers.damage import Damage, drop, garble_chunk, poke, put, put_bytes

BOTH = ("sample_00", "sample_01")
OTHER = ("sample_01",)
X = "sample_00/x_hat"
SPEC = "sample_00@corrected_spec"
IMAGE = np.zeros_like(SECRET)
SHAPE = IMAGE.shape
GOOD = {"camera_length": 1.0, "center_offset": 0.5, "elliptical_distortion": 0.0}
NONCE = "2f7c9d5be1"


@dataclass(frozen=True)
class Case:
    """One file.

    Attributes:
        name: what it does.
        make: makes it; returns the path to be judged.
        codes: exactly the codes that it gets.
        samples: the samples that are accepted all the same; none: the file is refused whole.
        nonce: the token that its run was given.
        slow: takes seconds to make.
        damages: how the honest file is damaged, where that is all; the fuzzer mixes them.
    """

    name: str
    make: Callable[[Workshop], Path]
    codes: tuple[str, ...] = ()
    samples: tuple[str, ...] = ()
    nonce: str | None = None
    slow: bool = False
    damages: tuple[Damage, ...] = ()


def damage(
    name: str, code: str, *damages: Damage, samples: tuple[str, ...] = (), **more: Any
) -> Case:
    """A case made by damage to the honest file."""
    return Case(
        name, lambda shop: shop.damaged(*damages), (code,), samples, damages=damages, **more
    )


def spoiled(name: str, code: str, *damages: Damage) -> Case:
    """A case that costs the first sample alone."""
    return damage(name, code, *damages, samples=OTHER)


def honest(name: str, *damages: Damage, **more: Any) -> Case:
    """A case that must be accepted whole."""
    return Case(name, lambda shop: shop.damaged(*damages), (), BOTH, damages=damages, **more)


# --- ways to make them ----------------------------------------------------------------------------


def dataset(
    parent: str = "sample_00",
    name: bytes = b"x_hat",
    *,
    kind: Any = h5t.IEEE_F32LE,
    shape: tuple[int, ...] = SHAPE,
    maxshape: tuple[int, ...] | None = None,
    creation: Callable[[Any], object] = lambda _: None,
    values: np.ndarray | None = None,
) -> Damage:
    """A dataset made with HDF5's own functions, in place of what was there."""

    def make(file: h5py.File) -> None:
        group = file[parent].id
        if group.links.exists(name):
            group.unlink(name)
        plan = h5p.create(h5p.DATASET_CREATE)
        creation(plan)
        made = h5d.create(group, name, kind, h5s.create_simple(shape, maxshape), dcpl=plan)
        if values is not None:
            made.write(h5s.ALL, h5s.ALL, values)

    return make


def chunks(shape: tuple[int, ...], *filters: Callable[[Any], object]) -> Callable[[Any], object]:
    def plan(creation: Any) -> None:
        creation.set_chunk(shape)
        for add in filters:
            add(creation)

    return plan


def deflate(creation: Any) -> None:
    creation.set_deflate(9)


def shuffle(creation: Any) -> None:
    creation.set_shuffle()


def filter_number(number: int) -> Callable[[Any], object]:
    return lambda creation: creation.set_filter(number, h5z.FLAG_OPTIONAL, ())


def external(secret: str) -> Damage:
    """x_hat is the bytes of another file."""

    def make(file: h5py.File) -> None:
        path = Path(file.filename).parents[1] / secret
        dataset(creation=lambda plan: plan.set_external(bytes(path), 0, IMAGE.nbytes))(file)

    return make


def virtual(source: str, item: str) -> Damage:
    """x_hat is a window on another dataset."""

    def make(file: h5py.File) -> None:
        layout = h5py.VirtualLayout(SHAPE, "<f4")
        there = source if source == "." else str(Path(file.filename).parents[1] / source)
        layout[...] = h5py.VirtualSource(there, item, SHAPE)
        drop(X)(file)
        file["sample_00"].create_virtual_dataset("x_hat", layout)

    return make


def external_link(item: str, target: str) -> Damage:
    def make(file: h5py.File) -> None:
        secret = Path(file.filename).parents[1] / "secret.h5"
        put(item, h5py.ExternalLink(str(secret), target))(file)

    return make


def alias(item: str, target: str) -> Damage:
    """A second name for what is there."""

    def make(file: h5py.File) -> None:
        if item in file:
            del file[item]
        file[item] = file[target]

    return make


def nameless_attribute(file: h5py.File) -> None:
    """Its name is no text in any encoding."""
    h5a.create(file.id, b"\xff\xfe", h5t.C_S1, h5s.create(h5s.SCALAR))


def unknown_encoding(shop: Workshop) -> Path:
    """The type of the first attribute's text names an encoding that there is not."""
    utf8 = b"\x19\x01\x01\x00"  # version 1 of a type of variable length; text; UTF-8
    at = shop.honest.read_bytes().index(utf8)
    return shop.garbled(at=at + 2, put=b"\x09")


def groups(count: int) -> Damage:
    def make(file: h5py.File) -> None:
        for number in range(count):
            h5g.create(file.id, b"g%d" % number)

    return make


def attributes(count: int) -> Damage:
    def make(file: h5py.File) -> None:
        space = h5s.create(h5s.SCALAR)
        for number in range(count):
            h5a.create(file["sample_00"].id, b"a%d" % number, h5t.STD_I32LE, space)

    return make


def nested(count: int) -> Damage:
    def make(file: h5py.File) -> None:
        group = file["sample_00"].id
        for _ in range(count):
            group = h5g.create(group, b"g")

    return make


def fixed_text(item: str, value: bytes) -> Damage:
    """Text of fixed length, as Fortran and MATLAB write it."""
    return put(item, np.bytes_(value))


def odd_float() -> Any:
    """32 bits, of which 20 are the exponent: no number of any machine's."""
    kind = h5t.IEEE_F32LE.copy()
    kind.set_fields(31, 11, 20, 0, 11)
    return kind


def short_float() -> Any:
    """24 bits of precision in 32."""
    kind = h5t.IEEE_F32LE.copy()
    kind.set_fields(23, 16, 7, 0, 16)
    kind.set_precision(24)
    return kind


def committed(file: h5py.File) -> None:
    """x_hat has a type that is an item of its own."""
    file["float"] = np.dtype("<f4")
    dataset(kind=file["float"].id, values=IMAGE)(file)


def committed_in_attribute(file: h5py.File) -> None:
    file["text"] = h5py.string_dtype()
    file["sample_00"].attrs.create("diagnostics", "{}", dtype=file["text"])
    del file["text"]


def spec_with(**changes: object) -> Damage:
    return put(SPEC, json.dumps({**GOOD, **changes}))


def provenance_with(**changes: object) -> Damage:
    def make(file: h5py.File) -> None:
        stated = json.loads(file.attrs["provenance"])
        file.attrs["provenance"] = json_text({**stated, **changes})

    return make


def rewritten(*damages: Damage, **options: Any) -> Callable[[Workshop], Path]:
    """The honest content in a new file, made with other options of h5py, and then damaged."""

    def make(shop: Workshop) -> Path:
        path = shop.copy()
        with h5py.File(shop.honest) as old, h5py.File(path, "w", **options) as new:
            for name, value in old.attrs.items():
                new.attrs[name] = value
            for name in old:
                old.copy(name, new)
            for change in damages:
                change(new)
        return path

    return make


def other_sizes(shop: Workshop) -> Path:
    """Addresses of four bytes, as no library has written by default for twenty years."""
    plan = h5p.create(h5p.FILE_CREATE)
    plan.set_sizes(4, 4)
    path = shop.copy()
    with h5py.File(h5py.h5f.create(bytes(path), h5py.h5f.ACC_TRUNC, plan)) as new:
        new["x"] = IMAGE
    return path


def part_of_many(part: str, libver: str, **driver: Any) -> Callable[[Workshop], Path]:
    """One of the files over which HDF5 spreads what it takes for one."""

    def make(shop: Workshop) -> Path:
        path = shop.copy()
        path.unlink()
        name = path.with_name("part%d" if driver["driver"] == "family" else "part")
        with h5py.File(shop.honest) as old, h5py.File(name, "w", libver=libver, **driver) as new:
            for item in old:
                old.copy(item, new)
        return path.with_name(part).rename(path)

    return make


def chunk_bomb(file: h5py.File) -> None:
    """4 KiB on disk, the right shape; the one chunk that holds it inflates to 64 MiB."""
    side = 4096
    dataset(maxshape=(h5s.UNLIMITED, h5s.UNLIMITED), creation=chunks((side, side), deflate))(file)
    file[X][...] = IMAGE


def cut(shop: Workshop) -> Path:
    path = shop.copy()
    os.truncate(path, path.stat().st_size * 2 // 3)
    return path


def appended(shop: Workshop) -> Path:
    path = shop.copy()
    with path.open("ab") as stream:
        stream.write(b"PK\x05\x06" + bytes(18))  # the end of an empty zip
    return path


def with_user_block(shop: Workshop) -> Path:
    path = rewritten(userblock_size=512)(shop)
    with path.open("r+b") as stream:
        stream.write(b"#!/bin/sh\n")
    return path


def sparse(size: int) -> Callable[[Workshop], Path]:
    def make(shop: Workshop) -> Path:
        path = shop.copy()
        os.truncate(path, size)
        return path

    return make


def zipped(shop: Workshop) -> Path:
    path = shop.copy()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("result.h5", shop.honest.read_bytes())
    return path


def text(shop: Workshop) -> Path:
    path = shop.copy()
    path.write_text("no HDF5\n")
    return path


def empty(shop: Workshop) -> Path:
    path = shop.copy()
    path.write_bytes(b"")
    return path


def garbled_chunk(shop: Workshop) -> Path:
    path = shop.copy()
    garble_chunk(path, X)
    return path


def garbled_header(shop: Workshop) -> Path:
    """The root group's own header is nonsense."""
    return shop.garbled(at=96, put=b"\xff" * 32)


def symlink(shop: Workshop) -> Path:
    shop.copy().unlink()
    shop.result.symlink_to(shop.honest)
    return shop.result


def dangling(shop: Workshop) -> Path:
    shop.copy().unlink()
    shop.result.symlink_to(shop.folder / "nowhere")
    return shop.result


def hard_link(shop: Workshop) -> Path:
    shop.copy().unlink()
    os.link(shop.honest, shop.result)
    return shop.result


def fifo(shop: Workshop) -> Path:
    shop.copy().unlink()
    os.mkfifo(shop.result)
    return shop.result


def folder(shop: Workshop) -> Path:
    shop.copy().unlink()
    shop.result.mkdir()
    return shop.result


def nothing(shop: Workshop) -> Path:
    shop.copy().unlink()
    return shop.result


def replayed(shop: Workshop) -> Path:
    """Right in everything, but made from another challenge file."""
    return shop.damaged(provenance_with(input_sha256="0" * 64, nonce=NONCE))


def of_every_sample(shop: Workshop) -> Path:
    return shop.damaged(*(poke(f"{name}/x_hat", (0, 0), np.nan) for name in BOTH))


# --- the cases ------------------------------------------------------------------------------------

PLACE = [
    Case("nothing there", nothing, ("RESULT_NOT_FOUND",)),
    Case("symlink to an honest result", symlink, ("RESULT_NOT_REGULAR",)),
    Case("symlink to nothing", dangling, ("RESULT_NOT_REGULAR",)),
    Case("hard link", hard_link, ("RESULT_NOT_REGULAR",)),
    Case("FIFO", fifo, ("RESULT_NOT_REGULAR",)),
    Case("device", lambda _: Path("/dev/zero"), ("RESULT_NOT_REGULAR",)),
    Case("folder", folder, ("RESULT_NOT_REGULAR",)),
    Case("sparse 1 TB", sparse(1 << 40), ("RESULT_TOO_LARGE",)),
    Case("one byte too large", sparse(MAX_RESULT_BYTES + 1), ("RESULT_TOO_LARGE",)),
]

FORMAT = [
    Case("empty file", empty, ("RESULT_NOT_HDF5",)),
    Case("text", text, ("RESULT_NOT_HDF5",)),
    Case("zip in place of HDF5", zipped, ("RESULT_NOT_HDF5",)),
    Case("truncated", cut, ("RESULT_NOT_HDF5",)),
    Case("nonsense in the root's header", garbled_header, ("RESULT_NOT_HDF5",)),
    Case(
        "superblock of the future",
        lambda shop: shop.garbled(at=8, put=b"\x09"),
        ("RESULT_NOT_HDF5",),
    ),
    Case("addresses of four bytes", other_sizes, ("RESULT_NOT_HDF5",)),
    Case(
        "first part of a family of files",
        part_of_many("part0", "earliest", driver="family", memb_size=1 << 13),
        ("RESULT_NOT_HDF5",),
    ),
    Case(
        "the headers' part of a split file",
        part_of_many("part-m.h5", "earliest", driver="split"),
        ("RESULT_STORAGE",),
    ),
    Case(
        "the headers' part of a split file, latest format",
        part_of_many("part-m.h5", "latest", driver="split"),
        ("RESULT_NOT_HDF5",),
    ),
    Case("user block", with_user_block, ("RESULT_NOT_HDF5",)),
    Case("a zip appended", appended, ("RESULT_FOREIGN_BYTES",)),
    Case("sparse to 50 MB", sparse(MAX_RESULT_BYTES), ("RESULT_FOREIGN_BYTES",)),
    Case("damaged chunk", garbled_chunk, ("RESULT_NOT_HDF5",), OTHER),
]

LINKS = [
    damage("external link to an image", "RESULT_LINK", external_link(X, "/x")),
    damage("external link to a sample", "RESULT_LINK", external_link("sample_00", "/sample_00")),
    damage("external link on a component", "RESULT_LINK", external_link("sample_00", "/")),
    damage("external link to nothing", "RESULT_LINK", external_link("notes", "/nowhere")),
    damage("soft link to an image", "RESULT_LINK", put(X, h5py.SoftLink("/sample_01/x_hat"))),
    damage("soft link to a sample", "RESULT_LINK", put("sample_00", h5py.SoftLink("/sample_01"))),
    damage("soft link to itself", "RESULT_LINK", put(X, h5py.SoftLink("/sample_00/x_hat"))),
    damage("soft link where nothing belongs", "RESULT_LINK", put("notes", h5py.SoftLink("/"))),
    damage("circle of hard links", "RESULT_LINK", alias("sample_00/again", "sample_00")),
    damage("the root below itself", "RESULT_LINK", alias("sample_00/root", "/")),
    damage("one image for two samples", "RESULT_LINK", alias(X, "sample_01/x_hat")),
    damage("one group for two samples", "RESULT_LINK", alias("sample_00", "sample_01")),
]

STORAGE = [
    damage("external raw storage", "RESULT_STORAGE", external("secret.bin")),
    damage("virtual, of another file", "RESULT_STORAGE", virtual("secret.h5", "x")),
    damage("virtual, of this file", "RESULT_STORAGE", virtual(".", "sample_01/x_hat")),
    damage(
        "compact", "RESULT_STORAGE", dataset(creation=lambda plan: plan.set_layout(h5d.COMPACT))
    ),
    damage("chunk bomb", "RESULT_CHUNK", chunk_bomb),
    damage(
        "huge chunk never written",
        "RESULT_CHUNK",
        dataset(
            maxshape=(h5s.UNLIMITED, h5s.UNLIMITED), creation=chunks((1 << 15, 1 << 14), deflate)
        ),
    ),
    damage("two deflates", "RESULT_FILTER", dataset(creation=chunks(SHAPE, deflate, deflate))),
    damage("nine deflates", "RESULT_FILTER", dataset(creation=chunks(SHAPE, *[deflate] * 9))),
    damage(
        "deflate, then shuffle", "RESULT_FILTER", dataset(creation=chunks(SHAPE, deflate, shuffle))
    ),
    damage(
        "unknown filter", "RESULT_FILTER", dataset(creation=chunks(SHAPE, filter_number(40000)))
    ),
    damage(
        "plug-in filter", "RESULT_FILTER", dataset(creation=chunks(SHAPE, filter_number(32001)))
    ),
    damage("LZF", "RESULT_FILTER", dataset(creation=chunks(SHAPE, filter_number(32000)))),
    damage(
        "checksum",
        "RESULT_FILTER",
        dataset(creation=chunks(SHAPE, lambda plan: plan.set_fletcher32())),
    ),
    damage(
        "scale and offset",
        "RESULT_FILTER",
        dataset(creation=chunks(SHAPE, lambda plan: plan.set_scaleoffset(0, 2))),
    ),
    spoiled(
        "shape bomb", "RESULT_SHAPE", dataset(shape=(1 << 25, 1 << 25), creation=chunks((8, 8)))
    ),
    spoiled(
        "deflated shape bomb",
        "RESULT_SHAPE",
        dataset(shape=(1 << 20, 1 << 20), creation=chunks((1024, 1024), shuffle, deflate)),
    ),
    spoiled("wrong shape", "RESULT_SHAPE", put(X, IMAGE[:-1])),
    spoiled("transposed into a row", "RESULT_SHAPE", put(X, IMAGE.ravel())),
    spoiled("thirty-two dimensions", "RESULT_SHAPE", dataset(shape=(1,) * 32)),
    spoiled("no pixel", "RESULT_SHAPE", put(X, np.zeros((0, 0), "f4"))),
    spoiled("no value", "RESULT_SHAPE", put(X, h5py.Empty("f4"))),
]

TYPES = [
    damage("object references", "RESULT_TYPE", put(X, np.full(SHAPE, None, h5py.ref_dtype))),
    damage("variable length", "RESULT_TYPE", dataset(kind=h5t.vlen_create(h5t.IEEE_F32LE))),
    damage("text of one letter", "RESULT_TYPE", dataset(kind=h5t.C_S1)),
    damage("text of variable length", "RESULT_TYPE", put(X, np.full(SHAPE, "1", object))),
    damage("enum", "RESULT_TYPE", put(X, np.zeros(SHAPE, h5py.enum_dtype({"zero": 0})))),
    damage("bool", "RESULT_TYPE", put(X, np.zeros(SHAPE, bool))),
    damage("compound", "RESULT_TYPE", put(X, np.zeros(SHAPE, [("a", "f4"), ("b", "f4")]))),
    damage("complex", "RESULT_TYPE", put(X, np.zeros(SHAPE, "c8"))),
    damage("opaque", "RESULT_TYPE", put(X, np.zeros(SHAPE, "V4"))),
    damage(
        "opaque, 1 GiB an element", "RESULT_TYPE", dataset(kind=h5t.create(h5t.OPAQUE, 1 << 30))
    ),
    damage(
        "array in an element", "RESULT_TYPE", dataset(kind=h5t.array_create(h5t.IEEE_F32LE, (64,)))
    ),
    damage("bit field", "RESULT_TYPE", dataset(kind=h5t.STD_B32LE)),
    damage("committed type", "RESULT_TYPE", committed),
    damage("committed type beside the samples", "RESULT_TYPE", put("float", np.dtype("<f4"))),
    damage("committed type of an attribute", "RESULT_TYPE", committed_in_attribute),
    spoiled("float16", "RESULT_DTYPE", put(X, IMAGE.astype("f2"))),
    spoiled("float of a long exponent", "RESULT_DTYPE", dataset(kind=odd_float())),
    spoiled("float of 24 bits", "RESULT_DTYPE", dataset(kind=short_float())),
    spoiled("float64", "RESULT_DTYPE", put(X, IMAGE.astype("f8"))),
    spoiled("big-endian", "RESULT_DTYPE", put(X, IMAGE.astype(">f4"))),
    spoiled("integers", "RESULT_DTYPE", put(X, IMAGE.astype("i4"))),
]

ITEMS = [
    damage("2000 groups", "RESULT_TOO_MANY_ITEMS", groups(2_000)),
    Case(
        "200 000 groups",
        rewritten(groups(200_000), libver="latest"),
        ("RESULT_TOO_MANY_ITEMS",),
        slow=True,
    ),
    damage("2000 attributes", "RESULT_TOO_MANY_ITEMS", attributes(2_000)),
    damage("groups 1000 deep", "RESULT_TOO_MANY_ITEMS", nested(1_000)),
    Case(
        "8 MiB in one attribute",
        rewritten(put("/@notes", np.zeros(1 << 20)), libver="latest"),
        ("RESULT_ATTRIBUTE",),
    ),
    Case(
        "1 MiB of text in one attribute",
        rewritten(fixed_text("/@provenance", b" " * (1 << 20)), libver="latest"),
        ("RESULT_ATTRIBUTE",),
    ),
    damage(
        "a thousand times the same text",
        "RESULT_ATTRIBUTE",
        put("sample_00@diagnostics", np.full(1000, "{}", object)),
    ),
    damage(
        "attribute of references", "RESULT_ATTRIBUTE", put(SPEC, np.array([None], h5py.ref_dtype))
    ),
    damage("attribute without a name", "RESULT_UNKNOWN_ITEM", nameless_attribute, samples=BOTH),
    damage(
        "attribute without a name in place of another",
        "RESULT_MISSING_ITEM",
        drop("/@provenance"),
        nameless_attribute,
    ),
    Case("text in an unknown encoding", unknown_encoding, ("RESULT_ATTRIBUTE",)),
    damage("attribute of one number", "RESULT_ATTRIBUTE", put("sample_00@diagnostics", 3.0)),
    damage("attribute of a hundred bytes", "RESULT_ATTRIBUTE", put(SPEC, np.void(bytes(100)))),
    damage("attribute of numbers", "RESULT_ATTRIBUTE", put(SPEC, np.arange(3.0))),
    damage("attribute without a value", "RESULT_ATTRIBUTE", put(SPEC, h5py.Empty("f4"))),
    damage("another sample", "RESULT_SAMPLE_UNKNOWN", put("sample_07", IMAGE), samples=BOTH),
    damage("another item", "RESULT_UNKNOWN_ITEM", put("notes", IMAGE), samples=BOTH),
    damage("another attribute", "RESULT_UNKNOWN_ITEM", put("/@author", "me"), samples=BOTH),
    spoiled("another item in a sample", "RESULT_UNKNOWN_ITEM", put("sample_00/probe", IMAGE)),
    spoiled("attribute of an image", "RESULT_UNKNOWN_ITEM", put(f"{X}@unit", "rad")),
    spoiled("a name that is no text", "RESULT_UNKNOWN_ITEM", dataset(name=b"\xff\xfe")),
    spoiled("a group as image", "RESULT_UNKNOWN_ITEM", drop(X), lambda file: file.create_group(X)),
    spoiled("an image as sample", "RESULT_UNKNOWN_ITEM", put("sample_00", IMAGE)),
    spoiled("no image", "RESULT_MISSING_ITEM", drop(X)),
    spoiled("no spec", "RESULT_SPEC", drop(SPEC)),
    damage("no provenance", "RESULT_MISSING_ITEM", drop("/@provenance")),
    damage("no run_info", "RESULT_MISSING_ITEM", drop("/@run_info")),
    damage("no variant", "RESULT_MISSING_ITEM", drop("/@variant")),
    damage("wrong variant", "RESULT_OTHER_INPUT", put("/@variant", "xray_diffraction")),
    damage("no variant at all", "RESULT_MALFORMED", put("/@variant", "<b>x</b>")),
    damage("wrong kind of submission", "RESULT_MALFORMED", put("/@submission_type", "guess")),
    damage("contract of the future", "RESULT_MALFORMED", put("/@contract_version", "2.0")),
    spoiled("a sample missing", "RESULT_SAMPLE_MISSING", drop("sample_00")),
    damage("every sample missing", "RESULT_SAMPLE_MISSING", drop("sample_00"), drop("sample_01")),
]

VALUES = [
    spoiled("NaN", "RESULT_NOT_FINITE", poke(X, (3, 4), np.nan)),
    spoiled("infinity", "RESULT_NOT_FINITE", poke(X, (3, 4), -np.inf)),
    Case("NaN in every sample", of_every_sample, ("RESULT_NOT_FINITE",)),
    spoiled(
        "NaN as the value of what was never written",
        "RESULT_NOT_FINITE",
        dataset(creation=lambda plan: plan.set_fill_value(np.array(np.nan, "f4"))),
    ),
    spoiled("huge values", "RESULT_MAGNITUDE", put(X, np.full(SHAPE, 3e38, "f4"))),
    spoiled(
        "one value beyond the limit", "RESULT_MAGNITUDE", poke(X, (0, 0), -MAX_MAGNITUDE * 1.01)
    ),
    spoiled("spec above its range", "RESULT_SPEC", spec_with(elliptical_distortion=0.0101)),
    spoiled("spec below its range", "RESULT_SPEC", spec_with(camera_length=-2.001)),
    spoiled("spec beyond physics", "RESULT_SPEC", spec_with(camera_length=1e300)),
    spoiled("spec incomplete", "RESULT_SPEC", put(SPEC, '{"camera_length": 1.0}')),
    spoiled("spec with a stranger", "RESULT_SPEC", spec_with(tilt=0.0)),
    spoiled("spec of text", "RESULT_SPEC", spec_with(camera_length="1.0")),
    spoiled("spec of a truth value", "RESULT_SPEC", spec_with(camera_length=True)),
]

JSON = [
    spoiled("a key twice", "RESULT_JSON", put(SPEC, json_text(GOOD)[:-1] + ',"camera_length":1}')),
    spoiled("NaN in JSON", "RESULT_JSON", spec_with(camera_length=float("nan"))),
    spoiled("infinity in JSON", "RESULT_JSON", put(SPEC, json_text(GOOD).replace("0.5", "1e999"))),
    spoiled("deep JSON", "RESULT_JSON", put(SPEC, "[" * 60_000)),
    spoiled(
        "a number of 5000 digits",
        "RESULT_JSON",
        put(SPEC, json_text(GOOD).replace("0.5", "1" * 5000)),
    ),
    spoiled("not UTF-8", "RESULT_JSON", put_bytes(SPEC, b"\xff\xfe{}")),
    spoiled("no JSON", "RESULT_JSON", put(SPEC, "camera_length = 1")),
    spoiled("half a surrogate", "RESULT_SPEC", put(SPEC, '{"\\ud800": 1.0}')),
    spoiled("16 MiB of JSON", "RESULT_JSON", put(SPEC, " " * (16 << 20))),
    spoiled(
        "diagnostics too long",
        "RESULT_JSON",
        put("sample_00@diagnostics", json_text({"a": "b" * MAX_JSON_BYTES})),
    ),
    spoiled("diagnostics a list", "RESULT_MALFORMED", put("sample_00@diagnostics", "[1]")),
    damage(
        "provenance with a key twice", "RESULT_JSON", put("/@provenance", '{"seed":1,"seed":1}')
    ),
    damage("provenance with an unknown key", "RESULT_MALFORMED", provenance_with(note="read me")),
    damage("seed of text", "RESULT_MALFORMED", provenance_with(seed="0")),
    damage(
        "provenance that grows when it is rewritten",
        "RESULT_JSON",
        lambda file: put(
            "/@provenance",
            json.dumps(
                json.loads(file.attrs["provenance"]) | {"parameters": {"a": "é" * 20_000}},
                ensure_ascii=False,
            ),
        )(file),
    ),
]

RUN = [
    damage("forged nonce", "RESULT_NONCE", provenance_with(nonce="0" * 10), nonce=NONCE),
    damage("no nonce", "RESULT_NONCE", provenance_with(nonce=None), nonce=NONCE),
    damage("empty nonce", "RESULT_NONCE", provenance_with(nonce=""), nonce=NONCE),
    Case("replayed, of another input", replayed, ("RESULT_OTHER_INPUT",), nonce=NONCE),
    damage(
        "made from the file with the truth",
        "RESULT_OTHER_INPUT",
        lambda file: provenance_with(
            input_sha256=sha256_of(Path(file.filename).parents[1] / "challenge.h5")
        )(file),
    ),
]

SUBNORMAL = np.full(SHAPE, 1e-40, "f4")

HONEST = [
    honest("as stem4d writes it"),
    honest("with the run's nonce", provenance_with(nonce=NONCE), nonce=NONCE),
    honest("with a nonce that nobody asked for", provenance_with(nonce=NONCE)),
    honest("with diagnostics", put("sample_00@diagnostics", '{"loss": [1.0, 0.5]}')),
    honest("attributes of fixed length", fixed_text(SPEC, json_text(GOOD).encode())),
    honest("contiguous", dataset(values=IMAGE)),
    honest("never written: zeros", dataset(creation=chunks((16, 16), shuffle, deflate))),
    honest("gzip 9 alone", dataset(creation=chunks((8, 32), deflate), values=IMAGE)),
    honest("shuffle alone", dataset(creation=chunks(SHAPE, shuffle), values=IMAGE)),
    honest("one chunk", dataset(creation=chunks(SHAPE, shuffle, deflate), values=IMAGE)),
    honest("resizable", dataset(maxshape=(64, 64), creation=chunks((32, 32)), values=IMAGE)),
    honest("negative zero and subnormals", put(X, -SUBNORMAL), poke(X, (0, 0), -0.0)),
    honest("the largest values", put(X, np.full(SHAPE, MAX_MAGNITUDE, "f4"))),
    honest("whole numbers in the spec", spec_with(camera_length=1, center_offset=1)),
    honest(
        "as deep as JSON may be",
        put("sample_00@diagnostics", '{"a":' * MAX_JSON_DEPTH + "1" + "}" * MAX_JSON_DEPTH),
    ),
    honest(
        "parameters as deep as JSON may be",
        provenance_with(
            parameters=json.loads('{"a":' * (MAX_JSON_DEPTH - 1) + "1" + "}" * (MAX_JSON_DEPTH - 1))
        ),
    ),
    Case("HDF5's earliest format", rewritten(libver="earliest"), (), BOTH),
    Case("format of HDF5 1.8", rewritten(libver=("v108", "v108")), (), BOTH),
    Case("format of HDF5 1.10", rewritten(libver=("v110", "v110")), (), BOTH),
    Case("HDF5's latest format", rewritten(libver="latest"), (), BOTH),
    Case("items tracked in order", rewritten(track_order=True), (), BOTH),
    Case("paged file space", rewritten(fs_strategy="page", fs_page_size=4096), (), BOTH),
]

CASES = [*PLACE, *FORMAT, *LINKS, *STORAGE, *TYPES, *ITEMS, *VALUES, *JSON, *RUN, *HONEST]
