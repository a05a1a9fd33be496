"""Two results of one challenge, compared: which sample differs first, and by how much."""

from __future__ import annotations

import numpy as np

from runner.files.result import ResultFile, SampleResult
from schemas.evaluation import SampleDifference


def differences(first: ResultFile, other: ResultFile) -> tuple[SampleDifference, ...]:
    """Samples in which two results differ by a bit or more, in order of name.

    A sample that only one of them has differs in all its pixels.
    """
    found = (
        _difference(name, first.samples.get(name), other.samples.get(name))
        for name in sorted({*first.samples, *other.samples})
    )
    return tuple(entry for entry in found if entry is not None)


def _difference(
    name: str, one: SampleResult | None, two: SampleResult | None
) -> SampleDifference | None:
    if one is None or two is None:
        there = one or two
        assert there is not None, "the name comes from one of them"
        return SampleDifference(sample=name, pixels=there.x_hat.size, x_hat=0.0, spec={})
    spec = {
        key: abs(value - two.corrected_spec[key])
        for key, value in one.corrected_spec.items()
        if value != two.corrected_spec[key]
    }
    if one.x_hat.tobytes() == two.x_hat.tobytes() and not spec:
        return None
    apart = np.abs(one.x_hat.astype(np.float64) - two.x_hat.astype(np.float64))
    return SampleDifference(
        sample=name,
        pixels=int(np.count_nonzero(apart)),
        x_hat=float(apart.max()),
        spec=spec,
    )
