"""Results in the formats that people use, with calibrated axes.

Values are x_hat as it was submitted, or the phase [rad] that it stands for; nothing is rescaled but
for PNG, which is a picture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from runner.files.challenge import open_challenge
from runner.files.hdf5 import atomic_path, make_folder
from runner.files.result import read_result
from runner.report.drawing import scale_bar
from runner.report.zspy import write_zspy
from schemas.findings import ContractError, refuse
from schemas.version import __version__

PICTURE_DPI = 100
PICTURE_INCHES = 5.0
CAPTION_INCHES = 0.45

NM_PER_A = 0.1


@dataclass(frozen=True, eq=False)
class CalibratedImage:
    """An image and what its pixels are.

    Attributes:
        name: sample name.
        values: (H, W) float32.
        sampling_A: pixel [A].
        quantity: what the values are.
        unit: of the values; "" for a pure number.
        provenance: who made it: algorithm, corrected spec.
    """

    name: str
    values: NDArray[np.float32]
    sampling_A: float
    quantity: str
    unit: str
    provenance: Mapping[str, Any]


def calibrated_images(
    result: Path, challenge: Path, *, phase: bool = False
) -> tuple[CalibratedImage, ...]:
    """The images of a result file, their pixels from the challenge that it answers.

    Args:
        result: result file.
        challenge: challenge file.
        phase: x_hat times the sample's phase scale [rad], instead of x_hat.

    Raises:
        ContractError: an invalid result.
    """
    with open_challenge(challenge) as file:
        read, findings = read_result(result, file)
        if read is None or findings:
            raise ContractError(findings)
        images = []
        for name, answer in read.samples.items():
            attrs = file.sample(name).operator.attrs
            scale = attrs.phase_scale_rad if phase else 1.0
            images.append(
                CalibratedImage(
                    name,
                    np.asarray(scale * answer.x_hat, dtype=np.float32),
                    attrs.sampling_A,
                    "phase" if phase else "x_hat",
                    "rad" if phase else "",
                    {
                        "algorithm": read.provenance.algorithm,
                        "corrected_spec": dict(answer.corrected_spec),
                    },
                )
            )
    return tuple(images)


def export(images: tuple[CalibratedImage, ...], to: str, folder: Path) -> tuple[Path, ...]:
    """Write images to a folder, a file each; returns the paths.

    Args:
        images: what to write.
        to: a key of `WRITERS`.
        folder: made where it is not there.

    Raises:
        ContractError: USAGE, no such format; OUTPUT_NOT_WRITABLE; NO_SPACE.
        ModuleNotFoundError: the extra `formats` is not installed.
    """
    if to not in WRITERS:
        raise refuse(
            "USAGE",
            "--to",
            expected=f"one of {', '.join(WRITERS)}",
            found=to,
            hint="docs/export.md says what each holds and who reads it",
        )
    make_folder(folder)
    paths = []
    for image in images:
        path = folder / f"{image.name}_{image.quantity}.{to}"
        WRITERS[to](path, image)
        paths.append(path)
    return tuple(paths)


def _tiff(path: Path, image: CalibratedImage) -> None:
    """32-bit float with ImageJ's scale: pixels per nm, unit nm."""
    import tifffile

    per_nm = 1 / (NM_PER_A * image.sampling_A)
    with atomic_path(path) as temporary:
        tifffile.imwrite(
            temporary,
            image.values,
            imagej=True,
            resolution=(per_nm, per_nm),
            resolutionunit="NONE",
            metadata={"unit": "nm", "axes": "YX", "Info": _info(image)},
        )


def _png(path: Path, image: CalibratedImage) -> None:
    """A picture of the pixels, grey from the lowest to the highest value, with a scale bar."""
    height, width = image.values.shape
    tall = PICTURE_INCHES * height / width
    figure = Figure(figsize=(PICTURE_INCHES, tall + CAPTION_INCHES), dpi=PICTURE_DPI)
    FigureCanvasAgg(figure)
    share = tall / (tall + CAPTION_INCHES)
    axes = figure.add_axes((0, 1 - share, 1, share))
    shown = axes.imshow(image.values, cmap="gray", interpolation="nearest")
    axes.set_axis_off()
    scale_bar(axes, image.values.shape, image.sampling_A)
    low, high = shown.get_clim()
    text = f"{image.name}   {image.quantity} {low:.3f} to {high:.3f} {image.unit}".rstrip()
    figure.text(0.02, (1 - share) / 2, text, va="center", fontsize=11)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")


def _emd(path: Path, image: CalibratedImage) -> None:
    """EMD 1.0, as emdfile and py4DSTEM read it: an array with two calibrated dimensions."""
    import emdfile

    array = emdfile.Array(
        data=image.values,
        name=image.name,
        units=image.unit or "none",
        dims=[image.sampling_A, image.sampling_A],
        dim_units=["A", "A"],
        dim_names=["y", "x"],
    )
    about = emdfile.Metadata(name="stem4d")
    for key, value in _flat(image).items():
        about[key] = value
    array.metadata = about
    with atomic_path(path) as temporary:
        emdfile.save(str(temporary), array, mode="o")


def _hspy(path: Path, image: CalibratedImage) -> None:
    """HyperSpy's own, in HDF5."""
    from rsciio import hspy

    # Its writers go by the suffix and will not have another, so the name is the final one.
    hspy.file_writer(str(path), _signal(image), show_progressbar=False)


def _zspy(path: Path, image: CalibratedImage) -> None:
    """HyperSpy's own, in Zarr."""
    write_zspy(path, _signal(image))


def _signal(image: CalibratedImage) -> dict[str, Any]:
    """As HyperSpy hands a 2-D signal to its writers, axes in A."""
    axes = [
        {
            "name": name,
            "units": "A",
            "scale": image.sampling_A,
            "offset": 0.0,
            "size": size,
            "navigate": False,
            "index_in_array": index,
            "_type": "UniformDataAxis",
        }
        for index, (name, size) in enumerate(zip("yx", image.values.shape, strict=True))
    ]
    return {
        "data": image.values,
        "axes": axes,
        "metadata": {
            "General": {"title": f"{image.name} {image.quantity}"},
            "Signal": {"signal_type": "", "quantity": f"{image.quantity} ({image.unit})"},
        },
        "original_metadata": {"stem4d": _flat(image)},
        "learning_results": {},
        "attributes": {"_lazy": False, "ragged": False},
        "tmp_parameters": {},
        "models": {},
        # Empty: HyperSpy would look for a class of signals in a package that is named here.
        "package_info": {"package": "", "package_version": ""},
    }


def _flat(image: CalibratedImage) -> dict[str, str | float]:
    """Provenance as plain values."""
    spec = {f"spec_{name}": float(v) for name, v in image.provenance["corrected_spec"].items()}
    return {
        "stem4d_version": __version__,
        "quantity": image.quantity,
        "algorithm": str(image.provenance["algorithm"]),
        "sampling_A": image.sampling_A,
        **spec,
    }


def _info(image: CalibratedImage) -> str:
    return "\n".join(f"{key}: {value}" for key, value in _flat(image).items())


WRITERS: Mapping[str, Callable[[Path, CalibratedImage], None]] = MappingProxyType(
    {"tiff": _tiff, "png": _png, "emd": _emd, "hspy": _hspy, "zspy": _zspy}
)
"""Suffix -> what writes it."""
