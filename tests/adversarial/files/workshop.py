"""Where hostile result files are made: an honest one to spoil, and a secret to be stolen."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from runner.files.hdf5 import sha256_of
from runner.tiers.strip import strip
from tests.helpers.damage import Damage
from tests.runner.small import (
    SIDE,
    SmallChallenge,
    true_answers,
    write_answers,
    write_small_challenge,
)

SECRET = np.full((SIDE, SIDE), 0.73125, dtype="<f4")
"""An image that would pass for an answer: whoever reads it has read the organiser's disk."""

RESULT = "result.h5"


@dataclass(frozen=True)
class Workshop:
    """A folder with the view that a container was given, an honest result, and a secret.

    Attributes:
        folder: for everything that is made; others may read it.
        challenge: the public challenge, truth included.
        view: its blind view: what the result must be made from.
        honest: a result that knows everything.
    """

    folder: Path
    challenge: SmallChallenge
    view: Path
    honest: Path

    @property
    def secret(self) -> Path:
        """An HDF5 file with the secret at `/sample_00/x_hat` and `/x`."""
        return self.folder / "secret.h5"

    @property
    def raw_secret(self) -> Path:
        """The secret's bare bytes."""
        return self.folder / "secret.bin"

    @property
    def result(self) -> Path:
        """The path that is judged."""
        return self.folder / "output" / RESULT

    def copy(self) -> Path:
        """The honest result at the path that is judged."""
        self.result.parent.mkdir(exist_ok=True)
        return Path(shutil.copyfile(self.honest, self.result))

    def damaged(self, *damages: Damage) -> Path:
        """The honest result after damage to the open file."""
        path = self.copy()
        with h5py.File(path, "r+") as file:
            for damage in damages:
                damage(file)
        return path

    def garbled(self, change: Damage | None = None, *, at: int = 0, put: bytes = b"") -> Path:
        """The honest result, with other bytes at an offset of the closed file."""
        path = self.copy() if change is None else self.damaged(change)
        content = bytearray(path.read_bytes())
        content[at : at + len(put)] = put
        path.write_bytes(content)
        return path


def furnish(folder: Path) -> Workshop:
    """Make a workshop in an empty folder."""
    folder.chmod(0o755)
    challenge = write_small_challenge(folder / "challenge.h5")
    view = strip(challenge.path, folder / "view.h5")
    honest = write_answers(
        folder / "honest.h5", true_answers(challenge), input_sha256=sha256_of(view)
    )
    shop = Workshop(folder, challenge, view, honest)
    with h5py.File(shop.secret, "w") as file:
        file["x"] = SECRET
        file["sample_00/x_hat"] = SECRET
    shop.raw_secret.write_bytes(SECRET.tobytes())
    for path in (shop.secret, shop.raw_secret):
        path.chmod(0o644)
    return shop
