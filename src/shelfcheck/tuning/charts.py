"""Charts of a study: how it went, and which values of each setting did well."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import altair as alt

from shelfcheck.report.chart import DATA, OTHER, ROWS, SOFT, Chart, finish
from shelfcheck.report.wording import plural, words

if TYPE_CHECKING:
    import pyarrow as pa

    from shelfcheck.tuning.space import Dimension, Space

_DONE: Final = "done"
_STOPPED: Final = "stopped early"
_KINDS: Final = [_DONE, _STOPPED]
_HEIGHT: Final = 220  # pixels


def reached(row: dict[str, Any]) -> float | None:
    """The metric at the last step that a trial came to, None where it came to none."""
    steps = [row[name] for name in row if name.startswith("value_") and row[name] is not None]
    return steps[-1] if steps else None


def history_chart(trials: pa.Table, metric: str) -> Chart:
    """Each trial as a dot, and the best so far as a line."""
    data, best = [], None
    for row in trials.to_pylist():
        if reached(row) is None:
            continue
        if row["state"] == _DONE and (best is None or row["value"] > best):
            best = row["value"]
        data.append({"trial": row["trial"], "value": reached(row), "state": row["state"], "best": best})
    base = alt.Chart(alt.NamedData(ROWS), height=_HEIGHT, width="container")
    x = alt.X("trial:Q", title="Trial", axis=alt.Axis(tickMinStep=1, grid=False, format="d"))
    scale = alt.Scale(zero=False)
    dots = _dots(base).encode(x, y=alt.Y("value:Q", title=words(metric), scale=scale))
    line = base.mark_line(interpolate="step-after", color=OTHER, strokeWidth=2).encode(x, y="best:Q")
    done = sum(row["state"] == _DONE for row in data)
    summary = (
        f"{plural(len(data), 'trial')}, {done} to the end; the line is the best so far"
        f"{'' if best is None else f', {best:.4f} at last'}."
    )
    return Chart(
        name="history",
        title="How the study went",
        summary=summary,
        spec=finish(alt.layer(line, dots), data),
        columns=("Trial", words(metric), "State", "Best so far"),
        rows=tuple((str(r["trial"]), said(r["value"]), r["state"], said(r["best"])) for r in data),
    )


def parallel_chart(trials: pa.Table, space: Space, metric: str) -> Chart:
    """Each trial as a line through its settings, each drawn between the least and the largest tried."""
    rows = [row for row in trials.to_pylist() if row["state"] == _DONE]
    ranked = sorted(rows, key=lambda row: row["value"])
    data = []
    for rank, row in enumerate(ranked):
        data += [
            {
                "trial": row["trial"],
                "value": row["value"],
                "rank": (rank + 1) / len(ranked),
                "setting": words(one.name),
                "set": said(row[one.name]),
                "place": _place(one, row[one.name]),
                "best": rank == len(ranked) - 1,
            }
            for one in space.dimensions
            if row[one.name] is not None
        ]
    base = alt.Chart(alt.NamedData(ROWS), height=_HEIGHT + 60, width="container").encode(
        x=alt.X(
            "setting:N",
            sort=[words(one.name) for one in space.dimensions],
            title=None,
            axis=alt.Axis(labelAngle=-20, grid=True),
            scale=alt.Scale(type="point", padding=0.3),
        ),
        y=alt.Y("place:Q", title=None, axis=None, scale=alt.Scale(domain=[0, 1])),
        detail="trial:N",
        tooltip=[alt.Tooltip("trial:Q"), alt.Tooltip("set:N"), alt.Tooltip("value:Q", format=".4f")],
    )
    every = base.mark_line(color=DATA, strokeWidth=1.5).encode(
        opacity=alt.Opacity("rank:Q", legend=None, scale=alt.Scale(type="pow", exponent=3, range=[0.05, 0.8]))
    )
    best = base.mark_line(color=OTHER, strokeWidth=3, point=alt.OverlayMarkDef(color=OTHER)).transform_filter(
        alt.datum.best
    )
    top = tuple(
        (str(row["trial"]), said(row["value"]), *(said(row[one.name]) for one in space.dimensions))
        for row in reversed(ranked)
    )
    return Chart(
        name="parallel",
        title="Settings that went together",
        summary="A line is a trial that came to its end, the stronger the better; the thick one is the best. "
        "Each setting runs from its least value below to its largest above.",
        spec=finish(alt.layer(every, best), data),
        columns=("Trial", words(metric), *(words(one.name) for one in space.dimensions)),
        rows=top,
        wide=True,
    )


def slice_chart(trials: pa.Table, dimension: Dimension, metric: str) -> Chart:
    """Every trial by its value of one setting."""
    data = [
        {"set": row[dimension.name], "value": reached(row), "state": row["state"], "trial": row["trial"]}
        for row in trials.to_pylist()
        if reached(row) is not None and row[dimension.name] is not None
    ]
    name = words(dimension.name)
    base = alt.Chart(alt.NamedData(ROWS), height=140, width="container")
    if dimension.choices:
        x = alt.X("set:N", title=name, axis=alt.Axis(labelAngle=0))
    else:
        scale = alt.Scale(type="log" if dimension.log else "linear", zero=False, nice=False)
        x = alt.X("set:Q", title=name, scale=scale, axis=alt.Axis(grid=False, tickCount=6))
    dots = _dots(base).encode(x, y=alt.Y("value:Q", title=words(metric), scale=alt.Scale(zero=False)))
    return Chart(
        name=f"slice-{dimension.name.replace('_', '-')}",
        title=name,
        summary=f"{words(metric)} of each trial by {name}.",
        spec=finish(dots, data),
        columns=("Trial", name, words(metric), "State"),
        rows=tuple((str(r["trial"]), said(r["set"]), said(r["value"]), r["state"]) for r in data),
    )


def _dots(base: Any) -> Any:
    return base.mark_point(filled=True, opacity=0.9, size=50).encode(
        color=alt.Color(
            "state:N",
            scale=alt.Scale(domain=_KINDS, range=[DATA, SOFT]),
            legend=alt.Legend(title=None, symbolOpacity=1),
        ),
        shape=alt.Shape("state:N", scale=alt.Scale(domain=_KINDS, range=["circle", "cross"])),
        tooltip=[alt.Tooltip("trial:Q"), alt.Tooltip("value:Q", format=".4f"), alt.Tooltip("state:N")],
    )


def _place(dimension: Dimension, value: Any) -> float:
    """Where a value lies between the least and the largest, 0..1, by ratio where the space is."""
    if dimension.choices:
        return dimension.choices.index(value) / max(1, len(dimension.choices) - 1)
    low, high = dimension.bounds
    if dimension.log:
        return math.log(value / low) / math.log(high / low)
    return float(value - low) / (high - low)


def said(value: Any) -> str:
    """A value as a reader sees it."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
