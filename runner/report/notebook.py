"""Rich displays of a `Sample`, a `Reconstruction` and a `ScoreCard` in Jupyter.

    %load_ext runner.report.notebook

The classes themselves know nothing of it: they are in the image, where matplotlib is not.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, Protocol

import numpy as np
from matplotlib.image import imsave
from numpy.typing import NDArray

from algorithms.base import Reconstruction, Sample
from runner.report.text import number
from schemas.score import ScoreCard

LOOKED_AT = 64
"""Patterns that a sample's thumbnail is the average of, evenly over the scan: a display must not
read a scan whole."""

THUMBNAIL_PX = 192
"""Side of a thumbnail on the page [pixels]."""

GREEN_FIELD = "viridis"


class Shell(Protocol):
    """What is used of IPython's shell."""

    display_formatter: Any


def load_ipython_extension(shell: Shell) -> None:
    """What `%load_ext` calls."""
    html = shell.display_formatter.formatters["text/html"]
    html.for_type(Sample, sample_html)
    html.for_type(Reconstruction, reconstruction_html)
    html.for_type(ScoreCard, card_html)


def sample_html(sample: Sample) -> str:
    """Mean of some patterns (root scale), and what H states."""
    attrs, operator = sample.operator.attrs, sample.operator
    ny, nx, ky, kx = sample.y.shape
    rows = [
        ("scan", f"{ny} x {nx} positions"),
        ("detector", f"{ky} x {kx} pixels, disk {operator.disk_radius_px:.2f} px in radius"),
        ("object", f"{attrs.object_shape[0]} x {attrs.object_shape[1]} of {attrs.sampling_A:g} A"),
        ("beam", f"{attrs.energy_eV / 1e3:g} keV, {attrs.semiangle_mrad:g} mrad"),
        ("defocus C10", f"{attrs.C10_A:g} A"),
        ("dose", f"{attrs.dose_e:g} e a pattern, gain {attrs.gain:g}"),
        *((r.name, f"{r.min:g} to {r.max:g} {r.unit}".rstrip()) for r in sample.ranges.root),
    ]
    picture = thumbnail(np.sqrt(np.maximum(some_average(sample), 0)), "average pattern")
    return _block(sample.name, picture, _table(rows))


def reconstruction_html(image: Reconstruction) -> str:
    """The image, its range and its spec."""
    x = np.asarray(image.x_hat, dtype=np.float64)
    rows = [
        ("x_hat", " x ".join(str(side) for side in x.shape)),
        ("values", f"{np.nanmin(x):.3f} to {np.nanmax(x):.3f}"),
    ]
    if image.spec is not None:
        rows += [(name, f"{value:.5f}") for name, value in image.spec.values().items()]
    flat = x.reshape(-1, x.shape[-1]) if x.ndim != 2 else x
    return _block("Reconstruction", thumbnail(flat, "reconstruction"), _table(rows))


def card_html(card: ScoreCard) -> str:
    """The samples of a score card, and the findings by their codes."""
    columns = ("sample", "score", "PSNR dB", "SSIM", "consistency")
    cells = [
        (
            one.sample,
            number(one.score, 3),
            number(one.psnr_db, 2),
            number(one.ssim, 3),
            number(one.consistency, 4),
        )
        for one in card.samples
    ]
    mean = (
        "mean",
        number(card.score, 3),
        number(card.psnr_db, 2),
        number(card.ssim, 3),
        number(card.consistency, 4),
    )
    found = ", ".join(item.code for item in card.findings)
    title = f"{card.algorithm}: {card.tier}, {card.track.value}"
    return _block(title, "", _table([*cells, mean], columns) + f"<p>{escape(found)}</p>")


def some_average(sample: Sample) -> NDArray[np.float64]:
    """Mean of `LOOKED_AT` patterns at most, read one by one."""
    ny, nx, ky, kx = sample.y.shape
    chosen = np.unique(np.linspace(0, ny * nx - 1, min(LOOKED_AT, ny * nx)).round().astype(int))
    total = np.zeros((ky, kx))
    for index in chosen.tolist():
        total += sample.y.read(index, index + 1)[0]
    return total / len(chosen)


def thumbnail(values: NDArray[np.float64], text: str) -> str:
    """An `img` with the picture in itself: nothing is loaded from elsewhere."""
    buffer = io.BytesIO()
    imsave(buffer, values, cmap=GREEN_FIELD, format="png")
    data = base64.b64encode(buffer.getvalue()).decode()
    return (
        f'<img alt="{escape(text)}" width="{THUMBNAIL_PX}" style="image-rendering:pixelated"'
        f' src="data:image/png;base64,{data}">'
    )


def _table(rows: Iterable[Sequence[str]], columns: Sequence[str] = ()) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _block(title: str, picture: str, table: str) -> str:
    return (
        f"<div><strong>{escape(title)}</strong>"
        f'<div style="display:flex;gap:1em;align-items:flex-start">{picture}{table}</div></div>'
    )
