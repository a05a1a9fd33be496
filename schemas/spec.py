"""The three detector mismatches, their ranges, and what a submission may answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import Field, RootModel, model_validator

from schemas.base import Record, quantity

PARAMETERS = ("camera_length", "center_offset", "elliptical_distortion")
"""Names of the mismatch parameters of this variant, in the order used by every vector of them."""


class SpecRange(Record):
    """The published range of one mismatch parameter."""

    name: str = Field(min_length=1, max_length=64, description="parameter name")
    min: float = Field(description="lowest possible value, in `unit`")
    max: float = Field(description="highest possible value, in `unit`")
    unit: str = Field(max_length=16, description="unit; empty for a pure number")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.min < self.max:
            raise ValueError(f"{self.name}: min {self.min} must be below max {self.max}")
        return self

    @property
    def midpoint(self) -> float:
        """Centre of the range, in `unit`."""
        return 0.5 * (self.min + self.max)

    def clip(self, value: float) -> float:
        """`value`, moved into the range."""
        return min(max(value, self.min), self.max)


class SpecRanges(RootModel[tuple[SpecRange, ...]]):
    """All ranges of a sample: the `spec_ranges` attribute, a JSON list."""

    model_config = {"strict": True, "frozen": True}

    @model_validator(mode="after")
    def _unique(self) -> Self:
        names = [entry.name for entry in self.root]
        if len(set(names)) != len(names):
            raise ValueError(f"parameter names must be unique, found {names}")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Parameter names, in the order of the file."""
        return tuple(entry.name for entry in self.root)

    def __getitem__(self, name: str) -> SpecRange:
        for entry in self.root:
            if entry.name == name:
                return entry
        raise KeyError(name)

    def clip(self, values: Mapping[str, float]) -> dict[str, float]:
        """The named values, each moved into its range; a missing name becomes 0 clipped."""
        return {entry.name: entry.clip(values.get(entry.name, 0.0)) for entry in self.root}

    def midpoint(self) -> dict[str, float]:
        """The centre of every range."""
        return {entry.name: entry.midpoint for entry in self.root}


class MismatchSpec(Record):
    """Values of the three detector mismatches; all zero is the nominal detector."""

    camera_length: float = quantity("%", "camera length error dL", default=0.0, gt=-50.0, lt=50.0)
    center_offset: float = quantity(
        "pixels", "centre offset dc, the same on both axes", default=0.0, gt=-4096.0, lt=4096.0
    )
    elliptical_distortion: float = quantity(
        "", "ellipticity eps: x stretched by 1+eps, y by 1-eps", default=0.0, gt=-0.5, lt=0.5
    )

    def vector(self) -> tuple[float, float, float]:
        """(camera_length [%], center_offset [px], elliptical_distortion [-])."""
        return (self.camera_length, self.center_offset, self.elliptical_distortion)

    @classmethod
    def from_vector(cls, values: tuple[float, float, float]) -> MismatchSpec:
        """The inverse of `vector`."""
        length, offset, ellipse = (float(value) for value in values)
        return cls(camera_length=length, center_offset=offset, elliptical_distortion=ellipse)

    def values(self) -> dict[str, float]:
        """{name: value}, as a result file's `corrected_spec` holds it."""
        return dict(zip(PARAMETERS, self.vector(), strict=True))

    @classmethod
    def from_values(cls, values: Mapping[str, float]) -> MismatchSpec:
        """From {name: value}; a parameter that is not named is nominal (0).

        Raises:
            pydantic.ValidationError: an unknown name or a value out of physical bounds.
        """
        return cls.model_validate({name: float(value) for name, value in values.items()})

    @property
    def is_nominal(self) -> bool:
        """True when nothing is distorted, so that a plain FFT is exact."""
        return self.vector() == (0.0, 0.0, 0.0)

    def clipped(self, ranges: SpecRanges) -> MismatchSpec:
        """The spec moved into `ranges`; parameters without a range keep their value."""
        return self.from_values(
            {
                name: ranges[name].clip(value) if name in ranges.names else value
                for name, value in self.values().items()
            }
        )


class NamedSpec(RootModel[dict[str, float]]):
    """Mismatch values of another variant: whatever names its `spec_ranges` have, {name: value}."""

    model_config = {"strict": True, "frozen": True, "allow_inf_nan": False}

    def values(self) -> dict[str, float]:
        """{name: value}, as a result file's `corrected_spec` holds it."""
        return dict(self.root)

    @classmethod
    def nominal(cls, ranges: SpecRanges) -> NamedSpec:
        """0 for every name, or as near to it as the ranges allow."""
        return cls(ranges.clip({}))

    def clipped(self, ranges: SpecRanges) -> NamedSpec:
        """The values of the ranges' names, moved into them; one that is missing is nominal."""
        return NamedSpec(ranges.clip(self.root))
