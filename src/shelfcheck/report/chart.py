"""Charts in Vega-Lite, said in Altair, each with a sentence and a table that tell the same.

Colours are CSS variables (`var(--data)`), which the browser resolves in the SVG that Vega draws: so
one drawing serves light, dark and print. Lightness steps are opacities of one colour for the same
reason. The hues (blue, vermilion) are of Okabe and Ito's set and stay apart for colour-blind eyes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import altair as alt

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_BARS: Final = 30  # categories drawn; the table has all
ROWS: Final = "rows"
STEP: Final = 20  # pixels a category's row

DATA: Final = "var(--data)"
OTHER: Final = "var(--data-2)"
FAINT: Final = "var(--data-faint)"
HEAT: Final = "var(--heat)"  # dark enough under the numbers of a dark page
HEAT_OTHER: Final = "var(--heat-2)"
TEXT: Final = "var(--ink)"
SOFT: Final = "var(--ink-soft)"
GRID: Final = "var(--grid)"
FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

CONFIG: Final[dict[str, Any]] = {
    "aria": False,  # the figure is one image with a text; hundreds of named marks help nobody
    "background": "transparent",
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": SOFT,
        "titleColor": SOFT,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelLimit": 150,
        "gridColor": GRID,
        "domainColor": GRID,
        "tickColor": GRID,
        "titlePadding": 8,
        "labelPadding": 4,
    },
    "legend": {
        "labelColor": SOFT,
        "titleColor": SOFT,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "orient": "top",
    },
    "text": {"color": TEXT, "fontSize": 12},
    "bar": {"color": DATA},
}


@dataclass(frozen=True)
class Chart:
    """A chart and its text alternatives.

    Attributes:
        name: unique in the page; names the elements.
        title: heading of the figure.
        summary: what it shows, in a sentence or two.
        spec: a Vega-Lite specification, data inside.
        columns: headings of the table.
        rows: the table; the first cell names the row.
        wide: whether it needs a least width and may scroll on a narrow screen.
    """

    name: str
    title: str
    summary: str
    spec: dict[str, Any]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    wide: bool = False


def name_axis(field: str, order: Sequence[str] | None = None) -> alt.Y:
    """An axis of names, one row each, in the order of the rows or the one given."""
    return alt.Y(
        f"{field}:N", sort=order, title=None, axis=alt.Axis(ticks=False, domain=False, labelPadding=8)
    )


def finish(chart: Any, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The chart as JSON. The rows join it last: Altair would check each against its schema."""
    spec: dict[str, Any] = chart.to_dict()
    del spec["$schema"], spec["config"]  # said once in the page
    spec["datasets"] = spec.get("datasets", {}) | {ROWS: list(rows)}
    spec["autosize"] = {"type": "fit-x", "contains": "padding"}
    return spec
