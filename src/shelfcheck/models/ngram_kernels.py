"""Numba kernels that hash n-grams.

Each takes and fills NumPy arrays and releases the GIL, so that threads work on parts of the rows.
An encoded n-gram is one uint32: the low 26 bits hold its bucket, the high 6 bits how often it stands in the
review, less one, at most 63.

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


@njit(cache=True, nogil=True)
def mix(h: Any) -> Any:
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
        out[i] = mix(h)


@njit(cache=True, nogil=True)
def _prefix(data: Array, first: int, last: int, letters: int) -> Any:
    """Key of the first letters of the word at first..last-1, 0 where it has no more than these."""
    h = PREFIX_BASIS
    met = 0
    for i in range(first, last):
        if data[i] & np.uint8(0xC0) != 0x80:  # not inside a UTF-8 sequence: a letter begins
            if met == letters:
                return mix(h)
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
                word = mix(h)
                for gram in range(min(words, word_ngrams - 1), 0, -1):
                    ending[gram] = mix(ending[gram - 1] * step + word)
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
