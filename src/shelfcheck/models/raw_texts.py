"""Raw texts to logits of the `linear` model in one call: what answers a single review in microseconds.

The general way goes through Arrow tables and four kernels, each a few dozen microseconds to call; for
one review that is most of the time. Here the bytes of all texts are laid end to end and one kernel, made
of the same three (`text.kernel.tokenise`, `encode_rows`, `score`), does the rest. Texts that the tokens
kernel leaves to Python (a few in a thousand) go the general way.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

from shelfcheck.models.kernels import score
from shelfcheck.models.ngram_kernels import encode_rows
from shelfcheck.models.ngram_weights import count_weights
from shelfcheck.models.ngrams import field_salts
from shelfcheck.schema import REVIEW_BODY
from shelfcheck.text.kernel import tokenise
from shelfcheck.text.tokens import kernel_tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from shelfcheck.models.linear import LinearModel

    Floats = npt.NDArray[np.float32]

Array = Any  # Numba's view of a NumPy array


class RawTexts:
    """Reads raw texts for one model that uses no stemmer; may be shared by threads."""

    def __init__(self, model: LinearModel) -> None:
        tables = kernel_tables(model.text)
        self._fields = model.settings.fields
        self._tables = (tables.classes, tables.lower, tables.short, *tables.long, *tables.tags[:3])
        self._encoding = (
            field_salts(model.settings.fields),
            model.settings.hash_bits,
            model.settings.word_ngrams,
            np.array(model.settings.prefixes, np.int64),
        )
        empty = model.prior / np.float32(model.calibration.scale)  # as in LinearModel.logits
        self._weights = (model.position, model.idf, count_weights(), model.weights, model.bias, empty)

    def logits(self, bodies: Sequence[str | None], headlines: Sequence[str | None] | None) -> Floats | None:
        """Logits of texts, float32 (n, categories); None where Python must make some of the tokens."""
        n = len(bodies)
        texts: list[bytes] = []
        for field in self._fields:
            column = bodies if field == REVIEW_BODY else headlines
            # A lone surrogate cannot be told in UTF-8; as "?" it is deleted with the punctuation.
            texts += [b"" if text is None else text.encode("utf-8", "replace") for text in column or [""] * n]
        offsets = np.array([0, *accumulate(map(len, texts))], np.int32)
        # The kernels want an address even where there is no byte.
        data = np.frombuffer(b"".join(texts) or b" ", np.uint8)
        out = np.empty((n, self._weights[3].shape[1]), np.float32)
        return out if _logits(data, offsets, self._tables, *self._encoding, self._weights, out) else None


@njit(cache=True, nogil=True)
def _logits(  # noqa: PLR0917  # pragma: no cover - compiled; keywords cost at every call
    data: Array,
    offsets: Array,
    tables: Any,
    salts: Array,
    bits: int,
    word_ngrams: int,
    prefixes: Array,
    weights: Any,
    out: Array,
) -> bool:
    """Tokenise, encode and score texts.

    Args:
        data: uint8, read-only: the texts' UTF-8 bytes end to end, field after field.
        offsets: int32 (fields * n + 1).
        tables: of the tokens kernel.
        salts: uint64 (fields).
        bits: log2 of the number of buckets.
        word_ngrams: most words in an n-gram.
        prefixes: int64, letters of the prefixes that count as terms, too.
        weights: position, idf, tf, weights, bias, empty, as `score` takes them.
        out: float32 (n, classes), filled.

    Returns:
        False where Python must make the tokens of some text.
    """
    texts = len(offsets) - 1
    n = len(out)
    longest = 1
    for i in range(texts):
        longest = max(longest, offsets[i + 1] - offsets[i])
    scratch = np.empty(longest, np.uint8)
    tokens = np.empty(offsets[texts] + texts + 1, np.uint8)
    lengths = np.empty(texts, np.int32)
    classes, lower, short, slots, starts, words, longest_word, tag_slots, tag_starts, tag_words = tables
    tokenise(
        data, offsets, 0, texts, classes, lower, short, slots, starts, words, longest_word,
        tag_slots, tag_starts, tag_words, np.empty(32, np.uint8), scratch, scratch, tokens, lengths,
    )  # fmt: skip
    bounds = np.zeros((len(salts), n + 1), np.int64)
    end = 0
    for field in range(len(salts)):
        bounds[field, 0] = end
        for i in range(n):
            length = lengths[field * n + i]
            if length < 0:
                return False
            end += length
            bounds[field, i + 1] = end
    room = 0  # as in `ngrams.encode_tokens`
    most = 0
    for i in range(n):
        own = 0
        for field in range(len(salts)):
            own += bounds[field, i + 1] - bounds[field, i] + 2
        own = (own * (word_ngrams + len(prefixes)) + 1) // 2
        room += own
        most = max(most, own)
    table = 64
    while table <= 2 * most:
        table *= 2
    ids = np.empty(room, np.uint32)
    sizes = np.empty(n, np.int64)
    first: Any = np.int64(0)  # a literal 0 would have both kernels compiled once more, for it alone
    encode_rows(tokens, bounds, salts, first, n, bits, word_ngrams, prefixes, table, ids, sizes)
    indptr = np.zeros(n + 1, np.int64)
    for i in range(n):
        indptr[i + 1] = indptr[i] + sizes[i]
    position, idf, tf, matrix, bias, empty = weights
    known = np.empty(n, np.int32)
    score(indptr, ids, first, n, np.arange(n), position, idf, tf, matrix, bias, empty, out, known)
    return True
