"""Numba kernels that count n-grams, in all and by class, and tell how much one says about the class.

Each takes and fills NumPy arrays and releases the GIL, so that threads work on parts of the rows. Encoded
rows (`ngram_kernels`) are read where they lie, memory-mapped; nothing is copied.

Import this module only where a kernel is called: it loads Numba.
"""

# ruff: noqa: PLR0917 - kernels take arrays one by one

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from shelfcheck.models.lookahead import ask_places, prefetch
from shelfcheck.models.ngram_kernels import ID_MASK

Array = Any  # Numba's view of a NumPy array; shapes and types stand in the docstrings

PRIOR_REVIEWS = 10.0  # that an n-gram is taken to stand in beside those seen, when its relevance is told


@njit(cache=True, nogil=True)
def count_documents(indptr: Array, ids: Array, rows: Array, df: Array) -> None:
    """Add to `df` (int32, per bucket) the number of the rows that hold each bucket."""
    mask = np.uint32(ID_MASK)
    for i in range(len(rows)):
        if i + 1 < len(rows):
            ask_places(ids, indptr[rows[i + 1]], indptr[rows[i + 1] + 1], df)
        for j in range(indptr[rows[i]], indptr[rows[i] + 1]):
            df[ids[j] & mask] += 1


@njit(cache=True, nogil=True)
def count_classes(
    indptr: Array,
    ids: Array,
    position: Array,
    rows: Array,
    labels: Array,
    first: int,
    last: int,
    counts: Array,
) -> None:
    """Add the rows of each class that hold an n-gram, for features first..last-1.

    Args:
        indptr: int64 (n + 1).
        ids: uint32 (nnz), buckets with counts.
        position: int32 (buckets), feature of each bucket, -1 where it is none.
        rows: uint32 (m), the rows to read.
        labels: int16 (m), their classes, 0..classes-1.
        first: first feature.
        last: feature after the last.
        counts: int32 (features, classes), rows first..last-1 are added to.
    """
    mask = np.uint32(ID_MASK)
    flat = counts.ravel()
    classes = counts.shape[1]
    n = len(rows)
    for i in range(n):
        if i + 2 < n:
            ask_places(ids, indptr[rows[i + 2]], indptr[rows[i + 2] + 1], position)
        if i + 1 < n:
            for j in range(indptr[rows[i + 1]], indptr[rows[i + 1] + 1]):
                feature = position[ids[j] & mask]
                if first <= feature < last:
                    prefetch(flat, np.int64(feature) * classes + labels[i + 1])
        for j in range(indptr[rows[i]], indptr[rows[i] + 1]):
            feature = position[ids[j] & mask]
            if first <= feature < last:
                counts[feature, labels[i]] += 1


@njit(cache=True, nogil=True)
def relevance(counts: Array, prior: Array, first: int, last: int, out: Array) -> None:
    """How much an n-gram tells about the category, for features first..last-1.

    The Kullback-Leibler divergence, in nats, of the shares of the categories among the reviews that hold
    the n-gram from their shares among all reviews. `PRIOR_REVIEWS` reviews with the usual shares are
    counted in, so that an n-gram that few reviews hold tells little.

    Args:
        counts: int32 (features, classes), reviews of each class that hold the n-gram.
        prior: float64 (classes), shares among all reviews, all > 0.
        first: first feature.
        last: feature after the last.
        out: float64 (features), filled at first..last-1.
    """
    classes = len(prior)
    for f in range(first, last):
        total = PRIOR_REVIEWS
        for k in range(classes):
            total += counts[f, k]
        told = 0.0
        for k in range(classes):
            share = (counts[f, k] + PRIOR_REVIEWS * prior[k]) / total
            told += share * np.log(share / prior[k])
        out[f] = told
