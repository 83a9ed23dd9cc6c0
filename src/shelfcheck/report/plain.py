"""A page in the report's style with a lead, charts and tables; one file that opens offline."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from shelfcheck.__about__ import __version__
from shelfcheck.report.chart import CONFIG
from shelfcheck.report.page import _SCRIPTS, _asset, _environment, _moment, _policy, _script, _script_data
from shelfcheck.workspace import utc_now, write_atomically

if TYPE_CHECKING:
    from shelfcheck.report.chart import Chart


@dataclass(frozen=True)
class PlainTable:
    """A table: caption, headings and rows of text; the first cell names the row."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class PlainSection:
    """A part of a page.

    Attributes:
        id: unique in the page.
        title: heading.
        sentences: what stands under it.
        charts: figures.
        tables: tables below them.
    """

    id: str
    title: str
    sentences: tuple[str, ...] = ()
    charts: tuple[Chart, ...] = ()
    tables: tuple[PlainTable, ...] = field(default=())


def write_plain(path: str | Path, title: str, sections: tuple[PlainSection, ...]) -> Path:
    """Write a page, whole or not at all, and return its path."""
    style = _asset("assets/report.css")
    scripts = [_script(name) for name in _SCRIPTS]
    specs = {chart.name: chart.spec for section in sections for chart in section.charts}
    html = (
        _environment()
        .get_template("plain.html.j2")
        .render(
            title=title,
            version=__version__,
            made=_moment(utc_now()),
            csp=_policy(style, scripts),
            style=Markup(style),  # noqa: S704 - the package's own file
            scripts=[Markup(script) for script in scripts],  # noqa: S704 - the package's own files
            chart_json=_script_data({"config": CONFIG, "specs": specs}),
            sections=sections,
        )
    )
    target = Path(path)
    write_atomically(target, html)
    return target
