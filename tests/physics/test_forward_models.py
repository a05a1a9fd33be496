"""Forward models from a notation; the 4D-STEM operator is the composition P-F-D."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from physics.ideal import IdealOperator
from physics.operator import ForwardOperator
from physics.primitives.base import LinearPrimitive
from physics.primitives.build import Counting, FreeSpace, build, diffraction_parameters
from physics.primitives.detector import Noise, NoiseName
from physics.primitives.filters import Convolution, Propagation
from physics.primitives.graph import compose, join
from physics.primitives.masks import Modulation, Summation
from physics.primitives.projection import ParallelBeam
from schemas import ContractError, MismatchSpec
from schemas.notation import PAGE_MODEL, parse
from tests.helpers.operators import OPERATORS, SPECS, make_ideal, random_phase


@pytest.fixture(params=sorted(OPERATORS))
def ideal(request: pytest.FixtureRequest) -> IdealOperator:
    return OPERATORS[request.param]


@pytest.fixture(params=sorted(SPECS))
def spec(request: pytest.FixtureRequest) -> MismatchSpec:
    return SPECS[request.param]


def page_model(ideal: IdealOperator, spec: MismatchSpec):
    return build(PAGE_MODEL, diffraction_parameters(ideal, spec), domain=ideal.attrs.object_shape)


def test_4d_stem_is_p_f_d(ideal: IdealOperator, spec: MismatchSpec) -> None:
    """The page's own line, built and evaluated, is the operator of the whole project."""
    phase = random_phase(ideal)
    forward = ForwardOperator(ideal, dtype=torch.float64)
    expected = forward.expected(forward.tensor(phase), spec)
    x = torch.as_tensor(phase / ideal.attrs.phase_scale_rad)
    found = page_model(ideal, spec).forward(x)
    assert found.dtype == torch.float64
    assert float((found - expected).abs().max() / expected.max()) < 1e-12


def test_gain_and_noise_are_the_sample_s(spec: MismatchSpec) -> None:
    """Mean gain I, variance gain^2 I + read_noise^2: reduced chi-square 1."""
    ideal = make_ideal(gain=2.5, read_noise=0.7, step=2)
    forward = ForwardOperator(ideal, dtype=torch.float64)
    phi = forward.tensor(random_phase(ideal))
    electrons = forward.expected(phi, spec).numpy()
    model = page_model(ideal, spec)
    x = phi / ideal.attrs.phase_scale_rad
    np.testing.assert_allclose(model.forward(x).numpy(), 2.5 * electrons, rtol=1e-9, atol=1e-12)
    counts = model.sample(x, np.random.default_rng(0))
    variance = 2.5**2 * electrons + 0.7**2
    chi_square = ((counts - 2.5 * electrons) ** 2).sum() / variance.sum()
    assert chi_square == pytest.approx(1.0, abs=0.02)


def test_the_page_s_model_can_be_differentiated() -> None:
    """Autograd through P-F-D is the operator's own gradient."""
    ideal, spec = OPERATORS["periodic"], SPECS["all"]
    phase = random_phase(ideal)
    forward = ForwardOperator(ideal, dtype=torch.float64)
    phi = forward.tensor(phase).requires_grad_()
    (expected,) = torch.autograd.grad(forward.expected(phi, spec).square().sum(), phi)
    x = torch.as_tensor(phase / ideal.attrs.phase_scale_rad).requires_grad_()
    (found,) = torch.autograd.grad(page_model(ideal, spec).forward(x).square().sum(), x)
    torch.testing.assert_close(found, expected * ideal.attrs.phase_scale_rad)


# --- other models of the language -----------------------------------------------------------------

RNG = np.random.default_rng(1)
PARAMETERS = {
    "psf": RNG.uniform(0, 1, (3, 3)),
    "mask": RNG.uniform(0, 1, (8, 8)),
    "views": ParallelBeam((0.0, 30.0, 100.0), 13),
    "k": RNG.uniform(0, 1, (8, 8)) < 0.5,
    "freq": (np.linspace(-2, 2, 5), np.linspace(-3, 3, 4)),
    "angles": [0.0, 45.0],
    "pattern": RNG.uniform(0, 1, (6, 8, 8)),
    "bands": np.array([0.0, 1.0, 0.5]),
    "a": RNG.uniform(0, 1, (8, 8)),
    "z": FreeSpace(distance=3.0, wavelength=0.2, pixel=0.5),
    "near": FreeSpace(distance=3.0, wavelength=0.2, pixel=0.5, paraxial=True),
    "g": 2.0,
    "count": Counting(quanta=5.0),
    "eta": Noise(NoiseName.GAUSSIAN, 0.1),
    "shot": Noise(NoiseName.POISSON),
    "own": Modulation(RNG.uniform(0, 1, (8, 8))),
}

LINEAR_MODELS = {
    "deconvolution": ("C(psf) -> D(g, eta)", (8, 8), (8, 8)),
    "tomography": ("Pi(views) -> D(g, eta)", (8, 8), (3, 13)),
    "tilt series": ("R(angles) -> Sigma(1) -> D", (8, 8), (2, 8)),
    "magnetic resonance": ("F(k) -> D", (8, 8), (8, 8)),
    "any frequencies": ("F(freq)", (8, 8), (5, 4)),
    "snapshot spectroscopy": ("W(1, a) -> Sigma(0) -> D(g)", (3, 8, 8), (8, 10)),
    "filtered cube": ("Λ(bands) → Σ(0) → D(g)", (3, 8, 8), (8, 8)),
    "single pixel": ("S(pattern) -> Sigma(1, 2) -> D(g, eta)", (8, 8), (6,)),
    "wave": ("P(z) -> M(mask) -> P(near)", (8, 8), (8, 8)),
    "blur of a stack": ("C(psf, boundary=zero) -> D", (5, 8, 8), (5, 8, 8)),
    "a stage of one's own": ("M(own) -> D(3)", (8, 8), (8, 8)),
    "two paths": ("m: M(mask) -> C(psf) -> s: Sigma -> D(g); m -> s", (8, 8), (8, 8)),
    "turned by one number": ("R(30)", (8, 8), (1, 8, 8)),
}


@pytest.mark.parametrize("name", LINEAR_MODELS)
def test_a_notation_becomes_a_linear_model(name: str) -> None:
    text, domain, measured = LINEAR_MODELS[name]
    model = build(text, PARAMETERS, domain=domain)
    assert isinstance(model, LinearPrimitive)
    assert model.shape == (domain, measured)
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(domain, dtype=torch.float64, generator=generator)
    there = model.forward(x)
    assert there.shape == measured
    y = torch.randn(there.shape, dtype=there.dtype, generator=generator)
    products = (there.conj() * y).sum(), (x * model.adjoint(y)).sum()
    assert products[0].real.item() == pytest.approx(products[1].real.item())


def test_branches_add() -> None:
    model = build(LINEAR_MODELS["two paths"][0], PARAMETERS, domain=(8, 8))
    x = torch.rand(8, 8, dtype=torch.float64)
    masked = torch.as_tensor(PARAMETERS["mask"]) * x
    blurred = Convolution((8, 8), PARAMETERS["psf"]).forward(masked)
    torch.testing.assert_close(model.forward(x), 2.0 * (blurred + masked))


def test_two_sources_see_the_same_object() -> None:
    model = build("M(mask) -> s: Sigma; C(psf) -> s", PARAMETERS, domain=(8, 8))
    x = torch.rand(8, 8, dtype=torch.float64)
    masked = torch.as_tensor(PARAMETERS["mask"]) * x
    torch.testing.assert_close(
        model.forward(x), masked + Convolution((8, 8), PARAMETERS["psf"]).forward(x)
    )


def test_which_kernel_is_meant() -> None:
    lengths = {"distance": 3.0, "wavelength": 0.2, "pixel": 0.5}
    x = torch.rand(8, 8, dtype=torch.float64)
    for symbol, kernel in (("z", Propagation.rayleigh_sommerfeld), ("near", Propagation.fresnel)):
        model = build(f"P({symbol})", PARAMETERS, domain=(8, 8))
        torch.testing.assert_close(model.forward(x), kernel((8, 8), **lengths).forward(x))


def test_a_hologram_counts_the_wave() -> None:
    """P -> D of a wave is its squared magnitude; no longer linear."""
    model = build("P(z) -> D(count, shot)", PARAMETERS, domain=(8, 8))
    assert not isinstance(model, LinearPrimitive)
    x = torch.rand(8, 8, dtype=torch.float64)
    wave = build("P(z)", PARAMETERS, domain=(8, 8)).forward(x)
    torch.testing.assert_close(model.forward(x), 5.0 * wave.abs().square())
    assert model.sample(x, np.random.default_rng(0)).min() >= 0


# --- what cannot be built -------------------------------------------------------------------------

FAULTS = {
    "M(nothing)": ("stage m1: M", "values for: psf, mask"),
    "M": ("stage m1: M", "nothing"),
    "M(mask, psf)": ("stage m1: M", "ndarray, ndarray"),
    "M(bands)": ("stage m1: M", "ndarray"),
    "C(psf, boundary=mirror)": ("stage c1: C", "mirror"),
    "C(views)": ("stage c1: C", "ParallelBeam"),
    "Pi(psf)": ("stage pi1: Pi", "ndarray"),
    "P(psf)": ("stage p1: P", "ndarray"),
    "Sigma(7)": ("stage sigma1: Sigma", "7"),
    "W(1, a)": ("stage w1: W", "float, ndarray"),
    "D(g, g)": ("stage d1: D", "float"),
    "S(pattern) -> M(own) -> C(psf) -> Sigma(0) -> Pi(views) -> M(own)": ("stage m6: M", "(3, 13)"),
    "M(mask); C(psf)": ("the model", "m1, c2"),
    "S(pattern) -> a: Sigma; M(mask) -> a": ("the model", "(8, 8)"),
}


@pytest.mark.parametrize("text", FAULTS)
def test_what_cannot_be_built_is_named(text: str) -> None:
    where, found = FAULTS[text]
    with pytest.raises(ContractError) as failure:
        build(text, PARAMETERS, domain=(8, 8))
    (entry,) = failure.value.findings
    assert entry.code == "MODEL_PARAMETERS"
    assert entry.where == where
    assert found in entry.found
    assert failure.value.exit_code == 2


def test_a_text_that_is_no_model() -> None:
    with pytest.raises(ContractError) as failure:
        build("M(mask) ->", PARAMETERS, domain=(8, 8))
    assert failure.value.findings[0].code == "NOTATION_MALFORMED"


def test_shapes_must_fit_in_code_as_well() -> None:
    with pytest.raises(ValueError, match=r"s2 takes \(4, 4\), but s1 has the shape \(4, 5\)"):
        compose(Summation((4, 5)), Summation((4, 4)))
    with pytest.raises(ValueError, match="one end"):
        join(parse("M; M"), {"m1": Summation((4,)), "m2": Summation((4,))})


def test_only_a_detector_draws_noise() -> None:
    with pytest.raises(ValueError, match="no detector"):
        build("C(psf)", PARAMETERS, domain=(8, 8)).sample(
            torch.zeros(8, 8), np.random.default_rng(0)
        )
