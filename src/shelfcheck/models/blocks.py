"""Arrays that are as long as the reviews, worked on a block at a time.

NumPy turns every index into 8 bytes a review before it looks anything up; in blocks that stays small. Rows
are numbered in uint32, 4 bytes a review.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    Rows = npt.NDArray[np.uint32]
    Array = npt.NDArray[Any]

BLOCK_ROWS: Final = 1 << 20
_SPARSE: Final = 8  # times as many numbers as codes, from which on codes are sorted


def blocks(n: int, size: int = BLOCK_ROWS) -> Iterator[slice]:
    """Slices that cut 0..n-1 into blocks, in order."""
    for first in range(0, n, size):
        yield slice(first, min(n, first + size))


def where(n: int, test: Callable[[slice], npt.NDArray[np.bool_]]) -> Rows:
    """The rows of 0..n-1 that pass a test, ascending, uint32.

    Args:
        n: number of rows.
        test: bool (rows of the slice), asked a block at a time.
    """
    found = np.empty(n, np.uint32)  # pages that are not written to take no memory
    k = 0
    for block in blocks(n):
        own = np.flatnonzero(test(block))
        found[k : k + len(own)] = own + block.start
        k += len(own)
    return found[:k]


def taken(values: Array, rows: Array) -> Array:
    """`values[rows]`, a block at a time."""
    out = np.empty((len(rows), *values.shape[1:]), values.dtype)
    for block in blocks(len(rows)):
        out[block] = values[rows[block]]
    return out


def counted(codes: Array, minlength: int = 0) -> npt.NDArray[np.int64]:
    """How often each code >= 0 stands in an array of integers; -1 and below are not counted."""
    found = np.zeros(minlength, np.int64)
    for block in blocks(len(codes)):
        own = np.asarray(codes[block])
        more = np.bincount(own[own >= 0], minlength=len(found))
        more[: len(found)] += found
        found = more
    return found


def each(values: Array, change: Callable[[Array], Array], dtype: type[np.generic]) -> Array:
    """What `change` makes of an array, a block at a time; as long as the array."""
    out = np.empty(len(values), dtype)
    for block in blocks(len(values)):
        out[block] = change(values[block])
    return out


def numbered(codes: Array) -> tuple[npt.NDArray[np.int32], int]:
    """Codes from 0 on without gaps, in the same order, -1 where they are below 0; and how many there are.

    Memory: 4 bytes a code, and 5 bytes for each number up to the largest code, unless that is far larger than
    there are codes.

    Args:
        codes: integers (n).
    """
    most = max((int(codes[block].max()) for block in blocks(len(codes))), default=-1)
    if most < 0:
        return np.full(len(codes), -1, np.int32), 0
    if most > _SPARSE * len(codes):
        known, place = np.unique(codes, return_inverse=True)
        below = int(np.searchsorted(known, 0))
        return np.maximum(place - below, -1).astype(np.int32), len(known) - below
    there = np.zeros(most + 1, np.bool_)
    for block in blocks(len(codes)):
        own = codes[block]
        there[own[own >= 0]] = True
    rank = np.cumsum(there, dtype=np.int32)
    count = int(rank[-1])
    rank -= 1
    return each(codes, lambda own: np.where(own < 0, -1, rank[np.maximum(own, 0)]), np.int32), count
