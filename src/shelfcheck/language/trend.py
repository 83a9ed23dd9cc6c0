"""Does a measure rise over the years? Theil-Sen slopes and Kendall's test, by category and over all.

The slope is the median of the slopes between all two points (Theil 1950, Sen 1968), which one strange year
does not turn; whether it rises at all is Kendall's rank test. Over all categories, slopes between points of
one category are pooled, and the test adds up the categories' rank sums (the regional Kendall test: Helsel and
Frans, Environmental Science & Technology 40, 2006). The pooled interval comes from resampling categories:
points of one category hang together.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

RESAMPLES: Final = 2000
LEVEL: Final = 0.95


@dataclass(frozen=True)
class Trend:
    """A fitted trend.

    Attributes:
        points: how many points it was fitted to.
        slope: change a step.
        low, high: its 95 % interval; None with too few points.
        tau: Kendall's rank correlation; None over several series.
        p: two-sided p-value of no trend; None with fewer than three points.
    """

    points: int
    slope: float
    low: float | None
    high: float | None
    tau: float | None
    p: float | None


def trend(x: npt.ArrayLike, y: npt.ArrayLike) -> Trend | None:
    """The trend of one series; None with fewer than two different x."""
    from scipy import stats  # noqa: PLC0415 - heavy

    at, values = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if len(np.unique(at)) < 2:
        return None
    slope = float(np.median(_slopes(at, values)))
    if len(at) < 3:
        return Trend(len(at), slope, None, None, None, None)
    low = high = None
    if len(at) > 3 and len(np.unique(values)) > 1:  # three points bound no slope at this level
        fitted = stats.theilslopes(values, at, LEVEL)
        low, high = float(fitted.low_slope), float(fitted.high_slope)
    tested = stats.kendalltau(at, values)
    if not math.isfinite(tested.statistic):  # all values are the same
        return Trend(len(at), slope, low, high, 0.0, 1.0)
    return Trend(len(at), slope, low, high, float(tested.statistic), float(tested.pvalue))


def pooled_trend(series: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]], *, seed: int = 0) -> Trend | None:
    """The trend that several series have in common; None where no series has one.

    Args:
        series: (x, y) of each.
        seed: of the resamples of series that give the interval, which needs three series.
    """
    from scipy import special  # noqa: PLC0415 - heavy

    points = [(np.asarray(x, np.float64), np.asarray(y, np.float64)) for x, y in series]
    slopes = [_slopes(x, y) for x, y in points]
    slopes = [one for one in slopes if len(one)]
    if not slopes:
        return None
    s = variance = 0.0
    for x, y in points:
        one, of = _kendall_s(x, y)
        s, variance = s + one, variance + of
    p = None
    if variance > 0:
        z = (s - np.sign(s)) / math.sqrt(variance)  # corrected for continuity
        p = float(2 * special.ndtr(-abs(z)))
    low = high = None
    if len(slopes) >= 3:
        rng = np.random.default_rng(seed)
        drawn = rng.integers(0, len(slopes), (RESAMPLES, len(slopes)))
        medians = [np.median(np.concatenate([slopes[i] for i in row])) for row in drawn]
        low, high = (float(v) for v in np.quantile(medians, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    total = sum(len(x) for x, _ in points)
    return Trend(total, float(np.median(np.concatenate(slopes))), low, high, None, p)


def _slopes(x: Floats, y: Floats) -> Floats:
    pairs = itertools.combinations(range(len(x)), 2)
    return np.array([(y[j] - y[i]) / (x[j] - x[i]) for i, j in pairs if x[i] != x[j]])


def _kendall_s(x: Floats, y: Floats) -> tuple[float, float]:
    """Kendall's S and its variance, with ties in y (Kendall, Rank Correlation Methods, 1970)."""
    n = len(x)
    if n < 2:
        return 0.0, 0.0
    order = np.argsort(x)
    signs = np.sign(y[order][None, :] - y[order][:, None])
    s = float(np.triu(signs, 1).sum())
    _, ties = np.unique(y, return_counts=True)
    variance = (n * (n - 1) * (2 * n + 5) - (ties * (ties - 1) * (2 * ties + 5)).sum()) / 18
    return s, float(variance)
