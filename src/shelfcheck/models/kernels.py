"""Numba kernels of the `linear` model: hash n-grams, count, learn, score.

Each takes and fills NumPy arrays and releases the GIL, so that threads work on parts of the rows.
An encoded n-gram is one uint32: the low 26 bits hold its bucket, the high 6 bits how often it stands in the
review, less one, at most 63. Encoded rows are read where they lie, memory-mapped; nothing is copied.

Import this module only where a kernel is called: it loads Numba.
"""

# ruff: noqa: C901, PLR0912, PLR0915, PLR0917 - kernels take arrays one by one, and a call per row would cost

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

Array = Any  # Numba's view of a NumPy array; shapes and types stand in the docstrings

ID_BITS = 26
ID_MASK = (1 << ID_BITS) - 1
MAX_COUNT = 64
PREFIX_BASIS = np.uint64((14695981039346656037 + 7 * 0x9E3779B97F4A7C15) % 2**64)  # no field's
BLOCK = 256  # rows that stay together when an epoch is shuffled
PRIOR_REVIEWS = 10.0  # that an n-gram is taken to stand in beside those seen, when its relevance is told


@njit(cache=True, nogil=True)
def _mix(h: Any) -> Any:
    """Finalise a 64-bit hash (two rounds of xor-shift and multiply, Pelle Evensen's rrmxmx family)."""
    m = np.uint64(0xD6E8FEB86659FD93)
    h ^= h >> np.uint64(32)
    h *= m
    h ^= h >> np.uint64(32)
    h *= m
    return h ^ (h >> np.uint64(32))


@njit(cache=True, nogil=True)
def hash_strings(data: Array, offsets: Array, out: Array) -> None:
    """Hash strings to well-mixed 64-bit keys.

    Args:
        data: uint8, the strings' UTF-8 bytes end to end.
        offsets: int64 (n + 1).
        out: uint64 (n), filled.
    """
    for i in range(len(out)):
        h = np.uint64(14695981039346656037)
        for j in range(offsets[i], offsets[i + 1]):
            h = (h ^ np.uint64(data[j])) * np.uint64(1099511628211)
        out[i] = _mix(h)


@njit(cache=True, nogil=True)
def _prefix(data: Array, first: int, last: int, letters: int) -> Any:
    """Key of the first letters of the word at first..last-1, 0 where it has no more than these."""
    h = PREFIX_BASIS
    met = 0
    for i in range(first, last):
        if data[i] & np.uint8(0xC0) != 0x80:  # not inside a UTF-8 sequence: a letter begins
            if met == letters:
                return _mix(h)
            met += 1
        h = (h ^ np.uint64(data[i])) * np.uint64(1099511628211)
    return np.uint64(0)


@njit(cache=True, nogil=True)
def encode_rows(
    data: Array,
    offsets: Array,
    salts: Array,
    first: int,
    last: int,
    bits: int,
    word_ngrams: int,
    prefixes: Array,
    table: int,
    out: Array,
    sizes: Array,
) -> int:
    """Hash the word n-grams and prefixes of rows first..last, counting repeats within a row.

    Args:
        data: uint8, all fields' token strings end to end.
        offsets: int64 (fields, n + 1) into `data`.
        salts: uint64 (fields), keeps the fields' n-grams apart.
        first: first row.
        last: row after the last.
        bits: log2 of the number of buckets.
        word_ngrams: most words in an n-gram.
        prefixes: int64, lengths in letters: of a longer word, its first letters count as a term, too,
            the same in all fields.
        table: size of the repeat table, a power of two above twice the n-grams of any row.
        out: uint32, filled with bucket and count, row after row, in order of first appearance.
        sizes: int64 (last - first), filled with the n-grams of each row.

    Returns:
        The number of n-grams written.
    """
    keys = np.zeros(table, np.uint32)
    owner = np.full(table, -1, np.int64)  # row that a slot belongs to: no clearing between rows
    place = np.zeros(table, np.int64)
    mask = np.uint32(table - 1)
    shift = np.uint64(64 - bits)
    step = np.uint64(0x9E3779B97F4A7C15)
    full = np.uint32(MAX_COUNT - 1)
    ending = np.zeros(word_ngrams, np.uint64)  # key of the n-gram of each length that ends at the last word
    n = 0
    for row in range(first, last):
        start = n
        for field in range(len(salts)):
            basis = np.uint64(14695981039346656037) + salts[field] * step
            h = basis
            words = 0
            i = offsets[field, row]
            begin = i  # of the word
            end = offsets[field, row + 1]
            while i <= end:
                c = data[i] if i < end else np.uint8(32)
                i += 1
                if c != 32:
                    if h == basis:
                        begin = i - 1
                    h = (h ^ np.uint64(c)) * np.uint64(1099511628211)
                    continue
                if h == basis:
                    continue  # no byte since the last space
                word = _mix(h)
                for gram in range(min(words, word_ngrams - 1), 0, -1):
                    ending[gram] = _mix(ending[gram - 1] * step + word)
                ending[0] = word
                words += 1
                ends = min(words, word_ngrams)
                for gram in range(ends + len(prefixes)):
                    if gram < ends:
                        found = np.uint32(ending[gram] >> shift)
                    else:
                        key = _prefix(data, begin, i - 1, prefixes[gram - ends])
                        if key == 0:
                            continue
                        found = np.uint32(key >> shift)
                    slot = (found * np.uint32(2654435761)) & mask
                    while owner[slot] == row and keys[slot] != found:
                        slot = (slot + np.uint32(1)) & mask
                    if owner[slot] == row:
                        at = place[slot]
                        if out[at] >> np.uint32(ID_BITS) < full:
                            out[at] += np.uint32(1 << ID_BITS)
                    else:
                        owner[slot] = row
                        keys[slot] = found
                        place[slot] = n
                        out[n] = found
                        n += 1
                h = basis
        sizes[row - first] = n - start
    return n


@njit(cache=True, nogil=True)
def count_documents(indptr: Array, ids: Array, rows: Array, df: Array) -> None:
    """Add to `df` (int32, per bucket) the number of the rows that hold each bucket."""
    mask = np.uint32(ID_MASK)
    for i in range(len(rows)):
        for j in range(indptr[rows[i]], indptr[rows[i] + 1]):
            df[ids[j] & mask] += 1


@njit(cache=True, nogil=True)
def relevance(
    indptr: Array,
    ids: Array,
    position: Array,
    rows: Array,
    labels: Array,
    first: int,
    last: int,
    prior: Array,
    out: Array,
) -> None:
    """How much an n-gram tells about the category, for features first..last-1.

    The Kullback-Leibler divergence, in nats, of the shares of the categories among the reviews that hold
    the n-gram from their shares among all reviews. `PRIOR_REVIEWS` reviews with the usual shares are
    counted in, so that an n-gram that few reviews hold tells little.

    Args:
        indptr: int64 (n + 1).
        ids: uint32 (nnz), buckets with counts.
        position: int32 (buckets), feature of each bucket, -1 where it is none.
        rows: uint32 (m), the rows to read.
        labels: int16 (m), their classes, 0..classes-1.
        first: first feature.
        last: feature after the last.
        prior: float64 (classes), shares among all reviews, all > 0.
        out: float64 (features), filled at first..last-1.
    """
    mask = np.uint32(ID_MASK)
    classes = len(prior)
    counts = np.zeros((last - first, classes), np.int32)
    for i in range(len(rows)):
        for j in range(indptr[rows[i]], indptr[rows[i] + 1]):
            feature = position[ids[j] & mask]
            if first <= feature < last:
                counts[feature - first, labels[i]] += 1
    for f in range(last - first):
        total = PRIOR_REVIEWS
        for k in range(classes):
            total += counts[f, k]
        told = 0.0
        for k in range(classes):
            share = (counts[f, k] + PRIOR_REVIEWS * prior[k]) / total
            told += share * np.log(share / prior[k])
        out[first + f] = told


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
    mask = np.uint32(ID_MASK)
    z = np.zeros(width, np.float32)
    g = np.zeros(width, np.float32)
    x = np.empty(1024, np.float32)
    features = np.empty(1024, np.uint32)
    one = np.float32(1)
    n = len(rows)
    loss = 0.0
    random = _mix(np.uint64(seed)) | np.uint64(1)
    threshold = np.uint64(dropout * 65536)
    for b in range(len(blocks)):
        rate = np.float32(rate_first + (rate_last - rate_first) * b / len(blocks))
        for r in range(blocks[b] * BLOCK, min(n, (blocks[b] + 1) * BLOCK)):
            begin, end = indptr[rows[r]], indptr[rows[r] + 1]
            if end - begin >= len(x):
                x = np.empty(2 * (end - begin), np.float32)
                features = np.empty(len(x), np.uint32)
            # Places are looked up first, so that many fetches from memory are under way at a time.
            known = 0
            for j in range(begin, end):
                p = position[ids[j] & mask]
                features[known] = np.uint32(p)
                x[known] = tf[ids[j] >> np.uint32(ID_BITS)]
                known += p >= 0
            size = 0
            norm = np.float32(0)
            for j in range(known):
                random ^= random << np.uint64(13)  # xorshift64 (Marsaglia 2003)
                random ^= random >> np.uint64(7)
                random ^= random << np.uint64(17)
                if (random >> np.uint64(20)) & np.uint64(65535) < threshold:
                    continue
                f = features[j]
                v = idf[f] * x[j]
                features[size] = f
                x[size] = v
                norm += v * v
                size += 1
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
            length = np.float32(0)
            for k in range(n_classes):
                g[k] *= class_weights[label]
                length += g[k] * g[k]
                bias_squares[k] += g[k] * g[k]
                bias[k] -= np.float32(0.1) * rate * g[k] / np.sqrt(bias_squares[k])
            for j in range(size):
                f = features[j]
                v = x[j]
                s = squares[f] + v * v * length
                squares[f] = s
                v = rate * v / np.sqrt(s)
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
    mask = np.uint32(ID_MASK)
    width = weights.shape[1]
    z = np.zeros(width, np.float32)
    longest = 0
    for i in range(first, last):
        longest = max(longest, indptr[rows[i] + 1] - indptr[rows[i]])
    features = np.empty(longest + 1, np.int32)
    values = np.empty(longest + 1, np.float32)
    for i in range(first, last):
        # Places are looked up first and weights fetched after: so many fetches from memory are under way at
        # a time, and the time of a review falls by a third.
        n = 0
        for j in range(indptr[rows[i]], indptr[rows[i] + 1]):
            features[n] = position[ids[j] & mask]
            values[n] = tf[ids[j] >> np.uint32(ID_BITS)]
            n += features[n] >= 0
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
