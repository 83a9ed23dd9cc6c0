"""Charts of what came in and of the findings' scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import altair as alt

from shelfcheck.report.chart import DATA, MOST_BARS, ROWS, SOFT, STEP, Chart, finish, name_axis
from shelfcheck.report.findings import BIN_WIDTH
from shelfcheck.report.wording import number, percent, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shelfcheck.report.facts import Count, Intake
    from shelfcheck.report.findings import Findings

_MONTHS_AS_BARS: Final = 72


def months_chart(intake: Intake) -> Chart:
    """Reviews kept, by month."""
    months = intake.months
    data = [{"month": f"{month}-01", "reviews": n} for month, n in months]
    base = alt.Chart(alt.NamedData(ROWS), height=180, width="container")
    x = alt.X("month:T", timeUnit="utcyearmonth", title=None, axis=alt.Axis(labelOverlap=True, grid=False))
    y = alt.Y("reviews:Q", title="Reviews", axis=alt.Axis(tickCount=4, format="~s", domain=False))
    tip = [
        alt.Tooltip("month:T", timeUnit="utcyearmonth", title="Month", format="%B %Y"),
        alt.Tooltip("reviews:Q", title="Reviews", format=","),
    ]
    if len(months) <= _MONTHS_AS_BARS:
        drawn = base.mark_bar(color=DATA, cornerRadiusEnd=2).encode(x, y, tooltip=tip)
    else:
        drawn = base.mark_area(
            color=DATA, opacity=0.75, interpolate="step-after", line={"color": DATA, "strokeWidth": 1}
        ).encode(x, y, tooltip=tip)
    busiest = max(months, key=lambda count: count[1])
    undated = f" {number(intake.undated)} reviews have no date and are not drawn." if intake.undated else ""
    return Chart(
        "months",
        "Reviews by month",
        f"From {months[0][0]} to {months[-1][0]}; most in {busiest[0]}, with {number(busiest[1])} reviews."
        f"{undated}",
        finish(drawn, data),
        ("Month", "Reviews"),
        tuple((month, number(n)) for month, n in months if n),
    )


def categories_chart(categories: Sequence[Count]) -> Chart:
    """Reviews kept, by category, on a square-root scale so that small ones can be seen."""
    top = categories[:MOST_BARS]
    total = sum(n for _, n in categories)
    data = [
        {"category": words(name), "reviews": n, "share": n / total, "label": number(n)} for name, n in top
    ]
    base = alt.Chart(alt.NamedData(ROWS), height=alt.Step(STEP), width="container").encode(
        y=name_axis("category"),
        x=alt.X("reviews:Q", scale=alt.Scale(type="sqrt"), axis=None),
        tooltip=[
            alt.Tooltip("category:N", title="Category"),
            alt.Tooltip("reviews:Q", title="Reviews", format=","),
            alt.Tooltip("share:Q", title="Share", format=".1%"),
        ],
    )
    drawn = base.mark_bar(color=DATA, cornerRadiusEnd=2, height={"band": 0.72}) + base.mark_text(
        align="left", dx=5, color=SOFT, fontSize=11
    ).encode(text="label:N")
    drawn = drawn.properties(
        padding={"left": 5, "top": 5, "right": 36, "bottom": 5}
    )  # room for the last count
    left = len(categories) - len(top)
    more = f" The {left} smallest stand in the table alone." if left else ""
    return Chart(
        "categories",
        "Reviews by category",
        f"{len(categories)} categories; the largest, {words(top[0][0])}, has {number(top[0][1])} reviews "
        f"({percent(top[0][1] / total)}). Bar lengths follow the square root of the count.{more}",
        finish(drawn, data),
        ("Category", "Reviews", "Share"),
        tuple((words(name), number(n), percent(n / total, 1)) for name, n in categories),
    )


def scores_chart(findings: Findings, noun: str) -> Chart:
    """How sure the findings are."""
    width = BIN_WIDTH
    data = [{"low": low, "high": round(low + width, 2), "findings": n} for low, n in findings.scores]
    drawn = (
        alt.Chart(alt.NamedData(ROWS), height=140, width="container")
        .mark_bar(color=DATA, cornerRadiusEnd=2, binSpacing=2)
        .encode(
            x=alt.X(
                "low:Q",
                bin="binned",
                title="Score",
                scale=alt.Scale(domain=[data[0]["low"], 1]),
                axis=alt.Axis(format="%", grid=False, tickCount=5),
            ),
            x2="high:Q",
            y=alt.Y("findings:Q", title="Findings", axis=alt.Axis(tickCount=4, format="~s", domain=False)),
            tooltip=[
                alt.Tooltip("low:Q", title="Score from", format=".0%"),
                alt.Tooltip("high:Q", title="to", format=".0%"),
                alt.Tooltip("findings:Q", title="Findings", format=","),
            ],
        )
    )
    sure = sum(n for low, n in findings.scores if low >= 0.9)
    return Chart(
        f"scores-{findings.kind.replace('_', '-')}",
        "How sure the findings are",
        f"{number(sure)} of {number(findings.total)} {noun} score 90\u202f% or more.",
        finish(drawn, data),
        ("Score", "Findings"),
        tuple((f"{percent(low)} to {percent(low + width)}", number(n)) for low, n in findings.scores),
    )
