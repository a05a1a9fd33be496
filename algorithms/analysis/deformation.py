"""From reciprocal lattices to strain and rotation.

The columns of G are reciprocal vectors; the crystal's own vectors are the columns of G^-T, so a
crystal that was G_0 has the deformation gradient F = G^-T G_0^T. Its polar decomposition F = R U
(unique: R a rotation, U symmetric) gives the strain e = U - 1 in the reference crystal's axes, and
the rotation theta; unlike (F + F^T)/2 - 1 it does not take a rotation by 5 degrees for a strain of
0.4 %. Vectors are (y, x); theta leads from +x to +y, which is clockwise where rows are drawn
downwards.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

COMPONENTS = ("e_xx", "e_yy", "e_xy", "theta")
"""Order of the last axis of every array of strains here; theta in radians."""

SMALL_ORDERS = 2
"""A given lattice may be named by other vectors: whole combinations up to this are tried."""


def deformation_gradient(basis: Float64, reference: Float64) -> Float64:
    """F (..., 2, 2) of lattices G (..., 2, 2) against a reference G_0 (2, 2)."""
    inverse = np.linalg.inv(basis)
    return np.asarray(np.swapaxes(inverse, -1, -2) @ reference.T)


def polar(gradient: Float64) -> Float64:
    """(..., 4) e_xx, e_yy, e_xy and theta [rad] of F = R U (..., 2, 2), det F > 0.

    In two dimensions R turns by atan2(F_yx - F_xy, F_xx + F_yy).
    """
    fyy, fyx = gradient[..., 0, 0], gradient[..., 0, 1]
    fxy, fxx = gradient[..., 1, 0], gradient[..., 1, 1]
    theta = np.arctan2(fyx - fxy, fxx + fyy)
    cos, sin = np.cos(theta), np.sin(theta)
    # U = R^T F with R = [[cos, sin], [-sin, cos]] on (y, x).
    uyy, uxx = cos * fyy - sin * fxy, sin * fyx + cos * fxx
    uxy = cos * fyx - sin * fxx
    return np.stack([uxx - 1, uyy - 1, uxy, theta], axis=-1)


def composed(strain: Float64) -> Float64:
    """F = R U (..., 2, 2) of (..., 4) e_xx, e_yy, e_xy, theta [rad]: the inverse of `polar`."""
    xx, yy, xy, theta = np.moveaxis(strain, -1, 0)
    cos, sin = np.cos(theta), np.sin(theta)
    turn = np.stack([np.stack([cos, sin], axis=-1), np.stack([-sin, cos], axis=-1)], axis=-2)
    stretch = np.stack([np.stack([1 + yy, xy], axis=-1), np.stack([xy, 1 + xx], axis=-1)], axis=-2)
    return np.asarray(turn @ stretch)


def strain_errors(basis: Float64, covariance: Float64, reference: Float64) -> Float64:
    """(..., 4) standard errors of e_xx, e_yy, e_xy and theta [rad], to first order.

    dF = -G^-T dG^T F; in the reference crystal's axes the symmetric part of R^T dF is the strain's
    error, the other part the rotation's.

    Args:
        basis: G (..., 2, 2).
        covariance: (..., 2, 2, 2) of (G_1, G_2) of each axis y, x; axes are independent.
        reference: G_0 (2, 2).
    """
    gradient = deformation_gradient(basis, reference)
    theta = polar(gradient)[..., 3]
    cos, sin = np.cos(theta), np.sin(theta)
    back = np.stack([np.stack([cos, -sin], axis=-1), np.stack([sin, cos], axis=-1)], axis=-2)
    dual = np.swapaxes(np.linalg.inv(basis), -1, -2)
    left = back @ dual
    # Slope of R^T dF by G_aj is -(left)_ij F_ak.
    slope = -np.einsum("...ij,...ak->...ikaj", left, gradient)
    yy, yx, xy, xx = (slope[..., i, k, :, :] for i, k in itertools.product((0, 1), repeat=2))
    rows = np.stack([xx, yy, (xy + yx) / 2, (yx - xy) / 2], axis=-3)
    variance = np.einsum("...caj,...ajl,...cal->...c", rows, covariance, rows)
    return np.asarray(np.sqrt(variance))


def median_reference(basis: Float64, start: Float64) -> Float64:
    """The lattice (2, 2) of the median strain and rotation of lattices (M, 2, 2).

    Medians of strain and rotation, not of the vectors: those of a crystal that is bent by some
    degrees have a median that is too short.

    Args:
        basis: the lattices.
        start: any lattice near them.
    """
    middle = composed(np.median(polar(deformation_gradient(basis, start)), axis=0))
    return np.asarray(np.linalg.inv(middle).T @ start)


def matched(given: Float64, found: Float64) -> Float64:
    """The given lattice by the basis (2, 2) that is nearest to `found`: equal but for the naming.

    Of all bases of the given lattice, that which the found one is the least strained against, and
    the least turned.
    """
    best, least = given, (np.inf, np.inf)
    span = range(-SMALL_ORDERS, SMALL_ORDERS + 1)
    for numbers in itertools.product(span, repeat=4):
        change = np.array(numbers, dtype=np.float64).reshape(2, 2)
        if abs(round(float(np.linalg.det(change)))) != 1:
            continue
        basis = given @ change
        gradient = deformation_gradient(found, basis)
        if np.linalg.det(gradient) <= 0:
            continue
        xx, yy, xy, theta = polar(gradient)
        size = (round(float(np.sqrt(xx**2 + yy**2 + 2 * xy**2)), 3), abs(float(theta)))
        if size < least:
            best, least = basis, size
    return best
