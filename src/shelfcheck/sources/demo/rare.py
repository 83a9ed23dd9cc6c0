"""Rare words: made-up ones, whose number grows with the reviews as that of real words does.

The templates have some 1,400 words, however many reviews are written of them; a real shop's reviews have that
many in their first hundred, and a tenth of their words in no other review. What costs time and memory in
learning are those. They are drawn from a power law (a Lomax distribution of ranks), so that the number of
distinct words grows as reviews^0.41: of 250,000 real reviews of 44 categories it did so, from 49,000 in the
first 10,000 to 188,000. How many a review has is log-normal: most have one or two, some have hundreds.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_GROWTH: Final = 0.41  # distinct words grow as reviews to this power
_SCALE: Final = 11_000.0  # ranks below are about equally frequent
_SPREAD: Final = 1.85  # standard deviation of the log of the number of a review's words
_MOST: Final = 400  # words of a review
_MOST_RANK: Final = 1 << 40
_SYLLABLES: Final = tuple(
    a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er", "ol")
)


def rare_texts(rng: np.random.Generator, n: int, mean: float) -> pa.Array:
    """Rare words of `n` reviews, joined by spaces; null where a review has none.

    Args:
        rng: source of the choices.
        n: reviews.
        mean: words of a review, on average (before the longest are cut).
    """
    middle = np.log(mean + 1) - _SPREAD**2 / 2
    counts = np.minimum(np.exp(rng.normal(middle, _SPREAD, n)), _MOST).astype(np.int64)
    ranks = np.minimum(rng.pareto(1 / _GROWTH - 1, int(counts.sum())) * _SCALE, _MOST_RANK).astype(np.int64)
    distinct, at = np.unique(ranks, return_inverse=True)
    words = pa.array([word(rank) for rank in distinct.tolist()], pa.string()).take(pa.array(at))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    texts = pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), words), " ")
    return pc.if_else(pa.array(counts > 0), texts, pa.scalar(None, pa.string()))


def word(rank: int) -> str:
    """The word of a rank: the same for the same rank, another for another; two syllables or more."""
    rank += len(_SYLLABLES)
    parts = []
    while rank:
        rank, place = divmod(rank, len(_SYLLABLES))
        parts.append(_SYLLABLES[place])
    return "x".join(parts)  # no syllable holds an x, so that words of different syllables differ


def with_rare_words(bodies: pa.Array, rare: pa.Array) -> pa.Array:
    """Texts with their rare words at the end."""
    return pc.coalesce(pc.binary_join_element_wise(bodies, rare, " "), bodies)
