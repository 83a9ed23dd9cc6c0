"""What `shelfcheck tune` found, as the report shows it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Final

from shelfcheck.errors import WorkspaceError
from shelfcheck.report.chart import Chart
from shelfcheck.workspace import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CHARTS_FILE: Final = "charts.json"


@dataclass(frozen=True)
class StudyPart:
    """A study: its heading, what it says, and its charts by the names that they have in the page."""

    title: str
    sentences: tuple[str, ...]
    charts: tuple[Chart, ...]


def write_study_part(folder: Path, part: StudyPart) -> None:
    """Leave a study's charts for the report to take."""
    write_atomically(folder / CHARTS_FILE, json.dumps(asdict(part), ensure_ascii=False) + "\n")


def read_studies(folder: Path) -> Sequence[StudyPart]:
    """Every study below `tuning/` of a workspace, by name.

    Raises:
        WorkspaceError: one cannot be read.
    """
    found = []
    for number, file in enumerate(sorted(folder.glob(f"*/{CHARTS_FILE}"))):
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
            charts = [_chart(chart) for chart in values["charts"]]
            # Two studies have charts of the same name, a page must not.
            own = tuple(replace(chart, name=f"study-{number}-{chart.name}") for chart in charts)
            found.append(StudyPart(values["title"], tuple(values["sentences"]), own))
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise WorkspaceError(
                f"{file}: cannot be read ({error}). Run shelfcheck tune again, or remove {file.parent}."
            ) from error
    return found


def _chart(values: dict[str, object]) -> Chart:
    chart = Chart(**values)  # type: ignore[arg-type] # checked by the page's template and tests
    return replace(chart, columns=tuple(chart.columns), rows=tuple(tuple(row) for row in chart.rows))
