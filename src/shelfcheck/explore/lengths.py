"""Exact lengths of texts, counted by category: they add up, and every quantile is in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

QUANTILES: Final = (5, 25, 50, 75, 95)
"""Per cent."""

_BITS: Final = 32  # of a key, for the length


@dataclass(frozen=True)
class Lengths:
    """How many reviews of a category have a length.

    Attributes:
        keys: category * 2^32 + length, sorted, each once, (n,) int64.
        reviews: of each key, (n,) int64.
    """

    keys: NDArray[np.int64]
    reviews: NDArray[np.int64]

    @classmethod
    def count(cls, categories: NDArray[np.integer], lengths: NDArray[np.int32]) -> Lengths:
        """Count the lengths of single reviews, (n,) each."""
        keys, reviews = np.unique((categories.astype(np.int64) << _BITS) + lengths, return_counts=True)
        return cls(keys, reviews)

    @classmethod
    def total(cls, parts: Sequence[Lengths]) -> Lengths:
        """The counts of all parts together."""
        keys = np.concatenate([part.keys for part in parts])
        order = np.argsort(keys, kind="stable")
        return _merged(keys[order], np.concatenate([part.reviews for part in parts])[order])

    def __add__(self, other: Lengths) -> Lengths:
        return Lengths.total([self, other])

    def of(self, first: int, end: int) -> Lengths:
        """The counts of categories from `first` to before `end`, which are counted from 0 then."""
        start, stop = np.searchsorted(self.keys, np.array([first, end], np.int64) << _BITS)
        return Lengths(self.keys[start:stop] - (first << _BITS), self.reviews[start:stop])

    def of_all(self) -> Lengths:
        """The same with one category, number 0."""
        keys = self.keys & ((1 << _BITS) - 1)
        order = np.argsort(keys, kind="stable")
        return _merged(keys[order], self.reviews[order])

    def quantiles(self, categories: int) -> NDArray[np.int64]:
        """The smallest length that at least so many per cent of reviews do not exceed.

        Returns:
            (categories, len(QUANTILES)); -1 for a category without reviews.
        """
        found = np.full((categories, len(QUANTILES)), -1, np.int64)
        ends = np.searchsorted(self.keys, np.arange(1, categories + 1, dtype=np.int64) << _BITS)
        below = np.cumsum(self.reviews)
        start = 0
        for category, end in enumerate(ends.tolist()):
            if end > start:
                before = below[start - 1] if start else 0
                total = below[end - 1] - before
                # In whole numbers: a share of .95 is no binary fraction.
                wanted = -(-np.array(QUANTILES, np.int64) * total // 100) + before
                at = start + np.searchsorted(below[start:end], wanted)
                found[category] = self.keys[at] & ((1 << _BITS) - 1)
            start = end
        return found

    def bins(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Reviews in bins a quarter of a doubling wide: category, bin (-1 for length 0), reviews."""
        lengths = self.keys & ((1 << _BITS) - 1)
        place = np.where(lengths > 0, np.floor(4 * np.log2(np.maximum(lengths, 1))), -1).astype(np.int64)
        binned = _merged(((self.keys >> _BITS) << _BITS) + place + 1, self.reviews)  # sorted as they were
        return binned.keys >> _BITS, (binned.keys & ((1 << _BITS) - 1)) - 1, binned.reviews


def bin_bounds(places: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last length of bins."""
    first = np.ceil(2 ** (places / 4)).astype(np.int64)
    last = np.ceil(2 ** ((places + 1) / 4)).astype(np.int64) - 1
    return np.where(places < 0, 0, first), np.where(places < 0, 0, last)


def _merged(keys: NDArray[np.int64], reviews: NDArray[np.int64]) -> Lengths:
    if not keys.size:
        return Lengths(keys, reviews)
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    return Lengths(keys[starts], np.add.reduceat(reviews, starts))
