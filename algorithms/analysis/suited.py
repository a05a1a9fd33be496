"""Whether a scan has disks that stand apart on a lattice; if not, why, in figures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from algorithms.analysis.disks import Disks
from algorithms.analysis.lattice import Lattice, average_disks, find_lattice
from algorithms.analysis.patterns import FirstLook
from algorithms.base import Sample, unsuited
from algorithms.idpc import integrated_phase
from schemas.findings import ContractError
from schemas.spec import MismatchSpec

Float64 = NDArray[np.float64]

LARGEST_BOX = 3
"""Boxes of disks that must fit side by side on the detector: less has no room for a lattice."""

LEAST_RADIUS_PX = 1.0
"""A disk of a smaller radius [pixels] has no inside: its place is the pixel's."""

LONGEST_PERIOD_A = 4.5
"""Longer periods [A] are shapes, such as terraces; few crystals seen along an axis have them."""

BELOW_NYQUIST = 0.9
"""Share of the scan's Nyquist frequency up to which periods are looked for: beyond, they fold."""

RING_INVA = 0.06
"""Width of the rings within which a period's power is compared [A^-1]."""

PEAK_OVER_MEDIAN = 20.0
"""A period is certain when its power is this many times its ring's median; noise hardly reaches
ten."""

INSTEAD = (
    "a nanobeam scan, whose semi-angle is below half the angle between reflections:"
    " `stem4d tiers example strained-crystal` makes one; in this file, reconstruct the image"
    " (`stem4d run --algorithm ptychography`) and measure its lattice"
)


def disk_diameter_invA(sample: Sample) -> float:
    """Diameter of a disk [A^-1]: twice the semi-angle over the wavelength."""
    return 2 * sample.operator.disk_radius_px * sample.operator.detector_pixel_invA


def check_disks(sample: Sample, spec: MismatchSpec, look: FirstLook) -> None:
    """Refuse disks that are too small to have a place, or too large to stand apart.

    Raises:
        ContractError: SAMPLE_UNSUITED, with figures.
    """
    if sample.operator.disk_radius_px < LEAST_RADIUS_PX:
        raise unsuited(
            sample,
            needs=f"disks of at least {LEAST_RADIUS_PX:g} detector pixel in radius",
            found=f"a radius of {sample.operator.disk_radius_px:.2f} pixels",
            instead="a longer camera length, or a larger semi-angle",
        )
    if LARGEST_BOX * look.template.side > sample.operator.window:
        raise no_lattice(sample, spec, look.usable, 0)


def lattice_of(sample: Sample, spec: MismatchSpec, look: FirstLook) -> tuple[Lattice, Disks]:
    """The lattice of the average pattern, and its disks, the direct beam first.

    Raises:
        ContractError: SAMPLE_UNSUITED, with figures.
    """
    check_disks(sample, spec, look)
    disks = average_disks(look.average * look.count, look.template, look.usable)
    lattice = find_lattice(disks)
    if lattice is None:
        raise no_lattice(sample, spec, look.usable, max(len(disks.centers) - 1, 0))
    return lattice, disks


def no_lattice(
    sample: Sample, spec: MismatchSpec, usable: NDArray[np.bool_], disks: int
) -> ContractError:
    """SAMPLE_UNSUITED for patterns without disks apart on a lattice."""
    diameter = disk_diameter_invA(sample)
    found = (
        f"disks of {diameter:.3f} A^-1 in diameter ({sample.operator.attrs.semiangle_mrad:g} mrad),"
        f" {disks} of them apart from the direct beam"
    )
    period = image_period_A(sample, spec, usable)
    if period is not None:
        apart = 1 / period
        share = diameter / apart
        found += (
            f"; the image's strongest period is {period:.2f} A, so reflections are"
            f" {apart:.3f} A^-1 apart: a disk spans {share:.1f} of that"
        )
    return unsuited(
        sample,
        needs="one crystal's diffraction disks, which stand apart: a diameter below the distance"
        " of neighbouring reflections (0.2 to 0.5 A^-1 in most zone axes), four of them or more",
        found=found,
        instead=INSTEAD,
    )


def image_period_A(sample: Sample, spec: MismatchSpec, usable: NDArray[np.bool_]) -> float | None:
    """The strongest period of the scan's image [A], where the scan is fine enough to show one.

    The one of most power, times k^2, in the integrated centre of mass, of those that stand out.
    """
    ny, nx = sample.scan_shape
    if min(ny, nx) < 2:
        return None
    sampling = sample.operator.attrs.sampling_A
    places = sample.operator.positions_px.reshape(ny, nx, 2)
    steps = [
        np.linalg.norm(places[1, 0] - places[0, 0]),
        np.linalg.norm(places[0, 1] - places[0, 0]),
    ]
    finest = BELOW_NYQUIST * 0.5 / (max(float(step) for step in steps) * sampling)
    image = integrated_phase(sample, spec, usable)
    k_y, k_x = (np.fft.fftfreq(side, sampling) for side in image.shape)
    k = np.hypot(k_y[:, None], k_x[None, :])
    seen = (k > 1 / LONGEST_PERIOD_A) & (k <= finest)
    if not seen.any():
        return None
    power, k = np.abs(np.fft.fft2(image))[seen] ** 2, k[seen]
    ring = np.floor(k / RING_INVA).astype(np.int_)
    above = np.zeros_like(power)
    for number in np.unique(ring):
        above[ring == number] = power[ring == number] / np.median(power[ring == number])
    certain = above > PEAK_OVER_MEDIAN
    if not certain.any():
        return None
    return float(1 / k[certain][int(np.argmax((power * k**2)[certain]))])
