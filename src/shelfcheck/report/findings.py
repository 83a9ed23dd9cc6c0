"""Findings for the page: the first of them as cards, all of them as counts.

A file may hold 100,000 findings, so only two narrow columns of all rows are read; whole rows are
read for those that are shown.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck.errors import WorkspaceError
from shelfcheck.report.facts import read_json

if TYPE_CHECKING:
    from pathlib import Path

BIN_WIDTH = 0.05  # of the score histogram


@dataclass(frozen=True)
class Pair:
    """Findings that move from one category to another, and how many real faults are expected among them."""

    assigned: str
    suggested: str
    findings: int
    expected: float


@dataclass(frozen=True)
class Findings:
    """One ranked list.

    Attributes:
        kind: `misplaced_reviews` or `miscategorised_products`.
        total: findings in the file.
        judged: reviews or products that were looked at.
        cannot_tell: those whose text does not tell.
        skipped: reviews or products that could not be used, by reason.
        expected: expected number of real faults among the findings: the sum of their scores.
        rows: the first findings, by rank, with the columns of the file.
        scores: lower bound of a bin of scores, and its findings.
        pairs: pairs of categories, most expected faults first.
    """

    kind: str
    total: int
    judged: int
    cannot_tell: int
    skipped: tuple[tuple[str, int], ...]
    expected: float
    rows: tuple[dict[str, Any], ...]
    scores: tuple[tuple[float, int], ...]
    pairs: tuple[Pair, ...]


def read_findings(folder: Path, limit: int) -> Findings:
    """Read a folder of findings.

    Args:
        folder: holds `findings.parquet` (sorted by rank), and `summary.json`.
        limit: findings to show.

    Raises:
        WorkspaceError: a file is missing or not what an audit writes.
    """
    summary = read_json(folder / "summary.json")
    parquet = folder / "findings.parquet"
    try:
        file = pq.ParquetFile(parquet)
        with file:
            narrow = file.read(columns=["score", "assigned_category", "suggested_category"])
            rows = _first(file, limit)
        skipped = {str(reason): int(n) for reason, n in (summary.get("skipped") or {}).items() if n}
        scores = _column(narrow, "score")
        return Findings(
            kind=str(summary.get("kind", folder.name)),
            total=narrow.num_rows,
            judged=int(summary.get("candidates", 0)),
            cannot_tell=int(summary.get("cannot_tell", 0)),
            skipped=tuple(sorted(skipped.items(), key=lambda item: (-item[1], item[0]))),
            expected=float(sum(scores)),
            rows=tuple(rows),
            scores=_histogram(scores),
            pairs=_pairs(scores, _column(narrow, "assigned_category"), _column(narrow, "suggested_category")),
        )
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError, AttributeError) as error:
        raise WorkspaceError(
            f"{folder}: findings cannot be read for the report ({type(error).__name__}: {error}). "
            "Run the audit again."
        ) from error


def _first(file: pq.ParquetFile, limit: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for batch in file.iter_batches(batch_size=limit):
        rows += batch.to_pylist()[: limit - len(rows)]
        if len(rows) >= limit:
            break
    return rows


def _column(table: pa.Table, name: str) -> list[Any]:
    values: list[Any] = table.column(name).to_pylist()
    return values


def _histogram(scores: list[float]) -> tuple[tuple[float, int], ...]:
    bins = round(1 / BIN_WIDTH)
    counts = [0] * bins
    for score in scores:
        counts[min(int(score * bins + 1e-9), bins - 1)] += 1
    first = next((at for at, n in enumerate(counts) if n), bins)
    return tuple((round(at * BIN_WIDTH, 2), counts[at]) for at in range(first, bins))


def _pairs(scores: list[float], assigned: list[str], suggested: list[str]) -> tuple[Pair, ...]:
    sums: dict[tuple[str, str], list[float]] = defaultdict(list)
    for score, one, other in zip(scores, assigned, suggested, strict=True):
        sums[one, other].append(score)
    pairs = (Pair(one, other, len(values), sum(values)) for (one, other), values in sums.items())
    return tuple(sorted(pairs, key=lambda pair: (-pair.expected, pair.assigned, pair.suggested)))
