"""Forward models as records: stages, arrows, and what makes a sound model of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Self

from pydantic import Field, model_validator

from schemas.base import Record

MAX_STAGES = 64
"""Most stages of a model."""

PAGE_MODEL = "P(e-) -> F(diffraction) -> D(g, eta_1)"
"""The 4D-STEM model, as the benchmark's page has it."""

LABEL = r"[a-z][a-z0-9_]*"
"""Labels of stages, and names of arguments."""

WORD = r"[A-Za-z0-9_.+\-^*/%]+"
"""Values of arguments, in plain ASCII."""


class Symbol(StrEnum):
    """The benchmark's eleven primitives."""

    PROPAGATION = "P"
    MODULATION = "M"
    PROJECTION = "Pi"
    FOURIER_SAMPLING = "F"
    CONVOLUTION = "C"
    SUMMATION = "Sigma"
    DETECTOR = "D"
    STRUCTURED_ILLUMINATION = "S"
    DISPERSION = "W"
    ROTATION = "R"
    WAVELENGTH_SELECTION = "Lambda"


MEANING: Mapping[Symbol, str] = MappingProxyType(
    {
        Symbol.PROPAGATION: "free-space or medium propagation (Fresnel, Rayleigh-Sommerfeld)",
        Symbol.MODULATION: "spatial amplitude modulation (coded aperture, SLM pattern)",
        Symbol.PROJECTION: "geometric projection (Radon transform, fan beam)",
        Symbol.FOURIER_SAMPLING: "sampling in the Fourier domain (MRI, ptychography)",
        Symbol.CONVOLUTION: "shift-invariant convolution with a point-spread function",
        Symbol.SUMMATION: "summation along a physical dimension, or of several branches",
        Symbol.DETECTOR: "sensor readout with gain g and noise eta",
        Symbol.STRUCTURED_ILLUMINATION: "patterned illumination (block, Hadamard, random)",
        Symbol.DISPERSION: "spectral dispersion with shift alpha and aperture a",
        Symbol.ROTATION: "rotation of sample or gantry",
        Symbol.WAVELENGTH_SELECTION: "spectral filter or monochromator",
    }
)
"""What each primitive stands for."""


class Argument(Record):
    """What stands between a stage's brackets: a value, or `name=value`."""

    name: str | None = Field(default=None, pattern=rf"^{LABEL}$", description="name, if it has one")
    value: str = Field(pattern=rf"^{WORD}$", max_length=100, description="a symbol or a number")

    @model_validator(mode="after")
    def _no_arrow(self) -> Self:
        if "->" in self.value:
            raise ValueError("an arrow is no part of an argument")
        return self

    def __str__(self) -> str:
        return self.value if self.name is None else f"{self.name}={self.value}"


class Stage(Record):
    """One primitive of a model."""

    label: str = Field(pattern=rf"^{LABEL}$", max_length=100, description="unique in the model")
    symbol: Symbol = Field(strict=False, description="which primitive")
    arguments: tuple[Argument, ...] = Field(default=(), description="in the order of the text")


class Edge(Record):
    """What leaves `source` enters `target`."""

    source: str
    target: str


class SpecDAG(Record):
    """A forward model: stages in the order of the text, and the arrows between them.

    The object enters every stage that no arrow leads to.
    """

    stages: tuple[Stage, ...] = Field(min_length=1, max_length=MAX_STAGES)
    edges: tuple[Edge, ...] = Field(default=(), description="by source, then target")

    @model_validator(mode="after")
    def _sound(self) -> Self:
        labels = [stage.label for stage in self.stages]
        if len(set(labels)) != len(labels):
            raise ValueError(f"labels must be unique, found {labels}")
        symbols = {stage.label: stage.symbol for stage in self.stages}
        for place, edge in enumerate(self.edges):
            fault = fault_of(symbols, self.edges[:place], edge)
            if fault is not None:
                raise ValueError(fault.found)
        order = {label: place for place, label in enumerate(labels)}
        edges = sorted(self.edges, key=lambda e: (order[e.source], order[e.target]))
        object.__setattr__(self, "edges", tuple(edges))
        return self

    def __getitem__(self, label: str) -> Stage:
        for stage in self.stages:
            if stage.label == label:
                return stage
        raise KeyError(label)

    def inputs(self, label: str) -> tuple[str, ...]:
        """Labels of the stages whose output enters `label`; none: the object enters it."""
        return tuple(edge.source for edge in self.edges if edge.target == label)

    @property
    def ends(self) -> tuple[str, ...]:
        """Labels of the stages that no arrow leaves: what is measured."""
        left = {edge.source for edge in self.edges}
        return tuple(stage.label for stage in self.stages if stage.label not in left)

    def order(self) -> tuple[str, ...]:
        """Labels so that each stage comes after all that enter it."""
        done: list[str] = []
        waiting = [stage.label for stage in self.stages]
        while waiting:
            ready = next(one for one in waiting if set(self.inputs(one)) <= set(done))
            waiting.remove(ready)
            done.append(ready)
        return tuple(done)


@dataclass(frozen=True)
class Fault:
    """Why an arrow cannot be."""

    expected: str
    found: str
    hint: str


def fault_of(symbols: Mapping[str, Symbol], before: Sequence[Edge], edge: Edge) -> Fault | None:
    """What is wrong with an arrow, given those that stand before it."""
    for end in (edge.source, edge.target):
        if end not in symbols:
            return Fault("labels of stages", f"no stage {end}", "name a stage before it is used")
    if edge in before:
        return Fault(
            "an arrow once", f"{edge.source} -> {edge.target} again", "leave one of the two out"
        )
    if edge.source in _reached(before, edge.target):
        return Fault(
            "arrows that lead from the object to the detector",
            f"{edge.source} -> {edge.target} closes a circle",
            "a forward model has no feedback: take the arrow out",
        )
    into = [entry.source for entry in before if entry.target == edge.target]
    if into and symbols[edge.target] is not Symbol.SUMMATION:
        return Fault(
            "one arrow into every stage but Sigma",
            f"{', '.join(into)} and {edge.source} into {symbols[edge.target].value}",
            "let them meet in a Sigma first, which adds them",
        )
    return None


def _reached(edges: Sequence[Edge], start: str) -> set[str]:
    """Every stage that arrows lead to from `start`, itself included."""
    found, fresh = {start}, {start}
    while fresh:
        fresh = {edge.target for edge in edges if edge.source in fresh} - found
        found |= fresh
    return found


def automatic_label(symbol: Symbol, number: int) -> str:
    """What a stage without a label is called: `number` counts the stages of the text from 1."""
    return f"{symbol.value.lower()}{number}"
