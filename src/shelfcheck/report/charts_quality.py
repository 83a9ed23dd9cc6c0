"""Charts of how good the model is on products that it never saw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import altair as alt

from shelfcheck.report.chart import (
    DATA,
    FAINT,
    HEAT,
    HEAT_OTHER,
    MOST_BARS,
    OTHER,
    ROWS,
    SOFT,
    STEP,
    TEXT,
    Chart,
    finish,
    name_axis,
)
from shelfcheck.report.facts import by_support
from shelfcheck.report.wording import number, percent, ratio, words

if TYPE_CHECKING:
    from shelfcheck.models.evaluation import Evaluation

_MEASURES: Final = ["F1", "Precision", "Recall"]
MOST_CONFUSED: Final = 16  # categories a side of the confusion matrix


def quality_chart(evaluation: Evaluation) -> Chart:
    """F1 of each category as a dot, with precision and recall as marks on one line."""
    every = by_support(evaluation)
    top = every[:MOST_BARS]
    data = [
        {
            "category": words(name),
            "value": value,
            "measure": measure,
            "low": min(one.precision, one.recall),
            "high": max(one.precision, one.recall),
            "support": one.support,
        }
        for name, one in top
        for measure, value in (("Precision", one.precision), ("Recall", one.recall), ("F1", one.f1))
    ]
    x = alt.X(
        "value:Q",
        title=None,
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format="%", tickCount=5, domain=False),
    )
    order = [words(name) for name, _ in sorted(top, key=lambda item: -item[1].f1)]
    base = alt.Chart(alt.NamedData(ROWS), height=alt.Step(STEP), width="container").encode(
        y=name_axis("category", order)
    )
    lines = base.mark_rule(color=FAINT, strokeWidth=2).encode(x=alt.X("low:Q"), x2="high:Q")
    dots = base.mark_point(filled=True, opacity=1).encode(
        x,
        color=alt.Color(
            "measure:N",
            scale=alt.Scale(domain=_MEASURES, range=[DATA, OTHER, SOFT]),
            legend=alt.Legend(title=None, symbolOpacity=1),
        ),
        shape=alt.Shape(
            "measure:N",
            scale=alt.Scale(domain=_MEASURES, range=["circle", "triangle-right", "diamond"]),
            legend=alt.Legend(title=None),
        ),
        size=alt.Size(
            "measure:N",
            scale=alt.Scale(domain=_MEASURES, range=[80, 42, 42]),
            legend=None,
        ),
        tooltip=[
            alt.Tooltip("category:N", title="Category"),
            alt.Tooltip("measure:N", title="Measure"),
            alt.Tooltip("value:Q", title="Value", format=".1%"),
            alt.Tooltip("support:Q", title="Reviews judged", format=","),
        ],
    )
    best, worst = max(top, key=lambda item: item[1].f1), min(top, key=lambda item: item[1].f1)
    averages = (("Macro average", evaluation.macro), ("Weighted average", evaluation.weighted))
    left = len(every) - len(top)
    more = f" The {left} smallest stand in the table alone." if left else ""
    return Chart(
        "quality-by-category",
        "How well each category is recognised",
        f"F1 runs from {percent(worst[1].f1)} ({words(worst[0])}) "
        f"to {percent(best[1].f1)} ({words(best[0])}).{more}",
        finish(lines + dots, data),
        ("Category", "Precision", "Recall", "F1", "Support"),
        tuple(
            (words(name), ratio(one.precision), ratio(one.recall), ratio(one.f1), number(one.support))
            for name, one in (*every, *averages)
        ),
    )


def confusion_chart(evaluation: Evaluation) -> Chart:
    """Where reviews of a category end up, as shares of the row; the largest categories."""
    at = {label: index for index, label in enumerate(evaluation.categories)}
    every = [label for label, _ in by_support(evaluation)]
    top = every[:MOST_CONFUSED]
    data = []
    rows = []
    for label in top:
        row = evaluation.confusion[at[label]]
        total = sum(row) or 1
        for other in top:
            n = row[at[other]]
            kind = "right" if other == label else "wrong"
            share = n / total
            data.append(
                {
                    "assigned": words(label),
                    "predicted": words(other),
                    "reviews": n,
                    "share": share,
                    "kind": kind,
                    "label": f"{share * 100:.0f}" if share >= 0.005 else "",
                }
            )
        rows.append((words(label), *(number(row[at[other]]) for other in top), number(total)))
    order = [words(label) for label in top]
    base = alt.Chart(alt.NamedData(ROWS), height=alt.Step(26), width="container").encode(
        x=alt.X(
            "predicted:N",
            sort=order,
            title="Predicted",
            axis=alt.Axis(
                orient="top",
                labelAngle=-45,
                labelAlign="left",
                ticks=False,
                domain=False,
                labelLimit=130,
            ),
        ),
        y=alt.Y("assigned:N", sort=order, title="Assigned", axis=alt.Axis(ticks=False, domain=False)),
        tooltip=[
            alt.Tooltip("assigned:N", title="Assigned"),
            alt.Tooltip("predicted:N", title="Predicted"),
            alt.Tooltip("reviews:Q", title="Reviews", format=","),
            alt.Tooltip("share:Q", title="Share of the row", format=".1%"),
        ],
    )
    cells = base.mark_rect(stroke="var(--paper)", strokeWidth=1.5).encode(
        color=alt.Color(
            "kind:N", scale=alt.Scale(domain=["right", "wrong"], range=[HEAT, HEAT_OTHER]), legend=None
        ),
        opacity=alt.Opacity(
            "share:Q", scale=alt.Scale(type="sqrt", domain=[0, 1], range=[0.04, 0.72]), legend=None
        ),
    )
    drawn = cells + base.mark_text(fontSize=11, color=TEXT).encode(text="label:N")
    left = len(every) - len(top)
    more = f" The {len(top)} of {len(every)} categories with most held-out reviews are shown." if left else ""
    return Chart(
        "confusion",
        "Confusion between categories",
        "Each row is an assigned category; the numbers are per cent of its reviews. "
        f"{_confused(evaluation)}{more}",
        finish(drawn, data),
        ("Assigned \\ predicted", *order, "All"),
        tuple(rows),
        wide=True,
    )


def reliability_chart(evaluation: Evaluation) -> Chart:
    """Confidence against accuracy; a calibrated model lies on the diagonal."""
    data = [
        {"confidence": one.confidence, "accuracy": one.accuracy, "reviews": one.reviews}
        for one in evaluation.reliability
    ]
    ideal = alt.Chart(alt.InlineData(values=[{"x": 0, "y": 0}, {"x": 1, "y": 1}])).mark_line(
        color=SOFT, strokeDash=[4, 4], strokeWidth=1
    )
    share = alt.Scale(domain=[0, 1])
    base = alt.Chart(alt.NamedData(ROWS)).encode(
        x=alt.X("confidence:Q", title="Confidence", scale=share, axis=alt.Axis(format="%", tickCount=5)),
        y=alt.Y("accuracy:Q", title="Right", scale=share, axis=alt.Axis(format="%", tickCount=5)),
    )
    points = base.mark_circle(color=DATA, opacity=1).encode(
        size=alt.Size("reviews:Q", scale=alt.Scale(type="sqrt", range=[25, 260]), legend=None),
        tooltip=[
            alt.Tooltip("confidence:Q", title="Mean confidence", format=".1%"),
            alt.Tooltip("accuracy:Q", title="Right", format=".1%"),
            alt.Tooltip("reviews:Q", title="Reviews", format=","),
        ],
    )
    drawn = alt.layer(
        ideal.encode(x="x:Q", y="y:Q"), base.mark_line(color=DATA, strokeWidth=1.5, opacity=0.6), points
    ).properties(height=260, width="container")
    return Chart(
        "reliability",
        "Can its confidence be believed?",
        "On the dashed line, of the reviews judged with 80\u202f% confidence 80\u202f% are right."
        f" Expected calibration error {evaluation.ece:.3f}. Larger dots hold more reviews.",
        finish(drawn, data),
        ("Confidence", "Mean confidence", "Right", "Reviews"),
        tuple(
            (
                f"{percent(one.low)} to {percent(one.high)}",
                ratio(one.confidence),
                ratio(one.accuracy),
                number(one.reviews),
            )
            for one in evaluation.reliability
        ),
    )


def coverage_chart(evaluation: Evaluation) -> Chart:
    """Accuracy among the most confident share of reviews."""
    data = [{"coverage": one.coverage, "accuracy": one.accuracy} for one in evaluation.coverage]
    low = min(one.accuracy for one in evaluation.coverage)
    base = alt.Chart(alt.NamedData(ROWS), height=260, width="container").encode(
        x=alt.X(
            "coverage:Q",
            title="Most confident share of the reviews",
            scale=alt.Scale(domain=[0, 1]),
            axis=alt.Axis(format="%", tickCount=5),
        ),
        y=alt.Y(
            "accuracy:Q",
            title="Right",
            scale=alt.Scale(domain=[min(0.5, int(low * 10) / 10), 1]),
            axis=alt.Axis(format="%", tickCount=5),
        ),
        tooltip=[
            alt.Tooltip("coverage:Q", title="Share of reviews", format=".0%"),
            alt.Tooltip("accuracy:Q", title="Right", format=".1%"),
        ],
    )
    drawn = base.mark_line(color=DATA, strokeWidth=2) + base.mark_circle(color=DATA, opacity=1, size=40)
    half = min(evaluation.coverage, key=lambda one: abs(one.coverage - 0.5))
    return Chart(
        "coverage",
        "How much can be trusted?",
        f"Of the {percent(half.coverage)} most confident predictions, {percent(half.accuracy, 1)} are right.",
        finish(drawn, data),
        ("Share of reviews", "Right"),
        tuple((percent(one.coverage), ratio(one.accuracy)) for one in evaluation.coverage),
    )


def _confused(evaluation: Evaluation) -> str:
    pairs = [
        (n, words(label), words(other))
        for label, row in zip(evaluation.categories, evaluation.confusion, strict=True)
        for other, n in zip(evaluation.categories, row, strict=True)
        if other != label and n
    ]
    if not pairs:
        return "No review was put into a wrong category."
    n, label, other = max(pairs)
    return f"Most often, {label} is taken for {other} ({number(n)} reviews)."
