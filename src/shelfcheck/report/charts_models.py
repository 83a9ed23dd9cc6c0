"""Charts of estimates with their intervals: models side by side, and one model by length, year, stars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import altair as alt

from shelfcheck.report.chart import DATA, OTHER, ROWS, STEP, Chart, finish, name_axis
from shelfcheck.report.wording import number, percent, words

if TYPE_CHECKING:
    from shelfcheck.models.leaderboard import Group
    from shelfcheck.models.slices import Slice

_TITLES: Final = {
    "body_tokens": "By length, in words that count",
    "body_characters": "By length, in characters",
    "year": "By year",
    "star_rating": "By stars",
}


def models_chart(group: Group, name: str) -> Chart:
    """Accuracy of each model of a group with its interval, the best first."""
    data: list[dict[str, Any]] = [
        {"name": row.version, "value": one.estimate, "low": one.low, "high": one.high}
        for row in group.rows
        for one in (row.measures["accuracy"],)
    ]
    best = group.rows[0]
    return Chart(
        name,
        "Accuracy",
        f"{best.version} puts {percent(best.measures['accuracy'].estimate, 1)} of the held-out reviews where "
        "they stand. The lines are 95\u202f% intervals: other products might have given these figures.",
        finish(_dots("Accuracy", ".1%"), data),
        ("Model", "Accuracy", "From", "To"),
        tuple((one["name"], *(percent(one[key], 1) for key in ("value", "low", "high"))) for one in data),
    )


def behind_chart(group: Group, name: str) -> Chart:
    """How far each model of a group is behind the best, review by review, in points of accuracy."""
    data: list[dict[str, Any]] = [
        {
            "name": row.version,
            "value": -100 * row.difference.estimate,
            "low": -100 * row.difference.high,
            "high": -100 * row.difference.low,
            "p": row.p_adjusted,
        }
        for row in group.rows
        if row.difference is not None
    ]
    sure = sum(1 for one in data if one["p"] < 0.05)
    told = f"{number(sure)} of {number(len(data))} clearly behind (p < 0.05, adjusted for their number)."
    return Chart(
        name,
        f"Points behind {group.rows[0].version}",
        f"Compared review by review, which tells smaller differences than the accuracies do: {told}",
        finish(_dots("Points of accuracy behind the best", ".2f", zero=True), data),
        ("Model", "Points behind", "From", "To", "p"),
        tuple(
            (one["name"], *(f"{one[key]:.2f}" for key in ("value", "low", "high")), f"{one['p']:.4f}")
            for one in data
        ),
    )


def slices_chart(name: str, some: tuple[Slice, ...]) -> Chart:
    """Accuracy of one model by a property of the review, with intervals."""
    data = [
        {
            "name": one.value,
            "value": one.accuracy.estimate,
            "low": one.accuracy.low,
            "high": one.accuracy.high,
            "reviews": one.reviews,
        }
        for one in some
    ]
    large = [one for one in some if one.reviews >= max(1, sum(each.reviews for each in some) // 100)]
    worst = min(large, key=lambda one: one.accuracy.estimate)
    best = max(large, key=lambda one: one.accuracy.estimate)
    return Chart(
        f"by-{name.replace('_', '-')}",
        _TITLES.get(name, f"By {words(name)}"),
        f"From {percent(worst.accuracy.estimate, 1)} ({worst.value}) "
        f"to {percent(best.accuracy.estimate, 1)} ({best.value}) among values with 1\u202f% of the reviews.",
        finish(_dots("Right", ".0%", reviews=True), data),
        ("Value", "Right", "From", "To", "Mean confidence", "Reviews", "Products"),
        tuple(
            (
                one.value,
                *(percent(part, 1) for part in (one.accuracy.estimate, one.accuracy.low, one.accuracy.high)),
                percent(one.confidence, 1),
                number(one.reviews),
                number(one.products),
            )
            for one in some
        ),
    )


def _dots(title: str, form: str, *, zero: bool = False, reviews: bool = False) -> Any:
    """A dot for each estimate on the line of its interval, one row each, in the order of the data."""
    axis = alt.Axis(format="~g" if zero else "%", tickCount=5, domain=False)
    tooltip = [
        alt.Tooltip("name:N", title=" "),
        alt.Tooltip("value:Q", title=title, format=form),
        alt.Tooltip("low:Q", title="From", format=form),
        alt.Tooltip("high:Q", title="To", format=form),
    ]
    if reviews:
        tooltip.append(alt.Tooltip("reviews:Q", title="Reviews", format=","))
    base = alt.Chart(alt.NamedData(ROWS), height=alt.Step(STEP + 4), width="container").encode(
        y=name_axis("name", None).sort(None), tooltip=tooltip
    )
    x = alt.X("low:Q", title=title, scale=alt.Scale(zero=zero), axis=axis)
    lines = base.mark_rule(color=OTHER if zero else DATA, strokeWidth=2, opacity=0.55).encode(
        x=x, x2="high:Q"
    )
    dots = base.mark_circle(color=OTHER if zero else DATA, opacity=1, size=80).encode(x=alt.X("value:Q"))
    return lines + dots
