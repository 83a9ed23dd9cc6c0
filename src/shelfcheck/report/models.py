"""The chapter on all registered models: the leaderboard as tables and charts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shelfcheck.report.charts_models import behind_chart, models_chart
from shelfcheck.report.wording import number, plural, ratio, words

if TYPE_CHECKING:
    from pathlib import Path

    from shelfcheck.models.leaderboard import Group
    from shelfcheck.report.chart import Chart

COLUMNS: Final = (
    "Accuracy",
    "Macro F1",
    "Calib. error",
    "Covered",
    "Train s",
    "Peak MB",
    "Disk MB",
    "Reviews/s",
)
_MOST_DRAWN: Final = 4  # groups; the others have their tables


@dataclass(frozen=True)
class Line:
    """A model in the table: its name, its aliases, and the cells of COLUMNS."""

    version: str
    aliases: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Ranking:
    """Models that can be compared.

    Attributes:
        title: what they predict and how they were judged.
        told: what they were judged on.
        lines: the models, best first.
        charts: keys of its charts in the page.
    """

    title: str
    told: str
    lines: tuple[Line, ...]
    charts: tuple[str, ...]


def rankings(workspace: Path) -> tuple[tuple[Ranking, ...], dict[str, Chart]]:
    """The rankings of a workspace's registry, and their charts by name; nothing with one model only.

    Raises:
        WorkspaceError: the registry cannot be read.
    """
    from shelfcheck.models.leaderboard import leaderboard  # noqa: PLC0415 - loads scipy
    from shelfcheck.models.registry import Registry  # noqa: PLC0415

    registry = Registry(workspace)
    versions = registry.versions()
    if len(versions) < 2:
        return (), {}
    found = []
    charts: dict[str, Chart] = {}
    for place, group in enumerate(leaderboard(versions, registry.aliases()).groups):
        own = {}
        if group.reviews and len(group.rows) > 1 and place < _MOST_DRAWN:
            own = {
                f"models-{place}": models_chart(group, f"models-{place}"),
                f"behind-{place}": behind_chart(group, f"behind-{place}"),
            }
        charts |= own
        found.append(
            Ranking(
                f"{words(group.label)}, {group.split} split".capitalize(),
                _told(group),
                _lines(group),
                tuple(own),
            )
        )
    return tuple(found), charts


def _told(group: Group) -> str:
    if not group.reviews:
        return "Not judged: there was too little to hold out."
    told = {
        "product": "products that no model learned from (product split)",
        "time": "products, written after all that the models learned from (time split)",
        "row": "products that the models learned from too (row split), which flatters",
    }.get(group.split, f"products ({group.split} split)")
    return (
        f"{plural(len(group.rows), 'model')} judged on the same {number(group.reviews)} held-out reviews of "
        f"{number(group.products)} {told}."
    )


def _lines(group: Group) -> tuple[Line, ...]:
    lines = []
    for row in group.rows:
        measures = tuple(
            ""
            if name not in row.measures
            else row.measures[name].text()
            if name == "accuracy"
            else ratio(row.measures[name].estimate)
            for name in ("accuracy", "macro_f1", "ece", "coverage_at_95")
        )
        cost = (
            f"{row.train_seconds:,.1f}",
            number(row.peak_memory_mb),
            f"{row.bytes / 1e6:,.1f}",
            "" if row.reviews_per_second is None else number(row.reviews_per_second),
        )
        lines.append(Line(row.version, ", ".join(row.aliases), (*measures, *cost)))
    return tuple(lines)
