"""What an accepted file must be, written down once more, with none of the runner's own checks."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import h5py
import numpy as np

from runner.harness.sanitise import Sanitised

ROOT = {"variant", "tier", "submission_type", "contract_version", "provenance"}
PROVENANCE = {
    "runner_version": str,
    "algorithm": str,
    "parameters": dict,
    "seed": int,
    "libraries": dict,
    "input_sha256": str,
    "nonce": type(None),
}


def check_canonical(canonical: Path, original: Path, view: Path, judged: Sanitised) -> None:
    """Assert that a canonical file is valid, and says what the original says.

    Args:
        canonical: the rewrite.
        original: the file that was accepted; its images are read with plain h5py.
        view: the challenge that it answers.
        judged: what the sanitiser says of it.
    """
    assert hashlib.sha256(canonical.read_bytes()).hexdigest() == judged.sha256
    with h5py.File(canonical) as file, h5py.File(original) as given, h5py.File(view) as asked:
        assert set(file.attrs) == ROOT
        assert file.attrs["variant"] == "electron_diffraction"
        assert file.attrs["submission_type"] == "reconstruction"
        provenance = json.loads(file.attrs["provenance"])
        assert {key: type(value) for key, value in provenance.items()} == PROVENANCE
        assert provenance["input_sha256"] == hashlib.sha256(view.read_bytes()).hexdigest()
        assert set(file) == set(judged.samples) <= set(asked)
        for name in judged.samples:
            _check_sample(file[name], given[name], asked[name])


def _check_sample(sample: h5py.Group, given: h5py.Group, asked: h5py.Group) -> None:
    assert set(sample) == {"x_hat"}
    assert set(sample.attrs) == {"corrected_spec"}
    assert isinstance(sample.get("x_hat", getlink=True), h5py.HardLink)
    x_hat = sample["x_hat"]
    assert x_hat.id.get_create_plist().get_external_count() == 0
    assert not x_hat.is_virtual
    assert len(x_hat.attrs) == 0
    assert x_hat.dtype.str == "<f4"
    assert x_hat.shape == tuple(asked["H_ideal"].attrs["object_shape"])
    values = x_hat[...]
    assert math.isfinite(float(np.sum(values.astype("f8") ** 2)))
    assert np.abs(values).max() <= 1e6
    assert values.tobytes() == given["x_hat"][...].astype("<f4").tobytes()
    spec = json.loads(sample.attrs["corrected_spec"])
    assert spec == json.loads(given.attrs["corrected_spec"])
    ranges = json.loads(asked.attrs["spec_ranges"])
    assert set(spec) == {entry["name"] for entry in ranges}
    for entry in ranges:
        assert type(spec[entry["name"]]) is float
        assert entry["min"] <= spec[entry["name"]] <= entry["max"]
