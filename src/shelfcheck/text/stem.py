"""Snowball stems, one look at each distinct token."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import Stemmer


def stem(tokens: pa.Array, language: str) -> pa.Array:
    """Stem every token of space-joined token strings; null stays null.

    Args:
        tokens: strings, (n,), tokens joined by one space, as `tokens` makes them.
        language: a Snowball algorithm, e.g. `english`.

    Raises:
        ValueError: there is no such algorithm.
    """
    if language not in Stemmer.algorithms():
        msg = f"text.stemmer == {language!r}, must be one of: {', '.join(Stemmer.algorithms())}"
        raise ValueError(msg)
    valid = tokens.is_valid()
    lists = pc.split_pattern(pc.fill_null(tokens, ""), " ")
    words = lists.flatten().dictionary_encode()
    stemmer = Stemmer.Stemmer(language)  # not thread-safe, so one a call
    stems = pa.array(stemmer.stemWords(words.dictionary.to_pylist()), pa.string())
    # A stem may be empty (`’s` in English): such tokens go, as empty tokens do.
    flat = pc.take(stems, words.indices)
    kept = pc.not_equal(flat, "")
    counts = np.concatenate([[0], np.cumsum(kept.to_numpy(zero_copy_only=False))])
    offsets = pa.array(counts[lists.offsets.to_numpy()], pa.int32())
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, flat.filter(kept)), " ")
    return pc.if_else(valid, joined, None) if tokens.null_count else joined
