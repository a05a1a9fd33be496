"""The page's figures as PNG and SVG files, for slides and papers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from matplotlib.figure import Figure

from runner.files.hdf5 import make_folder, output_error
from runner.report.drawing import DPI, ScenarioImage
from runner.report.gallery import GalleryColumn, GalleryScene, draw_gallery
from runner.report.page import curves, pictures
from runner.report.page.look import look_of
from runner.report.page.records import Image, PageData, SampleView
from runner.report.page.svg import svg_text

SETTINGS = {
    "I": "nominal data, nominal H",
    "II": "mismatched data, nominal H",
    "III": "mismatched data, corrected H",
}
"""Columns of the gallery."""


OWN = re.compile(r"(gallery|sample_\d{2,4}-[a-z]+)\.(png|svg)")
"""Names of the figures' files."""


def remove_figures(folder: Path) -> None:
    """Remove the figures of an earlier run; files of other names are left alone."""
    for path in folder.glob("*"):
        if OWN.fullmatch(path.name):
            path.unlink()


def save_figures(folder: Path, data: PageData) -> None:
    """Write every figure twice, NAME.png and NAME.svg, in place of those of an earlier run.

    Raises:
        ContractError: the folder cannot be written to.
    """
    make_folder(folder)
    remove_figures(folder)
    for name, figure in figures(data):
        try:
            (folder / f"{name}.svg").write_text(svg_text(figure, salt=name), encoding="utf-8")
            with curves.style():
                figure.savefig(folder / f"{name}.png", dpi=DPI, facecolor="white")
        except OSError as error:
            raise output_error(folder, error) from error


def figures(data: PageData) -> Iterator[tuple[str, Figure]]:
    """(name, figure) of everything that the page shows as a picture."""
    if data.gallery is not None:
        yield "gallery", _gallery(data)
    for sample in data.samples:
        for kind, figure in _of_sample(sample):
            yield f"{sample.name}-{kind}", figure


def _of_sample(sample: SampleView) -> Iterator[tuple[str, Figure]]:
    look, answer = look_of(sample), sample.answer
    yield "pacbed", pictures.pacbed_figure(sample, look)
    if answer is None:
        return
    yield "image", pictures.image_figure(sample, answer, look)
    yield "patterns", pictures.pattern_figure(sample, answer, look)
    yield "spectrum", pictures.spectrum_figure(sample, answer)
    yield "power", curves.power_figure(sample, answer)
    yield "ranges", curves.range_figure(sample, answer)
    yield "errors", curves.error_figure(sample, answer)
    if answer.correlation is not None:
        yield "correlation", curves.correlation_figure(sample, answer)
    if answer.trace:
        yield "convergence", curves.convergence_figure(answer)


def _gallery(data: PageData) -> Figure:
    assert data.gallery is not None
    columns = [
        GalleryColumn(name, setting, data.gallery.mean.scenarios.get(name))
        for name, setting in SETTINGS.items()
    ]
    rows = [
        GalleryScene(
            sample.scene,
            sample.x_true,
            sample.operator.attrs.sampling_A,
            {
                name: ScenarioImage(image, row.scenarios[name].psnr_db, row.scenarios[name].ssim)
                for name, image in _images(sample).items()
                if name in row.scenarios
            },
        )
        for sample, row in zip(data.samples, data.gallery.scenes, strict=False)
        if sample.x_true is not None
    ]
    return draw_gallery(columns, rows, title=data.algorithm.replace("$", r"\$"))


def _images(sample: SampleView) -> dict[str, Image]:
    own = {} if sample.answer is None else {"III": sample.answer.x_hat}
    return {**sample.scenarios, **own}
