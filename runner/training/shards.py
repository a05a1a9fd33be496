"""Training data in files: made in parallel, a shard at a time, and read again.

A shard is one HDF5 file of some scenes. Every scene has a seed of its own, so that neither the
number of workers nor an interruption changes a byte; what is there already is not made again. The
manifest, written last, names every shard with its sha256.
"""

from __future__ import annotations

import math
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, fields
from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from runner.files.hdf5 import atomic_path, make_folder, sha256_of
from runner.tiers.simulate import ideal_operator
from runner.training.first_order import first_order_input, parabola
from runner.training.materials import LIGHT, MATERIALS, VALIDATION_MATERIALS
from runner.training.recipes import DataRecipe
from runner.training.specimens import Source, draw_training_specimen
from schemas.base import Record, StrictJSONError, json_text, record_from_json
from schemas.findings import refuse

MANIFEST_NAME = "manifest.json"

MAX_MANIFEST_BYTES = 1 << 20


class Shard(Record):
    """One file of a data set."""

    name: str = Field(description="file name")
    split: str = Field(description="train or validation")
    first: int = Field(description="number of its first scene within the split")
    scenes: int = Field(description="scenes in it")
    sha256: str = Field(description="of the file")


class Manifest(Record):
    """A data set: the recipe that it was made by, and its files."""

    recipe: DataRecipe
    shards: tuple[Shard, ...]


@dataclass(frozen=True)
class Scenes:
    """Scenes of a data set, as arrays with one row a scene.

    Attributes:
        x: the truth, (S, H, W).
        images: what a network is given, (S, 2, H, W).
        condition: likewise, (S, 4).
        slope: slope of the likelihood at the truth, (S, H, W) [rad^-1].
        spectrum: its information per ring of frequency, (S, rings) [rad^-2].
        phase_scale_rad: (S,) [rad].
        dose_e: electrons per pattern, (S,).
    """

    x: NDArray[np.float32]
    images: NDArray[np.float32]
    condition: NDArray[np.float32]
    slope: NDArray[np.float32]
    spectrum: NDArray[np.float32]
    phase_scale_rad: NDArray[np.float32]
    dose_e: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.x)


def make_data(
    recipe: DataRecipe,
    folder: Path,
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Manifest:
    """Make a data set in `folder`; shards that are there already are kept.

    Args:
        recipe: every number of it.
        folder: made when it is not there.
        workers: processes.
        progress: told (shards done, shards in all).

    Raises:
        ContractError: the folder cannot be written, or a package is missing.
    """
    make_folder(folder)
    parts = list(_parts(recipe))
    digests: dict[str, str] = {}
    for name, digest in _made(recipe, parts, folder, workers):
        digests[name] = digest
        if progress is not None:
            progress(len(digests), len(parts))
    shards = tuple(part.model_copy(update={"sha256": digests[part.name]}) for part in parts)
    manifest = Manifest(recipe=recipe, shards=shards)
    with atomic_path(folder / MANIFEST_NAME) as path:
        path.write_text(json_text(manifest) + "\n", encoding="utf-8")
    return manifest


def read_manifest(folder: Path) -> tuple[Manifest, str]:
    """(a data set's manifest, its sha256).

    Raises:
        ContractError: INPUT_NOT_FOUND or INPUT_MALFORMED.
    """
    path = folder / MANIFEST_NAME
    if not path.is_file():
        raise refuse(
            "INPUT_NOT_FOUND",
            str(path),
            expected="a data set of `stem4d train data`",
            found="no such file",
            hint=f"stem4d train data --out {folder}; one that was interrupted goes on so",
        )
    try:
        text = path.read_bytes()
        manifest = record_from_json(Manifest, text, max_bytes=MAX_MANIFEST_BYTES)
    except (OSError, StrictJSONError, ValidationError) as error:
        raise refuse(
            "INPUT_MALFORMED",
            str(path),
            expected="a manifest of training data",
            found=str(error),
            hint="make the data again",
        ) from error
    return manifest, sha256_of(path)


def read_scenes(folder: Path, manifest: Manifest, split: str) -> Scenes:
    """All scenes of a split.

    Raises:
        ContractError: INPUT_MALFORMED, a shard is not the one that the manifest names.
    """
    columns: dict[str, list[NDArray[np.float32]]] = {f.name: [] for f in fields(Scenes)}
    for shard in manifest.shards:
        if shard.split != split:
            continue
        path = folder / shard.name
        found = sha256_of(path) if path.is_file() else "no such file"
        if found != shard.sha256:
            raise refuse(
                "INPUT_MALFORMED",
                str(path),
                expected=f"sha256 {shard.sha256}, as the manifest says",
                found=found,
                hint="remove the file and make the data again: only it is made anew",
            )
        with h5py.File(path, "r") as file:
            for name, column in columns.items():
                column.append(file[name][()])
    return Scenes(**{name: np.concatenate(column) for name, column in columns.items()})


def _parts(recipe: DataRecipe) -> Iterator[Shard]:
    for split, total in (("train", recipe.scenes), ("validation", recipe.validation_scenes)):
        for number in range(math.ceil(total / recipe.shard_scenes)):
            first = number * recipe.shard_scenes
            count = min(recipe.shard_scenes, total - first)
            yield Shard(
                name=f"{split}_{number:04d}.h5", split=split, first=first, scenes=count, sha256=""
            )


def _made(
    recipe: DataRecipe, parts: list[Shard], folder: Path, workers: int
) -> Iterator[tuple[str, str]]:
    """(name, sha256) of every shard, as they are finished."""
    if workers == 1:
        yield from ((part.name, _make_shard(recipe, part, folder)) for part in parts)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=_one_thread) as pool:
        jobs = {pool.submit(_make_shard, recipe, part, folder): part for part in parts}
        for job in as_completed(jobs):
            yield jobs[job].name, job.result()


def _one_thread() -> None:
    """Each worker is one of many: torch's own threads would only get in their way."""
    torch.set_num_threads(1)


def _make_shard(recipe: DataRecipe, shard: Shard, folder: Path) -> str:
    """Make one shard where it is not there; returns its sha256."""
    path = folder / shard.name
    what = recipe.model_dump(mode="json", exclude={"scenes", "validation_scenes"})
    stamp = json_text({"recipe": what, "first": shard.first, "scenes": shard.scenes})
    if path.is_file():
        with h5py.File(path, "r") as file:
            if file.attrs.get("stamp") == stamp:
                return sha256_of(path)
    rows = [_scene(recipe, shard.split, shard.first + i) for i in range(shard.scenes)]
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["stamp"] = stamp
        for name in rows[0]:
            values = np.stack([row[name] for row in rows]).astype(np.float32)
            file.create_dataset(name, data=values)
    return sha256_of(path)


def _scene(recipe: DataRecipe, split: str, number: int) -> dict[str, NDArray[np.float32]]:
    training = split == "train"
    rng = np.random.default_rng([recipe.seed, int(training), number])
    source = (
        Source(MATERIALS, recipe.random_share, LIGHT, recipe.light_share)
        if training
        else Source(VALIDATION_MATERIALS)
    )
    low, high = recipe.doses_e
    dose_e = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    profile = recipe.profile.model_copy(update={"dose_e": dose_e})
    specimen = draw_training_specimen(
        source,
        rng,
        shape=profile.object_shape,
        sampling_A=profile.sampling_A,
        energy_eV=profile.energy_eV,
    )
    operator = ideal_operator(profile, specimen.phase_scale_rad)
    found = parabola(torch.as_tensor(specimen.x.copy()), operator, rng)
    steps = int(rng.integers(recipe.steps[0], recipe.steps[1] + 1))
    given = first_order_input(found, operator, steps)
    return {
        "x": specimen.x,
        "images": given.images[0].numpy(),
        "condition": given.condition[0].numpy(),
        "slope": found.slope.numpy(),
        "spectrum": found.curvature.spectrum.numpy(),
        "phase_scale_rad": np.array(specimen.phase_scale_rad, dtype=np.float32),
        "dose_e": np.array(dose_e, dtype=np.float32),
    }
