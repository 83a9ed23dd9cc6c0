"""The page that explores reviews: overview first, filtered by category and time, whole without a script."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shelfcheck import schema
from shelfcheck.report import charts_explore as draw
from shelfcheck.report.chart import CONFIG
from shelfcheck.report.explore_data import (
    UNITS,
    Explored,
    of_all,
    of_categories,
    over_time,
    page_data,
    read_explored,
)
from shelfcheck.report.shell import render_page, script_data
from shelfcheck.report.wording import number, percent, words
from shelfcheck.workspace import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from shelfcheck.report.chart import Chart

Row = dict[str, Any]

PAGE: Final = "explore.html"
_TEXT_CHARACTERS: Final = 240  # of a repeated text in the page; the file has all
_SCHEMA_URL: Final = "https://vega.github.io/schema/vega-lite/v6.json"
# What the page's style sheet says of colours, for charts that stand alone.
_COLOURS: Final = {
    "data": "#0072b2",
    "data-half": "#739fce",
    "data-2": "#c75300",
    "data-2-half": "#e0a080",
    "data-faint": "#c3ccd4",
    "ink": "#1b1e22",
    "ink-soft": "#545a63",
    "grid": "#e4e6e9",
}


@dataclass(frozen=True)
class Figure:
    """A key figure: its name for the script, what it is, its value and a note."""

    id: str
    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell of a table that can be sorted: what is read and what is sorted by."""

    text: str
    value: str


def write_explore_page(folder: str | Path, out: str | Path) -> Path:
    """Write `explore.html`, and each chart as `charts/NAME.json`, a Vega-Lite specification with its data.

    Args:
        folder: what `explore` wrote.
        out: where to write; may be the same.

    Returns:
        The path of the page.

    Raises:
        WorkspaceError: the tables cannot be read.
    """
    explored = read_explored(Path(folder))
    charts = _charts(explored)
    home = Path(out)
    (home / "charts").mkdir(parents=True, exist_ok=True)
    for chart in charts.values():
        write_atomically(home / "charts" / f"{chart.name}.json", _alone(chart))
    page = home / PAGE
    write_atomically(page, render(explored, charts))
    return page


def render(explored: Explored, charts: Mapping[str, Chart]) -> str:
    """The page's HTML."""
    return render_page(
        "explore.html.j2",
        title="Explore the reviews",
        charts=charts,
        styles=("assets/explore.css",),
        scripts=("assets/explore.js",),
        data=script_data(page_data(explored)),
        lead=_lead(explored),
        figures=_figures(explored),
        explored=explored,
        options=[words(name) for name in explored.categories],
        categories=_category_rows(explored),
        products=_product_rows(explored),
        texts=_text_rows(explored),
        left_out=explored.rows("left_out"),
        repeated=of_all(explored, "repeated_texts_by_category")[0],
    )


def _charts(explored: Explored) -> dict[str, Chart]:
    times, categories = over_time(explored), of_categories(explored)
    charts = {}
    if times:
        charts["reviews"] = draw.reviews_chart([_picked(row, "when", reviews=0) for row in times])
        charts["products"] = draw.products_chart(
            [
                {"when": row["when"], "kind": kind, "products": row.get(name, 0)}
                for row in times
                for kind, name in zip(
                    draw.PRODUCT_KINDS,
                    ("unique_products", "new_products", "last_reviewed_products"),
                    strict=True,
                )
            ]
        )
        charts["stars"] = draw.stars_chart([part for row in times for part in _stars(row)])
        charts["length"] = draw.length_chart([{"when": row["when"]} | _length(row) for row in times])
        charts["flags"] = draw.flags_chart(
            [
                {"when": row["when"], "kind": kind, "share": row.get(name)}
                for row in times
                for kind, name in zip(
                    draw.FLAG_KINDS, ("verified_share", "vine_share", "helpful_share"), strict=True
                )
            ]
        )
    total = explored.figures["reviews"]
    bars = [
        {
            "category": row["category"],
            "reviews": row["reviews"],
            "share": row["reviews"] / total,
            "chosen": True,
        }
        for row in categories
    ]
    charts["categories"] = draw.categories_chart(bars, explored.left)
    charts["mean_stars"] = draw.mean_stars_chart(
        [
            {
                "category": row["category"],
                "mean": row["mean_stars"],
                "rated": row["rated"],
                "one": 1,
                "chosen": True,
            }
            for row in categories
            if row["rated"]
        ]
    )
    charts["length_by_category"] = draw.length_by_category_chart(
        [{"category": row["category"], "chosen": True} | _length(row) for row in categories]
    )
    charts["lengths"] = draw.lengths_chart(_lengths(explored))
    for subject, title in (("product", "Products by reviews"), ("customer", "Customers by activity")):
        rows = [
            {"bin": _span(row), "n": row[f"{subject}s"], "reviews": row["reviews"]}
            for row in of_all(explored, f"{subject}s_by_reviews")
        ]
        charts[f"{subject}s_activity"] = draw.activity_chart(
            f"{subject}s-activity", f"{subject}s", title, rows
        )
    charts["missing"] = draw.missing_chart(
        [
            {"column": words(row["column"]), "missing": row["missing"], "share": row["missing_share"]}
            for row in of_all(explored, "missing_values")
        ]
    )
    return charts


def _picked(row: Row, *names: str, **defaults: object) -> Row:
    return {name: row[name] for name in names} | {
        name: row.get(name, value) for name, value in defaults.items()
    }


def _stars(row: Row) -> list[Row]:
    rated = row.get("rated") or 0
    return [
        {
            "when": row["when"],
            "stars": stars,
            "reviews": row.get(f"stars_{stars}", 0),
            "share": row[f"stars_{stars}"] / rated if rated else None,
            "mean": row["mean_stars"] if rated else None,
        }
        for stars in draw.STARS
    ]


def _length(row: Row) -> Row:
    unit = UNITS[0]
    told = {f"p{at}": row.get(f"{unit}_p{at}") for at in (25, 50, 75)}
    return told | {"mean": row.get(f"{unit}_mean")}


def _lengths(explored: Explored) -> list[Row]:
    bins: dict[tuple[int, int], int] = {}
    for row in of_all(explored, "lengths"):
        if row["unit"] == UNITS[0]:
            bounds = (row["length_from"], row["length_to"])
            bins[bounds] = bins.get(bounds, 0) + row["reviews"]
    total = sum(bins.values())
    return [
        {
            "low": max(first, 0.8),
            "high": last + 1,
            "length": f"{first:,}" if first == last else f"{first:,} to {last:,}",
            "reviews": n,
            "share": n / total,
        }
        for (first, last), n in sorted(bins.items())
    ]


def _span(row: Row) -> str:
    first, last = row["reviews_from"], row["reviews_to"]
    if last is None:
        return f"{first:,}+"
    return f"{first:,}" if first == last else f"{first:,}–{last:,}"


def _lead(explored: Explored) -> str:
    told = explored.figures
    span = ""
    if told["first_month"]:
        span = f" from {told['first_month']} to {told['last_month']}"
    undated = f"; {number(told['undated_reviews'])} have no date" if told["undated_reviews"] else ""
    several = told["categories"] != 1
    return (
        f"{number(told['reviews'])} reviews of {number(told['unique_products'])} products in "
        f"{number(told['categories'])} {'categories' if several else 'category'}{span}{undated}."
    )


def _figures(explored: Explored) -> list[Figure]:
    told = explored.figures
    return [
        Figure("reviews", "Reviews", number(told["reviews"])),
        Figure(
            "products",
            "Unique products",
            number(told["unique_products"]),
            f"{number(told['products_with_several_reviews'])} with several reviews",
        ),
        Figure(
            "customers",
            "Unique customers",
            number(told["unique_customers"]),
            f"{number(told['customers_with_several_reviews'])} with several reviews",
        ),
        Figure("stars", "Mean stars", _or_unknown(told["mean_stars"], ".2f")),
        Figure("length", "Median length", number(told["characters_p50"]), "characters"),
        Figure("verified", "Verified purchases", _share(told["verified_share"]), "of those known"),
        Figure("helpful", "With a helpful vote", _share(told["helpful_share"]), "of those known"),
    ]


def _or_unknown(value: float | None, form: str) -> str:
    return "unknown" if value is None else format(value, form)


def _share(value: float | None) -> str:
    return "unknown" if value is None else percent(value)


def _category_rows(explored: Explored) -> list[tuple[str, list[Cell]]]:
    rows = []
    for row in of_categories(explored):
        values = (
            row["reviews"],
            row["unique_products"],
            row["products_with_several_reviews"],
            row["unique_customers"],
            row["mean_stars"],
            row["verified_share"],
            row["characters_p50"],
        )
        forms: tuple[Callable[[float], str], ...] = (
            number,
            number,
            number,
            number,
            lambda value: f"{value:.2f}",
            percent,
            number,
        )
        cells = [
            Cell("–" if value is None else form(value), "" if value is None else f"{value:.6g}")
            for value, form in zip(values, forms, strict=True)
        ]
        cells += [Cell(row[name] or "–", row[name] or "") for name in ("first_month", "last_month")]
        rows.append((row["category"], cells))
    return rows


def _product_rows(explored: Explored) -> list[Row]:
    places = {name: place for place, name in enumerate(explored.categories)}
    return [
        row | {"place": places[row[schema.PRODUCT_CATEGORY]], "category": words(row[schema.PRODUCT_CATEGORY])}
        for row in explored.rows("top_products")
        if row[schema.PRODUCT_CATEGORY] in places
    ]


def _text_rows(explored: Explored) -> list[Row]:
    return [
        row | {"text": _cut(row[schema.REVIEW_BODY], _TEXT_CHARACTERS)}
        for row in explored.rows("repeated_texts")
    ]


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def _alone(chart: Chart) -> str:
    """A chart as a file of its own: with its schema, look and light colours."""
    spec = {"$schema": _SCHEMA_URL, "title": chart.title, **chart.spec, "config": CONFIG}
    text = json.dumps(spec, ensure_ascii=False, allow_nan=False)
    return re.sub(r"var\(--([\w-]+)\)", lambda found: _COLOURS[found[1]], text) + "\n"


__all__: Sequence[str] = ("PAGE", "render", "write_explore_page")
