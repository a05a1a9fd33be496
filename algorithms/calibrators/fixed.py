"""Calibrators that measure nothing: nominal, midpoint of the ranges, and the truth itself."""

from __future__ import annotations

from dataclasses import dataclass

from algorithms.base import Calibration, LinearSample, Sample
from schemas.findings import ContractError, refuse
from schemas.spec import MismatchSpec, NamedSpec


@dataclass(frozen=True)
class Nominal:
    """The ideal detector: no mismatch is corrected (scenario II)."""

    def estimate(self, sample: Sample) -> Calibration:
        """All zero, or as near to it as the ranges allow."""
        return Calibration(MismatchSpec().clipped(sample.ranges))

    def estimate_linear(self, sample: LinearSample) -> NamedSpec:
        """The same, whatever the parameters are called."""
        return NamedSpec.nominal(sample.ranges)


@dataclass(frozen=True)
class Midpoint:
    """The centre of each published range: an answer that looks at no data, to be beaten."""

    def estimate(self, sample: Sample) -> Calibration:
        """The midpoints."""
        return Calibration(MismatchSpec.from_values(sample.ranges.midpoint()))

    def estimate_linear(self, sample: LinearSample) -> NamedSpec:
        """The midpoints, whatever the parameters are called."""
        return NamedSpec(sample.ranges.midpoint())


@dataclass(frozen=True)
class Oracle:
    """The true spec, where the file has it: the upper bound for every calibrator."""

    def estimate(self, sample: Sample) -> Calibration:
        """The truth.

        Raises:
            ContractError: TRUTH_MISSING, as in every blind file.
        """
        if sample.true_spec is None:
            raise _no_truth(sample.name)
        return Calibration(sample.true_spec)

    def estimate_linear(self, sample: LinearSample) -> NamedSpec:
        """The truth, whatever the parameters are called.

        Raises:
            ContractError: TRUTH_MISSING, as in every blind file.
        """
        if sample.true_spec is None:
            raise _no_truth(sample.name)
        return sample.true_spec.clipped(sample.ranges)


def _no_truth(name: str) -> ContractError:
    return refuse(
        "TRUTH_MISSING",
        f"{name}@true_spec",
        expected="a file that holds the true spec (the public tier does)",
        found="a blind file",
        hint="use +gradient; the oracle is for comparisons on the public tier",
    )
