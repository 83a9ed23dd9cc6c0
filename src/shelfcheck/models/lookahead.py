"""Look up the n-grams of a review before its turn, so that what it needs of a large matrix is in the cache.

A review names a hundred rows of a matrix of hundreds of megabytes, and nearly all that learning from it costs
is waiting for them. So each kernel works on one review, has asked for the rows of the next, and for the
places of the n-grams of the one after that. Prefetching changes no result.

Import this module only where a kernel is called: it loads Numba.
"""

# ruff: noqa: PLR0917 - kernels take arrays one by one

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from shelfcheck.models.ngram_kernels import ID_BITS, ID_MASK

Array = Any  # Numba's view of a NumPy array; shapes and types stand in the docstrings

_function: Any = cgutils.get_or_insert_function  # untyped
_LINE = 16  # float32 in a line of the cache, 64 bytes


def _prefetch(_context: Any, array: Any, place: Any) -> Any:
    """How Numba is to spell `prefetch`: its signature, and what makes its code."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind, number = signature.args
        data = context.make_array(kind)(context, builder, arguments[0]).data
        at = builder.gep(data, [context.cast(builder, arguments[1], number, types.intp)])
        at = builder.bitcast(at, ir.IntType(8).as_pointer())
        flag = ir.IntType(32)
        shape = ir.FunctionType(ir.VoidType(), [at.type, flag, flag, flag])
        asked = _function(builder.module, shape, "llvm.prefetch.p0")
        builder.call(asked, [at, flag(0), flag(3), flag(1)])  # to read, into every cache, data
        return context.get_dummy_value()

    return types.void(array, place), generate


prefetch: Any = intrinsic(_prefetch)
"""Asks for the line of the cache that holds an element of an array, `prefetch(array, place)`; of one with
more dimensions, `place` counts elements in C order. A place outside the array does no harm."""


@njit(cache=True, nogil=True)
def ask_places(ids: Array, first: int, last: int, position: Array) -> None:
    """Ask for the places of the n-grams first..last-1 of `ids`."""
    mask = np.uint32(ID_MASK)
    for j in range(first, last):
        prefetch(position, ids[j] & mask)


@njit(cache=True, nogil=True)
def look_up(
    ids: Array, first: int, last: int, position: Array, tf: Array, features: Array, values: Array
) -> int:
    """The known n-grams among first..last-1 of `ids`, in their order.

    Args:
        ids: uint32 (nnz), buckets with counts.
        first: first n-gram.
        last: n-gram after the last.
        position: int32 (buckets), number of each n-gram, -1 where a bucket is none.
        tf: float32 (MAX_COUNT), weight of a count.
        features: uint32 (more than last - first), its first elements filled with numbers.
        values: float32 (more than last - first), filled with the weights of the counts.

    Returns:
        How many are known.
    """
    mask = np.uint32(ID_MASK)
    known = 0
    for j in range(first, last):
        p = position[ids[j] & mask]
        features[known] = np.uint32(p)
        values[known] = tf[ids[j] >> np.uint32(ID_BITS)]
        known += p >= 0
    return known


@njit(cache=True, nogil=True)
def leave_out(
    features: Array, values: Array, known: int, threshold: np.uint64, random: np.uint64
) -> tuple[int, np.uint64]:
    """Keep a random part of what `look_up` found: what is left out need not be fetched.

    Args:
        features: uint32, its first `known` elements thinned out, in their order.
        values: float32, likewise.
        known: how many were found.
        threshold: the share to leave out, of 65,536.
        random: state of the generator, not 0.

    Returns:
        How many are kept, and the next state.
    """
    if threshold == 0:
        return known, random
    kept = 0
    for j in range(known):
        random ^= random << np.uint64(13)  # xorshift64 (Marsaglia 2003)
        random ^= random >> np.uint64(7)
        random ^= random << np.uint64(17)
        features[kept], values[kept] = features[j], values[j]
        kept += int((random >> np.uint64(20)) & np.uint64(65535) >= threshold)
    return kept, random


@njit(cache=True, nogil=True)
def ask_rows(features: Array, known: int, flat: Array, width: int) -> None:
    """Ask for the rows of a matrix, float32 (features * width), that the first `known` of `features` name."""
    for j in range(known):
        at = np.int64(features[j]) * width
        for line in range(0, width, _LINE):
            prefetch(flat, at + line)
        prefetch(flat, at + width - 1)  # of rows that do not begin where a line does


@njit(cache=True, nogil=True)
def ask_values(features: Array, known: int, values: Array) -> None:
    """Ask for the elements that the first `known` of `features` name."""
    for j in range(known):
        prefetch(values, features[j])
