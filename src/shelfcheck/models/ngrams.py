"""Token strings to hashed n-grams, in memory: what the encoder, the model and the explanations share."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from shelfcheck.schema import REVIEW_BODY, REVIEW_HEADLINE, REVIEW_TOKENS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from shelfcheck.config import TextSettings

_SALT: Final = {REVIEW_BODY: 0, REVIEW_HEADLINE: 1}  # keeps a word of the headline apart from one of the body
PREFIX_MARK: Final = "*"  # ends the name of a prefix; tokens have no punctuation
_CHUNK_ROWS: Final = 8192
_LEAST_TABLE: Final = 1 << 12


def thread_count(threads: int) -> int:
    """The number of worker threads meant by a setting: 0 stands for every processor."""
    return (
        threads or len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else threads or os.cpu_count() or 1
    )


def field_tokens(
    batch: pa.RecordBatch | pa.Table, fields: Sequence[str], text: TextSettings, threads: int
) -> list[pa.Array]:
    """The token strings of each field of a batch of reviews.

    `review_tokens` is taken where the batch has it; everything else is made from the text.

    Args:
        batch: reviews, prepared or canonical.
        fields: `review_headline`, `review_body`.
        text: how tokens are made.
        threads: worker threads.

    Returns:
        One string array a field, nulls allowed.
    """
    from shelfcheck.text.tokens import tokens  # noqa: PLC0415 - loads Numba

    names = batch.schema.names
    found = []
    for field in fields:
        if field == REVIEW_BODY and REVIEW_TOKENS in names:
            column = batch.column(REVIEW_TOKENS)
        elif field in names:
            column = tokens(batch.column(field), text, threads)
        else:
            column = pa.nulls(batch.num_rows, pa.string())
        found.append(column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column)
    return found


def encode_tokens(
    columns: Sequence[pa.Array],
    fields: Sequence[str],
    bits: int,
    threads: int = 1,
    *,
    word_ngrams: int = 2,
    prefixes: Sequence[int] = (),
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32]]:
    """Hash the word n-grams of token strings, and prefixes of their words.

    Args:
        columns: token strings of each field, (n,) each; null counts as empty.
        fields: the fields' names, in the same order.
        bits: log2 of the number of buckets.
        threads: worker threads; the result does not depend on it.
        word_ngrams: most words in an n-gram.
        prefixes: numbers of letters: the first letters of a longer word count as a term, too.

    Returns:
        indptr, int64 (n + 1), and ids, uint32 (nnz): bucket in the low 26 bits, count - 1 in the high 6.
    """
    from shelfcheck.models.ngram_kernels import encode_rows  # noqa: PLC0415 - loads Numba

    n = len(columns[0])
    data, offsets = _joined(columns)
    salts = field_salts(fields)
    lengths = np.array(prefixes, np.int64)
    starts = range(0, n, _CHUNK_ROWS)

    def work(first: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
        last = min(n, first + _CHUNK_ROWS)
        # A token and its space take two bytes and give at most `word_ngrams` n-grams and all prefixes.
        room = (offsets[:, first + 1 : last + 1] - offsets[:, first:last] + 2).sum(axis=0)
        room = (room * (word_ngrams + len(prefixes)) + 1) // 2
        table = max(_LEAST_TABLE, 1 << int(2 * room.max()).bit_length())
        out = np.empty(int(room.sum()), np.uint32)
        sizes = np.empty(last - first, np.int64)
        used = encode_rows(data, offsets, salts, first, last, bits, word_ngrams, lengths, table, out, sizes)
        return out[:used].copy(), sizes

    if threads > 1 and len(starts) > 1:
        with ThreadPoolExecutor(threads) as pool:
            parts = list(pool.map(work, starts))
    else:
        parts = [work(first) for first in starts]
    indptr = np.zeros(n + 1, np.int64)
    if parts:
        np.cumsum(np.concatenate([sizes for _, sizes in parts]), out=indptr[1:])
    ids = np.concatenate([out for out, _ in parts]) if parts else np.zeros(0, np.uint32)
    return indptr, ids


def field_salts(fields: Sequence[str]) -> npt.NDArray[np.uint64]:
    """What keeps the n-grams of one field apart from those of another. (fields,)."""
    return np.array([_SALT[field] for field in fields], np.uint64)


def row_keys(identifiers: pa.Array) -> npt.NDArray[np.uint64]:
    """Well-mixed 64-bit keys of strings; rows sorted by them are shuffled, whatever their order was. (n,)."""
    from shelfcheck.models.ngram_kernels import hash_strings  # noqa: PLC0415 - loads Numba

    data, offsets = _joined([identifiers])
    keys = np.empty(len(identifiers), np.uint64)
    hash_strings(data, offsets[0], keys)
    return keys


def terms(token_string: str, word_ngrams: int = 2, prefixes: Sequence[int] = ()) -> list[str]:
    """The distinct word n-grams and prefixes ("guit*") of a token string, as `encode_tokens` meets them."""
    words = token_string.split()
    found: dict[str, None] = {}
    for last, word in enumerate(words):
        for length in range(1, min(last + 1, word_ngrams) + 1):
            found[" ".join(words[last + 1 - length : last + 1])] = None
        for letters in prefixes:
            if len(word) > letters:
                found[word[:letters] + PREFIX_MARK] = None
    return list(found)


def term_buckets(names: Sequence[str], field: str, bits: int) -> npt.NDArray[np.uint32]:
    """The bucket that each word n-gram or prefix is hashed to.

    Args:
        names: words, n-grams joined by spaces, and prefixes with their mark, as `terms` names them, (n,).
        field: the field they stand in.
        bits: log2 of the number of buckets.
    """
    from shelfcheck.models.ngram_kernels import ID_MASK  # noqa: PLC0415 - loads Numba

    longest = max((name.count(" ") + 1 for name in names), default=1)
    found = np.empty(len(names), np.uint32)
    letters = np.array([len(name) - 1 if name.endswith(PREFIX_MARK) else 0 for name in names], np.int64)
    for length in np.unique(letters).tolist():
        # The mark stands for the letter that makes a word longer than its prefix.
        own = pa.array([names[i] for i in np.flatnonzero(letters == length).tolist()], pa.string())
        prefixes = [length] if length else []
        indptr, ids = encode_tokens([own], [field], bits, word_ngrams=longest, prefixes=prefixes)
        # A term comes after all that it is made of, so its own bucket is the last of its row.
        found[letters == length] = ids[indptr[1:] - 1] & np.uint32(ID_MASK)
    return found


def _joined(columns: Sequence[pa.Array]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """All columns' bytes end to end, and offsets into them, (columns, n + 1)."""
    n = len(columns[0])
    offsets = np.zeros((len(columns), n + 1), np.int64)
    pieces = []
    base = 0
    for i, column in enumerate(columns):
        filled = (column if column.type == pa.string() else column.cast(pa.string())).fill_null("")
        _, where, what = filled.buffers()
        if n and where is not None:
            ends = np.frombuffer(where, np.int32)[filled.offset : filled.offset + n + 1].astype(np.int64)
            piece = (
                np.frombuffer(what, np.uint8)[ends[0] : ends[-1]]
                if what is not None
                else np.zeros(0, np.uint8)
            )
            offsets[i] = ends - ends[0] + base
            base += len(piece)
            pieces.append(piece)
    data = np.concatenate(pieces) if pieces else np.zeros(0, np.uint8)
    return data, offsets
