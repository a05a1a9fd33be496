"""py4DSTEM: strain of a nanobeam scan; run by `benchmarks.nanobeam_peer` in its own Python.

    python strain_py4dstem.py SCAN.npz FOUND.npz KERNEL LEAST_SHARE

SCAN.npz: counts (Ny, Nx, n, n), probe pattern (n, n), radius [pixels]. FOUND.npz: e_yy, e_xx, e_xy,
theta [rad] and mask, by our names of the axes (the package calls axis 0 x); its shear has the
other sign, which is turned.
"""

from __future__ import annotations

import sys
import time

import matplotlib as mpl

mpl.use("Agg")

import numpy as np
import py4DSTEM
from py4DSTEM.process.strain.latticevectors import (
    get_reference_g1g2,
    get_strain_from_reference_g1g2,
)

UPSAMPLED = 32
"""Part of a pixel to which its sub-pixel search goes."""


def main() -> None:
    """Disks, lattices, strain."""
    source, target, kernel_mode, least_share = sys.argv[1:]
    scan = np.load(source)
    began = time.perf_counter()
    cube = py4DSTEM.DataCube(data=scan["counts"])
    radius = float(scan["radius"])
    probe = py4DSTEM.Probe(scan["probe"])
    origin = (scan["probe"].shape[0] // 2,) * 2
    options = {"radii": (radius, 3 * radius)} if kernel_mode.startswith("sigmoid") else {}
    kernel = probe.get_kernel(mode=kernel_mode, origin=origin, **options)
    braggs = cube.find_Bragg_disks(
        template=kernel,
        corrPower=1,
        sigma_cc=0,
        subpixel="multicorr",
        upsample_factor=UPSAMPLED,
        minRelativeIntensity=float(least_share),
        minPeakSpacing=4 * radius,
        edgeBoundary=int(np.ceil(2 * radius)),
        maxNumPeaks=40,
    )
    braggs.measure_origin(center_guess=origin)
    braggs.fit_origin()
    braggs.setcal()
    strain = py4DSTEM.StrainMap(braggvectors=braggs)
    strain.choose_basis_vectors(minSpacing=4 * radius, minRelativeIntensity=1e-5, maxNumPeaks=30)
    strain.fit_basis_vectors(max_peak_spacing=2 * radius)
    lattices, mask = strain.g1g2_map, strain.mask
    found = get_strain_from_reference_g1g2(lattices, *get_reference_g1g2(lattices, mask))
    theirs = {name: found.get_slice(name).data for name in ("e_xx", "e_yy", "e_xy", "theta")}
    np.savez(
        target,
        e_yy=theirs["e_xx"],
        e_xx=theirs["e_yy"],
        e_xy=-theirs["e_xy"],
        theta=theirs["theta"],
        mask=mask,
        seconds=time.perf_counter() - began,
    )


if __name__ == "__main__":
    main()
