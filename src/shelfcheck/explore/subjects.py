"""Who was reviewed and who reviewed: distinct products and customers, when they come, when they come back.

The engine sorts the keys of all reviews by product (or customer), out of core; one pass over them counts,
for every category and for all together, everything that is asked of distinct ones.
"""

# mypy: disable-error-code="no-untyped-def"
# ruff: noqa: PLR0917 - compiled functions take no keywords

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numba import njit, types

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from numpy.typing import NDArray

    from shelfcheck.engines.duckdb import DuckDB
    from shelfcheck.explore.calendar import Calendar

ACTIVITY: Final = (1, 2, 3, 6, 11, 21, 51, 101, 1001)
"""First number of reviews of each bin of activity; the last is open."""

SUBJECTS: Final = ("product", "customer")

_I64_1 = types.Array(types.int64, 1, "C")
_I64_2 = types.Array(types.int64, 2, "C")
_I64_3 = types.Array(types.int64, 3, "C")
_I64_4 = types.Array(types.int64, 4, "C")
_I32 = types.Array(types.int32, 1, "C", readonly=True)
_I16 = types.Array(types.int16, 1, "C", readonly=True)
_U64 = types.Array(types.uint64, 1, "C", readonly=True)

UNIQUE: Final = 0
SEVERAL: Final = 1
NEW: Final = 2
LAST: Final = 3


@dataclass(frozen=True)
class Counts:
    """What was counted of products or customers; the last category is all together, the last time no date.

    Distinct counts of periods do not add up, so `recurrence` holds what makes them exact for any span. A
    product has a review in the periods a..b exactly once for which its review before lies earlier than a, or
    nowhere: over a <= period <= b and earlier < a, UNIQUE adds up to the different products. Its second
    review in a..b is the one whose second review before lies earlier than a and whose review before does not:
    over period <= b and earlier < a, SEVERAL adds up to those with two reviews or more.

    Attributes:
        whole: (categories + 1, 2): UNIQUE, SEVERAL over all time.
        months: (categories + 1, months + 1, 4): UNIQUE, SEVERAL in the month, NEW: first review in it, LAST.
        years: (categories + 1, years + 1, 2).
        recurrence: (categories + 1, periods, 1 + periods, 2): by period and, behind never, earlier period.
        activity: (categories + 1, len(ACTIVITY), 2): how many have so many reviews, and their reviews.
    """

    whole: NDArray[np.int64]
    months: NDArray[np.int64]
    years: NDArray[np.int64]
    recurrence: NDArray[np.int64]
    activity: NDArray[np.int64]

    @classmethod
    def empty(cls, categories: int, calendar: Calendar) -> Counts:
        """Nothing counted."""
        n = categories + 1
        return cls(
            np.zeros((n, 2), np.int64),
            np.zeros((n, calendar.n_months + 1, 4), np.int64),
            np.zeros((n, calendar.n_years + 1, 2), np.int64),
            np.zeros((n, calendar.n_periods, 1 + calendar.n_periods, 2), np.int64),
            np.zeros((n, len(ACTIVITY), 2), np.int64),
        )

    def add(self, other: Counts) -> None:
        """Add the counts of other products or customers."""
        for own, more in zip(vars(self).values(), vars(other).values(), strict=True):
            np.add(own, more, out=own)


def count_subjects(engine: DuckDB, subject: str, categories: int, calendar: Calendar) -> Counts:
    """Count products or customers over the view `keys` (scan.KEY_SCHEMA); those without an id do not."""
    return count_sorted(
        engine.stream(subjects_sql(subject, ordered=True), batch_rows=262_144), categories, calendar
    )


def count_sorted(batches: Iterator[pa.RecordBatch], categories: int, calendar: Calendar) -> Counts:
    """Count products or customers over batches of `subjects_sql`, in which equal ids stand together."""
    counts = Counts.empty(categories, calendar)
    years, periods = calendar.years(), calendar.periods()
    activity = np.array(ACTIVITY, np.int64)
    for ids, category, month in _whole_runs(batches):
        _count_runs(
            ids.view(np.uint64),
            category,
            calendar.places(month),
            years,
            periods,
            activity,
            counts.whole,
            counts.months,
            counts.years,
            counts.recurrence,
            counts.activity,
        )
    return counts


def subjects_sql(subject: str, *, ordered: bool) -> str:
    """The query of what is counted of products or customers: id, category, month."""
    order = f" ORDER BY {subject}" if ordered else ""
    return f"SELECT {subject}, category, month FROM keys WHERE {subject} <> 0{order}"  # noqa: S608


def _whole_runs(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[NDArray[Any], ...]]:
    """Columns of the batches, cut so that equal ids stand together."""
    kept: tuple[NDArray[Any], ...] | None = None
    for batch in batches:
        columns = tuple(column.to_numpy() for column in batch.columns)
        if kept is not None:
            columns = tuple(np.concatenate(pair) for pair in zip(kept, columns, strict=True))
        cut = int(np.searchsorted(columns[0], columns[0][-1]))  # where the last id, which may go on, begins
        kept = tuple(column[cut:] for column in columns)
        if cut:
            yield tuple(column[:cut] for column in columns)
    if kept is not None:
        yield kept


@njit(cache=True, nogil=True)
def _sort(values):  # pragma: no cover - compiled
    """Sort in place; most have a few values."""
    if values.size > 32:
        values.sort()
        return
    for i in range(1, values.size):
        value = values[i]
        j = i
        while j > 0 and values[j - 1] > value:
            values[j] = values[j - 1]
            j -= 1
        values[j] = value


@njit(cache=True, nogil=True)
def _walk(  # noqa: PLR0915 - one pass, in which all that is counted is at hand
    months, n, at, years, periods, activity, whole, by_month, by_year, recurrence, by_activity
):  # pragma: no cover - compiled
    """Count one product of one category (`at`) by the sorted places of its `n` months."""
    undated = years.size - 1
    whole[at, 0] += 1
    whole[at, 1] += n > 1
    bin_ = activity.size - 1
    while activity[bin_] > n:
        bin_ -= 1
    by_activity[at, bin_, 0] += 1
    by_activity[at, bin_, 1] += n
    if months[0] < undated:
        by_month[at, months[0], 2] += 1
        last = n - 1
        while months[last] == undated:
            last -= 1
        by_month[at, months[last], 3] += 1
    start = 0
    while start < n:  # runs of a month
        end = start + 1
        while end < n and months[end] == months[start]:
            end += 1
        by_month[at, months[start], 0] += 1
        by_month[at, months[start], 1] += end - start > 1
        start = end
    start = 0
    while start < n:  # runs of a year
        year = years[months[start]]
        end = start + 1
        while end < n and years[months[end]] == year:
            end += 1
        by_year[at, year, 0] += 1
        by_year[at, year, 1] += end - start > 1
        start = end
    start = 0
    earlier = -1  # period of the review before, and whether it was the only one there
    before_that = -1
    lone = False
    while start < n and months[start] < undated:  # runs of a period
        period = periods[months[start]]
        end = start + 1
        while end < n and months[end] < undated and periods[months[end]] == period:
            end += 1
        recurrence[at, period, 1 + earlier, 0] += 1
        if lone:
            recurrence[at, period, 1 + before_that, 1] += 1
            recurrence[at, period, 1 + earlier, 1] -= 1
        if end - start > 1:
            recurrence[at, period, 1 + earlier, 1] += 1
            recurrence[at, period, 1 + period, 1] -= 1
        lone = end - start == 1
        before_that = earlier
        earlier = period
        start = end


@njit(
    types.void(_U64, _I16, _I32, _I32, _I32, _I64_1, _I64_2, _I64_3, _I64_3, _I64_4, _I64_3),
    cache=True,
    nogil=True,
)
def _count_runs(
    ids, category, month, years, periods, activity, whole, by_month, by_year, recurrence, by_activity
):  # pragma: no cover - compiled
    """Count whole runs of equal ids; categories and months come in any order within a run."""
    every = whole.shape[0] - 1
    n_places = years.size
    start = 0
    while start < ids.size:
        end = start + 1
        while end < ids.size and ids[end] == ids[start]:
            end += 1
        n = end - start
        code = np.empty(n, np.int64)
        for i in range(n):
            code[i] = np.int64(category[start + i]) * n_places + month[start + i]
        _sort(code)
        lone_category = code[0] // n_places == code[n - 1] // n_places
        first = 0
        while first < n:  # runs of a category
            at = code[first] // n_places
            last = first + 1
            while last < n and code[last] // n_places == at:
                last += 1
            for i in range(first, last):
                code[i] -= at * n_places
            _walk(
                code[first:last], last - first, at, years, periods, activity, whole, by_month, by_year,
                recurrence, by_activity,
            )  # fmt: skip
            first = last
        if not lone_category:
            _sort(code)
        _walk(code, n, every, years, periods, activity, whole, by_month, by_year, recurrence, by_activity)
        start = end
