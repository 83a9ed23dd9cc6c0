"""When a change began, and whether it is over.

The bets say that a product changed; where their gains began is a poor estimate of when, because they
compare each review with all before it. Values on both sides of a change are taken to be normal with one
variance instead, and every review is weighed as the first after it (Smith, "A Bayesian approach to
inference about a change-point", Biometrika 62, 1975, with the variance profiled out).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from shelfcheck.audit.declining_products.badness import Badness
    from shelfcheck.audit.declining_products.histories import Histories
    from shelfcheck.audit.declining_products.judging import Judged

    Floats = npt.NDArray[np.float64]

_BEFORE: Final = 5  # reviews before a change, at least
_LATER: Final = 10  # reviews after the evidence was strongest, before it is said that a change is over
_INTERVAL: Final = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class Span:
    """When a change began and how long it was seen; places in the histories.

    Attributes:
        since: the first review since the change, by the median.
        earliest: the 5 % quantile.
        latest: the 95 % quantile.
        end: the last review since the change: that of the product, or where the change is over before.
        over: whether the reviews after `end` are more like those before the change.
        by_language: whether language alone gave the stronger evidence.
    """

    since: int
    earliest: int
    latest: int
    end: int
    over: bool
    by_language: bool


def date_change(judged: Judged, badness: Badness, histories: Histories, product: int) -> Span:
    """Date one product's change by the values whose evidence is the stronger."""
    a, b = int(histories.starts[product]), int(histories.starts[product + 1])
    by_language = judged.by_language(product)
    x = (badness.language if by_language else badness.both)[a:b].astype(np.float64)
    if not judged.worse:
        x = -x
    bets = judged.of(product)
    peak = int(np.argmax((bets.language if by_language else bets.both).log_m))
    earliest, since, latest = _first_since(x[: peak + 1])
    later = x[peak + 1 :]
    if len(later) >= _LATER:
        before, during = float(x[:since].mean()), float(x[since : peak + 1].mean())
        if abs(later.mean() - before) < abs(later.mean() - during):
            return Span(a + since, a + earliest, a + latest, a + peak, True, by_language)  # noqa: FBT003
    earliest, since, latest = _first_since(x)
    return Span(a + since, a + earliest, a + latest, b - 1, False, by_language)  # noqa: FBT003


def _first_since(x: Floats) -> list[int]:
    """Quantiles of the place of the first value after a rise."""
    n = len(x)
    k = np.arange(1, n)  # values before the change
    sums = np.cumsum(x)
    rise = (sums[-1] - sums[:-1]) / (n - k) - sums[:-1] / k
    left = ((x - x.mean()) ** 2).sum() - rise**2 * k * (n - k) / n
    log_weight = -0.5 * n * np.log(np.maximum(left, 1e-9))
    possible = (rise > 0) & (k >= _BEFORE)
    if not possible.any():
        possible = k == max(n - 1, 1)
    log_weight[~possible] = -np.inf
    share = np.cumsum(np.exp(log_weight - log_weight.max()))
    return [int(k[np.searchsorted(share, q * share[-1])]) for q in _INTERVAL]
