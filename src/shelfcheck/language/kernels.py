"""Numba kernels of the language shift: sums over chosen reviews, and permutations of reviews.

Reviews are rows of a sparse matrix: `indptr` int64 (n + 1), `ids` int32 (nnz) terms, `times` int32 (nnz) how
often each stands in the review. Import this module only where a kernel is called: it loads Numba.
"""

# ruff: noqa: C901, D417, PLR0917 - kernels take arrays one by one, described together, and a call a row costs

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

Array = Any  # Numba's view of a NumPy array; shapes and types stand in the docstrings


@njit(cache=True, nogil=True)
def add_rows(indptr: Array, ids: Array, times: Array, rows: Array, out: Array) -> None:
    """Add the terms of some rows to counts.

    Args:
        indptr, ids, times: the matrix.
        rows: int64 (m), which rows.
        out: int64 (n_terms), added to.
    """
    for i in range(len(rows)):
        for j in range(indptr[rows[i]], indptr[rows[i] + 1]):
            out[ids[j]] += times[j]


@njit(cache=True, nogil=True)
def divergence(a: Array, b: Array, n_log_n: Array) -> Any:
    """Jensen-Shannon divergence in bits of two count vectors, as `divergence.jensen_shannon` has it.

    Args:
        a, b: int64 (n_terms).
        n_log_n: float64, n ln n of 0, 1, ...; of larger counts it is computed.
    """
    total_a, total_b = 0, 0
    for i in range(len(a)):
        total_a += a[i]
        total_b += b[i]
    if total_a == 0 or total_b == 0:
        return np.nan
    inside, mixed = 0.0, 0.0
    most = len(n_log_n)
    half_a, half_b = 0.5 / total_a, 0.5 / total_b
    for i in range(len(a)):
        x, y = a[i], b[i]
        if x + y == 0:
            continue
        log_x = n_log_n[x] if x < most else x * np.log(x)
        log_y = n_log_n[y] if y < most else y * np.log(y)
        inside += log_x * half_a + log_y * half_b
        m = x * half_a + y * half_b
        mixed += m * np.log(m)
    # sum of p ln p = (sum of x ln x) / n - ln n
    inside -= 0.5 * np.log(total_a) + 0.5 * np.log(total_b)
    return max(0.0, (inside - mixed) / np.log(2.0))


@njit(cache=True, nogil=True)
def shared_top(a: Array, b: Array, weight: Array, k: int) -> Any:
    """Per cent of the k terms of largest counts x weight that two count vectors share.

    Args:
        a, b: int64 (n_terms).
        weight: float64 (n_terms), > 0.
        k: how many.
    """
    in_a, of_a = _top(a, weight, k)
    in_b, of_b = _top(b, weight, k)
    shared = 0
    for i in range(len(a)):
        if in_a[i] and in_b[i]:
            shared += 1
    return 100.0 * shared / max(1, of_a, of_b)


@njit(cache=True, nogil=True)
def _top(counts: Array, weight: Array, k: int) -> Any:
    n = len(counts)
    score = np.empty(n)
    positive = 0
    for i in range(n):
        score[i] = -counts[i] * weight[i]
        if counts[i] > 0:
            positive += 1
    chosen = np.zeros(n, np.bool_)
    if positive <= k:
        for i in range(n):
            chosen[i] = counts[i] > 0
        return chosen, positive
    limit = np.partition(score, k - 1)[k - 1]
    taken = 0
    for i in range(n):
        if score[i] < limit:
            chosen[i] = True
            taken += 1
    for i in range(n):  # of equal ones the first terms, as `top_terms` has it
        if taken < k and score[i] == limit:
            chosen[i] = True
            taken += 1
    return chosen, taken


@njit(cache=True, nogil=True)
def permute(
    indptr: Array,
    ids: Array,
    times: Array,
    unit_of_row: Array,
    in_b: Array,
    segment: Array,
    weight: Array,
    near_top: Array,
    k: int,
    n_log_n: Array,
    seed: int,
    divergences: Array,
    overlaps: Array,
    sums: Array,
    squares: Array,
) -> None:
    """Shuffle units between two groups and measure each time; as often as `divergences` is long.

    Args:
        indptr, ids, times: reviews of both groups, (n).
        unit_of_row: int64 (n), the unit that each review moves with.
        in_b: bool (n_units), units of the second group.
        segment: int64 (n_segments + 1), bounds of the units that may change places.
        weight: float64 (n_near), weights of the terms in `near_top`.
        near_top: int64 (n_near), terms that may come to the top.
        k: terms at the top.
        n_log_n: see `divergence`.
        seed: of the first shuffle; each has its own.
        divergences, overlaps: float64 (shuffles), filled.
        sums, squares: float64 (n_terms), added to: differences of shares, b less a, and their squares.
    """
    terms = len(sums)
    n = len(unit_of_row)
    total = np.zeros(terms, np.int64)
    for j in range(indptr[n]):
        total[ids[j]] += times[j]
    of_b = 0
    for i in range(n):
        if in_b[unit_of_row[i]]:
            of_b += indptr[i + 1] - indptr[i]
    count_b = 2 * of_b <= indptr[n]  # the rows of the smaller group are added up
    label = in_b.copy()
    smaller = np.empty(terms, np.int64)
    larger = np.empty(terms, np.int64)
    for shuffle in range(len(divergences)):
        np.random.seed(seed + shuffle)  # noqa: NPY002 - Numba's own generator, of this thread
        for s in range(len(segment) - 1):
            for i in range(segment[s + 1] - 1, segment[s], -1):
                j = segment[s] + np.random.randint(0, i + 1 - segment[s])  # noqa: NPY002
                label[i], label[j] = label[j], label[i]
        smaller[:] = 0
        for i in range(n):
            if label[unit_of_row[i]] == count_b:
                for j in range(indptr[i], indptr[i + 1]):
                    smaller[ids[j]] += times[j]
        words = 0
        for t in range(terms):
            larger[t] = total[t] - smaller[t]
            words += smaller[t]
        divergences[shuffle] = divergence(smaller, larger, n_log_n)
        overlaps[shuffle] = shared_top(smaller[near_top], larger[near_top], weight, k)
        rest = total.sum() - words
        if words == 0 or rest == 0:
            continue
        sign = 1.0 if count_b else -1.0
        for t in range(terms):
            difference = sign * (smaller[t] / words - larger[t] / rest)
            sums[t] += difference
            squares[t] += difference * difference
