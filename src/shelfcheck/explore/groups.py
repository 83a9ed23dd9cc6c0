"""The tables of groups of reviews: by month, by category, by both, by year, and all together.

Arrays have one place for each category and a last one for all, and one for each period and a last one for
reviews without a date. A table lists the places that have reviews.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from shelfcheck import schema
from shelfcheck.explore.kernels import SUMS
from shelfcheck.explore.lengths import QUANTILES, Lengths
from shelfcheck.explore.scan import NULLABLE
from shelfcheck.explore.subjects import LAST, NEW, SEVERAL, SUBJECTS, UNIQUE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from shelfcheck.explore.calendar import Calendar
    from shelfcheck.explore.scan import MonthlyCounts
    from shelfcheck.explore.subjects import Counts

LENGTHS: Final = ("characters", "tokens")
REVIEW_YEAR: Final = "review_year"


class Groups:
    """What was counted of reviews, at every grouping.

    Attributes:
        sums: level -> (categories + 1, periods + 1, len(SUMS)); levels are `month`, `year`, `whole`.
        quantiles: (level, unit) -> (categories + 1, periods + 1, len(QUANTILES)); -1 where there are none.
        missing: (categories + 1, len(NULLABLE)).
        bins: arrays of unit, category, period, bin, reviews, (5, n) each; a period as in the calendar's.
    """

    def __init__(self, categories: Sequence[str], calendar: Calendar) -> None:
        self.categories = categories
        self.calendar = calendar
        n = len(categories) + 1
        sizes = {"month": calendar.n_months + 1, "year": calendar.n_years + 1, "whole": 1}
        self.sums = {level: np.zeros((n, size, len(SUMS)), np.int64) for level, size in sizes.items()}
        self.quantiles = {
            (level, unit): np.full((n, size, len(QUANTILES)), -1, np.int64)
            for level, size in sizes.items()
            for unit in LENGTHS
        }
        self.missing = np.zeros((n, len(NULLABLE)), np.int64)
        self.bins: list[NDArray[np.int64]] = []

    def collect(self, months: Iterable[tuple[int, MonthlyCounts]]) -> None:
        """Take what the scan found of each month; months in the order of time, no date last."""
        years = self.calendar.years()
        by_month = self.calendar.period == "month"
        of_year: list[MonthlyCounts] = []
        whole: dict[str, list[Lengths]] = {unit: [] for unit in LENGTHS}
        year = -1

        def finish_year() -> None:
            for unit in LENGTHS:
                total = Lengths.total([getattr(month, unit) for month in of_year])
                self._lengths("year", unit, year, total, binned=not by_month)
                whole[unit] = [Lengths.total([*whole[unit], total])]
            of_year.clear()

        for month, counts in months:
            place = self.calendar.place(month)
            if of_year and years[place] != year:
                finish_year()
            year = int(years[place])
            of_year.append(counts)
            for level, at in (("month", place), ("year", year), ("whole", 0)):
                self.sums[level][:-1, at] += counts.sums
                self.sums[level][-1, at] += counts.sums.sum(axis=0)
            self.missing[:-1] += counts.missing
            for unit in LENGTHS:
                self._lengths("month", unit, place, getattr(counts, unit), binned=by_month)
        if of_year:
            finish_year()
            for unit in LENGTHS:
                self._lengths("whole", unit, 0, whole[unit][0], binned=False)
        self.missing[-1] = self.missing[:-1].sum(axis=0)

    def _lengths(self, level: str, unit: str, at: int, lengths: Lengths, *, binned: bool) -> None:
        every = lengths.of_all()
        found = self.quantiles[level, unit]
        found[:-1, at] = lengths.quantiles(len(self.categories))
        found[-1, at] = every.quantiles(1)[0]
        if binned:
            for part, shift in ((lengths, 0), (every, len(self.categories))):
                category, place, reviews = part.bins()
                head = np.full((2, category.size), [[LENGTHS.index(unit)], [at]])
                self.bins.append(np.stack([head[0], category + shift, head[1], place, reviews]))

    def table(self, level: str, *, by_category: bool, subjects: Mapping[str, Counts]) -> pa.Table:
        """One grouping as a table, a row for each group that has reviews."""
        sums = self.sums[level]
        rows = np.zeros(sums.shape[:2], np.bool_)
        chosen = slice(0, -1) if by_category else slice(-1, None)
        rows[chosen] = sums[chosen, :, 0] > 0
        category, period = np.nonzero(rows)
        total = {name: sums[category, period, at] for at, name in enumerate(SUMS)}
        columns: dict[str, Any] = {}
        if level != "whole":
            columns[schema.REVIEW_MONTH if level == "month" else REVIEW_YEAR] = self._periods(level, period)
        if by_category:
            columns[schema.PRODUCT_CATEGORY] = pa.array(self.categories, pa.string()).take(pa.array(category))
        columns["reviews"] = total["reviews"]
        for subject in SUBJECTS:
            columns |= _counted(subject, subjects[subject], level, (category, period), self.calendar)
        columns |= _measures(total)
        for unit in LENGTHS:
            found = self.quantiles[level, unit][category, period]
            columns |= {f"{unit}_p{per_cent:02d}": found[:, at] for at, per_cent in enumerate(QUANTILES)}
        if level == "whole":
            columns |= self._spans(category)
        table = pa.table(columns)
        return table.sort_by([("reviews", "descending")]) if level == "whole" else table

    def _periods(self, level: str, places: NDArray[np.int64]) -> pa.Array:
        """Names of periods; null for no date."""
        if level == "month":
            return pa.array([*self.calendar.month_names(), None], pa.string()).take(pa.array(places))
        return pa.array([*self.calendar.year_numbers(), None], pa.int32()).take(pa.array(places))

    def period_names(self, places: NDArray[np.int64]) -> pa.Array:
        """Names of the periods that one can choose; null for a negative place and for no date."""
        known = np.where(places < 0, self.calendar.n_periods, places)
        return self._periods(self.calendar.period, known)

    def _spans(self, category: NDArray[np.int64]) -> dict[str, Any]:
        reviews = self.sums["month"][category, :, 0]
        dated = reviews[:, :-1] > 0
        any_dated = dated.any(axis=1) if dated.size else np.zeros(len(category), np.bool_)
        first = dated.argmax(axis=1) if dated.size else np.zeros(len(category), np.int64)
        last = dated.shape[1] - 1 - dated[:, ::-1].argmax(axis=1) if dated.size else first

        def months_at(places: NDArray[np.int64]) -> pa.Array:
            at = pa.array(places, mask=~any_dated)
            return pa.array(self.calendar.month_names(), pa.string()).take(at)

        return {
            "first_month": months_at(first),
            "last_month": months_at(last),
            "undated_reviews": reviews[:, -1],
        }


def _counted(
    subject: str,
    counts: Counts,
    level: str,
    places: tuple[NDArray[np.int64], NDArray[np.int64]],
    calendar: Calendar,
) -> dict[str, Any]:
    of_level = {"month": counts.months, "year": counts.years, "whole": counts.whole[:, None]}[level]
    found = of_level[places]
    columns = {
        f"unique_{subject}s": found[:, UNIQUE],
        f"{subject}s_with_several_reviews": found[:, SEVERAL],
    }
    if level == "whole":
        return columns
    ends = counts.months
    if level == "year":
        starts = np.flatnonzero(np.diff(calendar.years(), prepend=-1))
        ends = np.add.reduceat(counts.months, starts, axis=1)
    columns[f"new_{subject}s"] = ends[places][:, NEW]
    columns[f"last_reviewed_{subject}s"] = ends[places][:, LAST]
    return columns


def _measures(total: dict[str, NDArray[np.int64]]) -> dict[str, Any]:
    """Sums, shares, means and standard deviations; null where there is nothing to divide by."""
    columns: dict[str, Any] = {name: total[name] for name in SUMS[1:] if not name.endswith("_squared")}
    stars = sum(stars * total[f"stars_{stars}"] for stars in range(1, 6))
    columns["mean_stars"] = divided(stars, total["rated"])
    columns["verified_share"] = divided(total["verified"], total["verified_known"])
    columns["vine_share"] = divided(total["vine"], total["vine_known"])
    columns["helpful_share"] = divided(total["helpful_reviews"], total["votes_known"])
    n = total["reviews"]
    for unit in LENGTHS:
        added, squared = total[unit].astype(np.float64), total[f"{unit}_squared"].astype(np.float64)
        columns[f"{unit}_mean"] = divided(added, n)
        spread = np.sqrt(np.maximum(squared - added * added / np.maximum(n, 1), 0) / np.maximum(n - 1, 1))
        columns[f"{unit}_sd"] = pa.array(spread, mask=n < 2)  # of a sample
    return columns


def divided(part: Any, whole: NDArray[np.int64]) -> pa.Array:
    """Float64 ratios; null where the whole is 0."""
    return pa.array(part / np.maximum(whole, 1), mask=whole == 0)
