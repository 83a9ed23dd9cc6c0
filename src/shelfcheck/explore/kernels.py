"""Loops over reviews in Numba: lengths and tokens of texts, and sums by category."""

# mypy: disable-error-code="no-untyped-def"
# ruff: noqa: PLR0917 - compiled functions take no keywords

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numba import njit, types

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

SUMS: Final = (
    "reviews",
    "rated",
    "stars_1",
    "stars_2",
    "stars_3",
    "stars_4",
    "stars_5",
    "verified_known",
    "verified",
    "vine_known",
    "vine",
    "votes_known",
    "helpful_reviews",
    "helpful_votes",
    "total_votes",
    "characters",
    "characters_squared",
    "tokens",
    "tokens_squared",
)
"""What `add_up` adds up, column by column. Sums are additive: months make years, categories make all."""

_U8 = types.Array(types.uint8, 1, "C", readonly=True)
_I32_IN = types.Array(types.int32, 1, "C", readonly=True)
_I32 = types.Array(types.int32, 1, "C")
_I8 = types.Array(types.int8, 1, "C")
_I64_2 = types.Array(types.int64, 2, "C")


@njit(types.void(_U8, _I32_IN, _I32), cache=True, nogil=True)
def _count_characters(data, offsets, out):  # pragma: no cover
    for row in range(out.size):
        n = np.uint32(0)
        for byte in data[offsets[row] : offsets[row + 1]]:  # a slice is what LLVM makes vectors of
            n += np.uint32((byte & np.uint8(0xC0)) != np.uint8(0x80))  # not inside a UTF-8 sequence
        out[row] = n


@njit(types.void(_U8, _I32_IN, _I32), cache=True, nogil=True)
def _count_tokens(data, offsets, out):  # pragma: no cover
    for row in range(out.size):
        n = np.uint32(offsets[row + 1] > offsets[row])
        for byte in data[offsets[row] : offsets[row + 1]]:
            n += np.uint32(byte == np.uint8(32))
        out[row] = n


def count_characters(texts: pa.Array) -> NDArray[np.int32]:
    """Unicode characters of each text; 0 for null."""
    return _over_bytes(_count_characters, texts)


def count_tokens(texts: pa.Array) -> NDArray[np.int32]:
    """Tokens of each text of tokens that are joined by one space; 0 for null."""
    return _over_bytes(_count_tokens, texts)


def _over_bytes(kernel: Any, texts: pa.Array) -> NDArray[np.int32]:
    _, offsets, data = texts.buffers()
    out = np.empty(len(texts), np.int32)
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    kernel(np.frombuffer(data or b"", np.uint8), ends, out)
    return out


@njit(types.void(_I32, _I32, _I32, _I32, _I8, _I8, _I32, _I32, _I64_2), cache=True, nogil=True)
def add_up(
    groups, stars, helpful, votes, verified, vine, characters, tokens, sums
):  # pragma: no cover - compiled
    """Add reviews to `sums` (groups, len(SUMS)); a negative number is an unknown one."""
    for row in range(groups.size):
        to = sums[groups[row]]
        to[0] += 1
        if 1 <= stars[row] <= 5:
            to[1] += 1
            to[1 + stars[row]] += 1
        if verified[row] >= 0:
            to[7] += 1
            to[8] += verified[row]
        if vine[row] >= 0:
            to[9] += 1
            to[10] += vine[row]
        if helpful[row] >= 0:
            to[11] += 1
            to[12] += helpful[row] > 0
            to[13] += helpful[row]
        if votes[row] > 0:
            to[14] += votes[row]
        to[15] += characters[row]
        to[16] += np.int64(characters[row]) * characters[row]
        to[17] += tokens[row]
        to[18] += np.int64(tokens[row]) * tokens[row]
