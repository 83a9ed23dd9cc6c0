"""A page in the report's style with a lead, charts and tables; one file that opens offline."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from shelfcheck.report.shell import render_page
from shelfcheck.workspace import write_atomically

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
    charts = {chart.name: chart for section in sections for chart in section.charts}
    target = Path(path)
    write_atomically(target, render_page("plain.html.j2", title=title, charts=charts, sections=sections))
    return target
