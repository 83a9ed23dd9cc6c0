"""The byte-level tokens kernel: UTF-8 in, UTF-8 out, without the interpreter lock.

It does what `clean.clean` and `tokens.reference` define, for every row that it can
do exactly; it marks the others (a few in a thousand: capital sigma, `İ`, rare named
entities, product links) with `SLOW`, and the caller gives them to Python.

Importing this module compiles the kernel or loads it from Numba's cache.
"""

# A kernel is one loop over bytes: split into small functions it compiles and runs slower.
# ruff: noqa: C901, PLR0912, PLR0915, PLR0917, PLR1714
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit, types

SLOW: Final = -1

# Classes of a byte; larger values are the lower-cased byte itself.
SPACE: Final = 1
DELETE: Final = 2
MULTI: Final = 3  # first or further byte of a character beyond ASCII

# Classes of a code point below U+10000; larger values are the lower-cased code point.
BY_PYTHON: Final = 0  # lower-casing depends on context, or makes the text longer
FIRST_UNCASED: Final = 0x1F000  # from here on no character has case or is white space (a test checks)

# Short stop words stand in a table of their bytes, at a place that their product with MULTIPLIER gives.
ZERO: Final = np.uint64(0)
ONE: Final = np.uint64(1)
EIGHT: Final = np.uint64(8)
HALF: Final = np.uint64(32)
MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ / golden ratio (Knuth, TAOCP 3, 6.4)

_U8_IN = types.Array(types.uint8, 1, "C", readonly=True)
_U8 = types.Array(types.uint8, 1, "C")
_U16 = types.Array(types.uint16, 1, "C")
_U64 = types.Array(types.uint64, 1, "C")
_I32_IN = types.Array(types.int32, 1, "C", readonly=True)
_I32 = types.Array(types.int32, 1, "C")

_helper = njit(nogil=True)


@_helper
def _contains(slots, starts, words, buffer, begin, end):  # pragma: no cover
    """Whether buffer[begin:end] is one of the words of a hash set (FNV-1a, open addressing)."""
    h = np.uint32(2166136261)
    for i in range(begin, end):
        h = np.uint32((h ^ np.uint32(buffer[i])) * np.uint32(16777619))
    mask = np.uint32(slots.size - 1)
    at = h & mask
    while slots[at] >= 0:
        word = slots[at]
        if starts[word + 1] - starts[word] == end - begin:
            same = True
            for i in range(end - begin):
                if words[starts[word] + i] != buffer[begin + i]:
                    same = False
                    break
            if same:
                return True
        at = (at + np.uint32(1)) & mask
    return False


@_helper
def _alnum(c):  # pragma: no cover
    return 48 <= c <= 57 or 65 <= c <= 90 or 97 <= c <= 122


@_helper
def _unescape(text, begin, end, out):  # pragma: no cover
    """Resolve character references of text[begin:end] into out; the length, or SLOW."""
    w = 0
    i = begin
    while i < end:
        c = text[i]
        i += 1
        if c != 38:  # &
            out[w] = c
            w += 1
            continue
        if i < end and text[i] == 35:  # &#
            j = i + 1
            value = 0
            digits = 0
            if j < end and (text[j] | 32) == 120:  # &#x
                j += 1
                while j < end and digits < 8:
                    d = text[j]
                    if 48 <= d <= 57:
                        value = value * 16 + (d - 48)
                    elif 97 <= (d | 32) <= 102:
                        value = value * 16 + ((d | 32) - 87)
                    else:
                        break
                    digits += 1
                    j += 1
            else:
                while j < end and digits < 8 and 48 <= text[j] <= 57:
                    value = value * 10 + (text[j] - 48)
                    digits += 1
                    j += 1
            if digits == 0:
                out[w] = c
                w += 1
                continue
            if digits == 8:
                return SLOW
            if j < end and text[j] == 59:
                j += 1
            if 32 <= value < 127:
                out[w] = value
                w += 1
            elif 160 <= value < 0x800:
                out[w] = 0xC0 | (value >> 6)
                out[w + 1] = 0x80 | (value & 63)
                w += 2
            elif 0x800 <= value < 0xD800:
                out[w] = 0xE0 | (value >> 12)
                out[w + 1] = 0x80 | ((value >> 6) & 63)
                out[w + 2] = 0x80 | (value & 63)
                w += 3
            else:  # controls, surrogates, astral characters, replacements for Windows-1252
                return SLOW
            i = j
            continue
        left = end - i
        if left < 2 or not _alnum(text[i]) or text[i] < 58 or not _alnum(text[i + 1]):
            out[w] = c  # no name starts like this: every one has two letters or digits, the first a letter
            w += 1
            continue
        if left >= 3 and text[i + 1] == 116 and text[i + 2] == 59 and (text[i] == 108 or text[i] == 103):
            out[w] = 60 if text[i] == 108 else 62  # lt; gt;
            w += 1
            i += 3
        elif left >= 4 and text[i] == 97 and text[i + 1] == 109 and text[i + 2] == 112 and text[i + 3] == 59:
            out[w] = 38  # amp;
            w += 1
            i += 4
        elif (
            left >= 5
            and text[i] == 113
            and text[i + 1] == 117
            and text[i + 2] == 111
            and text[i + 3] == 116
            and text[i + 4] == 59
        ):
            out[w] = 34  # quot;
            w += 1
            i += 5
        elif (
            left >= 5
            and text[i] == 110
            and text[i + 1] == 98
            and text[i + 2] == 115
            and text[i + 3] == 112
            and text[i + 4] == 59
        ):
            out[w] = 0xC2  # nbsp;
            out[w + 1] = 0xA0
            w += 2
            i += 5
        else:
            return SLOW
    return w


@_helper
def _strip_tags(text, size, tag_slots, tag_starts, tag_words, name):  # pragma: no cover
    """Replace the tags of text[:size] by spaces, in place; the new length, or SLOW for shop markup."""
    w = 0
    i = 0
    while i < size:
        c = text[i]
        i += 1
        if c == 91 and i + 1 < size and text[i] == 91:  # [[
            first = text[i + 1] | 32
            if first == 97 or first == 118:  # asin, videoid
                return SLOW
        if c == 60:  # <
            j = i
            if j < size and text[j] == 47:  # /
                j += 1
            n = np.int64(0)
            while j < size and n < name.size and _alnum(text[j]):
                name[n] = text[j] if text[j] < 58 else text[j] | 32
                n += 1
                j += 1
            if n > 0 and j < size:
                d = text[j]
                closes = (d == 62 or d == 47 or d == 32 or 9 <= d <= 13) and d != 11
                if closes and _contains(tag_slots, tag_starts, tag_words, name, np.int64(0), n):
                    while j < size and text[j] != 62 and text[j] != 60:
                        j += 1
                    if j < size and text[j] == 62:
                        c = np.uint8(32)
                        i = j + 1
        text[w] = c
        w += 1
    return w


@_helper
def _split(  # pragma: no cover
    text, begin, end, classes, lower, keys, slots, starts, words, longest, out, w
):
    """Write the tokens of text[begin:end] to out[w:], joined by spaces; the new end, or SLOW."""
    mask = np.uint64(keys.size - 1)
    row = w
    token = w
    plain = True  # the token is ASCII
    key = ZERO  # the last eight bytes of the token
    i = begin
    while True:
        if i < end:
            c = text[i]
            k = classes[c]
            if k > MULTI:
                out[w] = k
                key = (key << EIGHT) | np.uint64(k)
                w += 1
                i += 1
                continue
            if k == DELETE:
                i += 1
                continue
            if k == MULTI:
                if 0xC2 <= c < 0xE0 and i + 1 < end and (text[i + 1] & 0xC0) == 0x80:
                    point = ((c & 31) << 6) | (text[i + 1] & 63)
                    i += 2
                elif (
                    0xE0 <= c < 0xF0
                    and i + 2 < end
                    and (text[i + 1] & 0xC0) == 0x80
                    and (text[i + 2] & 0xC0) == 0x80
                ):
                    point = ((c & 15) << 12) | ((text[i + 1] & 63) << 6) | (text[i + 2] & 63)
                    i += 3
                    if point < 0x800:
                        return SLOW
                elif (
                    0xF0 <= c < 0xF5
                    and i + 3 < end
                    and (text[i + 1] & 0xC0) == 0x80
                    and (text[i + 2] & 0xC0) == 0x80
                    and (text[i + 3] & 0xC0) == 0x80
                ):
                    point = ((c & 7) << 18) | ((text[i + 1] & 63) << 12)
                    if point < FIRST_UNCASED or point >= 0x110000:
                        return SLOW
                    for j in range(i, i + 4):
                        out[w] = text[j]
                        w += 1
                    plain = False
                    i += 4
                    continue
                else:
                    return SLOW
                low = lower[point]
                if low == BY_PYTHON:
                    return SLOW
                if low != SPACE:
                    if low < 0x80:  # the Kelvin sign
                        out[w] = low
                        key = (key << EIGHT) | np.uint64(low)
                        w += 1
                        continue
                    plain = False
                    if low < 0x800:
                        out[w] = 0xC0 | (low >> 6)
                        out[w + 1] = 0x80 | (low & 63)
                        w += 2
                    else:
                        out[w] = 0xE0 | (low >> 12)
                        out[w + 1] = 0x80 | ((low >> 6) & 63)
                        out[w + 2] = 0x80 | (low & 63)
                        w += 3
                    continue
            else:
                i += 1
        if w > token:  # white space or the end of the text closes a token
            size = w - token
            stop = False
            if size <= 8 and plain:
                at = ((key * MULTIPLIER) >> HALF) & mask
                while keys[at] != ZERO:
                    if keys[at] == key:
                        stop = True
                        break
                    at = (at + ONE) & mask
            elif size <= longest:
                stop = _contains(slots, starts, words, out, token, w)
            if stop:
                w = token
            elif i < end:
                out[w] = 32
                w += 1
                token = w
            key = ZERO
            plain = True
        if i >= end:
            break
    if w > row and w == token:
        w -= 1  # the space after the last token kept
    return w


@njit(
    types.int64(
        *(_U8_IN, _I32_IN, types.int64, types.int64, _U8, _U16),
        *(_U64, _I32, _I32, _U8, types.int64),
        *(_I32, _I32, _U8),
        *(_U8, _U8, _U8_IN, _U8, _I32),
    ),
    cache=True,
    nogil=True,
)
def tokenise(  # pragma: no cover
    text,  # (bytes,) uint8, of all rows
    offsets,  # (n_rows + 1,) int32
    first,  # first row
    last,  # row after the last
    classes,  # (256,) uint8
    lower,  # (65536,) uint16
    keys,  # stop words of at most eight ASCII characters: (power of two,) their bytes as a number, 0 is free
    slots,  # other stop words: hash slots, power of two, -1 is free
    starts,  # other stop words: (n_words + 1,) positions in words
    words,  # other stop words: bytes
    longest,  # bytes of the longest of them
    tag_slots,  # HTML elements, likewise
    tag_starts,
    tag_words,
    name,  # scratch, longer than the longest HTML element
    scratch,  # scratch, as long as the longest row
    cleaned,  # the same memory, typed as `text` is, so that what reads either is compiled once
    out,  # (bytes of the rows + n_rows,) uint8
    lengths,  # (n_rows,) int32, bytes of each row's tokens, SLOW where Python must do it
):
    """Tokens of the rows [first, last); returns the bytes written to out."""
    w = np.int64(0)
    for row in range(first, last):
        begin = np.int64(offsets[row])
        end = np.int64(offsets[row + 1])
        source = text
        markup = 0
        for i in range(begin, end):  # no early exit: this loop is vectorised
            c = text[i]
            markup |= (c == 38) | (c == 60) | (c == 91)
        if markup:
            size = _unescape(text, begin, end, scratch)
            if size >= 0:
                size = _strip_tags(scratch, size, tag_slots, tag_starts, tag_words, name)
            if size < 0:
                lengths[row - first] = SLOW
                continue
            source = cleaned
            begin = np.int64(0)
            end = size
        done = _split(source, begin, end, classes, lower, keys, slots, starts, words, longest, out, w)
        if done < 0:
            lengths[row - first] = SLOW
            continue
        lengths[row - first] = done - w
        w = done
    return w
