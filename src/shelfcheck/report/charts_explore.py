"""Charts of the page that explores reviews. The page's script puts other rows into them as one filters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import altair as alt

from shelfcheck.report.chart import DATA, FAINT, OTHER, ROWS, SOFT, STEP, Chart, finish, name_axis

if TYPE_CHECKING:
    from collections.abc import Sequence

Row = dict[str, Any]

_WHEN: Final = alt.Tooltip("when:O", title="Time")
_COUNT: Final = ","
_SHORT: Final = "format(datum.value, '~s')"  # each label for itself: an axis in thousands would say 0k
_LENGTH_TICKS: Final = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 20_000, 50_000]
_POWERS: Final = [0, 1, *(10**power for power in range(1, 10))]


def _base(height: int = 190) -> alt.Chart:
    return alt.Chart(alt.NamedData(ROWS), height=height, width="container")


def _time() -> alt.X:
    """Months or years, whichever the rows have; labels that do not fit are left out."""
    axis = alt.Axis(labelAngle=0, labelOverlap="greedy", grid=False, ticks=False, labelSeparation=8)
    return alt.X("when:O", title=None, axis=axis, scale=alt.Scale(paddingInner=0.15))


def _count_axis(title: str) -> alt.Axis:
    return alt.Axis(title=title, tickCount=4, labelExpr=_SHORT, domain=False)


def _chart(  # noqa: PLR0917 - as they stand in a page, from top to bottom
    name: str, title: str, summary: str, drawn: Any, rows: Sequence[Row], columns: dict[str, str]
) -> Chart:
    """A chart whose table shows `columns`: field -> heading."""
    table = tuple(tuple(_said(row[field]) for field in columns) for row in rows)
    return Chart(name, title, summary, finish(drawn, rows), tuple(columns.values()), table)


def _said(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def reviews_chart(rows: Sequence[Row]) -> Chart:
    """Reviews over time."""
    drawn = (
        _base()
        .mark_bar(color=DATA, cornerRadiusEnd=2)
        .encode(
            _time(),
            alt.Y("reviews:Q", axis=_count_axis("Reviews")),
            tooltip=[_WHEN, alt.Tooltip("reviews:Q", title="Reviews", format=_COUNT)],
        )
    )
    return _chart(
        "reviews",
        "Reviews over time",
        "Reviews by month, or by year where they span more than six. Reviews without a date are not drawn.",
        drawn,
        rows,
        {"when": "Time", "reviews": "Reviews"},
    )


def categories_chart(rows: Sequence[Row], left: int) -> Chart:
    """Categories by their number of reviews."""
    base = alt.Chart(alt.NamedData(ROWS), height=alt.Step(STEP), width="container").encode(
        y=name_axis("category", None).sort("-x"),
        x=alt.X("reviews:Q", scale=alt.Scale(type="sqrt"), axis=None),
        tooltip=[
            alt.Tooltip("category:N", title="Category"),
            alt.Tooltip("reviews:Q", title="Reviews", format=_COUNT),
            alt.Tooltip("share:Q", title="Share", format=".1%"),
        ],
    )
    bars = base.mark_bar(cornerRadiusEnd=2, height={"band": 0.72}, cursor="pointer").encode(
        color=alt.condition("datum.chosen", alt.value(DATA), alt.value(FAINT))
    )
    labels = base.mark_text(align="left", dx=5, color=SOFT, fontSize=11).encode(
        text=alt.Text("reviews:Q", format=",")
    )
    drawn = (bars + labels).properties(padding={"left": 5, "top": 5, "right": 44, "bottom": 5})
    more = f" The {left} smallest stand in the files alone." if left else ""
    return _chart(
        "categories",
        "Categories",
        "Reviews of the time chosen; bar lengths follow the square root of the count. A click on a bar "
        f"chooses its category.{more}",
        drawn,
        rows,
        {"category": "Category", "reviews": "Reviews"},
    )


def _lines(y: alt.Y, domain: Sequence[str], tip: alt.Tooltip, height: int = 190) -> alt.Chart:
    """A line a kind, told apart by colour and by dashes."""
    colours = (DATA, OTHER, SOFT)[: len(domain)]
    dashes = ([1, 0], [6, 3], [2, 2])[: len(domain)]
    legend = alt.Legend(title=None, symbolType="stroke", symbolStrokeWidth=2, labelLimit=240)
    drawn: alt.Chart = (
        _base(height)
        .mark_line(strokeWidth=2, point={"size": 18, "filled": True})
        .encode(
            _time(),
            y,
            color=alt.Color(
                "kind:N", legend=legend, scale=alt.Scale(domain=list(domain), range=list(colours))
            ),
            strokeDash=alt.StrokeDash(
                "kind:N", legend=legend, scale=alt.Scale(domain=list(domain), range=list(dashes))
            ),
            tooltip=[_WHEN, alt.Tooltip("kind:N", title=" "), tip],
        )
    )
    return drawn


PRODUCT_KINDS: Final = ("With reviews", "First reviewed", "Last reviewed")


def products_chart(rows: Sequence[Row]) -> Chart:
    """Products with reviews, new and vanishing ones."""
    drawn = _lines(
        alt.Y("products:Q", axis=_count_axis("Products")),
        PRODUCT_KINDS,
        alt.Tooltip("products:Q", title="Products", format=_COUNT),
    )
    return _chart(
        "products",
        "New and vanishing products",
        "Different products with reviews, those reviewed for the first time, and those reviewed for the last "
        "time: towards the end, many of these will be reviewed again.",
        drawn,
        rows,
        {"when": "Time", "kind": "Kind", "products": "Products"},
    )


STARS: Final = ("5", "4", "3", "2", "1")
_TINTS: Final = (DATA, "var(--data-half)", FAINT, "var(--data-2-half)", OTHER)


def stars_chart(rows: Sequence[Row]) -> Chart:
    """Shares of stars over time."""
    drawn = (
        _base()
        .mark_bar()
        .encode(
            _time(),
            alt.Y(
                "reviews:Q",
                stack="normalize",
                axis=alt.Axis(title="Share", format="%", tickCount=4, domain=False),
            ),
            color=alt.Color(
                "stars:N",
                legend=alt.Legend(title="Stars"),
                scale=alt.Scale(domain=list(STARS), range=list(_TINTS)),
            ),
            order=alt.Order("stars:N"),
            tooltip=[
                _WHEN,
                alt.Tooltip("stars:N", title="Stars"),
                alt.Tooltip("reviews:Q", title="Reviews", format=_COUNT),
                alt.Tooltip("share:Q", title="Share", format=".1%"),
                alt.Tooltip("mean:Q", title="Mean stars", format=".2f"),
            ],
        )
    )
    return _chart(
        "stars",
        "Stars over time",
        "Share of each number of stars among reviews that have them. Some sources are drawn by stars: their "
        "shares say nothing of the products.",
        drawn,
        rows,
        {"when": "Time", "stars": "Stars", "reviews": "Reviews", "mean": "Mean stars"},
    )


def mean_stars_chart(rows: Sequence[Row]) -> Chart:
    """Mean stars of each category."""
    base = alt.Chart(alt.NamedData(ROWS), height=alt.Step(STEP), width="container").encode(
        y=name_axis("category").sort(field="mean", order="descending"),
        tooltip=[
            alt.Tooltip("category:N", title="Category"),
            alt.Tooltip("mean:Q", title="Mean stars", format=".2f"),
            alt.Tooltip("rated:Q", title="Reviews with stars", format=_COUNT),
        ],
    )
    x = alt.X("mean:Q", title="Mean stars", scale=alt.Scale(domain=[1, 5]), axis=alt.Axis(tickCount=5))
    drawn = base.mark_rule(color=FAINT, strokeWidth=2).encode(
        x=alt.X("one:Q", scale=alt.Scale(domain=[1, 5])), x2="mean:Q"
    ) + base.mark_circle(size=70, opacity=1).encode(
        x=x, color=alt.condition("datum.chosen", alt.value(DATA), alt.value(SOFT))
    )
    return _chart(
        "mean-stars",
        "Stars by category",
        "Mean stars of the time chosen.",
        drawn,
        rows,
        {"category": "Category", "mean": "Mean stars", "rated": "Reviews with stars"},
    )


def length_chart(rows: Sequence[Row]) -> Chart:
    """Length over time."""
    tips = [
        _WHEN,
        *(
            alt.Tooltip(f"{field}:Q", title=title, format=",.1f")
            for field, title in (
                ("p25", "A quarter up to"),
                ("p50", "Half up to"),
                ("p75", "Three quarters up to"),
                ("mean", "Mean"),
            )
        ),
    ]
    base = _base().encode(_time(), tooltip=tips)
    axis = _count_axis("Length")
    drawn = (
        base.mark_bar(color=FAINT, width={"band": 0.6}).encode(y=alt.Y("p25:Q", axis=axis), y2="p75:Q")
        + base.mark_line(color=OTHER, strokeDash=[6, 3], strokeWidth=2).encode(y="mean:Q")
        + base.mark_tick(color=DATA, thickness=3, opacity=1, width={"band": 0.6}).encode(y="p50:Q")
    )
    return _chart(
        "length",
        "Length over time",
        "Bars span the middle half of the reviews, ticks are medians, the dashed line is the mean. Exact.",
        drawn,
        rows,
        {"when": "Time", "p25": "Quarter", "p50": "Median", "p75": "Three quarters", "mean": "Mean"},
    )


def lengths_chart(rows: Sequence[Row]) -> Chart:
    """How long reviews are."""
    drawn = (
        _base()
        .mark_bar(color=DATA, binSpacing=1)
        .encode(
            alt.X(
                "low:Q",
                title="Length",
                scale=alt.Scale(type="log", nice=False),
                axis=alt.Axis(
                    grid=False,
                    values=_LENGTH_TICKS,
                    format=",d",
                ),
            ),
            x2="high:Q",
            y=alt.Y("reviews:Q", axis=_count_axis("Reviews")),
            y2=alt.Y2Datum(0),
            tooltip=[
                alt.Tooltip("length:N", title="Length"),
                alt.Tooltip("reviews:Q", title="Reviews", format=_COUNT),
                alt.Tooltip("share:Q", title="Share", format=".1%"),
            ],
        )
    )
    return _chart(
        "lengths",
        "How long reviews are",
        "Reviews by length; each bar is a fifth longer than the one before it. Reviews without a date count "
        "where all time is chosen.",
        drawn,
        rows,
        {"length": "Length", "reviews": "Reviews"},
    )


def length_by_category_chart(rows: Sequence[Row]) -> Chart:
    """Length of each category's reviews."""
    base = alt.Chart(alt.NamedData(ROWS), height=alt.Step(STEP), width="container").encode(
        y=name_axis("category").sort(field="p50", order="descending"),
        tooltip=[
            alt.Tooltip("category:N", title="Category"),
            alt.Tooltip("p25:Q", title="A quarter up to", format=",.0f"),
            alt.Tooltip("p50:Q", title="Half up to", format=",.0f"),
            alt.Tooltip("p75:Q", title="Three quarters up to", format=",.0f"),
            alt.Tooltip("mean:Q", title="Mean", format=",.1f"),
        ],
    )
    x = alt.X(
        "p25:Q",
        title="Length",
        scale=alt.Scale(type="symlog", nice=True),
        axis=alt.Axis(format=",d", values=_LENGTH_TICKS),
    )
    drawn = base.mark_bar(color=FAINT, height=6, cornerRadius=3).encode(x=x, x2="p75:Q") + base.mark_circle(
        size=70, opacity=1
    ).encode(x="p50:Q", color=alt.condition("datum.chosen", alt.value(DATA), alt.value(SOFT)))
    return _chart(
        "length-by-category",
        "Length by category",
        "Bars span the middle half of the reviews, dots are medians: exact for all time, else read from the "
        "bins of the histogram (within a fifth).",
        drawn,
        rows,
        {"category": "Category", "p25": "Quarter", "p50": "Median", "p75": "Three quarters", "mean": "Mean"},
    )


FLAG_KINDS: Final = ("Verified purchase", "Vine", "With a helpful vote")


def flags_chart(rows: Sequence[Row]) -> Chart:
    """Verified purchases, Vine and helpful votes over time."""
    drawn = _lines(
        alt.Y("share:Q", axis=alt.Axis(title="Share of reviews", format="%", tickCount=4, domain=False)),
        FLAG_KINDS,
        alt.Tooltip("share:Q", title="Share", format=".1%"),
    )
    return _chart(
        "flags",
        "Verified purchases, Vine, helpful votes",
        "Shares of the reviews for which it is known. Older reviews had more time to be voted for.",
        drawn,
        rows,
        {"when": "Time", "kind": "Kind", "share": "Share"},
    )


def activity_chart(name: str, noun: str, title: str, rows: Sequence[Row]) -> Chart:
    """How many products or customers have so many reviews."""
    drawn = (
        _base(170)
        .mark_bar(color=DATA, cornerRadiusEnd=2)
        .encode(
            alt.X(
                "bin:O",
                sort=None,
                title="Reviews each",
                axis=alt.Axis(labelAngle=0, labelOverlap="greedy", ticks=False),
            ),
            alt.Y(
                "n:Q",
                axis=alt.Axis(title=noun.capitalize(), values=_POWERS, labelExpr=_SHORT, domain=False),
                scale=alt.Scale(type="symlog"),
            ),
            tooltip=[
                alt.Tooltip("bin:O", title="Reviews each"),
                alt.Tooltip("n:Q", title=noun.capitalize(), format=_COUNT),
                alt.Tooltip("reviews:Q", title="Reviews of them all", format=_COUNT),
            ],
        )
    )
    return _chart(
        name,
        title,
        f"{noun.capitalize()} by how many reviews they have in the category chosen, over all time. The scale "
        "is logarithmic.",
        drawn,
        rows,
        {"bin": "Reviews each", "n": noun.capitalize(), "reviews": "Reviews of them all"},
    )


def missing_chart(rows: Sequence[Row]) -> Chart:
    """Unknown values by column."""
    base = alt.Chart(alt.NamedData(ROWS), height=alt.Step(STEP), width="container").encode(
        y=name_axis("column"),
        x=alt.X(
            "share:Q", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(title="Unknown", format="%", tickCount=5)
        ),
        tooltip=[
            alt.Tooltip("column:N", title="Column"),
            alt.Tooltip("missing:Q", title="Reviews", format=_COUNT),
            alt.Tooltip("share:Q", title="Share", format=".1%"),
        ],
    )
    return _chart(
        "missing",
        "Missing values",
        "Share of the reviews in the category chosen, over all time, whose value is unknown. Others are "
        "always known.",
        base.mark_bar(color=DATA, cornerRadiusEnd=2, height={"band": 0.72}),
        rows,
        {"column": "Column", "missing": "Reviews", "share": "Share"},
    )
