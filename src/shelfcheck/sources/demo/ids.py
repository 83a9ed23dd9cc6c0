"""Ids that look like a shop's: a number, mixed one to one, so that none repeats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    import numpy.typing as npt

_DIGITS: Final = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", np.uint8)


def review_ids(index: npt.NDArray[np.uint64], seed: int) -> pa.Array:
    """Ids such as `R1A2B3C4D5E6F7` of distinct numbers: R and 13 base-36 digits of 64 mixed bits."""
    return _encode("R", _mix(index, seed, 64), 13)


def product_ids(index: npt.NDArray[np.uint64], seed: int) -> pa.Array:
    """Ids such as `B00A1B2C3D` of distinct numbers: B and 9 base-36 digits of 46 mixed bits."""
    return _encode("B", _mix(index, seed + 1, 46), 9)


def _mix(index: npt.NDArray[np.uint64], seed: int, bits: int) -> npt.NDArray[np.uint64]:
    """A permutation of the numbers below 2**bits: odd multipliers and shifted exclusive ors."""
    mask = np.uint64(2**bits - 1)
    value = (index + np.uint64(seed * 0x9E3779B97F4A7C15 % 2**64)) & mask
    for multiplier in (0xBF58476D1CE4E5B9, 0x94D049BB133111EB):
        value ^= value >> np.uint64(bits // 2)
        value = (value * np.uint64(multiplier)) & mask
    return value ^ (value >> np.uint64(bits // 2))


def _encode(letter: str, value: npt.NDArray[np.uint64], width: int) -> pa.Array:
    text = np.empty((len(value), width + 1), np.uint8)
    text[:, 0] = ord(letter)
    value = value.copy()
    for place in range(width, 0, -1):
        value, digit = np.divmod(value, np.uint64(36))
        text[:, place] = _DIGITS[digit]
    offsets = np.arange(len(value) + 1, dtype=np.int32) * (width + 1)
    return pa.StringArray.from_buffers(len(value), pa.py_buffer(offsets), pa.py_buffer(text.reshape(-1)))
