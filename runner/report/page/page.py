"""The page itself: template, styles, scripts and data in one HTML file that asks no network."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from runner.files.hdf5 import atomic_path, output_error
from runner.report.page import curves
from runner.report.page.look import look_of
from runner.report.page.payload import payload
from runner.report.page.records import PageData
from runner.report.page.svg import inline_svg
from runner.report.page.tables import (
    limit_rows,
    parameter_rows,
    provenance_rows,
    sample_rows,
)
from runner.scoring.leaderboard import NOT_THE_SAME_DATA

SCRIPTS = ("decode", "paint", "model", "magnifier", "picker", "theme", "main")
"""static/*.js in the order in which they build on each other."""

SCENARIO_TEXT = {
    "truth": "truth",
    "I": "I: nominal data, nominal H",
    "II": "II: mismatched data, nominal H",
    "III": "III: mismatched data, corrected H",
}
"""Columns of the gallery."""


def save_page(path: Path, data: PageData) -> Path:
    """Write the page; returns its path.

    Raises:
        ContractError: the folder cannot be written to.
    """
    try:
        with atomic_path(path) as temporary:
            temporary.write_text(render(data), encoding="utf-8")
    except OSError as error:
        raise output_error(path, error) from error
    return path


def render(data: PageData) -> str:
    """The page as HTML; the same data give the same text."""
    script = _script()
    looks = [look_of(sample) for sample in data.samples]
    return (
        _environment()
        .get_template("page.html.jinja")
        .render(
            data=data,
            payload=payload(data, looks),
            looks=looks,
            script=Markup(script),  # noqa: S704 - our own file
            script_hash=_sha256(script),
            css=Markup(_static("page.css")),  # noqa: S704 - likewise
            figures={
                sample.name: _figures(index, data) for index, sample in enumerate(data.samples)
            },
            columns=SCENARIO_TEXT,
            sample_rows=sample_rows(data),
            limit_rows=limit_rows(data),
            provenance_rows=provenance_rows(data),
            parameter_rows={sample.name: parameter_rows(sample) for sample in data.samples},
            not_the_same_data=NOT_THE_SAME_DATA,
        )
    )


def _figures(index: int, data: PageData) -> dict[str, Markup]:
    """The curves of one sample, by name."""
    sample = data.samples[index]
    answer = sample.answer
    if answer is None:
        return {}

    def inline(kind: str, figure: Any, label: str) -> Markup:
        return inline_svg(figure, name=f"s{index}-{kind}", label=f"{label}, {sample.title}")

    made = {
        "power": inline(
            "power", curves.power_figure(sample, answer), "Power against spatial frequency"
        ),
        "ranges": inline(
            "ranges",
            curves.range_figure(sample, answer),
            "The detector parameters within their ranges; the table below has the numbers",
        ),
        "errors": inline(
            "errors",
            curves.error_figure(sample, answer),
            "Errors of the detector parameters; the table below has the numbers",
        ),
    }
    if answer.correlation is not None:
        made["correlation"] = inline(
            "frc",
            curves.correlation_figure(sample, answer),
            "Fourier ring correlation with the truth against spatial frequency",
        )
    if answer.trace:
        made["convergence"] = inline(
            "trace", curves.convergence_figure(answer), "Objective against seconds"
        )
    return made


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("runner.report.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    return environment


def _breakable(text: str) -> Markup:
    """A name that may go on in the next line after a plus, a slash or a colon."""
    return Markup(re.sub(r"([+/:])", r"\1<wbr>", str(escape(text))))  # noqa: S704 - escaped


@cache
def _script() -> str:
    """All scripts in one scope of their own."""
    parts = "\n".join(_static(f"{name}.js") for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}\n}})();\n'


def _static(name: str) -> str:
    return files("runner.report.page").joinpath("static", name).read_text(encoding="utf-8")


def _sha256(text: str) -> str:
    """As a content security policy names a script that may run; no other may."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
