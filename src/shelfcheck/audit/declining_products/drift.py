"""What a whole category does at a time, taken out of each product's reviews.

Every product's values are compared with its own mean; where the other products of its category deviate
together in a month (a season, a change of the shop's form, a wave of bad deliveries), that is drift, and no
product's fault. Of a product of n reviews in a month at most `_CAP` count, so that no product is its
category. How much of the months' deviations is common, and not each product's own, is told by pairs: the
mean of d(p) d(q) over pairs of different products in the same month estimates the variance of what they
share. Without drift that is about 0, and nothing is taken out, noise least of all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shelfcheck.audit.room import Room
from shelfcheck.models.blocks import blocks, taken, where

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from shelfcheck.audit.declining_products.histories import Histories

    Floats = npt.NDArray[np.float64]

_CAP: Final = 10.0  # reviews of one product in one month
_DAYS: Final = 30.4375  # of a month; calendar months play no part
_MOST_SHARED: Final = 0.98


def remove_drift(
    histories: Histories,
    values: npt.ArrayLike | Callable[[slice], Floats],
    room: Room | None = None,
) -> npt.NDArray[np.float32]:
    """Values without what the other products of the category did in the same months.

    Memory: some 100 bytes for each product and month that has a review, of the largest category.

    Args:
        histories: the reviews.
        values: one a review (n); or what gives those of a slice of the reviews.
        room: for what is held of every review.

    Returns:
        float32 (n).
    """
    room = room or Room()
    n = len(histories.row)
    found: npt.NDArray[np.float32] = room.array(n, np.float32)
    if not n:
        return found
    given = values if callable(values) else np.asarray(values, np.float64).__getitem__
    first_day = min(int(histories.day[block].min()) for block in blocks(n))
    last_day = max(int(histories.day[block].max()) for block in blocks(n))
    months = int((last_day - first_day) / _DAYS) + 3  # one before and one after, which stay empty
    pairs, deviation = room.array(n, np.int64), room.array(n, np.float64)
    reviews = room.array(n, np.int32)
    ends = [0]  # of the pairs of each span
    spans = list(histories.spans())
    for first, last in spans:
        own, pair, calm = _span(histories, given, first, last, first_day, months)
        here = slice(ends[-1], ends[-1] + len(own))
        many = np.bincount(pair)
        pairs[here], reviews[here] = own, many
        deviation[here] = np.bincount(pair, calm) / many.astype(np.float64)
        ends.append(here.stop)
    q = ends[-1]
    drift = room.array(q, np.float64)
    for category in np.unique(histories.category).tolist():

        def inside(block: slice, category: int = category) -> npt.NDArray[np.bool_]:
            found: npt.NDArray[np.bool_] = histories.category[pairs[block] // months] == category
            return found

        at = where(q, inside)
        many = taken(reviews, at).astype(np.float64)
        own = taken(pairs, at)
        cell = (category + 1) * months + own % months
        drift[at] = _shared(many / (1.0 + many / _CAP), taken(deviation, at), own, cell)
    for (first, last), begin, end in zip(spans, ends[:-1], ends[1:], strict=True):
        a, b = int(histories.starts[first]), int(histories.starts[last])
        near = np.searchsorted(pairs[begin:end], _pairs(histories, first, last, first_day, months))
        found[a:b] = (given(slice(a, b)) - drift[begin:end][near]).astype(np.float32)
    return found


def _pairs(histories: Histories, first: int, last: int, first_day: int, months: int) -> npt.NDArray[np.int64]:
    """Product and month of each review of a span of products, in one number."""
    starts = histories.starts[first : last + 1]
    month = ((histories.day[starts[0] : starts[-1]] - first_day) / _DAYS).astype(np.int64)
    found: npt.NDArray[np.int64] = np.repeat(np.arange(first, last), np.diff(starts)) * months + month + 1
    return found


def _span(  # noqa: PLR0917 - what a span is made of
    histories: Histories,
    given: Callable[[slice], Floats],
    first: int,
    last: int,
    first_day: int,
    months: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    """The pairs of products and months, the pair of each review, and its value less its product's mean."""
    starts = histories.starts[first : last + 1] - histories.starts[first]
    x = given(slice(int(histories.starts[first]), int(histories.starts[last])))
    sizes = np.diff(starts)
    mean = np.add.reduceat(x, starts[:-1]) / sizes
    pairs, pair = np.unique(_pairs(histories, first, last, first_day, months), return_inverse=True)
    return pairs, pair, x - np.repeat(mean, sizes)


def _shared(
    weight: Floats, deviation: Floats, pairs: npt.NDArray[np.int64], cell: npt.NDArray[np.int64]
) -> Floats:
    """What the other products share in each (product, month) of one category."""
    base = int(cell.min())
    width = int(cell.max()) - base + 3
    at = cell - base + 1

    def over(values: Floats) -> Floats:
        """Sums by month, of three months with weights ¼, ½, ¼, less those of the product itself."""
        total = np.bincount(at, values, width)
        smooth = _smooth(total)[at]
        own = values / 2
        for step in (-1, 1):
            near = np.searchsorted(pairs, pairs + step)
            found = (near < len(pairs)) & (pairs[np.minimum(near, len(pairs) - 1)] == pairs + step)
            own += np.where(found, values[np.minimum(near, len(pairs) - 1)], 0.0) / 4
        return np.maximum(smooth - own, 0.0) if (values >= 0).all() else smooth - own

    wd = weight * deviation
    s1 = np.bincount(at, wd, width)
    s2 = np.bincount(at, wd**2, width)
    w1 = np.bincount(at, weight, width)
    w2 = np.bincount(at, weight**2, width)
    possible = (w1**2 - w2).sum()
    if possible <= 0:
        return np.zeros(len(weight))
    shared = max(float((s1**2 - s2).sum() / possible), 0.0)
    others = over(weight)
    noise = over(wd**2)
    mean = np.divide(over(wd), others, out=np.zeros(len(weight)), where=others > 1e-9)
    error = np.divide(noise, others**2, out=np.full(len(weight), np.inf), where=others > 1e-9)
    kept: Floats = mean * np.minimum(shared / (shared + error + 1e-12), _MOST_SHARED)
    return kept


def _smooth(total: npt.NDArray[Any]) -> Floats:
    found = total / 2
    found[1:] += total[:-1] / 4
    found[:-1] += total[1:] / 4
    return found
