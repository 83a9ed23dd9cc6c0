"""Pairs of categories: which are confused, which way, by which words, and which share customers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shelfcheck.graph.analysis.expected import adjusted, more_than, one_way, quasi_independence
from shelfcheck.language.log_odds import informative_prior, log_odds

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pyarrow as pa

    Ints = npt.NDArray[np.int64]
    Rows = list[dict[str, Any]]

_LEAST_PRODUCTS: Final = 3  # a word of fewer is the name of a product
_LEAST_Z: Final = 2.0  # of the log odds: less may be chance
_PRIOR_REVIEWS: Final = 10.0  # that the prior of a word's log odds counts as


def confused_pairs(
    categories: Sequence[str],
    reviews: Ints,
    products: Ints,
    confidence: npt.NDArray[np.float64],
    rate: float,
) -> Rows:
    """Every pair of an assigned and another predicted category, the most products beyond the expected first.

    Tests count products, since the reviews of one err together: a product counts once in a pair, however
    many of its reviews are predicted so.

    Args:
        categories: names, (n,).
        reviews: by assigned and predicted category, (n, n).
        products: the same in products.
        confidence: mean of these reviews, (n, n).
        rate: false discovery rate up to which a way is told.

    Returns:
        Rows of `tables.CONFUSED_PAIRS`.
    """
    expected = quasi_independence(products)
    total = reviews.sum(axis=1)
    off = (products > 0) & ~np.eye(len(categories), dtype=bool)
    at = [(int(i), int(j)) for i, j in np.argwhere(off)]
    p = more_than([products[pair] for pair in at], [expected[pair] for pair in at])
    q = adjusted(p)
    ways = adjusted(
        [
            one_way(int(products[i, j]), int(products[j, i]), float(expected[i, j]), float(expected[j, i]))
            for i, j in at
        ]
    )
    rows: Rows = [
        {
            "assigned": categories[i],
            "predicted": categories[j],
            "reviews": int(reviews[i, j]),
            "share": float(reviews[i, j] / total[i]),
            "products": int(products[i, j]),
            "expected_products": float(expected[i, j]),
            "lift": float(products[i, j] / expected[i, j]),
            "p": float(p[n]),
            "q": float(q[n]),
            "confidence": float(confidence[i, j]),
            "back_reviews": int(reviews[j, i]),
            "back_share": float(reviews[j, i] / total[j]) if total[j] else 0.0,
            "back_products": int(products[j, i]),
            "way_q": float(ways[n]),
            "way": _way(products, expected, i, j) if ways[n] <= rate else "both",
        }
        for n, (i, j) in enumerate(at)
    ]
    rows.sort(key=lambda row: (row["expected_products"] - row["products"], row["assigned"], row["predicted"]))
    return rows


def _way(products: Ints, expected: npt.NDArray[np.float64], i: int, j: int) -> str:
    return "this" if products[i, j] * expected[j, i] > products[j, i] * expected[i, j] else "other"


def common_customers(categories: Sequence[str], common: Ints) -> Rows:
    """How many customers two categories share, beside what their sizes give, the highest lift first.

    Only customers of several categories count for the expected: most have reviewed in one alone, and say
    nothing of pairs.

    Args:
        categories: names, (n,).
        common: customers of both, (n, n), symmetric; on the diagonal those of one.

    Returns:
        Rows of `tables.COMMON_CUSTOMERS`, one for every two categories that have customers of several.
    """
    expected = quasi_independence(common)
    several = expected.sum(axis=1) > 0
    at = [
        (i, j)
        for i in range(len(categories))
        for j in range(i + 1, len(categories))
        if several[i] & several[j]
    ]
    p = more_than([common[pair] for pair in at], [expected[pair] for pair in at])
    q = adjusted(p)
    rows: Rows = [
        {
            "category_a": categories[i],
            "category_b": categories[j],
            "customers_a": int(common[i, i]),
            "customers_b": int(common[j, j]),
            "common": int(common[i, j]),
            "share_of_smaller": float(common[i, j] / min(common[i, i], common[j, j])),
            "expected": float(expected[i, j]),
            "lift": float(common[i, j] / expected[i, j]) if expected[i, j] > 0 else 0.0,
            "p": float(p[n]),
            "q": float(q[n]),
        }
        for n, (i, j) in enumerate(at)
    ]
    rows.sort(key=lambda row: (row["q"], -row["lift"], row["category_a"], row["category_b"]))
    return rows


def confused_words(
    categories: Sequence[str], pairs: Sequence[tuple[int, int]], words: pa.Table, reviews: Ints, most: int
) -> Rows:
    """Words that confused reviews have more than reviews of the same category that are predicted right.

    Log odds with an informative prior (`language.log_odds`) on the number of reviews that have a word, so
    that one long review counts no more than a short one.

    Args:
        categories: names.
        pairs: assigned and predicted categories to tell of.
        words: `Views.words` of these pairs.
        reviews: by assigned and predicted category, (n, n).
        most: words told of a pair.

    Returns:
        Rows of `tables.CONFUSED_WORDS`: words of at least 3 products, 2 standard errors above 0.
    """
    assigned, predicted = words["assigned"].to_numpy(), words["predicted"].to_numpy()
    counts, of = words["reviews"].to_numpy(), words["products"].to_numpy()
    text = words["word"]
    groups = _groups(assigned, predicted)
    rows: Rows = []
    for pair in pairs:
        confused, right = groups.get(pair), groups.get((pair[0], pair[0]))
        if confused is None:
            continue
        n_right = int(reviews[pair[0], pair[0]])
        in_right = dict.fromkeys(text.slice(confused.start, confused.stop - confused.start).to_pylist(), 0)
        if right is not None:
            for word, n in zip(
                text.slice(right.start, right.stop - right.start).to_pylist(), counts[right], strict=True
            ):
                if word in in_right:
                    in_right[word] = int(n)
        a, b = counts[confused].astype(np.float64), np.array(list(in_right.values()), np.float64)
        delta, z = log_odds(a, b, informative_prior(a + b, _PRIOR_REVIEWS * len(a) ** 0.5))
        telling = np.flatnonzero((of[confused] >= _LEAST_PRODUCTS) & (z >= _LEAST_Z))
        names = list(in_right)
        kept = sorted(telling.tolist(), key=lambda at: (-z[at], names[at]))[:most]
        rows += [
            {
                "assigned": categories[pair[0]],
                "predicted": categories[pair[1]],
                "rank": rank,
                "word": names[at],
                "reviews": int(a[at]),
                "products": int(of[confused][at]),
                "share": float(a[at] / reviews[pair]),
                "right_share": float(b[at] / n_right) if n_right else 0.0,
                "log_odds": float(delta[at]),
                "z": float(z[at]),
            }
            for rank, at in enumerate(kept, 1)
        ]
    return rows


def _groups(assigned: npt.NDArray[Any], predicted: npt.NDArray[Any]) -> dict[tuple[int, int], slice]:
    """Where the rows of each pair stand, of rows sorted by pair."""
    if not len(assigned):
        return {}
    begins = np.flatnonzero(
        np.concatenate([[True], (np.diff(assigned) != 0) | (np.diff(predicted) != 0)])
    ).tolist()
    ends = [*begins[1:], len(assigned)]
    return {
        (int(assigned[begin]), int(predicted[begin])): slice(begin, end)
        for begin, end in zip(begins, ends, strict=True)
    }
