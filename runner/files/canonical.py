"""The canonical rewrite of a result: what is judged, and nothing else, in one fixed layout.

Its sha256 is the submission's identity, so the same answers to the same input give the same bytes:
`run_info`, the nonce and the diagnostics vary from run to run, or are for people, and stay out.
Images are not compressed, because a deflated byte depends on the version of zlib.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from runner.files import hdf5
from runner.files.result import ResultFile, SampleResult, read_answers
from runner.files.rules import Expected
from schemas.findings import ContractError, finding

LIBVER = ("v108", "v108")
"""Version of the file format: fixed, so that a newer HDF5 writes the same bytes; read by every HDF5
since 1.8 (2008)."""


def judged_part(result: ResultFile) -> ResultFile:
    """A result without what varies from run to run, and without what is only for people."""
    return replace(
        result,
        provenance=result.provenance.model_copy(update={"nonce": None}),
        run_info=None,
        samples={
            name: SampleResult(sample.x_hat, sample.corrected_spec)
            for name, sample in result.samples.items()
        },
    )


def write_canonical(path: Path, result: ResultFile, expected: Mapping[str, Expected]) -> str:
    """Write the canonical form of a result atomically, and read it back.

    Args:
        path: the new file.
        result: valid answers, one or more.
        expected: what each sample must be like.

    Returns:
        sha256 of the file, the submission's identity.

    Raises:
        ContractError: the folder is not writable, or is full; INTERNAL, what is read back is not
            what was written, and no file is left.
    """
    judged = judged_part(result)
    with hdf5.atomic_path(path) as temporary:
        with h5py.File(temporary, "w", libver=LIBVER) as file:
            hdf5.set_attributes(file, judged.attrs)
            hdf5.set_json(file, "provenance", judged.provenance)
            for name in sorted(judged.samples):
                sample = judged.samples[name]
                group = file.create_group(name)
                group.create_dataset("x_hat", data=np.ascontiguousarray(sample.x_hat, dtype="<f4"))
                hdf5.set_json(group, "corrected_spec", dict(sample.corrected_spec))
        asked = {name: expected[name] for name in judged.samples}
        again, findings = read_answers(temporary, asked)
        if findings or again is None or not _same(again, judged):
            raise _not_what_was_written(path, findings[0].text() if findings else "other values")
        return hdf5.sha256_of(temporary)


def _same(one: ResultFile, two: ResultFile) -> bool:
    """Whether two results agree, bit by bit in the images."""
    return (
        (one.attrs, one.provenance, one.run_info) == (two.attrs, two.provenance, two.run_info)
        and one.samples.keys() == two.samples.keys()
        and all(
            one.samples[name].x_hat.tobytes() == sample.x_hat.tobytes()
            and one.samples[name].corrected_spec == sample.corrected_spec
            and one.samples[name].diagnostics == sample.diagnostics
            for name, sample in two.samples.items()
        )
    )


def _not_what_was_written(path: Path, found: str) -> ContractError:
    return ContractError(
        finding(
            "INTERNAL",
            str(path),
            expected="the values that were written",
            found=found,
            hint="check the disk; report it as an issue of stem4d if it comes again",
        )
    )
