"""The terms that stand for a group of reviews, and how much of them two groups share.

Terms are ranked by class TF-IDF (Grootendorst, BERTopic, 2022): all reviews of a class (a category's year,
or a category's star rating) are one document, and a term weighs

    (its share of the words of the class) x ln(1 + A / f)

with A the mean number of words of a class and f how often the term stands in all classes together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]


def rarity(frequency: npt.ArrayLike, words_a_class: float) -> Floats:
    """ln(1 + A / f) of each term, (n_terms).

    Args:
        frequency: how often each term stands in all classes together, (n_terms), > 0.
        words_a_class: mean number of words of a class.
    """
    found: Floats = np.log1p(words_a_class / np.asarray(frequency, np.float64))
    return found


def top_terms(weights: npt.ArrayLike, k: int) -> list[Ints]:
    """The k terms of largest weight of each class; fewer where fewer weigh more than 0.

    Args:
        weights: (n_classes, n_terms), >= 0. Equal weights keep the order of the terms.
        k: how many.

    Returns:
        One array of term numbers a class, largest weight first.
    """
    found = []
    for row in np.asarray(weights, np.float64):
        order = np.argsort(-row, kind="stable")[:k]
        found.append(order[row[order] > 0].astype(np.int64))
    return found


def overlap(one: npt.ArrayLike, other: npt.ArrayLike) -> tuple[float, float]:
    """How much two sets of terms share: per cent of the larger set, and Jaccard index in 0..1.

    The original plotted the first: of the top k terms of a year, how many are top k of the next. Two empty
    sets share nothing.
    """
    a, b = np.unique(np.asarray(one)), np.unique(np.asarray(other))
    shared = len(np.intersect1d(a, b, assume_unique=True))
    largest, union = max(len(a), len(b)), len(a) + len(b) - shared
    return (100.0 * shared / largest, shared / union) if largest else (0.0, 0.0)
