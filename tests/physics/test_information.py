"""Fisher information and Cramer-Rao bounds against dense matrices, and what must hold of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from physics.bounds import cramer_rao
from physics.curvature import Curvature
from physics.gauge import Gauge
from physics.ideal import IdealOperator
from physics.information import DARK_E, FisherInformation
from physics.operator import ForwardOperator
from schemas import PARAMETERS, MismatchSpec
from tests.helpers.operators import make_ideal, random_phase

SPEC = MismatchSpec(camera_length=2.0, center_offset=0.8, elliptical_distortion=0.006)
PERIODIC = make_ideal(window=12, object_shape=(16, 16), dose_e=500.0)
PADDED = make_ideal(window=12, object_shape=(24, 24), step=3, periodic=False, dose_e=500.0)
NOISY = make_ideal(window=12, object_shape=(16, 16), dose_e=500.0, gain=2.0, read_noise=3.0)
STEPS = (1e-4, 1e-5, 1e-6)
"""Steps of the finite differences, per parameter."""


def information_of(ideal: IdealOperator, seed: int = 0) -> FisherInformation:
    forward = ForwardOperator(ideal, dtype=torch.float64)
    return FisherInformation(forward, SPEC, 0.4 * forward.tensor(random_phase(ideal, seed)))


def dense(information: FisherInformation) -> tuple[Tensor, Tensor]:
    """Derivatives of every pattern by autograd and differences, weighted: (J_x, J_p)."""
    forward, phi, spec = information.operator, information.phi, information.spec
    attrs = forward.ideal.attrs
    expected = forward.expected(phi, spec).reshape(-1)
    weight = (expected + (attrs.read_noise / attrs.gain) ** 2 + DARK_E).rsqrt()[:, None]
    by_phase = torch.autograd.functional.jacobian(
        lambda p: forward.expected(p, spec).reshape(-1), phi, vectorize=True
    ).reshape(len(expected), -1)
    columns = []
    for parameter, step in enumerate(STEPS):
        ahead, behind = (
            MismatchSpec.from_vector(
                tuple(np.array(spec.vector()) + s * step * np.eye(3)[parameter])
            )
            for s in (1, -1)
        )
        difference = forward.expected(phi, ahead) - forward.expected(phi, behind)
        columns.append(difference.reshape(-1) / (2 * step))
    return weight * by_phase, weight * torch.stack(columns, dim=1)


@pytest.mark.parametrize("ideal", [PERIODIC, PADDED, NOISY], ids=["periodic", "padded", "noisy"])
def test_every_block_is_the_dense_one(ideal: IdealOperator) -> None:
    information = information_of(ideal)
    by_phase, by_spec = dense(information)
    fisher, shared = information.of_spec()
    np.testing.assert_allclose(fisher, (by_spec.T @ by_spec).numpy(), rtol=1e-5)
    coupling = (by_spec.T @ by_phase).reshape(3, *ideal.attrs.object_shape)
    scale = coupling.abs().amax(dim=(1, 2), keepdim=True)
    torch.testing.assert_close(shared / scale, coupling / scale, rtol=0, atol=1e-5)
    directions = torch.as_tensor(np.random.default_rng(1).standard_normal(coupling.shape))
    product = (directions.flatten(1) @ by_phase.T @ by_phase).reshape(coupling.shape)
    torch.testing.assert_close(information.product(directions), product, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(information.product(directions[1]), product[1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("ideal", [PERIODIC, PADDED, NOISY], ids=["periodic", "padded", "noisy"])
def test_the_joint_bound_is_the_dense_one(ideal: IdealOperator) -> None:
    """By the pseudo-inverse of the whole information of the phase, its gauge taken out."""
    information = information_of(ideal)
    by_phase, by_spec = dense(information)
    generator = torch.Generator().manual_seed(0)
    curvature = Curvature.estimate(information, generator)
    gauge = Gauge.of(curvature.window, periodic=ideal.attrs.periodic)
    size = by_phase.shape[1]
    eye = torch.eye(size, dtype=torch.float64).reshape(size, *ideal.attrs.object_shape)
    free = torch.stack([gauge.project(row) for row in eye]).reshape(size, size)
    by_phase = by_phase @ free.T
    coupling = by_spec.T @ by_phase
    inverse = torch.linalg.pinv(by_phase.T @ by_phase, rtol=1e-9, hermitian=True)
    joint = torch.linalg.inv(by_spec.T @ by_spec - coupling @ inverse @ coupling.T).numpy()
    bound = cramer_rao(information, curvature, rounds=500, settled=1e-7)
    # What the beam hardly met comes in last; it adds little.
    np.testing.assert_allclose(np.diag(bound.joint), np.diag(joint), rtol=0.02)
    np.testing.assert_allclose(bound.known, torch.linalg.inv(by_spec.T @ by_spec), rtol=1e-4)
    quick = cramer_rao(information, curvature)
    np.testing.assert_allclose(np.diag(quick.joint), np.diag(joint), rtol=0.1)


def test_not_knowing_costs() -> None:
    bound = cramer_rao(information_of(PERIODIC))
    assert tuple(bound.joint_sigma) == tuple(bound.known_sigma) == PARAMETERS
    assert np.linalg.eigvalsh(bound.joint - bound.known).min() > -1e-9 * np.trace(bound.joint)
    one = cramer_rao(information_of(PERIODIC), rounds=1)
    assert one.rounds == 1
    assert all(one.joint_sigma[name] <= bound.joint_sigma[name] * 1.0001 for name in PARAMETERS)
    assert all(one.joint_sigma[name] > bound.known_sigma[name] for name in PARAMETERS)


def test_the_bound_falls_as_one_over_the_root_of_the_dose() -> None:
    def sigma(dose_e: float) -> np.ndarray:
        ideal = make_ideal(window=12, object_shape=(16, 16), dose_e=dose_e)
        return np.sqrt(np.diag(cramer_rao(information_of(ideal)).joint))

    np.testing.assert_allclose(sigma(500.0) / sigma(8000.0), 4.0, rtol=0.01)


def test_read_noise_and_dead_pixels_cost() -> None:
    clean, noisy = (cramer_rao(information_of(ideal)) for ideal in (PERIODIC, NOISY))
    assert all(noisy.joint_sigma[name] > clean.joint_sigma[name] for name in PARAMETERS)
    whole = information_of(PERIODIC)
    alive = torch.ones(12, 12, dtype=torch.float64)
    alive[4:7, 3:9] = 0
    blinded = FisherInformation(
        whole.operator, SPEC, whole.phi, lambda expected: alive / (expected + 1e-6)
    )
    known = cramer_rao(blinded).known_sigma
    assert all(known[name] > clean.known_sigma[name] for name in PARAMETERS)
