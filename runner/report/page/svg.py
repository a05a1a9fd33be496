"""A figure as SVG inside the page: its colours follow the theme, its ids collide with no other."""

from __future__ import annotations

import io
import re

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from runner.report.page import curves

THEMED = {
    curves.INK: "--ink",
    curves.MUTED: "--muted",
    curves.GRID: "--line",
    curves.BLUE: "--blue",
    curves.ORANGE: "--orange",
    curves.GREEN: "--green",
    curves.PURPLE: "--purple",
}
"""The page's own variable for each colour of the curves."""

NOTHING = {"Date": None, "Creator": None, "Format": None, "Type": None}
"""No metadata: the same figure gives the same bytes."""


def inline_svg(figure: Figure, *, name: str, label: str) -> Markup:
    """The figure as an <svg> element.

    Args:
        figure: drawn by `curves`.
        name: unique on the page; goes before every id.
        label: what a screen reader says.
    """
    text = svg_text(figure, salt=name)
    text = text[text.index("<svg") :]
    for color, variable in THEMED.items():
        text = text.replace(color, f"var({variable})")
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    text = re.sub(r'xlink:href="#([^"]+)"', rf'href="#{name}-\1"', text)
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r">\s+<", "><", text)  # each would be a node of the page
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = text.replace("<svg", f'<svg class="curve" role="img" aria-label="{escape(label)}"', 1)
    return Markup(text)  # noqa: S704 - matplotlib escapes the texts that it is given


def svg_text(figure: Figure, *, salt: str) -> str:
    """The figure as an SVG file; the same figure and salt give the same text."""
    with curves.style(), mpl.rc_context({"svg.hashsalt": salt}), io.StringIO() as stream:
        figure.savefig(stream, format="svg", metadata=NOTHING)
        return stream.getvalue()
