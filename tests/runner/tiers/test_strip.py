"""The blind view: everything that is needed, nothing that tells, and proved so."""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from runner.files.challenge import ChallengeSample, open_challenge, write_challenge
from runner.files.hdf5 import sha256_of
from runner.tiers.strip import StripError, prove, strip
from schemas import ChallengeAttrs, ContractError, MismatchSpec, json_text
from tests.helpers.damage import Damage, put
from tests.runner.small import SmallChallenge, make_sample

ATTRS = ChallengeAttrs(
    variant="electron_diffraction", tier="public", version="1.0", contract_version="1.0"
)
SPEC = MismatchSpec(
    camera_length=1.2345678912345, center_offset=0.7182818284, elliptical_distortion=0.00314159265
)


def patterns(sample: ChallengeSample) -> bytes:
    ny, nx, _, _ = sample.y.shape
    return sample.y.read(0, ny * nx).tobytes()


def test_what_is_needed_is_all_there(small_challenge: SmallChallenge, tmp_path: Path) -> None:
    view = strip(small_challenge.path, tmp_path / "view.h5")
    with open_challenge(view) as blind, open_challenge(small_challenge.path) as full:
        assert blind.names == full.names
        for seen, sample in zip(blind, full, strict=True):
            assert patterns(seen) == patterns(sample)
            assert seen.operator.attrs == sample.operator.attrs
            assert seen.operator.probe.tobytes() == sample.operator.probe.tobytes()
            assert seen.operator.positions_px.tobytes() == sample.operator.positions_px.tobytes()
            assert seen.ranges == sample.ranges
            assert seen.metadata.shape == sample.metadata.shape
            assert seen.metadata.track == sample.metadata.track


def test_nothing_tells(small_challenge: SmallChallenge, tmp_path: Path) -> None:
    """No truth, no tier, no scene, no description; and no key beyond the contract's."""
    view = strip(small_challenge.path, tmp_path / "view.h5")
    with open_challenge(view) as blind:
        assert blind.attrs.tier == "blind"
        for sample in blind:
            assert sample.x_true is None
            assert sample.true_spec is None
            assert sample.metadata.scene == sample.name
            assert sample.metadata.description == ""
    with h5py.File(view) as file:
        items: set[str] = set()
        file.visit(items.add)
        assert {item.partition("/")[2] for item in items} == {
            "",
            "y",
            "H_ideal",
            "H_ideal/probe",
            "H_ideal/positions_px",
        }
        assert set(file.attrs) == {"variant", "tier", "version", "contract_version"}
        assert set(file["sample_00"].attrs) == {"spec_ranges", "metadata"}
    content = view.read_bytes()
    for word in (b"public", b"scene_00", b"x_true", b"true_spec"):
        assert word not in content


def test_the_view_depends_on_nothing_secret(tmp_path: Path) -> None:
    """Two files alike but for truth, tier and scene: the very same bytes."""
    sample = make_sample(0, SPEC)
    other = replace(
        sample,
        x_true=np.random.default_rng(3).random(sample.x_true.shape).astype(np.float32),
        true_spec=MismatchSpec(camera_length=-1.111111111),
        metadata=sample.metadata.model_copy(
            update={"scene": "gold", "description": "a particle of gold on carbon"}
        ),
    )
    views = []
    for name, attrs, content in (
        ("a", ATTRS, sample),
        ("b", ATTRS.model_copy(update={"tier": "hidden"}), other),
        ("c", ATTRS, replace(sample, x_true=None, true_spec=None)),
    ):
        write_challenge(tmp_path / f"{name}.h5", attrs, [content])
        views.append(sha256_of(strip(tmp_path / f"{name}.h5", tmp_path / f"{name}_view.h5")))
    assert len(set(views)) == 1


def test_a_view_of_a_view_is_the_same(small_challenge: SmallChallenge, tmp_path: Path) -> None:
    view = strip(small_challenge.path, tmp_path / "view.h5")
    assert sha256_of(strip(view, tmp_path / "again.h5")) == sha256_of(view)


# --- the proof ------------------------------------------------------------------------------------


@pytest.fixture
def planted(tmp_path: Path) -> Callable[[Damage], None]:
    """Prove a good view into which something was put."""
    sample = make_sample(0, SPEC)
    write_challenge(tmp_path / "public.h5", ATTRS, [sample])
    view = strip(tmp_path / "public.h5", tmp_path / "view.h5")

    def check(damage: Damage) -> None:
        with h5py.File(view, "r+") as file:
            damage(file)
        prove(view, (sample,))

    return check


TRUTH = make_sample(0, SPEC).x_true
METADATA = '{"scene": %s, "shape": [8, 8, 16, 16], "noise_model": "poisson"}'

PLANTED: dict[str, Damage] = {
    "x_true, compressed": lambda file: file["sample_00"].create_dataset(
        "x_true", data=TRUTH, compression="gzip"
    ),
    "true_spec": put("sample_00@true_spec", json_text(SPEC)),
    "the image in an allowed place": put("sample_00/H_ideal/probe", TRUTH),
    "the phase in an allowed place": put("sample_00/H_ideal/probe", TRUTH * np.float32(1.0)),
    "the image in double precision": put("sample_00/H_ideal/probe", TRUTH.astype(np.float64)),
    "a part of the image": put("sample_00/H_ideal/probe", TRUTH[10:20]),
    "a true value in the metadata": put(
        "sample_00@metadata", METADATA % f'"{SPEC.camera_length!r}"'
    ),
    "a true value as a number": put("sample_00/H_ideal@gain", SPEC.center_offset),
    "an attribute of the file": put("/@seed", 7),
    "an attribute of the sample": put("sample_00@scene", "gold"),
    "an attribute of the operator": put("sample_00/H_ideal@tilt", 7),
    "an attribute of a dataset": put("sample_00/y@gain", 7),
    "another dataset": put("sample_00/mask", np.zeros(3)),
    "a link": put("sample_00/notes", h5py.SoftLink("/nowhere")),
    "a link in the place of y": put("sample_00/y", h5py.ExternalLink("public.h5", "/sample_00/y")),
    "another group": lambda file: file.create_group("sample_00/H_ideal/hidden"),
    "another sample": lambda file: file.create_group("sample_77"),
}


@pytest.mark.parametrize("what", sorted(PLANTED))
def test_the_proof_finds_what_was_planted(planted: Callable[[Damage], None], what: str) -> None:
    with pytest.raises(StripError):
        planted(PLANTED[what])


def test_the_proof_finds_what_was_deleted_in_place(tmp_path: Path) -> None:
    """Why the view is written afresh: a deleted dataset's bytes stay in the file."""
    sample = make_sample(0, SPEC)
    write_challenge(tmp_path / "public.h5", ATTRS, [sample])
    path = Path(shutil.copy(strip(tmp_path / "public.h5", tmp_path / "view.h5"), tmp_path / "x.h5"))
    with h5py.File(path, "r+") as file:
        file["sample_00/x_true"] = sample.x_true
        file["sample_00"].attrs["true_spec"] = json_text(SPEC)
    with h5py.File(path, "r+") as file:
        del file["sample_00/x_true"]
        del file["sample_00"].attrs["true_spec"]
    with pytest.raises(StripError, match="bytes of sample_00"):
        prove(path, (sample,))


@pytest.mark.parametrize("value", SPEC.vector())
def test_the_proof_finds_bytes_behind_the_end(tmp_path: Path, value: float) -> None:
    sample = make_sample(0, SPEC)
    write_challenge(tmp_path / "public.h5", ATTRS, [sample])
    view = strip(tmp_path / "public.h5", tmp_path / "view.h5")
    prove(view, (sample,))
    with view.open("ab") as stream:
        stream.write(b"...." + struct.pack("<d", value))
    with pytest.raises(StripError, match="true_spec"):
        prove(view, (sample,))


def test_a_view_that_is_not_proved_is_not_left(
    small_challenge: SmallChallenge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A strip that forgets the truth: nobody gets that file."""
    monkeypatch.setattr("runner.tiers.strip._blind", lambda sample: sample)
    with pytest.raises(StripError):
        strip(small_challenge.path, tmp_path / "view.h5")
    assert list(tmp_path.iterdir()) == []


# --- files ----------------------------------------------------------------------------------------


def test_stripping_a_file_into_itself_is_refused(
    small_challenge: SmallChallenge, tmp_path: Path
) -> None:
    """The organiser's truth would be lost."""
    path = Path(shutil.copy(small_challenge.path, tmp_path / "public.h5"))
    (tmp_path / "link.h5").symlink_to(path)
    before = sha256_of(path)
    for target in (path, tmp_path / "link.h5"):
        with pytest.raises(ContractError, match="USAGE"):
            strip(path, target)
    assert sha256_of(path) == before


def test_a_source_that_cannot_be_read_leaves_the_target_alone(
    small_challenge: SmallChallenge, tmp_path: Path
) -> None:
    target = strip(small_challenge.path, tmp_path / "view.h5")
    before = sha256_of(target)
    broken = Path(shutil.copy(small_challenge.path, tmp_path / "broken.h5"))
    os.truncate(broken, 1000)
    with pytest.raises(ContractError, match="INPUT_NOT_HDF5"):
        strip(broken, target)
    assert sha256_of(target) == before
