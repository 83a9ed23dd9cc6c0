"""Numba kernels that sort reviews by product and time.

Each takes and fills NumPy arrays and releases the GIL. Import this module only where a kernel is called: it
loads Numba.
"""

# ruff: noqa: PLR0917 - kernels take arrays one by one, and a call a row would cost

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from shelfcheck.models.encoded import NO_DAY, NO_PRODUCT

Array = Any  # Numba's view of a NumPy array; shapes and types stand in the docstrings

_NO_PRODUCT = np.uint32(NO_PRODUCT)
_NO_DAY = np.int32(NO_DAY)


@njit(cache=True, nogil=True)
def deal(product: Array, day: Array, stars: Array, wanted: Array, ends: Array, out: Array) -> None:
    """Put the usable reviews of wanted products together, in the order of the rows.

    Args:
        product: uint32 (n).
        day: int32 (n).
        stars: int8 (n), 0 where not known.
        wanted: bool (products).
        ends: int64 (products), where each product begins in `out`; changed.
        out: uint32, filled with rows.
    """
    for i in range(len(product)):
        p = product[i]
        if p != _NO_PRODUCT and day[i] != _NO_DAY and stars[i] > 0 and wanted[p]:
            out[ends[p]] = i
            ends[p] += 1


@njit(cache=True, nogil=True)
def in_time(
    starts: Array, first: int, last: int, day: Array, customer: Array, rows: Array, sizes: Array
) -> None:
    """Order the reviews of products by day, and drop all but the first of each known customer.

    Args:
        starts: int64 (products + 1), where each product begins in `rows`.
        first: first product.
        last: product to stop before.
        day: int32 (n).
        customer: uint64 (n), 0 where not known.
        rows: uint32, changed: each product's reviews that are kept stand first.
        sizes: int64 (products), filled: how many are kept.
    """
    for product in range(first, last):
        a, b = starts[product], starts[product + 1]
        n = b - a
        if n == 0:
            continue
        days = np.empty(n, np.int32)
        for i in range(n):
            days[i] = day[rows[a + i]]
        own = rows[a:b][np.argsort(days, kind="mergesort")]
        keys = np.empty(n, np.uint64)
        for i in range(n):
            keys[i] = customer[own[i]]
        order = np.argsort(keys, kind="mergesort")  # of one customer, the first stays the first
        again = np.zeros(n, np.bool_)
        for i in range(1, n):
            again[order[i]] = keys[order[i]] != 0 and keys[order[i]] == keys[order[i - 1]]
        kept = 0
        for i in range(n):
            if not again[i]:
                rows[a + kept] = own[i]
                kept += 1
        sizes[product] = kept


@njit(cache=True, nogil=True)
def close_up(starts: Array, products: Array, sizes: Array, rows: Array, out: Array) -> None:
    """Copy what is kept of some products one after another.

    Args:
        starts: int64, where each product begins in `rows`.
        products: int64 (m), ascending.
        sizes: int64, how many are kept of each product.
        rows: uint32.
        out: uint32, filled.
    """
    at = 0
    for product in products:
        for i in range(sizes[product]):
            out[at] = rows[starts[product] + i]
            at += 1
