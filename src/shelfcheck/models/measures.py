"""The measures of an evaluation: scores by category, reliability, coverage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from shelfcheck.models.blocks import blocks

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


class BinSums:
    """What a reliability diagram is drawn from, gathered batch by batch: sums by equal-width bin.

    Args:
        bins: number of bins.
    """

    def __init__(self, bins: int = BINS) -> None:
        self._sums = np.zeros((3, bins))  # reviews, confidence, hits

    def add(self, confidence: Floats, hit: Hits) -> None:
        """Add reviews, (n) each."""
        bins = self._sums.shape[1]
        where = bin_of(confidence, bins)
        for i, weights in enumerate((None, confidence, hit)):
            self._sums[i] += np.bincount(where, weights=weights, minlength=bins)

    def reliability(self) -> tuple[Bin, ...]:
        """The bins that hold reviews, from the lowest on."""
        bins = self._sums.shape[1]
        return tuple(
            Bin(i / bins, (i + 1) / bins, float(confident / count), float(hits / count), int(count))
            for i, (count, confident, hits) in enumerate(self._sums.T)
            if count
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
    """Accuracy of the most confident `percents` of the reviews, and the shares that reach `precisions`.

    Memory: 8 bytes a review.

    Args:
        confidence: float32 (n), 0..1; reviews of the same confidence count in their order.
        hit: whether they are right, (n).
        percents: 1..100.
        precisions: 0..1.
    """
    n = len(hit)
    # Non-negative floats are ordered as their bits are. Sorted in place: falling confidence, then place.
    order = np.arange(n, dtype=np.uint64)
    for block in blocks(n):
        bits = np.ascontiguousarray(confidence[block], np.float32).view(np.uint32)
        order[block] |= (~bits).astype(np.uint64) << np.uint64(32)
    order.sort()
    ends = [max(1, n * percent // 100) - 1 for percent in percents]
    at_ends: dict[int, float] = {}
    reached = [-1] * len(precisions)
    hits = 0
    for block in blocks(n):
        right = np.cumsum(hit[(order[block] & np.uint64(0xFFFFFFFF)).astype(np.int64)]) + hits
        hits = int(right[-1])
        share = right / np.arange(block.start + 1, block.stop + 1)
        at_ends |= {end: float(share[end - block.start]) for end in ends if block.start <= end < block.stop}
        for i, precision in enumerate(precisions):
            enough = np.flatnonzero(share >= precision)
            if len(enough):
                reached[i] = block.start + int(enough[-1])

    def confident(rank: int) -> float:
        return float(confidence[int(order[rank]) & 0xFFFFFFFF])

    return (
        tuple(
            Coverage(percent / 100, at_ends[end], confident(end))
            for percent, end in zip(percents, ends, strict=True)
        ),
        tuple(
            AtPrecision(precision, 0.0, 1.0)
            if last < 0
            else AtPrecision(precision, float((last + 1) / n), confident(last))
            for precision, last in zip(precisions, reached, strict=True)
        ),
    )
