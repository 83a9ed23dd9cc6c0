"""Says in words whether consecutive years come to share more terms, and whether that is a matter of size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from shelfcheck.language.facet import YEAR
from shelfcheck.language.tables import FACET
from shelfcheck.schema import PRODUCT_CATEGORY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LEVEL: Final = 0.05


def answer(trends: Sequence[Mapping[str, Any]]) -> list[str]:
    """Sentences from the trends over all categories; none where there are too few years.

    Args:
        trends: rows of the table `trends`.
    """
    fitted = {row["measure"]: row for row in trends if row[FACET] == YEAR and row[PRODUCT_CATEGORY] is None}
    if "overlap" not in fitted or fitted["overlap"]["p"] is None:
        return []
    raw, matched, beyond = (fitted[name] for name in ("overlap", "matched_overlap", "beyond_chance"))
    return [
        f"Over all reviews, the share of top terms that consecutive years share changes by {_slope(raw)}.",
        f"With all years of a category cut to one size it changes by {_slope(matched)}.",
        f"Less what shuffled products and reviews give at the years' sizes, it changes by {_slope(beyond)}.",
        _so(raw, matched, beyond),
    ]


def _so(raw: Mapping[str, Any], matched: Mapping[str, Any], beyond: Mapping[str, Any]) -> str:
    if not _grows(raw):
        return "So there is no clear growth to explain."
    if _grows(beyond):
        return "So growth is left when size is taken out: the language does settle."
    if _grows(matched):
        return (
            "So the growth is no settling of the language: part of it goes when years have one size, the "
            "rest when reviews and products are shuffled between the years."
        )
    return (
        "So the growth is one of the number of reviews: later years have more, and the top terms of many "
        "reviews hang less on chance."
    )


def _slope(row: Mapping[str, Any]) -> str:
    between = "" if row["low"] is None else f" ({row['low']:+.1f} to {row['high']:+.1f})"
    return f"{row['slope']:+.1f} points a year{between}".replace("-", "−")


def _grows(row: Mapping[str, Any]) -> bool:
    return row["p"] is not None and row["p"] < _LEVEL and row["slope"] > 0 and (row["low"] or 0) >= 0
