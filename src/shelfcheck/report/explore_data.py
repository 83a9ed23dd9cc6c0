"""What the page that explores reviews holds: tables as compact columns, and the rows of unfiltered charts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck import schema
from shelfcheck.errors import WorkspaceError
from shelfcheck.report.facts import fill_months
from shelfcheck.report.wording import words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

Row = dict[str, Any]

MOST_CATEGORIES: Final = 60  # in the page; the files have all
MOST_MONTHS: Final = 72  # drawn as months; more are drawn as years
UNITS: Final = ("characters", "tokens")

_STARS: Final = tuple(f"stars_{stars}" for stars in range(1, 6))
_SHARES: Final = ("verified_known", "verified", "vine_known", "vine", "votes_known", "helpful_reviews")
_PRODUCTS: Final = ("unique_products", "new_products", "last_reviewed_products", "unique_customers")
_QUANTILES: Final = tuple(f"{unit}_p{per_cent}" for unit in UNITS for per_cent in (25, 50, 75))
_CELL: Final = ("reviews", *_STARS, *_SHARES, *UNITS, *_PRODUCTS, *_QUANTILES)
_WHOLE: Final = (
    "reviews",
    *_STARS,
    *_SHARES,
    *UNITS,
    "unique_products",
    "products_with_several_reviews",
    "unique_customers",
    "customers_with_several_reviews",
    *_QUANTILES,
    "undated_reviews",
)


@dataclass(frozen=True)
class Explored:
    """The tables of an `explore` artefact, as the page needs them.

    Attributes:
        figures: the key figures.
        tables: name -> table.
        categories: those that the page shows, most reviews first.
        left: how many it does not.
        months: 'YYYY-MM', consecutive.
        years: consecutive.
    """

    figures: Mapping[str, Any]
    tables: Mapping[str, pa.Table]
    categories: tuple[str, ...]
    left: int
    months: tuple[str, ...]
    years: tuple[int, ...]

    @property
    def period(self) -> str:
        """`month` or `year`: what one can choose by."""
        return str(self.figures["period"])

    @property
    def periods(self) -> tuple[str, ...]:
        """Names of the periods that one can choose."""
        return self.months if self.period == "month" else tuple(map(str, self.years))

    def rows(self, name: str) -> list[Row]:
        """A table as rows."""
        rows: list[Row] = self.tables[name].to_pylist()
        return rows


def read_explored(folder: Path) -> Explored:
    """Read what `explore` wrote.

    Raises:
        WorkspaceError: a file is missing or not what it should be.
    """
    try:
        figures = json.loads((folder / "figures.json").read_text(encoding="utf-8"))
        files = sorted((folder / "tables").glob("*.parquet"))
        tables = {file.stem: pq.read_table(file) for file in files}
        every = tables["by_category"][schema.PRODUCT_CATEGORY].to_pylist()
        dated = [month for month in tables["by_month"][schema.REVIEW_MONTH].to_pylist() if month]
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise WorkspaceError(
            f"{folder}: cannot be read for the page ({error}). Run shelfcheck explore --force."
        ) from error
    months = tuple(month for month, _ in fill_months(dict.fromkeys(dated, 1)))
    years = tuple(sorted({int(month[:4]) for month in months}))
    shown = tuple(every[:MOST_CATEGORIES])
    return Explored(figures, tables, shown, len(every) - len(shown), months, years)


def page_data(explored: Explored) -> dict[str, Any]:
    """The JSON that the page's script works on: columns of numbers, categories and times by their place.

    The place behind the last category is all of them. Reviews without a date stand in `whole` alone.
    """
    places = {name: place for place, name in enumerate(explored.categories)} | {
        None: len(explored.categories)
    }
    months = {month: place for place, month in enumerate(explored.months)}
    years = {year: place for place, year in enumerate(explored.years)}
    periods: dict[Any, int] = months if explored.period == "month" else years
    period = f"review_{explored.period}"
    earlier = f"earlier_{explored.period}"
    long = len(explored.months) > MOST_MONTHS
    return {
        "categories": [words(name) for name in explored.categories],
        "period": explored.period,
        "periods": list(explored.periods),
        "months": list(explored.months),
        "years": list(explored.years),
        "by_month": _cells(explored, "month", places, months),
        "by_year": _cells(explored, "year", places, years) if long else None,
        "whole": _columns(explored, ("by_category", "whole"), places, {}, _WHOLE),
        "recurrence": {
            subject: _columns(
                explored,
                (f"{subject}s_by_recurrence",),
                places,
                {period: periods, earlier: periods | {None: -1}},
                (f"unique_{subject}s", f"{subject}s_with_several_reviews"),
            )
            for subject in ("product", "customer")
        },
        "lengths": {
            unit: _columns(
                explored,
                ("lengths",),
                places,
                {period: periods | {None: -1}},
                ("length_from", "length_to", "reviews"),
                unit=unit,
            )
            for unit in UNITS
        },
        "activity": {
            subject: _columns(
                explored,
                (f"{subject}s_by_reviews",),
                places,
                {},
                ("reviews_from", "reviews_to", f"{subject}s", "reviews"),
            )
            for subject in ("product", "customer")
        },
        "missing": _columns(
            explored, ("missing_values",), places, {}, ("column", "missing", "missing_share")
        ),
    }


def _cells(explored: Explored, time: str, places: Mapping[str | None, int], times: Mapping[Any, int]) -> Any:
    names = (f"by_{time}_and_category", f"by_{time}")
    return _columns(explored, names, places, {f"review_{time}": times}, _CELL)


def _columns(
    explored: Explored,
    names: Sequence[str],
    places: Mapping[str | None, int],
    times: Mapping[str, Mapping[Any, int]],
    wanted: Sequence[str],
    *,
    unit: str | None = None,
) -> dict[str, list[Any]]:
    """Columns of tables below each other; rows of categories or times that have no place are left out."""
    found: dict[str, list[Any]] = {name: [] for name in ("category", *times, *wanted)}
    for name in names:
        for row in (
            explored.tables[name]
            .select(
                [
                    column
                    for column in explored.tables[name].column_names
                    if column in {schema.PRODUCT_CATEGORY, "unit", *times, *wanted}
                ]
            )
            .to_pylist()
        ):
            place = places.get(row.get(schema.PRODUCT_CATEGORY))
            at = {time: order.get(row[time]) for time, order in times.items()}
            if place is None or None in at.values() or (unit is not None and row["unit"] != unit):
                continue
            found["category"].append(place)
            for time, number in at.items():
                found[time].append(number)
            for column in wanted:
                value = row[column]
                found[column].append(round(value, 4) if isinstance(value, float) else value)
    return found


def over_time(explored: Explored) -> list[Row]:
    """Rows of all categories by month, or by year where the months are many; those without reviews too."""
    level = "year" if len(explored.months) > MOST_MONTHS else "month"
    rows = {row[f"review_{level}"]: row for row in explored.rows(f"by_{level}")}
    every: Sequence[Any] = explored.years if level == "year" else explored.months
    return [{"when": str(time)} | rows.get(time, {}) for time in every]


def of_categories(explored: Explored) -> list[Row]:
    """Rows of the categories that are shown, most reviews first."""
    rows = {row[schema.PRODUCT_CATEGORY]: row for row in explored.rows("by_category")}
    return [{"category": words(name), "chosen": True} | rows[name] for name in explored.categories]


def of_all(explored: Explored, name: str) -> list[Row]:
    """Rows of a table that are of all categories together."""
    return [row for row in explored.rows(name) if row[schema.PRODUCT_CATEGORY] is None]
