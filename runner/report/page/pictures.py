"""Images of one sample as figures: what the page draws on canvases, for files."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure

from physics.operator import ForwardOperator
from runner.report.drawing import OBJECT_MAP, caption, disk_rim, scale_bar
from runner.report.figure import FITTED_COLOR, NOMINAL_COLOR, PATTERN_MAP, RESIDUAL_MAP
from runner.report.page import curves
from runner.report.page.look import Look
from runner.report.page.payload import POWER_DECADES, POWER_MAP, RESIDUAL_SIGMA
from runner.report.page.records import Answer, Image, SampleView

PANEL_INCH = 2.4
X_SCALE = Normalize(0.0, 1.0)


def pacbed_figure(sample: SampleView, look: Look) -> Figure:
    """The position-averaged pattern with the nominal disk and the fitted one."""
    figure, (axes,) = _panels(1)
    norm = PowerNorm(0.5, 0.0, float(sample.pacbed.max()))
    _show(figure, axes, sample.pacbed, PATTERN_MAP, norm, "PACBED", "electrons per pixel")
    disk_rim(axes, look.nominal, color=NOMINAL_COLOR, linestyle="--")
    if look.fitted is not None:
        disk_rim(axes, look.fitted, color=FITTED_COLOR, linestyle="-")
        caption(axes, "dashed: nominal, solid: fitted")
    axes.set_xlim(look.first - 0.5, look.first + look.side - 0.5)
    axes.set_ylim(look.first + look.side - 0.5, look.first - 0.5)
    return figure


def image_figure(sample: SampleView, answer: Answer, look: Look) -> Figure:
    """Truth, reconstruction and their difference; without truth, the reconstruction alone."""
    known = sample.x_true is not None
    figure, panels = _panels(3 if known else 1)
    images = [("truth", sample.x_true)] if sample.x_true is not None else []
    for axes, (name, image) in zip(
        panels, [*images, ("reconstruction", answer.x_hat)], strict=False
    ):
        _show(figure, axes, image, OBJECT_MAP, X_SCALE, name, "x")
        scale_bar(axes, sample.operator.attrs.object_shape, sample.operator.attrs.sampling_A)
    if sample.x_true is not None and look.limit is not None:
        difference = answer.x_hat - sample.x_true
        norm = Normalize(-look.limit, look.limit)
        _show(
            figure,
            panels[2],
            difference,
            RESIDUAL_MAP,
            norm,
            "reconstruction − truth",
            "error of x",
        )
    return figure


def pattern_figure(sample: SampleView, answer: Answer, look: Look) -> Figure:
    """Measured and modelled pattern and normalised residual in the middle of the scan."""
    rows, cols = sample.patterns.counts.shape[:2]
    stride, attrs = sample.patterns.stride, sample.operator.attrs
    row, col = rows // 2, cols // 2
    counts = sample.patterns.counts[row, col].astype(np.float64)
    index = row * stride * sample.scan_shape[1] + col * stride
    model = ForwardOperator(sample.operator, dtype=torch.float64)
    phi = model.tensor(attrs.phase_scale_rad * answer.x_hat)
    electrons = model.expected(phi, answer.spec, torch.tensor([index]))[0].numpy()
    figure, panels = _panels(3)
    norm = PowerNorm(0.5, 0.0, look.brightest)
    label = "electrons per pixel"
    _show(figure, panels[0], counts / attrs.gain, PATTERN_MAP, norm, "measured", label)
    _show(figure, panels[1], electrons, PATTERN_MAP, norm, "modelled", label)
    residual = normalised_residual(counts, electrons, attrs.gain, attrs.read_noise)
    ends = Normalize(-RESIDUAL_SIGMA, RESIDUAL_SIGMA)
    _show(figure, panels[2], residual, RESIDUAL_MAP, ends, "residual / σ", "standard deviations")
    caption(panels[0], f"scan row {row * stride}, column {col * stride}")
    return figure


def spectrum_figure(sample: SampleView, answer: Answer) -> Figure:
    """Power spectra, log10 over the peak."""
    spectra = [("reconstruction", answer.power)]
    if sample.true_power is not None:
        spectra.insert(0, ("truth", sample.true_power))
    peak = float(spectra[0][1].max()) or 1.0
    edge = 0.5 / sample.operator.attrs.sampling_A
    figure, panels = _panels(len(spectra))
    for axes, (name, power) in zip(panels, spectra, strict=True):
        drawn = np.log10(np.maximum(power / peak, 10.0**-POWER_DECADES))
        ends = Normalize(-POWER_DECADES, 0.0)
        _show(figure, axes, drawn, POWER_MAP, ends, name, "log10 of power over its peak")
        caption(axes, f"edge ±{edge:.3g} Å⁻¹")
    return figure


def normalised_residual(
    counts: Image, electrons: Image, gain: float, read_noise: float
) -> np.ndarray:
    """Counts less expectation in standard deviations, after the generalised Anscombe transform.

    2 sqrt(y/g + 3/8 + (s/g)^2) - 2 sqrt(I + 3/8 + (s/g)^2): one wide where there are electrons,
    finite where next to nothing is expected (Starck, Murtagh & Bijaoui, Image Processing and Data
    Analysis, Cambridge 1998).

    Args:
        counts: measured [counts].
        electrons: expected.
        gain: counts per electron.
        read_noise: standard deviation s [counts].
    """
    noise = 3 / 8 + (read_noise / gain) ** 2
    measured = np.sqrt(np.maximum(counts / gain + noise, 0.0))
    difference: np.ndarray = 2 * (measured - np.sqrt(electrons + noise))
    return difference


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    with curves.style():
        figure = Figure(figsize=(PANEL_INCH * count, PANEL_INCH + 0.75), layout="constrained")
        return figure, list(figure.subplots(1, count, squeeze=False)[0])


def _show(
    figure: Figure, axes: Axes, image: Image, colors: str, norm: Normalize, name: str, label: str
) -> None:
    drawn = axes.imshow(image, cmap=colors, norm=norm, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(name, fontsize=9)
    axes.grid(visible=False)
    bar = figure.colorbar(drawn, ax=axes, orientation="horizontal", pad=0.04, fraction=0.06)
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=7)
