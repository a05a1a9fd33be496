"""Simulated measurements: a phase image and a mismatch in, counts and the ideal operator out."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from physics.ideal import ArrayPatterns, IdealOperator
from physics.noise import draw_counts
from physics.operator import ForwardOperator, batches
from physics.optics import probe, wavelength_A
from schemas.operator import MODEL_NAME, OperatorAttrs
from schemas.recipes import Profile
from schemas.spec import MismatchSpec


def raster(profile: Profile) -> NDArray[np.float32]:
    """Scan positions (Ny*Nx, 2) as (row, col) [object pixels], row by row from the origin."""
    ny, nx = profile.scan_shape
    rows, cols = np.meshgrid(np.arange(ny), np.arange(nx), indexing="ij")
    return (profile.scan_step_px * np.stack([rows.ravel(), cols.ravel()], axis=1)).astype(
        np.float32
    )


def ideal_operator(profile: Profile, phase_scale_rad: float) -> IdealOperator:
    """The ideal operator H of a profile, for a specimen of that phase scale [rad]."""
    attrs = OperatorAttrs(
        energy_eV=profile.energy_eV,
        wavelength_A=wavelength_A(profile.energy_eV),
        semiangle_mrad=profile.semiangle_mrad,
        C10_A=profile.C10_A,
        Cs_A=profile.Cs_A,
        sampling_A=profile.sampling_A,
        phase_scale_rad=phase_scale_rad,
        dose_e=profile.dose_e,
        gain=profile.gain,
        read_noise=profile.read_noise,
        periodic=True,
        object_shape=profile.object_shape,
        model=MODEL_NAME,
    )
    wave = probe(
        energy_eV=attrs.energy_eV,
        semiangle_mrad=attrs.semiangle_mrad,
        C10_A=attrs.C10_A,
        Cs_A=attrs.Cs_A,
        sampling_A=attrs.sampling_A,
        window=profile.window,
    )
    return IdealOperator(attrs, wave, raster(profile))


def simulate(
    x: NDArray[np.float32],
    operator: IdealOperator,
    spec: MismatchSpec,
    *,
    scan_shape: tuple[int, int],
    rng: np.random.Generator,
) -> ArrayPatterns:
    """Counts y of a specimen x (H, W) seen through a detector with mismatch `spec`.

    The expected electrons are computed in float64 and drawn pattern by pattern in scan order.
    """
    forward = ForwardOperator(operator, dtype=torch.float64)
    phi = forward.tensor(operator.attrs.phase_scale_rad * x.astype(np.float64))
    n = operator.window
    counts = np.empty((forward.count, n, n), dtype=np.float32)
    for index in batches(forward.count, forward.batch):
        expected = forward.expected(phi, spec, index).numpy()
        counts[index] = draw_counts(
            expected, gain=operator.attrs.gain, read_noise=operator.attrs.read_noise, rng=rng
        )
    return ArrayPatterns(counts.reshape(*scan_shape, n, n))
