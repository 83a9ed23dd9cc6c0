"""The chart of the graph's chapter: how far confused pairs of categories go beyond their sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import altair as alt

from shelfcheck.report.chart import DATA, OTHER, ROWS, STEP, Chart, finish
from shelfcheck.report.wording import number, words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NAMES: Final = alt.Axis(ticks=False, domain=False, labelPadding=8, labelLimit=320)  # two names a label


def confused_pairs_chart(pairs: Sequence[Mapping[str, Any]]) -> Chart:
    """Products with a review that is predicted elsewhere, beside what is expected of the two sizes.

    Args:
        pairs: rows of `confused_pairs`, in the order in which they are drawn; at least one.
    """
    data = [
        {
            "pair": f"{words(row['assigned'])} → {words(row['predicted'])}",
            "products": row["products"],
            "expected": row["expected_products"],
            "reviews": row["reviews"],
            "share": row["share"],
            "lift": row["lift"],
        }
        for row in pairs
    ]
    base = alt.Chart(alt.NamedData(ROWS), height=alt.Step(STEP), width="container").encode(
        y=alt.Y("pair:N", sort=None, title=None, axis=_NAMES),
        tooltip=[
            alt.Tooltip("pair:N", title="Assigned → predicted"),
            alt.Tooltip("products:Q", title="Products", format=","),
            alt.Tooltip("expected:Q", title="Expected of their sizes", format=",.1f"),
            alt.Tooltip("lift:Q", title="Lift", format=".1f"),
            alt.Tooltip("reviews:Q", title="Reviews", format=","),
            alt.Tooltip("share:Q", title="Share of the category's reviews", format=".1%"),
        ],
    )
    bars = base.mark_bar(color=DATA, cornerRadiusEnd=2, height={"band": 0.72}).encode(
        x=alt.X("products:Q", title="Products", axis=alt.Axis(format=",d", tickCount=5, domain=False))
    )
    ticks = base.mark_tick(color=OTHER, thickness=3, height=STEP * 0.9).encode(x="expected:Q")
    first = data[0]
    return Chart(
        "confused-pairs",
        "Products confused beyond what sizes give",
        "Bars: products with a review that is predicted in the other category. Ticks: how many are expected "
        f"if only the sizes of the categories counted. {first['pair']}: {number(first['products'])}, where "
        f"{number(round(first['expected']))} are expected.",
        finish(bars + ticks, data),
        ("Assigned → predicted", "Products", "Expected", "Reviews"),
        tuple(
            (row["pair"], number(row["products"]), f"{row['expected']:,.1f}", number(row["reviews"]))
            for row in data
        ),
        wide=True,
    )
