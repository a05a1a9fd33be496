"""From a notation and the values of its symbols to a forward model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from physics.geometry import DetectorGeometry
from physics.ideal import IdealOperator
from physics.primitives.base import Primitive
from physics.primitives.detector import (
    NOISELESS,
    CountingDetector,
    Detector,
    Noise,
    NoiseName,
)
from physics.primitives.electrons import ExitWaves
from physics.primitives.filters import Convolution, Propagation
from physics.primitives.fourier import FourierSampling, MaskedFourier
from physics.primitives.graph import ForwardModel, join, lift
from physics.primitives.masks import (
    Modulation,
    StructuredIllumination,
    Summation,
    WavelengthSelection,
)
from physics.primitives.projection import FanBeam, ParallelBeam, Projection
from physics.primitives.resampling import Dispersion, Rotation
from schemas.findings import ContractError, refuse
from schemas.notation import Argument, SpecDAG, Stage, Symbol, parse
from schemas.spec import MismatchSpec

Domain = tuple[int, ...]


@dataclass(frozen=True)
class FreeSpace:
    """Value of P's symbol: how far a wave goes. All lengths in one unit.

    Attributes:
        distance: z [length].
        wavelength: lambda [length].
        pixel: side of a pixel [length].
        paraxial: Fresnel's kernel; else the exact one of Rayleigh and Sommerfeld.
    """

    distance: float
    wavelength: float
    pixel: float
    paraxial: bool = False


@dataclass(frozen=True)
class Counting:
    """Value of g for a detector that counts the quanta of a wave.

    Attributes:
        quanta: per unit of |psi|^2.
        gain: counts per quantum.
    """

    quanta: float
    gain: float = 1.0


def diffraction_parameters(ideal: IdealOperator, spec: MismatchSpec) -> dict[str, object]:
    """Values of the symbols of `PAGE_MODEL` for a 4D-STEM sample.

    Args:
        ideal: the sample's operator.
        spec: mismatch of the detector.
    """
    attrs = ideal.attrs
    detector = DetectorGeometry(ideal.window, spec)
    noise = (
        Noise(NoiseName.MIXED, attrs.read_noise)
        if attrs.read_noise > 0
        else Noise(NoiseName.POISSON)
    )
    return {
        "e-": ideal,
        "diffraction": detector,
        "g": Counting(attrs.dose_e * detector.area_element, attrs.gain),
        "eta_1": noise,
    }


def build(
    model: SpecDAG | str, parameters: Mapping[str, object], *, domain: Domain
) -> ForwardModel:
    """The forward model of a notation.

    Args:
        model: a parsed model, or its text.
        parameters: value of each symbol that stands in the model's brackets; which ones a
            primitive takes, docs/primitives.md says. A number may stand in the text itself. A
            symbol bound to a primitive of one's own is that stage.
        domain: shape of the object.

    Raises:
        ContractError: NOTATION_MALFORMED; MODEL_PARAMETERS, when a symbol has no value, or values
            or shapes do not fit.
    """
    dag = parse(model) if isinstance(model, str) else model
    stages: dict[str, Primitive] = {}
    for label in dag.order():
        sources = dag.inputs(label)
        entering = stages[sources[0]].shape.range if sources else tuple(domain)
        stages[label] = _stage(dag[label], parameters, entering)
    try:
        return join(dag, stages)
    except ValueError as error:
        raise _unfit("the model", "stages whose shapes fit together", str(error)) from error


def _stage(stage: Stage, parameters: Mapping[str, object], domain: Domain) -> Primitive:
    where = f"stage {stage.label}: {stage.symbol.value}"
    values = [_value(where, a, parameters) for a in stage.arguments if a.name is None]
    options = {a.name: _value(where, a, parameters) for a in stage.arguments if a.name is not None}
    makes, wanted = _MAKERS[stage.symbol]
    try:
        own = values[0] if values and isinstance(values[0], Primitive) else None
        return lift(makes(domain, *values, **options) if own is None else own, domain)
    except (TypeError, ValueError, AttributeError) as error:
        kinds = ", ".join(type(value).__name__ for value in values) or "nothing"
        raise _unfit(where, f"{wanted}, for an input of {domain}", f"{kinds}: {error}") from error


def _value(where: str, argument: Argument, parameters: Mapping[str, object]) -> Any:
    """What a symbol stands for: its parameter, a number, or for an option the word itself."""
    if argument.value in parameters:
        return parameters[argument.value]
    try:
        return float(argument.value)
    except ValueError:
        if argument.name is not None:
            return argument.value
    known = ", ".join(parameters) or "none"
    raise _unfit(where, f"a value for `{argument.value}`", f"values for: {known}")


def _unfit(where: str, expected: str, found: str) -> ContractError:
    return refuse(
        "MODEL_PARAMETERS",
        where,
        expected=expected,
        found=found,
        hint="docs/primitives.md says what each primitive takes",
    )


def _propagation(domain: Domain, beam: IdealOperator | FreeSpace) -> Primitive:
    if isinstance(beam, IdealOperator):
        return ExitWaves(beam)
    kernel = Propagation.fresnel if beam.paraxial else Propagation.rayleigh_sommerfeld
    return kernel(
        _image(domain), distance=beam.distance, wavelength=beam.wavelength, pixel=beam.pixel
    )


def _projection(domain: Domain, scanner: ParallelBeam | FanBeam) -> Primitive:
    return Projection(_image(domain), scanner)


def _fourier(domain: Domain, sampling: Any) -> Primitive:
    if isinstance(sampling, DetectorGeometry):
        return FourierSampling.on(sampling)
    if isinstance(sampling, tuple):
        return FourierSampling(_image(domain), *sampling)
    return MaskedFourier(sampling)


def _convolution(domain: Domain, psf: Any, boundary: str = "periodic") -> Primitive:
    return Convolution(_image(domain), psf, boundary=boundary)


def _detector(domain: Domain, gain: float | Counting = 1.0, noise: object = NOISELESS) -> Primitive:
    if not isinstance(noise, Noise):
        raise TypeError(f"eta is a Noise, not a {type(noise).__name__}")
    if isinstance(gain, Counting):
        return CountingDetector(domain, gain.quanta, gain.gain, noise)
    return Detector(domain, gain, noise)


def _cube(domain: Domain) -> tuple[int, int, int]:
    """The last three axes; any before them are a batch."""
    bands, height, width = domain[-3:]
    return bands, height, width


def _image(domain: Domain) -> tuple[int, int]:
    """The last two axes."""
    height, width = domain[-2:]
    return height, width


_MAKERS: Mapping[Symbol, tuple[Callable[..., Primitive], str]] = {
    Symbol.PROPAGATION: (_propagation, "an IdealOperator (electrons) or a FreeSpace"),
    Symbol.MODULATION: (lambda domain, mask: Modulation(mask, domain), "a mask"),
    Symbol.PROJECTION: (_projection, "a ParallelBeam or a FanBeam"),
    Symbol.FOURIER_SAMPLING: (
        _fourier,
        "a DetectorGeometry, frequencies (q_y, q_x), or a mask (H, W)",
    ),
    Symbol.CONVOLUTION: (_convolution, "a psf (h, w), and boundary=periodic or zero"),
    Symbol.SUMMATION: (
        lambda domain, *axes: Summation(domain, tuple(int(axis) for axis in axes)),
        "axes of the object, or nothing",
    ),
    Symbol.DETECTOR: (_detector, "a gain (a number, or Counting for waves) and a Noise"),
    Symbol.STRUCTURED_ILLUMINATION: (
        lambda _, patterns: StructuredIllumination(patterns),
        "patterns (K, H, W)",
    ),
    Symbol.DISPERSION: (
        lambda domain, shift, aperture=1.0: Dispersion(_cube(domain), shift, aperture),
        "a shift [pixels per band] and an aperture",
    ),
    Symbol.ROTATION: (
        lambda domain, *angles: Rotation(_image(domain), np.hstack(angles).tolist()),
        "angles [degrees]",
    ),
    Symbol.WAVELENGTH_SELECTION: (
        lambda domain, transmission: WavelengthSelection(_cube(domain), transmission),
        "a transmission for each band (L,)",
    ),
}
