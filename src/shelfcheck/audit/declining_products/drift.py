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

if TYPE_CHECKING:
    import numpy.typing as npt

    from shelfcheck.audit.declining_products.histories import Histories

    Floats = npt.NDArray[np.float64]

_CAP: Final = 10.0  # reviews of one product in one month
_DAYS: Final = 30.4375  # of a month; calendar months play no part
_MOST_SHARED: Final = 0.98


def remove_drift(histories: Histories, values: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Values without what the other products of the category did in the same months.

    Args:
        histories: the reviews.
        values: one a review (n).

    Returns:
        float32 (n).
    """
    x = np.asarray(values, np.float64)
    if not len(x):
        return x.astype(np.float32)
    sizes = np.diff(histories.starts)
    product = histories.product.astype(np.int64)
    mean = np.add.reduceat(x, histories.starts[:-1]) / sizes
    month = ((histories.day - histories.day.min()) / _DAYS).astype(np.int64)
    months = int(month.max()) + 3  # one before and one after, which stay empty
    pairs, pair = np.unique(product * months + month + 1, return_inverse=True)
    n = np.bincount(pair).astype(np.float64)
    deviation = np.bincount(pair, x - mean[product]) / n
    weight = n / (1.0 + n / _CAP)
    of_product = pairs // months
    category = histories.category[of_product].astype(np.int64) + 1
    cell = category * months + pairs % months
    drift = np.zeros(len(pairs))
    for c in np.unique(category):
        here = np.flatnonzero(category == c)
        drift[here] = _shared(weight[here], deviation[here], pairs[here], cell[here])
    found: npt.NDArray[np.float32] = (x - drift[pair]).astype(np.float32)
    return found


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
