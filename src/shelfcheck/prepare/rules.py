"""Which reviews are kept: the rules, and the ones that one row can be judged by alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelfcheck import schema

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shelfcheck.config import PrepareSettings

MISSING_BODY: Final = "missing_body"
MISSING_CATEGORY: Final = "missing_category"
MARKETPLACE: Final = "marketplace"
TOO_SHORT: Final = "too_short"
TOO_LONG: Final = "too_long"
REPEATED_REVIEW_ID: Final = "repeated_review_id"
EXACT_DUPLICATE: Final = "exact_duplicate"
RARE_CATEGORY: Final = "rare_category"

RULES: Final = (
    MISSING_BODY,
    MISSING_CATEGORY,
    MARKETPLACE,
    TOO_SHORT,
    TOO_LONG,
    REPEATED_REVIEW_ID,
    EXACT_DUPLICATE,
    RARE_CATEGORY,
)
"""All rules, in the order in which they judge: a row counts under the first that drops it."""


_COMPACT_BELOW: Final = 0.8  # share of rows that stand


class LengthBounds(NamedTuple):
    """Characters of a body, both included."""

    least: int
    most: int


class Screened(NamedTuple):
    """A batch after the rules that need no other row."""

    reviews: pa.RecordBatch  # REVIEW_SCHEMA, (n,)
    standing: NDArray[np.bool_]  # (n,) rows that no rule dropped
    lengths: NDArray[np.int32]  # (n,) characters of the bodies
    filtered: dict[str, int]  # rule -> rows


def fixed_bounds(settings: PrepareSettings) -> LengthBounds | None:
    """The bounds of `length_rule = 'fixed'`; None where they come from the data."""
    if settings.length_rule != "fixed":
        return None
    return LengthBounds(settings.min_characters + 1, settings.max_characters - 1)


def data_bounds(settings: PrepareSettings, histogram: dict[int, int]) -> LengthBounds:
    """The bounds of `length_rule = 'sd'` or `'quantile'`.

    Args:
        settings: the rule and its parameters.
        histogram: characters -> reviews.

    Returns:
        `sd`: mean ± length_sd population standard deviations. `quantile`: the smallest
        lengths that at least the two shares of reviews do not exceed.
    """
    total = sum(histogram.values())
    if total == 0:
        return LengthBounds(0, 0)
    if settings.length_rule == "sd":
        mean = sum(length * n for length, n in histogram.items()) / total
        variance = sum((length - mean) ** 2 * n for length, n in histogram.items()) / total
        reach = settings.length_sd * math.sqrt(variance)
        # Rounded, so that a length that lies on the bound does not fall to the last digit of a float.
        return LengthBounds(math.ceil(round(mean - reach, 6)), math.floor(round(mean + reach, 6)))
    found: list[int] = []
    for share in settings.length_quantiles:
        below = 0
        for length in sorted(histogram):
            below += histogram[length]
            if below >= share * total:
                break
        found.append(length)
    return LengthBounds(*found)


def screen(
    reviews: pa.RecordBatch, settings: PrepareSettings, bounds: LengthBounds | None = None
) -> Screened:
    """Drop rows without body or category, of other marketplaces and, given bounds, of other lengths."""
    body = reviews.column(schema.REVIEW_BODY)
    category = reviews.column(schema.PRODUCT_CATEGORY)
    lengths: NDArray[np.int32] = _numpy(pc.fill_null(pc.utf8_length(body), 0))
    # An empty text is not "space" to Arrow, hence the length.
    missing = (lengths == 0) | _numpy(pc.fill_null(pc.utf8_is_space(body), True))  # noqa: FBT003
    dropped = {
        MISSING_BODY: missing,
        MISSING_CATEGORY: _numpy(pc.fill_null(pc.equal(category, ""), True)),  # noqa: FBT003
    }
    if settings.marketplaces:
        place = reviews.column(schema.MARKETPLACE)
        wanted = pc.is_in(place, value_set=pa.array(settings.marketplaces, pa.string()))
        dropped[MARKETPLACE] = _numpy(pc.and_(pc.invert(wanted), place.is_valid()))
    if bounds is not None:
        dropped[TOO_SHORT] = lengths < bounds.least
        dropped[TOO_LONG] = lengths > bounds.most
    standing = np.ones(reviews.num_rows, np.bool_)
    filtered: dict[str, int] = {}
    for rule, mask in dropped.items():
        filtered[rule] = int(np.count_nonzero(standing & mask))
        standing &= ~mask
    # A few dropped rows are cheaper to carry along than to copy the others.
    if np.count_nonzero(standing) < _COMPACT_BELOW * len(standing):
        reviews = reviews.filter(pa.array(standing))
        lengths = lengths[standing]
        standing = standing[standing]
    return Screened(reviews, standing, lengths, filtered)


def _numpy(array: pa.Array) -> Any:
    return array.to_numpy(zero_copy_only=False)
