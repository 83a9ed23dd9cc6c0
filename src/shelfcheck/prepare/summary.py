"""What `prepare` read, kept and left out: counts that always add up."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from shelfcheck.listing import UNKNOWN_MONTH

NO_MONTH_NAME = UNKNOWN_MONTH
"""Month of reviews without a date, in the summary and as the name of their CSV file."""


@dataclass(frozen=True)
class SourceCounts:
    """Rows of one source file."""

    rows_read: int
    rows_kept: int
    filtered: dict[str, int]  # rule -> rows
    rejected: dict[str, int]  # reason -> rows


@dataclass(frozen=True)
class PrepareSummary:
    """Counts of one run of `prepare`: rows_read == rows_kept + sum(filtered) + sum(rejected)."""

    rows_read: int
    rows_kept: int
    filtered: dict[str, int]  # rule -> rows, every rule in the order of judging
    rejected: dict[str, int]  # reason -> rows
    sources: dict[str, SourceCounts]  # path -> counts
    categories: dict[str, int]  # rows kept
    months: dict[str, int]  # 'YYYY-MM' or 'unknown' -> rows kept
    length_bounds: tuple[int, int]  # characters of a body that were kept, both included

    def __post_init__(self) -> None:
        """Check that no row was lost.

        Raises:
            AssertionError: the counts do not add up, which is a defect of Shelfcheck.
        """
        parts: dict[str, PrepareSummary | SourceCounts] = {"all sources": self, **self.sources}
        for name, part in parts.items():
            accounted = part.rows_kept + sum(part.filtered.values()) + sum(part.rejected.values())
            if part.rows_read != accounted:
                msg = (
                    f"{name}: {part.rows_read} rows read, but {part.rows_kept} kept + "
                    f"{sum(part.filtered.values())} filtered + {sum(part.rejected.values())} rejected"
                )
                raise AssertionError(msg)
        for name, counts in (("categories", self.categories), ("months", self.months)):
            if sum(counts.values()) != self.rows_kept:
                msg = f"{name} hold {sum(counts.values())} rows, but {self.rows_kept} were kept"
                raise AssertionError(msg)

    def to_json(self) -> str:
        """The summary as indented JSON."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> PrepareSummary:
        """Read what `to_json` wrote."""
        values: dict[str, Any] = json.loads(text)
        values["sources"] = {path: SourceCounts(**counts) for path, counts in values["sources"].items()}
        values["length_bounds"] = tuple(values["length_bounds"])
        return cls(**values)

    def to_csv(self) -> str:
        """The summary as a long table: group, name, rows."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["group", "name", "rows"])
        writer.writerow(["read", "", self.rows_read])
        writer.writerow(["kept", "", self.rows_kept])
        groups = {
            "filtered": self.filtered,
            "rejected": self.rejected,
            "read from": {path: counts.rows_read for path, counts in self.sources.items()},
            "kept from": {path: counts.rows_kept for path, counts in self.sources.items()},
            "category": self.categories,
            "month": self.months,
        }
        for group, counts in groups.items():
            writer.writerows([group, name, rows] for name, rows in counts.items())
        return out.getvalue()

    def text(self) -> str:
        """The summary as a small table for people."""
        lines = [("rows read", self.rows_read)]
        lines += [(f"  filtered: {rule}", n) for rule, n in self.filtered.items() if n]
        lines += [(f"  rejected: {reason}", n) for reason, n in self.rejected.items() if n]
        lines += [("rows kept", self.rows_kept)]
        width = max(len(name) for name, _ in lines)
        return "\n".join(f"{name:<{width}}  {n:>13,}" for name, n in lines)


@dataclass
class Tally:
    """Counts of one source while it is read."""

    read: int = 0
    kept: int = 0
    filtered: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Add the counts of another."""
        self.read += other.read
        self.kept += other.kept
        self.filtered.update(other.filtered)
        self.rejected.update(other.rejected)

    def counts(self, rules: tuple[str, ...]) -> SourceCounts:
        """The counts as they stand."""
        return SourceCounts(
            self.read,
            self.kept,
            {rule: self.filtered[rule] for rule in rules if self.filtered[rule]},
            dict(sorted(self.rejected.items())),
        )
