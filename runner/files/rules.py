"""What one sample's answer must be like: one set of rules for every reader of results."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from runner.files.challenge import Challenge
from schemas.base import VARIANT, Record
from schemas.findings import Finding, finding
from schemas.result import MAX_MAGNITUDE
from schemas.spec import SpecRanges


class Expected(Record):
    """What a challenge asks of one sample."""

    variant: str = Field(default=VARIANT, description="imaging variant of the challenge file")
    shape: tuple[int, ...] = Field(description="shape of x_hat")
    ranges: SpecRanges = Field(description="published ranges of the mismatch parameters")

    @property
    def image_bytes(self) -> int:
        """Size of x_hat as float32 [bytes]."""
        return 4 * math.prod(self.shape)


def expected_of(challenge: Challenge) -> dict[str, Expected]:
    """What the samples of a challenge ask for, by name."""
    return {
        sample.name: Expected(
            variant=challenge.attrs.variant, shape=sample.signal_shape, ranges=sample.ranges
        )
        for sample in map(challenge.any_sample, challenge.names)
    }


def variant_fault(found: str, expected: Mapping[str, Expected], where: str) -> Finding | None:
    """What is wrong with an answer to this variant of the benchmark, if anything."""
    asked = {entry.variant for entry in expected.values()}
    if found in asked:
        return None
    return finding(
        "RESULT_OTHER_INPUT",
        where,
        expected=", ".join(sorted(asked)),
        found=found,
        hint="validate against the challenge file that the result answers",
    )


def image_fault(values: NDArray[np.float32], where: str) -> Finding | None:
    """What is wrong with the values of an x_hat, if anything."""
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        return finding(
            "RESULT_NOT_FINITE",
            where,
            expected="finite values, as float32 holds them",
            found=f"{bad} of {values.size} pixels are NaN or infinite",
            hint="check for divisions by zero and diverging iterations",
        )
    largest = float(np.max(np.abs(values)))
    if largest > MAX_MAGNITUDE:
        return finding(
            "RESULT_MAGNITUDE",
            where,
            expected=f"values of at most {MAX_MAGNITUDE:g}; the signal lies in [0, 1]",
            found=f"{largest:g}",
            hint="check for diverging iterations; clip to [0, 1]",
        )
    return None


def spec_fault(values: Mapping[str, float], ranges: SpecRanges, where: str) -> Finding | None:
    """What is wrong with the values of a corrected_spec, if anything."""
    faults = [
        *(f"no {name}" for name in ranges.names if name not in values),
        *(f"unknown name {name}" for name in values if name not in ranges.names),
        *(
            f"{entry.name} = {values[entry.name]:g} outside [{entry.min:g}, {entry.max:g}]"
            for entry in ranges.root
            if entry.name in values and not entry.min <= values[entry.name] <= entry.max
        ),
    ]
    if not faults:
        return None
    return finding(
        "RESULT_SPEC",
        where,
        expected="every parameter of spec_ranges, within its range",
        found="; ".join(faults),
        hint="return a spec clipped to `sample.ranges`",
    )
