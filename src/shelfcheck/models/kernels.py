"""Numba kernels of the `linear` model: learn, score.

Each takes and fills NumPy arrays and releases the GIL, so that threads work on parts of the rows. Encoded
rows (`ngram_kernels`) are read where they lie, memory-mapped; nothing is copied. What the next review needs
is fetched while one is worked on (`lookahead`).

Import this module only where a kernel is called: it loads Numba.
"""

# ruff: noqa: C901, PLR0912, PLR0915, PLR0917 - kernels take arrays one by one, and a call per row would cost

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from shelfcheck.models.lookahead import ask_places, ask_rows, ask_values, leave_out, look_up
from shelfcheck.models.ngram_kernels import mix

Array = Any  # Numba's view of a NumPy array; shapes and types stand in the docstrings

BLOCK = 256  # rows that stay together when an epoch is shuffled
_ROOM = 1024  # elements


@njit(cache=True, nogil=True)
def _apart(n: int) -> Array:
    """Zeros, float32 (n), that lie far from any other array.

    A loop over several arrays is compiled twice, for many elements at a time and for one; the second is taken
    where one array begins within 256 bytes after another (with AVX-512). Exponents, roots and sums of the two
    differ in the last bit, so that the same learning would end with other bits, by where memory was free.
    """
    return np.zeros(n + 2 * _ROOM, np.float32)[_ROOM : _ROOM + n]


@njit(cache=True, nogil=True, fastmath=True)
def learn(
    indptr: Array,
    ids: Array,
    position: Array,
    rows: Array,
    labels: Array,
    blocks: Array,
    idf: Array,
    tf: Array,
    weights: Array,
    squares: Array,
    bias: Array,
    bias_squares: Array,
    class_weights: Array,
    n_classes: int,
    rate_first: float,
    rate_last: float,
    dropout: float,
    seed: int,
) -> float:
    """One AdaGrad pass over blocks of rows; several threads may share the weights without locks.

    The accumulator of squared gradients is kept per n-gram, not per weight: the categories of an
    n-gram share their rate. Each time a row is met, a random share of its n-grams is left out, so that
    no n-gram leans on another's presence.

    Args:
        indptr: int64 (n + 1).
        ids: uint32 (nnz), buckets with counts.
        position: int32 (buckets), row of `weights`, -1 where a bucket has none.
        rows: uint32 (m), the reviews to learn from.
        labels: int16 (m), their classes, 0..n_classes-1.
        blocks: int64, numbers of the blocks of `BLOCK` of these to visit, in order.
        idf: float32 (features).
        tf: float32 (MAX_COUNT), weight of a count.
        weights: float32 (features, padded classes), changed.
        squares: float32 (features), changed.
        bias: float32 (padded classes), changed.
        bias_squares: float32 (padded classes), changed.
        class_weights: float32 (classes), what a review of each class counts.
        n_classes: classes without padding.
        rate_first: rate at the first row.
        rate_last: rate after the last row; linear in between.
        dropout: share of n-grams left out, 0..1.
        seed: of the choice, > 0.

    Returns:
        The summed loss of the rows, in nats, as met on the way.
    """
    width = weights.shape[1]
    z, g, step = _apart(width), _apart(width), _apart(width)
    flat = weights.ravel()
    x, next_x = np.empty(1024, np.float32), np.empty(1024, np.float32)
    features, next_features = np.empty(1024, np.uint32), np.empty(1024, np.uint32)
    met = np.empty(1024, np.float32)  # squares of the n-grams of the review
    one = np.float32(1)
    n = len(rows)
    loss = 0.0
    random = mix(np.uint64(seed)) | np.uint64(1)
    threshold = np.uint64(dropout * 65536)
    for b in range(len(blocks)):
        rate = np.float32(rate_first + (rate_last - rate_first) * b / len(blocks))
        first, last = blocks[b] * BLOCK, min(n, (blocks[b] + 1) * BLOCK)
        next_size = 0
        for r in range(first - 1, last):  # the first turn only looks ahead
            x, next_x = next_x, x
            features, next_features = next_features, features
            size, next_size = next_size, 0
            if r + 1 < last:
                begin, end = indptr[rows[r + 1]], indptr[rows[r + 1] + 1]
                if end - begin >= len(next_x):
                    next_x = np.empty(2 * (end - begin), np.float32)
                    next_features = np.empty(len(next_x), np.uint32)
                found = look_up(ids, begin, end, position, tf, next_features, next_x)
                next_size, random = leave_out(next_features, next_x, found, threshold, random)
                ask_rows(next_features, next_size, flat, width)
                ask_values(next_features, next_size, squares)
                ask_values(next_features, next_size, idf)
            if r + 2 < last:
                ask_places(ids, indptr[rows[r + 2]], indptr[rows[r + 2] + 1], position)
            if r < first:
                continue
            norm = np.float32(0)
            for j in range(size):
                x[j] *= idf[features[j]]
                norm += x[j] * x[j]
            for k in range(width):
                z[k] = bias[k]
            if size > 0:
                norm = one / np.sqrt(norm)
            for j in range(size):
                f = features[j]
                v = x[j] * norm
                x[j] = v
                for k in range(width):
                    z[k] += v * weights[f, k]
            top = z[0]
            for k in range(1, n_classes):
                top = max(top, z[k])
            total = np.float32(0)
            for k in range(n_classes):
                g[k] = np.exp(z[k] - top)
                total += g[k]
            total = one / total
            label = labels[r]
            loss -= np.log(max(g[label] * total, np.float32(1e-30)))
            for k in range(n_classes):
                g[k] *= total
            g[label] -= one
            for k in range(n_classes):
                g[k] *= class_weights[label]
            length = np.float32(0)
            for k in range(n_classes):
                length += g[k] * g[k]
            for k in range(n_classes):
                bias_squares[k] += g[k] * g[k]
                step[k] = bias_squares[k]
            for k in range(n_classes):  # roots and quotients of arrays that lie apart, see `_apart`
                step[k] = np.float32(0.1) * rate * g[k] / np.sqrt(step[k])
            for k in range(n_classes):
                bias[k] -= step[k]
            if size > len(met):
                met = np.empty(len(x), np.float32)
            for j in range(size):
                met[j] = squares[features[j]] + x[j] * x[j] * length
                squares[features[j]] = met[j]
            for j in range(size):  # by itself, so that roots and quotients are made eight at a time
                x[j] = rate * x[j] / np.sqrt(met[j])
            for j in range(size):
                f = features[j]
                v = x[j]
                for k in range(width):
                    weights[f, k] -= v * g[k]
    return loss


@njit(cache=True, nogil=True, fastmath=True)
def score(
    indptr: Array,
    ids: Array,
    first: int,
    last: int,
    rows: Array,
    position: Array,
    idf: Array,
    tf: Array,
    weights: Array,
    bias: Array,
    empty: Array,
    logits: Array,
    known: Array,
) -> None:
    """Logits of encoded rows.

    Args:
        indptr: int64 (n + 1).
        ids: uint32 (nnz), buckets with counts.
        first: first place in `rows`.
        last: place after the last.
        rows: uint32 (m), rows to score.
        position: int32 (buckets), row in the weight matrix, -1 where unknown.
        idf: float32 (features).
        tf: float32 (MAX_COUNT).
        weights: float32 (features, classes).
        bias: float32 (classes).
        empty: float32 (classes), logits of a row without a known n-gram.
        logits: float32 (m, classes), rows first..last filled.
        known: int32 (m), rows first..last filled with the number of known n-grams.
    """
    width = weights.shape[1]
    flat = weights.ravel()
    z = np.zeros(width, np.float32)
    longest = 0
    for i in range(first, last):
        longest = max(longest, indptr[rows[i] + 1] - indptr[rows[i]])
    features, next_features = np.empty(longest + 1, np.uint32), np.empty(longest + 1, np.uint32)
    values, next_values = np.empty(longest + 1, np.float32), np.empty(longest + 1, np.float32)
    next_n = 0
    for i in range(first - 1, last):  # the first turn only looks ahead
        features, next_features = next_features, features
        values, next_values = next_values, values
        n, next_n = next_n, 0
        if i + 1 < last:
            begin, end = indptr[rows[i + 1]], indptr[rows[i + 1] + 1]
            next_n = look_up(ids, begin, end, position, tf, next_features, next_values)
            ask_rows(next_features, next_n, flat, width)
            ask_values(next_features, next_n, idf)
        if i + 2 < last:
            ask_places(ids, indptr[rows[i + 2]], indptr[rows[i + 2] + 1], position)
        if i < first:
            continue
        norm = np.float32(0)
        for j in range(n):
            values[j] *= idf[features[j]]
            norm += values[j] * values[j]
        z[:] = 0
        for j in range(n):
            v = values[j]
            f = features[j]
            for k in range(width):
                z[k] += v * weights[f, k]
        known[i] = n
        if n == 0:
            for k in range(width):
                logits[i, k] = empty[k]
            continue
        norm = np.float32(1) / np.sqrt(norm)
        for k in range(width):
            logits[i, k] = z[k] * norm + bias[k]
