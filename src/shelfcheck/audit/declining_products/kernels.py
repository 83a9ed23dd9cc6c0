"""Numba kernels of the declining products: learn what complaints read like, rank, bet.

Each takes and fills NumPy arrays and releases the GIL. Import this module only where a kernel is called: it
loads Numba.
"""

# ruff: noqa: PLR0917 - kernels take arrays one by one, and a call a row would cost

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from shelfcheck.models.ngram_kernels import ID_MASK

Array = Any  # Numba's view of a NumPy array; shapes and types stand in the docstrings

_FIRST_ACCUMULATOR = np.float32(0.1)


@njit(cache=True, nogil=True)
def learn(
    indptr: Array,
    ids: Array,
    rows: Array,
    target: Array,
    group: Array,
    epochs: int,
    rate: float,
    weight: Array,
    bias: Array,
) -> None:
    """Logistic regression of a target between 0 and 1 on the n-grams of texts, by AdaGrad.

    Args:
        indptr: int64 (n + 1).
        ids: uint32 (nnz), bucket in the low bits.
        rows: int64 (r), rows to learn from, in this order.
        target: float32 (n), 0..1.
        group: int16 (n), whose bias a row has; -1 for the last.
        epochs: passes; the rate falls to 0 linearly.
        rate: first rate.
        weight: float32 (buckets, 2), zeros, filled: weight and sum of squared gradients side by side.
        bias: float32 (groups + 1), zeros, filled.
    """
    mask = np.uint32(ID_MASK)
    seen_bias = np.full(len(bias), _FIRST_ACCUMULATOR, np.float32)
    total = epochs * len(rows)
    done = 0
    for _ in range(epochs):
        for r in rows:
            step = rate * (1.0 - done / total)
            done += 1
            first, last = indptr[r], indptr[r + 1]
            scale = np.float32(1.0 / math.sqrt(max(last - first, 1)))
            g = group[r]
            z = np.float32(0.0)
            for j in range(first, last):
                z += weight[ids[j] & mask, 0]
            z = z * scale + bias[g]
            error = np.float32(target[r] - 1.0 / (1.0 + math.exp(-z)))
            part = error * scale
            square = part * part
            part *= np.float32(step)
            for j in range(first, last):
                w = ids[j] & mask
                weight[w, 1] += square
                weight[w, 0] += part / np.float32(math.sqrt(weight[w, 1] + _FIRST_ACCUMULATOR))
            seen_bias[g] += error * error
            bias[g] += np.float32(step) * error / np.float32(math.sqrt(seen_bias[g]))


@njit(cache=True, nogil=True)
def score(
    indptr: Array, ids: Array, rows: Array, group: Array, weight: Array, bias: Array, out: Array
) -> None:
    """Log odds of rows by what `learn` found, into `out` float32 (n) at their places."""
    mask = np.uint32(ID_MASK)
    for r in rows:
        first, last = indptr[r], indptr[r + 1]
        z = np.float32(0.0)
        for j in range(first, last):
            z += weight[ids[j] & mask, 0]
        out[r] = z / np.float32(math.sqrt(max(last - first, 1))) + bias[group[r]]


@njit(cache=True, nogil=True)
def sequential_ranks(starts: Array, first: int, last: int, value: Array, u: Array, p: Array) -> None:
    """Where each value stands among those before it and itself, as a share from the top.

    p = (number above + u (number equal, itself among them)) / number. Where the values of a product are
    exchangeable, its p are independent and uniform on (0, 1).

    Args:
        starts: int64 (products + 1), where each product begins.
        first: first product.
        last: product to stop before.
        value: float32 (n), by product in order of time.
        u: float32 (n), uniform on (0, 1).
        p: float32 (n), filled.
    """
    for product in range(first, last):
        a, b = starts[product], starts[product + 1]
        n = b - a
        order = np.argsort(value[a:b], kind="mergesort")
        rank = np.empty(n, np.int64)  # 1 for the smallest; equal values share one
        at = 0
        for i in range(n):
            if i == 0 or value[a + order[i]] != value[a + order[i - 1]]:
                at += 1
            rank[order[i]] = at
        tree = np.zeros(at + 1, np.int64)  # Fenwick: how many of each rank so far
        for i in range(n):
            j = rank[i]
            while j <= at:
                tree[j] += 1
                j += j & -j
            up_to, below = 0, 0
            j = rank[i]
            while j > 0:
                up_to += tree[j]
                j -= j & -j
            j = rank[i] - 1
            while j > 0:
                below += tree[j]
                j -= j & -j
            p[a + i] = (i + 1 - up_to + u[a + i] * (up_to - below)) / (i + 1)


@njit(cache=True, nogil=True)
def evidence(
    starts: Array,
    first: int,
    last: int,
    day: Array,
    p: Array,
    table: Array,
    burn_in: int,
    spread: float,
    burst: float,
    log_bet: Array,
    log_m: Array,
) -> None:
    """Log of the wealth of bets against exchangeability that may begin at any review.

    M(n) = sum over starts k of w(k) mean over bets s of prod_{k <= i <= n} f_s(p_i), and the wealth that
    waits for later starts. Of the wealth 1 - spread / (spread + k) has been laid out k reviews after the
    burn-in. The bets on one day's reviews are raised to a power <= 1 where they are many more than on the
    days before, which keeps the mean below 1.

    Args:
        starts: int64 (products + 1).
        first: first product.
        last: product to stop before.
        day: int32 (n), days; equal ones stand together.
        p: float32 (n), small where a review is worse than those before.
        table: float64 (bets, bins), log gain of each bet in equal bins of p; the mean of its exp is 1.
        burn_in: reviews that are only compared with.
        spread: reviews.
        burst: a day counts as at most this many reviews, or as twice the mean of the days before.
        log_bet: float32 (n, bets), filled with the log of each bet's gain, 0 in the burn-in.
        log_m: float32 (n), filled.
    """
    bets, bins = table.shape
    wealth = np.empty(bets, np.float64)  # log of sum_k w(k) prod f, by bet
    for product in range(first, last):
        a, b = starts[product], starts[product + 1]
        wealth[:] = -np.inf
        waiting = 1.0
        days, at_day, power = 0, a, 1.0
        for i in range(a, b):
            if i == a or day[i] != day[i - 1]:
                mean = (i - a) / days if days else 0.0
                days += 1
                at_day = i
                while at_day < b and day[at_day] == day[i]:
                    at_day += 1
                power = min(1.0, max(burst, 2.0 * mean) / (at_day - i))
            if i - a < burn_in:
                log_m[i] = 0.0
                log_bet[i, :] = 0.0
                continue
            left = spread / (i - a - burn_in + 1 + spread)
            start = math.log(waiting - left)
            waiting = left
            at_bin = min(int(p[i] * bins), bins - 1)
            best = -np.inf
            for s in range(bets):
                w = wealth[s]
                w = start if w == -np.inf else max(w, start) + math.log1p(math.exp(-abs(w - start)))
                gain = power * table[s, at_bin]
                log_bet[i, s] = gain
                w += gain
                wealth[s] = w
                best = max(best, w)
            total = 0.0
            for s in range(bets):
                total += math.exp(wealth[s] - best)
            grown = best + math.log(total / bets)
            log_m[i] = grown + math.log1p(waiting * math.exp(-grown)) if grown > -30.0 else math.log(waiting)
