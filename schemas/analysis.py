"""Records of an analysis file, `analysis.h5`: maps over the scan, apart from the result file."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.base import Record, quantity


class AnalysisAttrs(Record):
    """Root attributes of an analysis file, `provenance` and `run_info` apart.

    The latter two are as in a result file. Each sample has a group with one dataset (Ny, Nx) for
    each map, and a dataset `valid`; rows run along y (slow), columns along x (fast).
    """

    variant: Literal["electron_diffraction"] = Field(description="imaging variant")
    tier: Literal["public", "dev", "hidden", "blind"] = Field(
        description="tier as the challenge file named it"
    )
    submission_type: Literal["analysis"] = Field(description="kind of file")
    method: str = Field(max_length=256, description="analysis, or `truth`")
    contract_version: str = Field(pattern=r"^1\.[0-9]+$", description="version of the contract")


class MapAttrs(Record):
    """Attributes of one map of an analysis file."""

    unit: str = Field(max_length=16, description="unit; empty for a pure number")
    description: str = Field(max_length=200, description="what it is")
    signed: bool = Field(default=False, description="0 is its middle")
    labels: tuple[str, ...] = Field(
        default=(), description="what its whole numbers stand for, from 0; empty for a quantity"
    )


class AnalysedAttrs(Record):
    """Attributes of a sample's group in an analysis file, `diagnostics` (JSON) apart."""

    scan_step_y_A: float = quantity("A", "scan step along rows", ge=0.0)
    scan_step_x_A: float = quantity("A", "scan step along columns", ge=0.0)
    calibrator: str = Field(max_length=256, description="what found the detector")
    corrected_spec: dict[str, float] = Field(description="the detector that was used")
