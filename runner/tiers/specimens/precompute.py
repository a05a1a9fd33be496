"""Make the file of public specimens that ships with the package.

    python -m runner.tiers.specimens.precompute [PATH]

Needs the `organizer` extra. The same versions of numpy and h5py write the same bytes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np

from runner.tiers.specimens.catalog import FAMILIES, builder
from runner.tiers.specimens.crystal import Box, Crystal
from runner.tiers.specimens.potential import image
from runner.tiers.specimens.shipped import SHIPPED_SAMPLING_A, SHIPPED_SHAPE, VARIANTS
from schemas.base import json_text
from schemas.challenge import Tier

DEFAULT_PATH = Path(__file__).parents[1] / "data" / "public_specimens.h5"
_SEED = 32
"""Chosen among the first few for variety: six different twists, rafts on every facet."""


def public_crystal(family: str, variant: int) -> Crystal:
    """The atoms of a shipped specimen, before it is moved at random.

    Raises:
        ContractError: EXTRA_MISSING, without the `organizer` extra.
    """
    box = Box(SHIPPED_SHAPE[0] * SHIPPED_SAMPLING_A, SHIPPED_SHAPE[1] * SHIPPED_SAMPLING_A)
    number = FAMILIES[Tier.PUBLIC].index(family)
    return builder(family)(box, np.random.default_rng([_SEED, number, variant]))


def precompute(path: Path) -> None:
    """Build every variant of every public family and write them to `path`."""
    box = Box(SHIPPED_SHAPE[0] * SHIPPED_SAMPLING_A, SHIPPED_SHAPE[1] * SHIPPED_SAMPLING_A)
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs["sampling_A"] = SHIPPED_SAMPLING_A
        for family in FAMILIES[Tier.PUBLIC]:
            levels, records = [], []
            for variant in range(VARIANTS):
                crystal = public_crystal(family, variant)
                x, range_VA = image(crystal, box, SHIPPED_SHAPE)
                levels.append(x)
                records.append(
                    {
                        "name": f"{family}_{variant}",
                        "range_VA": range_VA,
                        "description": crystal.description,
                        "strain_percent": crystal.strain_percent,
                    }
                )
            group = file.create_group(family)
            group.create_dataset(
                "x",
                data=np.stack(levels),
                chunks=(1, *SHIPPED_SHAPE),
                compression="gzip",
                compression_opts=9,
                shuffle=True,
            )
            group.attrs["variants"] = json_text(records)


def main(arguments: list[str]) -> int:
    """Write the file to the path given, or to its place in the package."""
    path = Path(arguments[0]) if arguments else DEFAULT_PATH
    precompute(path)
    sys.stderr.write(f"wrote {path}, {path.stat().st_size / 1e6:.2f} MB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
