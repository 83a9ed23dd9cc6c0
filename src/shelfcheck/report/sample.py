"""The chapter on the sample: what was drawn, and how it compares with all reviews."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import altair as alt

from shelfcheck.errors import WorkspaceError
from shelfcheck.report.chart import (
    DATA,
    FAINT,
    MOST_BARS,
    OTHER,
    ROWS,
    SOFT,
    STEP,
    Chart,
    finish,
    name_axis,
)
from shelfcheck.report.facts import read_json
from shelfcheck.report.wording import number, percent, words
from shelfcheck.sampling.representativeness import Representativeness
from shelfcheck.schema import PRODUCT_CATEGORY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from shelfcheck.sampling.representativeness import Distance, ShareRow

COLUMNS: Final = ("Sample", "Weighted", "95\u202f% by chance", "Lies")
_NAMES: Final = {
    "product_category": "Categories",
    "star_rating": "Stars",
    "review_month": "Months",
    "body_length": "Lengths",
    "total_variation": "total variation",
    "chi_squared": "chi-squared",
    "kolmogorov_smirnov": "Kolmogorov-Smirnov",
    "wasserstein": "Wasserstein",
}


@dataclass(frozen=True)
class SampleChapter:
    """What the page shows of a sample.

    Attributes:
        sentences: what was drawn, and the verdict.
        distances: each distribution with the cells of `COLUMNS`.
        chart: shares of categories.
        tables: caption and rows of the other distributions: value, all, sample, weighted, by chance.
    """

    sentences: tuple[str, ...]
    distances: tuple[tuple[str, tuple[str, ...]], ...]
    chart: Chart
    tables: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]


def read_sample(folder: Path) -> SampleChapter:
    """Read what `sample` left.

    Raises:
        WorkspaceError: its files are missing or damaged.
    """
    drawn = read_json(folder / "summary.json")
    path = folder / "representativeness.json"
    try:
        compared = Representativeness.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WorkspaceError(
            f"{path}: cannot be read for the report ({error}). Draw it again: shelfcheck sample --force"
        ) from error
    return SampleChapter(
        sentences=_sentences(drawn, compared.verdict),
        distances=tuple(
            (f"{_NAMES[one.what]}, {_NAMES[one.measure]}", _distance(one)) for one in compared.distances
        ),
        chart=shares_chart([row for row in compared.shares if row.what == PRODUCT_CATEGORY]),
        tables=tuple(
            (caption, tuple(_cells(row) for row in compared.shares if row.what == what))
            for what, caption in (
                ("star_rating", "Stars"),
                ("body_length", "Characters of the body"),
                ("review_month", "Years"),
            )
        ),
    )


def _sentences(drawn: Mapping[str, Any], verdict: str) -> tuple[str, ...]:
    by = " and ".join(words(name) for name in drawn["by"])
    strata = f"from {number(drawn['strata'])} strata, by {by}" if by else "without strata"
    share = percent(drawn["rows"] / drawn["population"], 1)
    found = [f"{number(drawn['rows'])} of {number(drawn['population'])} reviews ({share}), drawn {strata}."]
    if drawn["forced_rows"]:
        found.append(
            f"{number(drawn['forced_rows'])} are more than asked for, as every stratum gives at least one."
        )
    dropped = drawn["dropped_categories"]
    if dropped:
        rows = sum(dropped.values())
        found.append(f"{number(len(dropped))} rare categories with {number(rows)} reviews were left out.")
    return (*found, verdict)


def _distance(one: Distance) -> tuple[str, ...]:
    again = "" if one.verdict == one.weighted_verdict else f"; {one.weighted_verdict} when weighted"
    return (
        _said(one.judged.observed, one.unit),
        _said(one.weighted.observed, one.unit),
        f"{_said(one.judged.low, one.unit)} to {_said(one.judged.high, one.unit)}",
        f"{one.verdict}{again}",
    )


def _said(value: float, unit: str) -> str:
    if unit == "share":
        return percent(value, 1)
    return f"{value:.4f}" if unit == "ratio" else f"{value:.1f} {unit}"


def _cells(row: ShareRow) -> tuple[str, ...]:
    return (
        words(row.value),
        percent(row.population_share, 2),
        percent(row.sample_share, 2),
        percent(row.weighted_share, 2),
        f"{percent(row.low, 2)} to {percent(row.high, 2)}",
    )


def shares_chart(rows: list[ShareRow]) -> Chart:
    """Shares of categories: all reviews, sample, and where simple random samples would lie."""
    outside = [row for row in rows if not row.low <= row.sample_share <= row.high]
    names = [words(row.value) for row in rows[:MOST_BARS]]
    data = [
        {
            "category": words(row.value),
            "population": row.population_share,
            "sample": row.sample_share,
            "weighted": row.weighted_share,
            "low": row.low,
            "high": row.high,
            "lies": "outside" if row in outside else "inside",
        }
        for row in rows[:MOST_BARS]
    ]
    base = alt.Chart(alt.NamedData(ROWS), height=alt.Step(STEP), width="container").encode(
        y=name_axis("category", names),
        tooltip=[
            alt.Tooltip("category:N", title="Category"),
            alt.Tooltip("population:Q", title="All reviews", format=".2%"),
            alt.Tooltip("sample:Q", title="Sample", format=".2%"),
            alt.Tooltip("weighted:Q", title="Sample, weighted", format=".2%"),
            alt.Tooltip("low:Q", title="By chance, from", format=".2%"),
            alt.Tooltip("high:Q", title="to", format=".2%"),
        ],
    )
    scale = alt.Scale(type="sqrt", nice=False)
    axis = alt.Axis(format="~%", tickCount=6, domain=False)
    kinds = ["inside", "outside"]
    colour = alt.Color("lies:N", scale=alt.Scale(domain=kinds, range=[DATA, OTHER]), legend=None)
    shape = alt.Shape("lies:N", scale=alt.Scale(domain=kinds, range=["circle", "diamond"]), legend=None)
    drawn = (
        base.mark_bar(color=FAINT, height={"band": 0.5}).encode(
            x=alt.X("low:Q", scale=scale, axis=axis, title="Share of the reviews"), x2="high:Q"
        )
        + base.mark_tick(color=SOFT, thickness=2, height={"band": 0.8}).encode(x="population:Q")
        + base.mark_point(filled=True, size=55, opacity=1).encode(x="sample:Q", color=colour, shape=shape)
    )
    left = len(rows) - len(data)
    more = f" The {left} smallest stand in the table alone." if left else ""
    summary = (
        "Line: share of all reviews. Band: where 95\u202f% of simple random samples of this size lie. "
        f"Dot: the sample. {number(len(outside))} of {number(len(rows))} lie outside their bands (diamonds); "
        f"by chance, about one in twenty would.{more}"
    )
    return Chart(
        "sample-categories",
        "Categories in the sample and in all reviews",
        summary,
        finish(drawn, data),
        ("Category", "All", "Sample", "Weighted", "By chance"),
        tuple(_cells(row) for row in rows),
    )
