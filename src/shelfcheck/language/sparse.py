"""Reviews as rows of a sparse matrix of terms, with what is known of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Reviews:
    """Some reviews of one category.

    Attributes:
        indptr: int64 (n + 1), where each review's terms begin in `ids`.
        ids: int32 (nnz), terms.
        times: int32 (nnz), how often each stands in the review.
        terms: how many terms there are.
        group: int64 (n), number of the review's group.
        product: int64 (n), number of its product; one of its own where it has none.
        key: uint64 (n), from a hash of its id; orders reviews at random, the same in every run.
        words: int64 (n), words of it, those among the terms or not.
    """

    indptr: Ints
    ids: npt.NDArray[np.int32]
    times: npt.NDArray[np.int32]
    terms: int
    group: Ints
    product: Ints
    key: npt.NDArray[np.uint64]
    words: Ints

    def __len__(self) -> int:
        return len(self.group)

    def take(self, rows: Ints) -> Reviews:
        """Some of the reviews, in the order of `rows`."""
        lengths = np.diff(self.indptr)[rows]
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        at = np.repeat(self.indptr[rows] - indptr[:-1], lengths) + np.arange(indptr[-1])
        return Reviews(
            indptr,
            self.ids[at],
            self.times[at],
            self.terms,
            self.group[rows],
            self.product[rows],
            self.key[rows],
            self.words[rows],
        )

    def total(self, rows: Ints) -> Ints:
        """How often each term stands in some of the reviews, int64 (n_terms)."""
        from shelfcheck.language import kernels  # noqa: PLC0415 - loads Numba

        out = np.zeros(self.terms, np.int64)
        kernels.add_rows(self.indptr, self.ids, self.times, rows.astype(np.int64), out)
        return out

    def products_with(self, rows: Ints, terms: Ints) -> Ints:
        """In how many products some of the reviews have each of some terms, int64 (len(terms))."""
        chosen = self.take(rows)
        product = np.repeat(chosen.product, np.diff(chosen.indptr))
        found = [len(np.unique(product[chosen.ids == term])) for term in terms]
        return np.array(found, np.int64)


def terms_of(tokens: pa.Array, word_ngrams: int) -> tuple[Ints, list[tuple[Ints, pa.Array]]]:
    """The terms of token strings.

    Args:
        tokens: words joined by one blank, (n), without nulls.
        word_ngrams: 2 takes pairs of neighbouring words for terms, too.

    Returns:
        The number of words of each review, int64 (n); and words, then pairs, with the review of each.
    """
    import pyarrow as pa  # noqa: PLC0415 - importing the class must stay light
    import pyarrow.compute as pc  # noqa: PLC0415

    lists = pc.split_pattern(tokens, " ")
    words = lists.flatten()
    lengths = np.asarray(pc.list_value_length(lists)).astype(np.int64)
    row = np.repeat(np.arange(len(tokens)), lengths)
    found = [(row, words)]
    if word_ngrams == 2 and len(words) > 1:
        inside = np.flatnonzero(row[1:] == row[:-1])
        pairs = pc.binary_join_element_wise(
            words.take(pa.array(inside)), words.take(pa.array(inside + 1)), " "
        )
        found.append((row[inside], pairs))
    return lengths, found


def review_terms(
    tokens: pa.Array, vocabulary: pa.Array, word_ngrams: int
) -> tuple[Ints, npt.NDArray[np.int32], npt.NDArray[np.int32], Ints]:
    """Token strings as sparse rows.

    Args:
        tokens: words joined by one blank, (n), without nulls.
        vocabulary: the terms that count, (n_terms), without repeats.
        word_ngrams: 2 takes pairs of neighbouring words for terms, too.

    Returns:
        `indptr` int64 (n + 1), `ids` and `times` int32 (nnz), ids ascending in a row, and the number of
        words of each review, int64 (n).
    """
    import pyarrow.compute as pc  # noqa: PLC0415 - importing the class must stay light

    lengths, found = terms_of(tokens, word_ngrams)
    rows, ids = [], []
    for of_row, terms in found:
        at = pc.index_in(terms, value_set=vocabulary).fill_null(-1).to_numpy(zero_copy_only=False)
        kept = np.flatnonzero(at >= 0)
        rows.append(of_row[kept])
        ids.append(at[kept].astype(np.int64))
    cells = np.concatenate(rows) * max(1, len(vocabulary)) + np.concatenate(ids)
    cells, times = np.unique(cells, return_counts=True)
    counted = np.bincount(cells // max(1, len(vocabulary)), minlength=len(tokens))
    indptr = np.concatenate([[0], np.cumsum(counted)]).astype(np.int64)
    return indptr, (cells % max(1, len(vocabulary))).astype(np.int32), times.astype(np.int32), lengths
