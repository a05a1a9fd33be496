"""Structures that a user gives, in any format that ASE reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from runner.tiers.specimens.crystal import Atoms, Box, Cell, Crystal
from runner.tiers.specimens.extra import organizer_module
from runner.tiers.specimens.potential import known_elements
from runner.tiers.specimens.supercell import choose_fit, fill
from schemas.findings import refuse

_MARGIN_A = 1.0
"""Least vacuum on each side of a structure without a periodic cell."""


def crystal_from_file(path: Path, box: Box, rng: np.random.Generator) -> Crystal:
    """Read a structure and fit it into the box; see `draw.from_structure_file`."""
    atoms, a = _read(path)
    label = f"{path.name}, {_formula(atoms)}"
    if a is None:
        return Crystal(_centred(atoms, box, path), f"{label}, alone in the box", 0.0)
    cell = Cell(a, atoms)
    fit = choose_fit(cell, box, rng)
    return Crystal(
        fill(cell, fit, box),
        f"{label}, one cell thick, turned by {fit.rotation_deg:.1f} degrees",
        fit.strain_percent,
    )


def _read(path: Path) -> tuple[Atoms, np.ndarray[tuple[int, int], np.dtype[np.float64]] | None]:
    """Atoms, and the (2, 2) in-plane lattice, or None where the structure does not repeat."""
    ase_io = organizer_module("ase.io")
    if not path.is_file():
        raise refuse(
            "INPUT_NOT_FOUND",
            str(path),
            expected="a structure file",
            found="no such file",
            hint="check the path",
        )
    try:
        read = ase_io.read(path)
    except Exception as error:  # ASE's readers raise whatever their parser stumbles on
        raise refuse(
            "INPUT_MALFORMED",
            str(path),
            expected="a structure file that ASE reads (CIF, XYZ, POSCAR, ...)",
            found=f"{type(error).__name__}: {error}",
            hint="open it with `ase gui` or convert it to extended XYZ",
        ) from error
    if len(read) == 0:
        raise refuse(
            "INPUT_MALFORMED",
            str(path),
            expected="at least one atom",
            found="none",
            hint="check the file",
        )
    symbols = np.array(read.get_chemical_symbols(), dtype=np.str_)
    if unknown := set(symbols.tolist()) - set(known_elements()):
        raise refuse(
            "INPUT_MALFORMED",
            str(path),
            expected="elements with a tabulated scattering factor",
            found=", ".join(sorted(unknown)),
            hint="replace or remove these atoms",
        )
    area = float(np.linalg.norm(np.cross(read.cell[0], read.cell[1])))
    if not (read.pbc[0] and read.pbc[1] and area > 0.0):
        return Atoms(symbols, np.array(read.positions, dtype=float)), None
    # Axes with the first vector along x and the second in the xy plane; the beam is their normal.
    x = read.cell[0] / np.linalg.norm(read.cell[0])
    z = np.cross(read.cell[0], read.cell[1]) / area
    axes = np.stack([x, np.cross(z, x), z], axis=1)
    return Atoms(symbols, read.positions @ axes), np.array(read.cell[:2] @ axes)[:, :2]


def _centred(atoms: Atoms, box: Box, path: Path) -> Atoms:
    low, high = atoms.positions.min(axis=0), atoms.positions.max(axis=0)
    extent = high - low
    room = box.size - 2 * _MARGIN_A
    if np.any(extent[:2] > room):
        raise refuse(
            "USAGE",
            str(path),
            expected=f"at most {room[0]:.1f} x {room[1]:.1f} A, seen along z",
            found=f"{extent[0]:.1f} x {extent[1]:.1f} A",
            hint="cut it smaller, or choose a larger object shape",
        )
    middle = (low + high) / 2
    offset = box.size / 2 - middle[:2]
    return atoms.moved((float(offset[0]), float(offset[1]), 0.0))


def _formula(atoms: Atoms) -> str:
    symbols, counts = np.unique(atoms.symbols, return_counts=True)
    return "".join(
        f"{symbol}{count if count > 1 else ''}"
        for symbol, count in zip(symbols, counts, strict=True)
    )
