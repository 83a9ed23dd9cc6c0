"""The artefacts' JSON files, read through the classes that wrote them, and the intake as a page shows it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shelfcheck.errors import WorkspaceError
from shelfcheck.models.evaluation import Evaluation
from shelfcheck.prepare.summary import PrepareSummary

if TYPE_CHECKING:
    from pathlib import Path

    from shelfcheck.models.measures import Scores

Count = tuple[str, int]


@dataclass(frozen=True)
class Intake:
    """What came in: rows read = rows kept + filtered by rule + rejected by reason.

    Attributes:
        read: rows read.
        kept: rows kept.
        filtered: rows that a rule dropped, by rule, most first.
        rejected: broken rows, by reason, most first.
        sources: per file: path, rows read, kept, filtered, rejected; most rows first.
        categories: reviews kept, by category, most first.
        months: reviews kept, by month `YYYY-MM`, in order, gaps filled with 0.
        undated: reviews kept without a date.
    """

    read: int
    kept: int
    filtered: tuple[Count, ...]
    rejected: tuple[Count, ...]
    sources: tuple[tuple[str, int, int, int, int], ...]
    categories: tuple[Count, ...]
    months: tuple[Count, ...]
    undated: int

    @property
    def filtered_rows(self) -> int:
        """Rows that any rule dropped."""
        return sum(n for _, n in self.filtered)

    @property
    def rejected_rows(self) -> int:
        """Rows that were broken."""
        return sum(n for _, n in self.rejected)


def read_intake(path: Path) -> Intake:
    """Read the summary of `prepare`.

    Raises:
        WorkspaceError: the file is missing or not a summary.
    """
    try:
        summary = PrepareSummary.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
        raise _unreadable(path, error) from error
    months = {month: n for month, n in summary.months.items() if _is_month(month)}
    sources = (
        (name, one.rows_read, one.rows_kept, sum(one.filtered.values()), sum(one.rejected.values()))
        for name, one in summary.sources.items()
    )
    return Intake(
        read=summary.rows_read,
        kept=summary.rows_kept,
        filtered=_by_size(summary.filtered),
        rejected=_by_size(summary.rejected),
        sources=tuple(sorted(sources, key=lambda source: (-source[1], source[0]))),
        categories=_by_size(summary.categories),
        months=fill_months(months),
        undated=sum(summary.months.values()) - sum(months.values()),
    )


def read_evaluation(path: Path) -> Evaluation:
    """Read the evaluation of the model.

    Raises:
        WorkspaceError: the file is missing or not an evaluation.
    """
    try:
        return Evaluation.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def read_json(path: Path) -> Mapping[str, Any]:
    """Read a JSON object.

    Raises:
        WorkspaceError: the file is missing or holds something else.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if not isinstance(values, Mapping):
        raise _unreadable(path, TypeError("not a JSON object"))
    return values


def by_support(evaluation: Evaluation) -> list[tuple[str, Scores]]:
    """Categories that held-out reviews stand in, with their scores, most reviews first."""
    judged = ((name, one) for name, one in evaluation.report.items() if one.support)
    return sorted(judged, key=lambda item: (-item[1].support, item[0]))


def fill_months(months: Mapping[str, int]) -> tuple[Count, ...]:
    """Order months and put a 0 where one in between is missing."""
    if not months:
        return ()
    every = range(_ordinal(min(months)), _ordinal(max(months)) + 1)
    names = (f"{at // 12:04d}-{at % 12 + 1:02d}" for at in every)
    return tuple((month, months.get(month, 0)) for month in names)


def _ordinal(month: str) -> int:
    return int(month[:4]) * 12 + int(month[5:7]) - 1


def _is_month(name: str) -> bool:
    return len(name) == 7 and name[4] == "-" and name[:4].isdigit() and name[5:].isdigit()


def _by_size(counts: Mapping[str, int]) -> tuple[Count, ...]:
    return tuple(sorted(((name, n) for name, n in counts.items() if n), key=lambda one: (-one[1], one[0])))


def _unreadable(path: Path, error: Exception) -> WorkspaceError:
    return WorkspaceError(
        f"{path}: cannot be read for the report ({type(error).__name__}: {error}). "
        "Run the stage that makes it again."
    )
