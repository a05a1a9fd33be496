"""Small primitives of every form. What holds for one holds for all: add a new one here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from physics.geometry import DetectorGeometry
from physics.primitives.base import Primitive
from physics.primitives.detector import CountingDetector, Detector
from physics.primitives.electrons import ExitWaves, ScanIllumination
from physics.primitives.filters import Convolution, Propagation
from physics.primitives.fourier import FourierSampling, MaskedFourier
from physics.primitives.graph import ForwardModel, compose, join, lift
from physics.primitives.masks import (
    Modulation,
    StructuredIllumination,
    Summation,
    WavelengthSelection,
)
from physics.primitives.projection import FanBeam, ParallelBeam, Projection
from physics.primitives.resampling import Dispersion, Rotation
from schemas.notation import parse
from tests.helpers.operators import SPECS, make_ideal

RNG = np.random.default_rng(20)
IMAGE = (9, 12)
CUBE = (4, 6, 7)
SCAN = make_ideal(window=16, object_shape=(22, 20), step=7)
BETWEEN = make_ideal(window=16, object_shape=(22, 20), step=7, shift=(0.3, -0.4))
FREE_SPACE = {"distance": 37.0, "wavelength": 0.7, "pixel": 0.5}
PSF = RNG.uniform(0, 1, (4, 5))
ANGLES = (0.0, 20.0, 77.0, 90.0, 141.5)


def random_complex(*shape: int) -> NDArray[np.complex128]:
    return RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)


def two_arms() -> ForwardModel:
    """A blurred and a complex-masked copy of one masked image, added, summed over the rows."""
    return join(
        parse("m: M(a) -> C(psf) -> add: Sigma -> Sigma(0) -> D(g); m -> M(b) -> add"),
        {
            "m": Modulation(RNG.uniform(0, 1, IMAGE)),
            "c2": Convolution(IMAGE, PSF),
            "add": Summation(IMAGE),
            "sigma4": Summation(IMAGE, (0,)),
            "d5": Detector(IMAGE[1:], 3.0),
            "m6": Modulation(random_complex(*IMAGE)),
        },
    )


LINEAR: Mapping[str, Primitive] = MappingProxyType(
    {
        "P fresnel": Propagation.fresnel(IMAGE, **FREE_SPACE),
        "P rayleigh-sommerfeld": Propagation.rayleigh_sommerfeld(IMAGE, **FREE_SPACE),
        "P probe on t": ScanIllumination(SCAN),
        "P probe between pixels": ScanIllumination(BETWEEN, slice(1, 4)),
        "M real": Modulation(RNG.uniform(0, 1, IMAGE)),
        "M complex, shared": Modulation(random_complex(*CUBE[1:]), CUBE),
        "Pi parallel": Projection(IMAGE, ParallelBeam(ANGLES, 17, 0.8)),
        "Pi fan": Projection(IMAGE, FanBeam(ANGLES, 15, 30.0, 20.0, 1.9)),
        "F distorted": FourierSampling.on(DetectorGeometry(12, SPECS["all"])),
        "F oblong": FourierSampling(IMAGE, np.linspace(-3, 2, 4), np.linspace(-1, 5.5, 7)),
        "F mask": MaskedFourier(RNG.uniform(0, 1, IMAGE) < 0.4),
        "C periodic": Convolution(IMAGE, PSF),
        "C zero": Convolution(IMAGE, PSF, boundary="zero"),
        "C complex": Convolution(IMAGE, random_complex(3, 3)),
        "Sigma bands": Summation(CUBE, (0,)),
        "Sigma pixels": Summation(CUBE, (2, 1)),
        "Sigma nothing": Summation(CUBE),
        "D": Detector(IMAGE, 2.5),
        "S hadamard": StructuredIllumination.hadamard((4, 8)),
        "S random": StructuredIllumination.random(IMAGE, 5, RNG),
        "W": Dispersion(CUBE, 1.3, RNG.uniform(0, 1, CUBE[1:])),
        "W backwards": Dispersion(CUBE, -2.0),
        "R": Rotation(IMAGE, ANGLES),
        "Lambda": WavelengthSelection(CUBE, RNG.uniform(0, 1, CUBE[0])),
        "lifted": lift(Convolution(CUBE[1:], PSF), CUBE),
        "composed": compose(Dispersion(CUBE, 1.0), Summation((4, 6, 10), (0,)), Detector((6, 10))),
        "branched": two_arms(),
    }
)
"""Every linear primitive: each property of `tests/physics/test_primitives.py` is asked of it."""

NONLINEAR: Mapping[str, Primitive] = MappingProxyType(
    {
        "P(e-)": ExitWaves(SCAN),
        "D counting": CountingDetector(IMAGE, 7.0, 1.5),
        "P(e-) -> F -> D": compose(
            ExitWaves(SCAN, slice(0, 2)),
            lift(FourierSampling.on(DetectorGeometry(16, SPECS["all"])), (2, 16, 16)),
            CountingDetector((2, 16, 16), 100.0),
        ),
    }
)
"""Those that are not linear: shapes, dtypes, devices and derivatives only."""
