"""The months and years that reviews span, as places in arrays; the last one is for reviews without a date."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

MOST_MONTHS: Final = 72
"""Of history, up to which the periods that one can choose are months; beyond, they are years."""


@dataclass(frozen=True)
class Calendar:
    """Consecutive months.

    Attributes:
        first: first month, counted from the year 0; 0 if no review has a date.
        n_months: from the first to the last, those without reviews too.
    """

    first: int
    n_months: int

    @classmethod
    def of(cls, months: Iterable[int]) -> Calendar:
        """The calendar of months as `scan.Unit` has them, -1 for no date."""
        dated = [month for month in months if month >= 0]
        return cls(min(dated), max(dated) - min(dated) + 1) if dated else cls(0, 0)

    @property
    def n_years(self) -> int:
        """From the first to the last."""
        return (self.first + self.n_months - 1) // 12 - self.first // 12 + 1 if self.n_months else 0

    @property
    def period(self) -> str:
        """`month` or `year`: the periods that one can choose."""
        return "month" if self.n_months <= MOST_MONTHS else "year"

    @property
    def n_periods(self) -> int:
        """Of these."""
        return self.n_months if self.period == "month" else self.n_years

    def place(self, month: int) -> int:
        """Place of a month."""
        return month - self.first if month >= 0 else self.n_months

    def places(self, months: NDArray[np.int16]) -> NDArray[np.int32]:
        """Places of months."""
        return np.where(months < 0, self.n_months, months - np.int32(self.first)).astype(np.int32)

    def years(self) -> NDArray[np.int32]:
        """Place of the year of each month, and of no date: (n_months + 1,)."""
        years = np.arange(self.first, self.first + self.n_months) // 12 - self.first // 12
        return np.append(years, self.n_years).astype(np.int32)

    def periods(self) -> NDArray[np.int32]:
        """Place of the period of each month, and of no date: (n_months + 1,)."""
        return np.arange(self.n_months + 1, dtype=np.int32) if self.period == "month" else self.years()

    def month_names(self) -> list[str]:
        """'YYYY-MM' of every month."""
        return [month_name(month) for month in range(self.first, self.first + self.n_months)]

    def year_numbers(self) -> list[int]:
        """Every year."""
        return list(range(self.first // 12, self.first // 12 + self.n_years))


def month_name(month: int) -> str:
    """'YYYY-MM' of months since the year 0."""
    return f"{month // 12:04d}-{month % 12 + 1:02d}"
