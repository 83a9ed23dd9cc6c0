"""128-bit fingerprints of rows: equal content, equal fingerprint, on every machine.

MurmurHash3_x64_128 (Austin Appleby, public domain) of each column in turn, the hash of the
columns before it as the seed. Two different rows of 150 million share one by chance
with a probability of 10⁻²²; it is no defence against someone who builds a collision.
"""

# mypy: disable-error-code="no-untyped-def, call-overload"

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
from numba import njit, types

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_C1: Final = np.uint64(0x87C37B91114253D5)
_C2: Final = np.uint64(0x4CF5AD432745937F)
_M1: Final = np.uint64(0xFF51AFD7ED558CCD)
_M2: Final = np.uint64(0xC4CEB9FE1A85EC53)
_NULL_SIZE: Final = np.uint64(0xFFFFFFFFFFFFFFFF)  # no text has this size, so null differs from ''

_U8_IN = types.Array(types.uint8, 1, "C", readonly=True)
_I32_IN = types.Array(types.int32, 1, "C", readonly=True)
_U64 = types.Array(types.uint64, 1, "C")
_BOOL = types.Array(types.boolean, 1, "C")

_helper = njit(cache=True, nogil=True)


@_helper
def _rotate(x, bits):  # pragma: no cover
    return (x << np.uint64(bits)) | (x >> np.uint64(64 - bits))


@_helper
def _final(x):  # pragma: no cover
    x = (x ^ (x >> np.uint64(33))) * _M1
    x = (x ^ (x >> np.uint64(33))) * _M2
    return x ^ (x >> np.uint64(33))


@njit(types.void(_U8_IN, _I32_IN, _BOOL, _U64, _U64), cache=True, nogil=True)
def _mix(data, offsets, valid, low, high):  # pragma: no cover
    """Hash every row's bytes with its (low, high) as the seed, in place."""
    for row in range(valid.size):
        h1 = low[row]
        h2 = high[row]
        size = _NULL_SIZE
        if valid[row]:
            begin = np.int64(offsets[row])
            end = np.int64(offsets[row + 1])
            size = np.uint64(end - begin)
            for block in range(begin, end, 16):
                k1 = np.uint64(0)
                k2 = np.uint64(0)
                if block + 16 <= end:
                    for i in range(8):
                        k1 |= np.uint64(data[block + i]) << np.uint64(8 * i)
                        k2 |= np.uint64(data[block + 8 + i]) << np.uint64(8 * i)
                else:
                    for i in range(min(8, end - block)):
                        k1 |= np.uint64(data[block + i]) << np.uint64(8 * i)
                    for i in range(end - block - 8):
                        k2 |= np.uint64(data[block + 8 + i]) << np.uint64(8 * i)
                    h2 ^= _rotate(k2 * _C2, 33) * _C1
                    h1 ^= _rotate(k1 * _C1, 31) * _C2
                    break
                h1 = (_rotate(h1 ^ (_rotate(k1 * _C1, 31) * _C2), 27) + h2) * np.uint64(5) + np.uint64(
                    0x52DCE729
                )
                h2 = (_rotate(h2 ^ (_rotate(k2 * _C2, 33) * _C1), 31) + h1) * np.uint64(5) + np.uint64(
                    0x38495AB5
                )
        h1 ^= size
        h2 ^= size
        h1 += h2
        h2 += h1
        h1 = _final(h1)
        h2 = _final(h2)
        h1 += h2
        h2 += h1
        low[row] = h1
        high[row] = h2


def fingerprints(columns: Sequence[pa.Array]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Fingerprints of rows.

    Args:
        columns: arrays of strings, int32 or date32, each (n,). Null differs from every value.

    Returns:
        The low and the high half, each (n,) uint64.
    """
    rows = len(columns[0])
    low = np.zeros(rows, np.uint64)
    high = np.zeros(rows, np.uint64)
    for column in columns:
        valid = np.ones(rows, np.bool_)
        if column.null_count:
            valid = column.is_valid().to_numpy(zero_copy_only=False)
        buffers = column.buffers()
        if column.type == pa.string():
            offsets = np.frombuffer(buffers[1], np.int32)[column.offset : column.offset + rows + 1]
        else:
            start = 4 * column.offset
            offsets = np.arange(start, start + 4 * rows + 1, 4, dtype=np.int32)
        data = np.frombuffer(buffers[-1] or b"", np.uint8)
        _mix(data, offsets, valid, low, high)
    return low, high
