"""Sources over rows in memory, for tests of `prepare`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from shelfcheck.config import Settings
from shelfcheck.prepare import PrepareSummary, iter_prepared, prepare
from shelfcheck.prepare.earlier import Previous
from shelfcheck.progress import NullProgress
from shelfcheck.schema import REJECTED_SCHEMA, REVIEW_SCHEMA
from shelfcheck.sources import SourceBatch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Row = dict[str, Any]


@dataclass
class Rows:
    """A source of given rows; None stands for a broken one."""

    rows: list[Row | None]
    path: str = "rows"
    format: str = "pds"
    fingerprint: str = ""
    batch: int = 7
    size: int = field(init=False)
    category: str | None = None
    marketplace: str | None = None
    metadata: tuple[str, ...] = ()
    report_metadata: tuple[str, ...] = ()
    label_map: str | None = None
    problem: tuple[str, str] | None = None
    row_groups: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        self.size = 10 * len(self.rows)

    def batches(self, batch_rows: int = 65536) -> Iterator[SourceBatch]:
        step = min(self.batch, batch_rows)
        for start in range(0, len(self.rows), step):
            part = self.rows[start : start + step]
            broken = [
                {"source_file": self.path, "source_line": start + i + 1, "reason": "bad_date", "detail": "x"}
                for i, row in enumerate(part)
                if row is None
            ]
            yield SourceBatch(
                pa.RecordBatch.from_pylist([row for row in part if row is not None], schema=REVIEW_SCHEMA),
                pa.RecordBatch.from_pylist(broken, schema=REJECTED_SCHEMA),
                10 * len(part),
            )


def review(number: int, **values: Any) -> Row:
    """A review that no rule drops, unless values say so."""
    return {
        "review_id": f"R{number}",
        "product_id": f"P{number}",
        "product_category": "Books",
        "star_rating": 5,
        "review_headline": f"Headline {number}",
        "review_body": f"The body of number {number}",
    } | values


def run(out: Path, *sources: Rows, previous: Path | None = None, **settings: Any) -> PrepareSummary:
    """`prepare` with dotted settings, `__` for the dot."""
    values: dict[str, dict[str, Any]] = {"run": {"threads": 2}}
    for key, value in settings.items():
        section, name = key.split("__")
        values.setdefault(section, {})[name] = value
    return prepare(
        sources,  # type: ignore[arg-type]
        out,
        Settings.model_validate(values),
        NullProgress(),
        previous=None if previous is None else Previous(previous, "", valid=True),
    )


def read(out: Path) -> list[Row]:
    """All prepared reviews."""
    return [row for batch in iter_prepared(out) for row in batch.to_pylist()]


def ids(out: Path) -> list[str]:
    """Ids of the prepared reviews, in order."""
    return [row["review_id"] for row in read(out)]
