"""`review_tokens`: what a review says, as one string of space-joined tokens.

The definition is `reference`, in plain Python. `tokens` gives the same for Arrow
arrays at some hundred megabytes a second: a byte-level kernel (`kernel.py`) does
nearly every row, `reference` the rest.
"""

from __future__ import annotations

from functools import lru_cache
from string import punctuation
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelfcheck.text.clean import HTML_ELEMENTS, clean
from shelfcheck.text.stopwords import NLTK_ENGLISH, with_forms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shelfcheck.config import TextSettings

_DELETE_PUNCTUATION: Final = str.maketrans("", "", punctuation)
_PART_BYTES: Final = 1 << 20  # least text worth a thread of its own
_MOST_BYTES: Final = 1 << 30  # of one kernel call, so that 32-bit offsets hold


def reference(text: str, stop_words: frozenset[str]) -> str:
    """Tokens of one text by the definition, without stemming.

    Markup goes (`clean`), the text is lower-cased and split on white space, ASCII
    punctuation is deleted inside tokens, stop words and empty tokens are dropped.
    """
    words = (word.translate(_DELETE_PUNCTUATION) for word in clean(text).lower().split())
    return " ".join(word for word in words if word and word not in stop_words)


def stop_words(settings: TextSettings) -> frozenset[str]:
    """The stop words that hold under the settings, in the forms in which tokens arrive."""
    return _stop_words(settings.stop_words, settings.extra_stop_words)


@lru_cache(maxsize=16)
def _stop_words(listed: str, extra: tuple[str, ...]) -> frozenset[str]:
    return with_forms((NLTK_ENGLISH if listed == "english" else ()) + extra)


def tokens(texts: pa.Array | pa.ChunkedArray, settings: TextSettings, threads: int = 1) -> pa.Array:
    """Tokens of each text; null stays null.

    Args:
        texts: strings, (n,).
        settings: stop words and stemmer.
        threads: threads to use, at least 1.

    Returns:
        A string array, (n,): tokens joined by one space; equal for any number of threads.

    Raises:
        ValueError: the settings name a stemmer that Snowball does not have.
    """
    chunks = texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]
    chunks = chunks or [pa.array([], pa.string())]
    tables = _tables(stop_words(settings))
    parts = [part for chunk in chunks for part in _parts(_as_string(chunk), threads)]
    if threads > 1 and len(parts) > 1:
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - not needed by most callers

        with ThreadPoolExecutor(threads) as pool:
            done = list(pool.map(lambda part: _tokens(part, tables), parts))
    else:
        done = [_tokens(part, tables) for part in parts]
    result = pa.concat_arrays(done) if len(done) != 1 else done[0]
    if settings.stemmer is not None:
        from shelfcheck.text.stem import stem  # noqa: PLC0415 - pulls Snowball

        result = stem(result, settings.stemmer)
    return result


class _WordSet(NamedTuple):
    """A set of words that the kernel can look into."""

    slots: NDArray[np.int32]  # (power of two,) index of a word, -1 is free
    starts: NDArray[np.int32]  # (n_words + 1,)
    words: NDArray[np.uint8]  # bytes of all words
    longest: int  # bytes

    @classmethod
    def of(cls, words: list[str]) -> _WordSet:
        encoded = [word.encode() for word in words]
        size = 1 << max(3, (4 * len(words)).bit_length())
        slots = np.full(size, -1, np.int32)
        for index, word in enumerate(encoded):
            h = 2166136261
            for byte in word:
                h = (h ^ byte) * 16777619 & 0xFFFFFFFF
            at = h & (size - 1)
            while slots[at] >= 0:
                at = (at + 1) & (size - 1)
            slots[at] = index
        starts = np.zeros(len(words) + 1, np.int32)
        starts[1:] = np.cumsum([len(word) for word in encoded]) if words else 0
        blob = np.frombuffer(b"".join(encoded) or b"\0", np.uint8).copy()
        return cls(slots, starts, blob, max(map(len, encoded), default=0))


def _short_keys(words: list[str]) -> NDArray[np.uint64]:
    """Words of at most eight ASCII characters, as the kernel looks them up."""
    from shelfcheck.text import kernel  # noqa: PLC0415 - pulls Numba

    size = 1 << max(10, (8 * len(words)).bit_length())  # sparse, so that one look is nearly always enough
    keys = np.zeros(size, np.uint64)
    for word in words:
        key = int.from_bytes(word.encode(), "big")
        at = (key * int(kernel.MULTIPLIER) % 2**64 >> int(kernel.HALF)) & (size - 1)
        while keys[at]:
            at = (at + 1) & (size - 1)
        keys[at] = key
    return keys


class Tables(NamedTuple):
    """What the kernel looks characters, stop words and HTML elements up in."""

    stop_words: frozenset[str]
    classes: NDArray[np.uint8]
    lower: NDArray[np.uint16]
    short: NDArray[np.uint64]
    long: _WordSet
    tags: _WordSet


def kernel_tables(settings: TextSettings) -> Tables:
    """The tables for the tokens kernel under the settings."""
    return _tables(stop_words(settings))


@lru_cache(maxsize=16)
def _tables(words: frozenset[str]) -> Tables:
    classes, lower = _characters()
    # A word with white space or punctuation in it can match no token; it would do no harm.
    short = [word for word in sorted(words) if word.isascii() and len(word) <= 8]
    long = [word for word in sorted(words) if not (word.isascii() and len(word) <= 8)]
    return Tables(
        words, classes, lower, _short_keys(short), _WordSet.of(long), _WordSet.of(list(HTML_ELEMENTS))
    )


@lru_cache(maxsize=1)
def _characters() -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """What the kernel does with each byte and each code point, as this Python's `str` has it."""
    from shelfcheck.text import kernel  # noqa: PLC0415 - pulls Numba

    classes = np.full(256, kernel.MULTI, np.uint8)
    for code in range(128):
        character = chr(code)
        if character.isspace():
            classes[code] = kernel.SPACE
        elif character in punctuation:
            classes[code] = kernel.DELETE
        elif code > kernel.MULTI:
            classes[code] = ord(character.lower())
    # U+0000..U+0003 stay MULTI: as bytes they are no start of a sequence, so Python does the row.
    lower = np.full(0x10000, kernel.BY_PYTHON, np.uint16)
    for code in range(0x80, 0x10000):
        if 0xD800 <= code < 0xE000:  # surrogates do not stand in UTF-8
            continue
        character = chr(code)
        low = character.lower()
        if character.isspace():
            lower[code] = kernel.SPACE
        elif len(low) == 1 and len(low.encode()) <= len(character.encode()) and code != 0x3A3:
            lower[code] = ord(low)  # all but sigma, whose form depends on its neighbours
    return classes, lower


def _as_string(array: pa.Array) -> pa.Array:
    if array.type == pa.string():
        return array
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), pa.string())
    return array.cast(pa.string())


def _parts(array: pa.Array, threads: int) -> list[pa.Array]:
    """Slices of about equal bytes, a few for each thread."""
    size = array.nbytes
    count = max(1, size // _MOST_BYTES + 1, min(4 * threads if threads > 1 else 1, size // _PART_BYTES))
    if count == 1 or len(array) < 2:
        return [array]
    step = -(-len(array) // count)
    return [array.slice(start, step) for start in range(0, len(array), step)]


def _tokens(array: pa.Array, tables: Tables) -> pa.Array:
    from shelfcheck.text import kernel  # noqa: PLC0415 - pulls Numba

    rows = len(array)
    _, offset_buffer, data = array.buffers()
    if rows == 0 or data is None or array.null_count == rows:
        return pa.nulls(rows, pa.string()) if array.null_count else pa.array([""] * rows, pa.string())
    offsets = np.frombuffer(offset_buffer, np.int32)[array.offset : array.offset + rows + 1]
    text = np.frombuffer(data, np.uint8)
    out = np.empty(int(offsets[-1]) - int(offsets[0]) + rows, np.uint8)
    lengths = np.empty(rows, np.int32)
    scratch = np.empty(int(np.diff(offsets).max()), np.uint8)
    cleaned = scratch.view()
    cleaned.flags.writeable = False
    written = kernel.tokenise(
        *(text, offsets, 0, rows, tables.classes, tables.lower),
        tables.short,
        *tables.long,
        *tables.tags[:3],
        np.empty(32, np.uint8),
        *(scratch, cleaned),
        *(out, lengths),
    )
    bits: Any = None
    if array.null_count:
        valid = array.is_valid()
        bits = valid.buffers()[1] if valid.offset == 0 else pa.concat_arrays([valid]).buffers()[1]
        lengths[~valid.to_numpy(zero_copy_only=False) & (lengths < 0)] = 0
    slow = np.flatnonzero(lengths < 0)
    if slow.size:
        body = _merge(array, slow, lengths, out[:written], tables.stop_words)
    else:
        body = pa.py_buffer(out[:written].tobytes() if written < out.size // 2 else out[:written])
    ends = np.zeros(rows + 1, np.int32)
    np.cumsum(lengths, out=ends[1:])
    result = pa.StringArray.from_buffers(rows, pa.py_buffer(ends), body, bits)
    return result if array.null_count == 0 else _empty_nulls(result)


def _merge(
    array: pa.Array,
    slow: NDArray[np.int64],
    lengths: NDArray[np.int32],
    fast: NDArray[np.uint8],
    words: frozenset[str],
) -> pa.Buffer:
    """The kernel's bytes with those of the rows that Python must do in between; completes lengths."""
    lengths[slow] = 0
    ends = np.cumsum(lengths, dtype=np.int64)
    view = memoryview(fast.data)
    pieces: list[Any] = []
    begin = 0
    binary = array.cast(pa.binary())
    for row in slow.tolist():
        # A reader may hand over invalid UTF-8; it must not stop the run here.
        encoded = reference(binary[row].as_py().decode("utf-8", "replace"), words).encode()
        lengths[row] = len(encoded)
        pieces += [view[begin : ends[row]], encoded]
        begin = int(ends[row])
    pieces.append(view[begin:])
    return pa.py_buffer(b"".join(pieces))


def _empty_nulls(array: pa.Array) -> pa.Array:
    """Null slots may hold bytes in the input; in the result they hold none."""
    return pc.if_else(array.is_valid(), array, None) if array.null_count else array
