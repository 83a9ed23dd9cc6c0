"""The measures of an evaluation: scores by category, reliability, coverage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]
    Hits = npt.NDArray[np.bool_]

BINS: Final = 15


@dataclass(frozen=True)
class Scores:
    """Precision, recall and F1 (0..1; 0 where undefined) of one category or an average."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Bin:
    """A bin of the reliability diagram: predictions with a top probability in (low, high]."""

    low: float
    high: float
    confidence: float
    accuracy: float
    reviews: int


@dataclass(frozen=True)
class Coverage:
    """The most confident share of the reviews: from which confidence on, and how many are right; 0..1."""

    coverage: float
    accuracy: float
    confidence: float


@dataclass(frozen=True)
class AtPrecision:
    """The largest most-confident share of reviews whose accuracy still reaches `precision`; 0..1."""

    precision: float
    coverage: float
    confidence: float


def bin_of(confidence: Floats, bins: int = BINS) -> npt.NDArray[np.int64]:
    """The equal-width bin (low, high] of each confidence, from 0 on. (n) -> (n)."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def reliability(confidence: Floats, hit: Hits, bins: int = BINS) -> tuple[Bin, ...]:
    """The reliability diagram: equal-width bins of the confidence; empty bins are left out."""
    where = bin_of(confidence, bins)
    counts = np.bincount(where, minlength=bins)
    confident = np.bincount(where, weights=confidence, minlength=bins)
    hits = np.bincount(where, weights=hit, minlength=bins)
    return tuple(
        Bin(
            i / bins,
            (i + 1) / bins,
            float(confident[i] / counts[i]),
            float(hits[i] / counts[i]),
            int(counts[i]),
        )
        for i in range(bins)
        if counts[i]
    )


def calibration_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error: mean |confidence - accuracy| over bins, weighted by reviews, 0..1."""
    total = sum(one.reviews for one in bins)
    return sum(one.reviews * abs(one.confidence - one.accuracy) for one in bins) / total


def scores(
    confusion: npt.NDArray[np.int64], categories: Sequence[str]
) -> tuple[dict[str, Scores], Scores, Scores]:
    """Scores of each category, their plain mean over those with support, and their mean by support.

    Args:
        confusion: reviews, (k, k); row = assigned, column = predicted.
        categories: names, (k).
    """
    right = np.diag(confusion).astype(float)
    support, given = confusion.sum(axis=1), confusion.sum(axis=0)
    precision = np.divide(right, given, out=np.zeros(len(right)), where=given > 0)
    recall = np.divide(right, support, out=np.zeros(len(right)), where=support > 0)
    both = support + given
    f1 = np.divide(2 * right, both, out=np.zeros(len(right)), where=both > 0)
    report = {
        name: Scores(float(precision[i]), float(recall[i]), float(f1[i]), int(support[i]))
        for i, name in enumerate(categories)
    }

    def average(weights: npt.NDArray[np.float64]) -> Scores:
        p, r, f = (float(np.average(column, weights=weights)) for column in (precision, recall, f1))
        return Scores(p, r, f, int(support.sum()))

    return report, average((support > 0).astype(float)), average(support.astype(float))


def coverages(
    confidence: Floats, hit: Hits, percents: Sequence[int], precisions: Sequence[float]
) -> tuple[tuple[Coverage, ...], tuple[AtPrecision, ...]]:
    """Accuracy of the most confident `percents` of the reviews, and the shares that reach `precisions`."""
    order = np.argsort(-confidence, kind="stable")
    confident = confidence[order]
    right = np.cumsum(hit[order]) / np.arange(1, len(hit) + 1)
    return (
        tuple(_covered(right, confident, percent) for percent in percents),
        tuple(_at_precision(right, confident, precision) for precision in precisions),
    )


def _covered(right: npt.NDArray[np.float64], confidence: Floats, percent: int) -> Coverage:
    last = max(1, len(right) * percent // 100) - 1
    return Coverage(percent / 100, float(right[last]), float(confidence[last]))


def _at_precision(right: npt.NDArray[np.float64], confidence: Floats, precision: float) -> AtPrecision:
    reached = np.flatnonzero(right >= precision)
    if len(reached) == 0:
        return AtPrecision(precision, 0.0, 1.0)
    last = reached[-1]
    return AtPrecision(precision, float((last + 1) / len(right)), float(confidence[last]))
