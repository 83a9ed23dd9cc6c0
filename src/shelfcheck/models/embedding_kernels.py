"""Numba kernels of the `embedding` model: learn, score, pool.

Each takes and fills NumPy arrays and releases the GIL. Encoded n-grams are as in `ngram_kernels`:
one uint32, the low 26 bits a bucket, the high 6 bits the count less one. Vectors are padded with
zeros to whole lanes of 8 float32, so that the loops over them need no remainder.

Import this module only where a kernel is called: it loads Numba.
"""

# ruff: noqa: C901, FBT001, PLR0912, PLR0915, PLR0917 - kernels take arrays one by one, and a call per row would cost

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from shelfcheck.models.kernels import BLOCK
from shelfcheck.models.lookahead import ask_places, ask_rows, ask_values, leave_out, look_up
from shelfcheck.models.ngram_kernels import mix

Array = Any  # Numba's view of a NumPy array; shapes and types stand in the docstrings

SYNC_ROWS = 64  # rows after which a thread adds its changes of the output to what all share


@njit(cache=True, nogil=True, fastmath=True)
def learn(
    indptr: Array,
    ids: Array,
    position: Array,
    rows: Array,
    labels: Array,
    blocks: Array,
    factor: Array,
    tf: Array,
    unit_norm: bool,
    vectors: Array,
    squares: Array,
    output: Array,
    output_squares: Array,
    bias: Array,
    adaptive: bool,
    rate_first: float,
    rate_last: float,
    dropout: float,
    seed: int,
) -> float:
    """One pass of stochastic gradient descent over blocks of rows; several threads may share the vectors.

    A review is h = sum of x[j] * vectors[j] over its n-grams, x[j] = factor * tf(count) divided by their sum
    (a mean) or their L2 norm; its logits are output @ h + bias. The last vector stands for the end of a text:
    every row with a known n-gram holds it once, and it weighs the more the shorter the text. Vectors are
    changed without locks. The
    output, which every row changes, is worked on in a copy of the thread's own and shared every
    `SYNC_ROWS` rows: two processors that write the same few lines of the cache wait for each other.

    Args:
        indptr: int64 (n + 1).
        ids: uint32 (nnz), buckets with counts.
        position: int32 (buckets), row of `vectors`, -1 where a bucket has none.
        rows: uint32 (m), the reviews to learn from.
        labels: int16 (m), their classes, 0..classes-1.
        blocks: int64, numbers of the blocks of `BLOCK` of these to visit, in order.
        factor: float32 (features), weight of each n-gram, and of the end.
        tf: float32 (MAX_COUNT), weight of a count.
        unit_norm: divide the weights by their L2 norm; by their sum when false.
        vectors: float32 (features, width), changed.
        squares: float32 (features), AdaGrad's accumulators, changed if `adaptive`.
        output: float32 (classes, width), changed.
        output_squares: float32 (classes), changed if `adaptive`.
        bias: float32 (classes), changed.
        adaptive: AdaGrad with one accumulator a vector; plain gradient descent when false.
        rate_first: rate at the first row.
        rate_last: rate after the last row; linear in between.
        dropout: share of n-grams left out each time a row is met, 0..1.
        seed: of the choice, > 0.

    Returns:
        The summed loss of the rows, in nats, as met on the way.
    """
    classes, width = output.shape
    own = output.copy()
    base = output.copy()
    own_bias = bias.copy()
    base_bias = bias.copy()
    h = np.zeros(width, np.float32)
    slope = np.zeros(width, np.float32)
    g = np.zeros(classes, np.float32)
    flat = vectors.ravel()
    x, next_x = np.empty(1024, np.float32), np.empty(1024, np.float32)
    features, next_features = np.empty(1024, np.uint32), np.empty(1024, np.uint32)
    one = np.float32(1)
    n = len(rows)
    loss = 0.0
    since = 0
    random = mix(np.uint64(seed)) | np.uint64(1)
    threshold = np.uint64(dropout * 65536)
    end = np.uint32(len(vectors) - 1)
    for b in range(len(blocks)):
        rate = np.float32(rate_first + (rate_last - rate_first) * b / len(blocks))
        first, last = blocks[b] * BLOCK, min(n, (blocks[b] + 1) * BLOCK)
        next_size = 0
        for r in range(first - 1, last):  # the first turn only looks ahead
            x, next_x = next_x, x
            features, next_features = next_features, features
            size, next_size = next_size, 0
            if r + 1 < last:
                begin, stop = indptr[rows[r + 1]], indptr[rows[r + 1] + 1]
                if stop - begin >= len(next_x):
                    next_x = np.empty(2 * (stop - begin), np.float32)
                    next_features = np.empty(len(next_x), np.uint32)
                found = look_up(ids, begin, stop, position, tf, next_features, next_x)
                next_size, random = leave_out(next_features, next_x, found, threshold, random)
                ask_rows(next_features, next_size, flat, width)
                ask_values(next_features, next_size, factor)
                if adaptive:
                    ask_values(next_features, next_size, squares)
            if r + 2 < last:
                ask_places(ids, indptr[rows[r + 2]], indptr[rows[r + 2] + 1], position)
            if r < first:
                continue
            if size == 0:
                continue
            norm = np.float32(0)
            for j in range(size):
                v = factor[features[j]] * x[j]
                x[j] = v
                norm += v * v if unit_norm else v
            features[size] = end
            x[size] = factor[end]
            norm += factor[end] * factor[end] if unit_norm else factor[end]
            size += 1
            norm = one / np.sqrt(norm) if unit_norm else one / norm
            for k in range(width):
                h[k] = 0
            for j in range(size):
                f = features[j]
                v = x[j] * norm
                x[j] = v
                for k in range(width):
                    h[k] += v * vectors[f, k]
            top = np.float32(-1e30)
            for c in range(classes):
                z = np.float32(0)
                for k in range(width):
                    z += own[c, k] * h[k]
                g[c] = z + own_bias[c]
                top = max(top, g[c])
            total = np.float32(0)
            for c in range(classes):
                g[c] = np.exp(g[c] - top)
                total += g[c]
            total = one / total
            label = labels[r]
            loss -= np.log(max(g[label] * total, np.float32(1e-30)))
            length = np.float32(0)
            if adaptive:
                for k in range(width):
                    length += h[k] * h[k]
            for k in range(width):
                slope[k] = 0
            for c in range(classes):
                v = g[c] * total
                if c == label:
                    v -= one
                step = rate * v
                if adaptive:
                    s = output_squares[c] + v * v * length
                    output_squares[c] = s
                    step /= np.sqrt(s)
                own_bias[c] -= np.float32(0.1) * step
                for k in range(width):
                    slope[k] += v * own[c, k]
                    own[c, k] -= step * h[k]
            if adaptive:
                length = np.float32(0)
                for k in range(width):
                    length += slope[k] * slope[k]
                for j in range(size):
                    f = features[j]
                    v = x[j]
                    s = squares[f] + v * v * length
                    squares[f] = s
                    v = rate * v / np.sqrt(s)
                    for k in range(width):
                        vectors[f, k] -= v * slope[k]
            else:
                for j in range(size):
                    f = features[j]
                    v = rate * x[j]
                    for k in range(width):
                        vectors[f, k] -= v * slope[k]
            since += 1
            if since == SYNC_ROWS:
                since = 0
                _share(own, base, output)
                _share_bias(own_bias, base_bias, bias)
    _share(own, base, output)
    _share_bias(own_bias, base_bias, bias)
    return loss


@njit(cache=True, nogil=True, fastmath=True)
def _share(own: Array, base: Array, shared: Array) -> None:
    """Add what a thread changed to what all share, and take over what the others changed."""
    for c in range(own.shape[0]):
        for k in range(own.shape[1]):
            v = shared[c, k] + (own[c, k] - base[c, k])
            shared[c, k] = v
            own[c, k] = v
            base[c, k] = v


@njit(cache=True, nogil=True, fastmath=True)
def _share_bias(own: Array, base: Array, shared: Array) -> None:
    for c in range(len(own)):
        v = shared[c] + (own[c] - base[c])
        shared[c] = v
        own[c] = v
        base[c] = v


@njit(cache=True, nogil=True, fastmath=True)
def pool(
    indptr: Array,
    ids: Array,
    first: int,
    last: int,
    rows: Array,
    position: Array,
    factor: Array,
    tf: Array,
    unit_norm: bool,
    vectors: Array,
    out: Array,
    known: Array,
) -> None:
    """Vectors of encoded rows: the weighted mean of the vectors of their n-grams, zeros where none is known.

    Args:
        indptr: int64 (n + 1).
        ids: uint32 (nnz), buckets with counts.
        first: first place in `rows`.
        last: place after the last.
        rows: uint32 (m), rows to pool.
        position: int32 (buckets), row in `vectors`, -1 where unknown.
        factor: float32 (features).
        tf: float32 (MAX_COUNT).
        unit_norm: as in `learn`.
        vectors: float32 (features, width).
        out: float32 (last - first, width), filled.
        known: int32 (last - first), filled with the number of known n-grams.
    """
    width = vectors.shape[1]
    flat = vectors.ravel()
    end = np.uint32(len(vectors) - 1)
    h = np.zeros(width, np.float32)
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
            begin, stop = indptr[rows[i + 1]], indptr[rows[i + 1] + 1]
            next_n = look_up(ids, begin, stop, position, tf, next_features, next_values)
            ask_rows(next_features, next_n, flat, width)
            ask_values(next_features, next_n, factor)
        if i + 2 < last:
            ask_places(ids, indptr[rows[i + 2]], indptr[rows[i + 2] + 1], position)
        if i < first:
            continue
        h[:] = 0
        norm = np.float32(0)
        for j in range(n):
            f = features[j]
            v = factor[f] * values[j]
            norm += v * v if unit_norm else v
            for k in range(width):
                h[k] += v * vectors[f, k]
        known[i - first] = n
        if n:
            v = factor[end]
            norm += v * v if unit_norm else v
            for k in range(width):
                h[k] += v * vectors[end, k]
            norm = np.float32(1) / np.sqrt(norm) if unit_norm else np.float32(1) / norm
        for k in range(width):
            out[i - first, k] = h[k] * norm


@njit(cache=True, nogil=True, fastmath=True)
def classify(pooled: Array, known: Array, output: Array, bias: Array, empty: Array, logits: Array) -> None:
    """Logits of pooled rows.

    Args:
        pooled: float32 (m, width), from `pool`.
        known: int32 (m), from `pool`.
        output: float32 (classes, width).
        bias: float32 (classes).
        empty: float32 (classes), logits of a row without a known n-gram.
        logits: float32 (m, classes), filled.
    """
    classes, width = output.shape
    for i in range(len(pooled)):
        for c in range(classes):
            z = np.float32(0)
            for k in range(width):
                z += output[c, k] * pooled[i, k]
            logits[i, c] = z + bias[c] if known[i] else empty[c]
