"""Charts of the language shift: overlap over the years and between ratings, slopes by category."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import altair as alt

from shelfcheck.report.chart import DATA, GRID, OTHER, ROWS, SOFT, Chart, finish, name_axis
from shelfcheck.report.wording import number, signed, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    Row = dict[str, Any]

ALL: Final = "All reviews"
SAME_SIZE: Final = "Cut to one size"
CHANCE: Final = "If nothing had changed"
_KINDS: Final = [ALL, SAME_SIZE, CHANCE]
_COLOURS: Final = [DATA, OTHER, SOFT]
_DASHES: Final = [[1, 0], [1, 0], [4, 3]]
_HEIGHT: Final = 180  # pixels
_OFFSET: Final = 11  # pixels a dot


def pair_name(row: Row) -> str:
    """2013–14, or 4–5★."""
    if row["facet"] == "year":
        return f"{row['group_a']}–{row['group_b'] % 100:02d}"
    return f"{row['group_a']}–{row['group_b']}★"


def overlap_chart(name: str, category: str, pairs: Sequence[Row]) -> Chart:
    """Overlap of neighbouring groups of one category: of all reviews, cut to one size, and by chance."""
    data: list[Row] = []
    for row in pairs:
        shown = (
            (ALL, row["overlap"]),
            (SAME_SIZE, row["matched_overlap"]),
            (CHANCE, row["expected_overlap"]),
        )
        for kind, value in shown:
            point = {"pair": pair_name(row), "kind": kind, "overlap": value}
            if kind == SAME_SIZE:
                point |= {"low": row["matched_low"], "high": row["matched_high"]}
            data.append(point)
    order = [pair_name(row) for row in pairs]
    base = alt.Chart(alt.NamedData(ROWS), height=_HEIGHT, width="container").encode(
        x=alt.X(
            "pair:N",
            sort=order,
            title=None,
            scale=alt.Scale(type="point", padding=0.4),
            axis=alt.Axis(labelAngle=0, grid=False, labelOverlap="greedy"),
        ),
        color=alt.Color(
            "kind:N",
            sort=_KINDS,
            scale=alt.Scale(domain=_KINDS, range=_COLOURS),
            legend=alt.Legend(
                title=None, symbolType="stroke", symbolStrokeWidth=3, symbolOpacity=1, direction="vertical"
            ),
        ),
    )
    y = alt.Y(
        "overlap:Q",
        title="Terms shared, %",
        scale=alt.Scale(domain=[0, 100]),
        axis=alt.Axis(tickCount=5, domain=False),
    )
    tip = [
        alt.Tooltip("pair:N", title="Groups"),
        alt.Tooltip("kind:N", title="What"),
        alt.Tooltip("overlap:Q", title="Terms shared, %", format=".0f"),
    ]
    dash = alt.StrokeDash("kind:N", scale=alt.Scale(domain=_KINDS, range=_DASHES), legend=None)
    band = base.mark_rule(strokeWidth=5, opacity=0.25).encode(y=alt.Y("low:Q"), y2="high:Q")
    lines = base.mark_line(strokeWidth=2).encode(y=y, strokeDash=dash)
    dots = base.mark_point(filled=True, size=45, opacity=1).encode(y=y, tooltip=tip)
    return Chart(
        name,
        "Top terms shared by neighbours",
        _overlap_summary(category, pairs),
        finish(alt.layer(band, lines, dots), data),
        (
            "Groups",
            "Reviews",
            "and",
            "Shared, all reviews",
            "at one size",
            "if nothing had changed",
            "Distance",
            "q",
        ),
        tuple(
            (
                pair_name(row),
                number(row["reviews_a"]),
                number(row["reviews_b"]),
                f"{row['overlap']:.0f} %",
                f"{row['matched_overlap']:.0f} % ({row['matched_low']:.0f} to {row['matched_high']:.0f})",
                f"{row['expected_overlap']:.0f} %",
                f"{row['distance']:.3f}",
                "–" if row["q"] is None else f"{row['q']:.3f}",
            )
            for row in pairs
        ),
    )


def _overlap_summary(category: str, pairs: Sequence[Row]) -> str:
    first, last = pairs[0], pairs[-1]
    if len(pairs) == 1:
        return (
            f"{words(category)}, {pair_name(first)}: {first['overlap']:.0f} % shared, "
            f"{first['matched_overlap']:.0f} % at one size, "
            f"{first['expected_overlap']:.0f} % if nothing had changed."
        )
    return (
        f"{words(category)}, from {pair_name(first)} to {pair_name(last)}: {first['overlap']:.0f} % to "
        f"{last['overlap']:.0f} % over all reviews, {first['matched_overlap']:.0f} % to "
        f"{last['matched_overlap']:.0f} % at one size. Bars: 95 % of the draws."
    )


def slopes_chart(name: str, trends: Sequence[Row], step: str) -> Chart:
    """The slope of each category: of all reviews, at one size, and less what chance gives."""
    kinds = {"overlap": ALL, "matched_overlap": SAME_SIZE, "beyond_chance": "Less what chance gives"}
    domain = list(kinds.values())
    rows = [row for row in trends if row["low"] is not None]
    raw = {row["product_category"]: row["slope"] for row in rows if row["measure"] == "overlap"}
    order = sorted((c for c in raw if c is not None), key=lambda c: (-raw[c], c))
    names = (["All together"] if None in raw else []) + [words(c) for c in order]
    by_key = {(row["product_category"], row["measure"]): row for row in rows}
    ordered = [*([None] if None in raw else []), *order]
    data = [
        {
            "category": words(category) if category else "All together",
            "kind": kinds[measure],
            **{key: by_key[category, measure][key] for key in ("slope", "low", "high")},
        }
        for category in ordered
        for measure in kinds
        if (category, measure) in by_key
    ]
    base = alt.Chart(
        alt.NamedData(ROWS), height=alt.Step(_OFFSET, **{"for": "offset"}), width="container"
    ).encode(
        y=name_axis("category", names),
        yOffset=alt.YOffset("kind:N", sort=domain),
        color=alt.Color(
            "kind:N",
            sort=domain,
            scale=alt.Scale(domain=domain, range=_COLOURS),
            legend=alt.Legend(title=None, symbolType="circle", symbolOpacity=1, direction="vertical"),
        ),
    )
    x = alt.X("slope:Q", title=f"Points of per cent a {step}", axis=alt.Axis(tickCount=7, domain=False))
    tip = [
        alt.Tooltip("category:N", title="Category"),
        alt.Tooltip("kind:N", title="What"),
        alt.Tooltip("slope:Q", title="Slope", format="+.2f"),
        alt.Tooltip("low:Q", title="from", format="+.2f"),
        alt.Tooltip("high:Q", title="to", format="+.2f"),
    ]
    zero = alt.Chart(alt.NamedData("zero")).mark_rule(color=GRID, strokeWidth=2).encode(x=alt.datum(0))
    spans = base.mark_rule(strokeWidth=2, opacity=0.5).encode(x=alt.X("low:Q"), x2="high:Q")
    dots = base.mark_point(filled=True, size=60, opacity=1).encode(x=x, tooltip=tip)
    spec = finish(alt.layer(zero, spans, dots), data)
    spec["datasets"]["zero"] = [{}]
    return Chart(
        name,
        f"How fast the overlap grows a {step}, by category",
        f"Dots right of the line: neighbours share more terms as the {step}s go on. Bars are 95 % intervals; "
        f"categories with fewer than four pairs are in the table alone.",
        spec,
        ("Category", "What", "Pairs", "Slope", "95 % interval", "p"),
        tuple(
            (
                words(row["product_category"] or "All together"),
                kinds[row["measure"]],
                str(row["pairs"]),
                signed(row["slope"], 2),
                "–" if row["low"] is None else f"{signed(row['low'], 2)} to {signed(row['high'], 2)}",
                "–" if row["p"] is None else f"{row['p']:.3f}",
            )
            for row in sorted(trends, key=lambda r: (r["product_category"] or "", r["measure"]))
        ),
    )
