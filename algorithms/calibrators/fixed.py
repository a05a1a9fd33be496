"""Calibrators that measure nothing: nominal, midpoint of the ranges, and the truth itself."""

from __future__ import annotations

from dataclasses import dataclass

from algorithms.base import Calibration, Sample
from schemas.findings import refuse
from schemas.spec import MismatchSpec


@dataclass(frozen=True)
class Nominal:
    """The ideal detector: no mismatch is corrected (scenario II)."""

    def estimate(self, sample: Sample) -> Calibration:
        """All zero, or as near to it as the ranges allow."""
        return Calibration(MismatchSpec().clipped(sample.ranges))


@dataclass(frozen=True)
class Midpoint:
    """The centre of each published range: an answer that looks at no data, to be beaten."""

    def estimate(self, sample: Sample) -> Calibration:
        """The midpoints."""
        return Calibration(MismatchSpec.from_values(sample.ranges.midpoint()))


@dataclass(frozen=True)
class Oracle:
    """The true spec, where the file has it: the upper bound for every calibrator."""

    def estimate(self, sample: Sample) -> Calibration:
        """The truth.

        Raises:
            ContractError: TRUTH_MISSING, as in every blind file.
        """
        if sample.true_spec is None:
            raise refuse(
                "TRUTH_MISSING",
                f"{sample.name}@true_spec",
                expected="a file that holds the true spec (the public tier does)",
                found="a blind file",
                hint="use +gradient; the oracle is for comparisons on the public tier",
            )
        return Calibration(sample.true_spec)
