"""Overlap of top terms when all groups are cut to the same size.

The top terms of few reviews hang on chance; those of many do not. Two large groups therefore share more of
them than two small ones, of the same language. Cut to one size, groups are as noisy as each other, and what
is left of a trend is one of the language. Drawn several times, it comes with an interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from shelfcheck.language.terms import overlap, top_terms

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from shelfcheck.language.sparse import Reviews

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Matched:
    """Overlaps of groups of one size.

    Attributes:
        size: words, or reviews, of each group.
        overlaps: per cent, (n_draws, n_pairs).
    """

    size: int
    overlaps: Floats


def matched_overlaps(
    reviews: Reviews,
    n_groups: int,
    pairs: Sequence[tuple[int, int]],
    weight: Floats,
    k: int,
    *,
    draws: int,
    by: Literal["words", "reviews"] = "words",
    seed: int = 0,
) -> Matched:
    """Cut all groups to the smallest and compare their top terms, several times.

    Args:
        reviews: of all groups, (n).
        n_groups: how many groups there are.
        pairs: numbers of the groups that are compared.
        weight: of each term, (n_terms).
        k: terms at the top.
        draws: how often groups are cut.
        by: whether groups get the same number of words or of reviews. Reviews have grown shorter in many
            shops, and a word says as much as a word: words are the better match.
        seed: of the draws; which reviews are taken hangs on the hash of their ids, this and the draw alone.
    """
    sizes = reviews.words if by == "words" else np.ones(len(reviews), np.int64)
    size = int(np.bincount(reviews.group, weights=sizes, minlength=n_groups).min())
    overlaps = np.zeros((draws, len(pairs)))
    for draw in range(draws):
        counts = np.stack([reviews.total(rows) for rows in cut(reviews, sizes, n_groups, size, seed + draw)])
        top = top_terms(counts * weight, k)
        overlaps[draw] = [overlap(top[a], top[b])[0] for a, b in pairs]
    return Matched(size, overlaps)


def cut(reviews: Reviews, sizes: Ints, n_groups: int, size: int, draw: int) -> list[Ints]:
    """Rows of each group, in an order that hangs on the draw, as many as do not pass `size`."""
    shuffled = _mixed(reviews.key, draw)
    found = []
    for group in range(n_groups):
        rows = np.flatnonzero(reviews.group == group)
        rows = rows[np.argsort(shuffled[rows], kind="stable")]
        found.append(rows[np.cumsum(sizes[rows]) <= size])
    return found


def _mixed(keys: npt.NDArray[np.uint64], draw: int) -> npt.NDArray[np.uint64]:
    """Keys shuffled by a number: the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    with np.errstate(over="ignore"):
        mixed = keys + np.uint64((draw + 1) % (1 << 63)) * _GOLDEN
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        found: npt.NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
    return found
