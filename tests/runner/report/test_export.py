"""Exported images, read back by readers that are not ours."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from runner.files.hdf5 import sha256_of
from runner.report.export import CalibratedImage, calibrated_images, export
from tests.runner.small import SmallChallenge, true_answers, write_answers

tifffile = pytest.importorskip("tifffile")
emdfile = pytest.importorskip("emdfile")


@pytest.fixture
def images(small_challenge: SmallChallenge, tmp_path: Path) -> tuple[CalibratedImage, ...]:
    path = write_answers(
        tmp_path / "result.h5",
        true_answers(small_challenge),
        input_sha256=sha256_of(small_challenge.path),
    )
    return calibrated_images(path, small_challenge.path, phase=True)


def test_images_are_the_phase(images, small_challenge: SmallChallenge) -> None:
    for image, sample in zip(images, small_challenge.samples, strict=True):
        attrs = sample.operator.attrs
        np.testing.assert_allclose(image.values, attrs.phase_scale_rad * sample.x_true, rtol=1e-6)
        assert (image.unit, image.sampling_A) == ("rad", attrs.sampling_A)


def test_tiff_has_imagejs_scale(images, tmp_path: Path) -> None:
    for path, image in zip(export(images, "tiff", tmp_path), images, strict=True):
        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            np.testing.assert_array_equal(page.asarray(), image.values)
            numerator, denominator = page.tags["XResolution"].value
            assert numerator / denominator == pytest.approx(10 / image.sampling_A, rel=1e-5)
            assert file.imagej_metadata["unit"] == "nm"
            assert "algorithm: test+truth" in file.imagej_metadata["Info"]


def test_emd_is_read_with_its_axes(images, tmp_path: Path) -> None:
    for path, image in zip(export(images, "emd", tmp_path), images, strict=True):
        found = emdfile.read(str(path))
        array = found if isinstance(found, emdfile.Array) else found.tree(image.name)
        np.testing.assert_array_equal(array.data, image.values)
        assert list(array.dim_units) == ["A", "A"]
        steps = [float(dim[1] - dim[0]) for dim in array.dims]
        assert steps == pytest.approx([image.sampling_A] * 2)


@pytest.mark.parametrize("to", ["hspy", "zspy"])
def test_hyperspys_files_have_calibrated_axes(images, to: str, tmp_path: Path) -> None:
    reader = pytest.importorskip(f"rsciio.{to}").file_reader
    for path, image in zip(export(images, to, tmp_path), images, strict=True):
        (found,) = reader(str(path))
        np.testing.assert_array_equal(np.asarray(found["data"]), image.values)
        assert [axis["scale"] for axis in found["axes"]] == pytest.approx([image.sampling_A] * 2)
        assert [(axis["name"], axis["units"]) for axis in found["axes"]] == [("y", "A"), ("x", "A")]
        assert [axis["size"] for axis in found["axes"]] == list(image.values.shape)
        assert not any(axis["navigate"] for axis in found["axes"])
        assert found["metadata"]["General"]["title"] == f"{image.name} phase"
        assert found["original_metadata"]["stem4d"]["algorithm"] == "test+truth"


def test_hyperspys_two_files_say_the_same(images, tmp_path: Path) -> None:
    found = []
    for to in ("hspy", "zspy"):
        reader = pytest.importorskip(f"rsciio.{to}").file_reader
        (signal,) = reader(str(export(images, to, tmp_path)[0]))
        signal["data"] = np.asarray(signal["data"]).tolist()
        found.append(signal)
    assert found[0] == found[1]


def test_a_zspy_made_twice_is_the_same(images, tmp_path: Path) -> None:
    once, again = (export(images, "zspy", tmp_path / name)[0] for name in ("a", "b"))
    assert once.read_bytes() == again.read_bytes()


def test_png_is_a_picture(images, tmp_path: Path) -> None:
    data = export(images, "png", tmp_path)[0].read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", data[16:24])
    assert width == 500
    assert height > width
