"""How much a product's stars changed, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from shelfcheck.audit.declining_products.badness import Badness
    from shelfcheck.audit.declining_products.dating import Span
    from shelfcheck.audit.declining_products.histories import Histories

    Floats = npt.NDArray[np.float64]

_LOW: Final = 2  # stars of a bad review, at most
_LEVEL: Final = 0.95


@dataclass(frozen=True)
class Effect:
    """Reviews before the change against those since it; up to its end where it is over.

    Attributes:
        before: places in the histories of the reviews before.
        since: of those since.
        stars_before: mean stars.
        stars_since: mean stars.
        change: difference of the means, without what the category did.
        change_low: lower bound of its 95 % interval.
        change_high: upper bound.
        low_before: share of reviews with 1 or 2 stars, 0..1.
        low_since: the same since the change.
        category_change: what the category did meanwhile, in stars.
        language_change: how much more the texts complain than their stars say, in standard deviations.
    """

    before: npt.NDArray[np.int64]
    since: npt.NDArray[np.int64]
    stars_before: float
    stars_since: float
    change: float
    change_low: float
    change_high: float
    low_before: float
    low_since: float
    category_change: float
    language_change: float


def measure_effect(histories: Histories, badness: Badness, product: int, span: Span) -> Effect:
    """Measure one product's change.

    The date of the change was chosen where the evidence is strongest, so that the difference is a little too
    large on average, the more so the weaker the evidence is; the interval does not know of that.
    """
    a, b = int(histories.starts[product]), int(histories.starts[product + 1])
    then, now = slice(0, span.since - a), slice(span.since - a, span.end + 1 - a)
    stars, u = histories.stars[a:b].astype(np.float64), histories.u[a:b].astype(np.float64)
    # The ties of `badness.stars` are broken by u - ½, which is no star.
    calm = -(badness.stars[a:b].astype(np.float64) - (u - 0.5))
    drift = stars - calm
    language = np.asarray(badness.language[a:b])
    change, low, high = _difference(calm[then], calm[now])
    return Effect(
        before=np.arange(a, span.since),
        since=np.arange(span.since, span.end + 1),
        stars_before=float(stars[then].mean()),
        stars_since=float(stars[now].mean()),
        change=change,
        change_low=low,
        change_high=high,
        low_before=float((stars[then] <= _LOW).mean()),
        low_since=float((stars[now] <= _LOW).mean()),
        category_change=float(drift[now].mean() - drift[then].mean()),
        language_change=float(language[now].mean() - language[then].mean()),
    )


def _difference(before: Floats, since: Floats) -> tuple[float, float, float]:
    """Difference of means with Welch's interval; variances of small groups are drawn to the common one."""
    from scipy.stats import t  # noqa: PLC0415 - slow to load

    n, m = len(before), len(since)
    common = float(np.concatenate([before - before.mean(), since - since.mean()]).var())
    # One review's worth of the common variance, so that two equal reviews are not taken to be certain.
    parts = [
        (float(part.var()) * len(part) + common + 1e-12) / len(part) / max(len(part), 1)
        for part in (before, since)
    ]
    error = float(np.sqrt(sum(parts)))
    free = sum(parts) ** 2 / (parts[0] ** 2 / max(n - 1, 1) + parts[1] ** 2 / max(m - 1, 1))
    reach = float(t.ppf((1 + _LEVEL) / 2, max(free, 1.0))) * error
    difference = float(since.mean() - before.mean())
    return difference, difference - reach, difference + reach
