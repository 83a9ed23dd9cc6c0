"""Categories that might be merged, split or renamed: what the analysis suggests, and what speaks against it.

These are questions for whoever keeps the catalogue, from plain thresholds that stand here. That reviews of
two categories read alike is one thing; whether customers want two shelves is another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Rows = list[dict[str, Any]]

MERGE: Final = "merge"
SPLIT: Final = "split"
RENAME: Final = "rename"

_LEAST_PRODUCTS: Final = 10  # judged products of a category of which anything is said
_MERGE_SHARE: Final = 0.1  # of the reviews of each category go to the other
_SPLIT_SHARE: Final = 0.1  # of the judged products read like one other category
_SPLIT_PRODUCTS: Final = 5
_OWN_SHARE: Final = 0.5  # of the judged products read like their own category: less, and the name is in doubt
_RENAME_SHARE: Final = 0.3


def suggest(
    categories: Sequence[str],
    verdicts: Ints,
    reviews: Ints,
    *,
    pairs: Sequence[Mapping[str, Any]],
    customers: Sequence[Mapping[str, Any]],
    rate: float,
) -> Rows:
    """Suggestions with their evidence and their caution, merges first, then by products.

    - merge: each category has at least a tenth of its reviews predicted in the other, both more often in
      products than sizes give;
    - split: at least half of a category's judged products read like it, and a tenth, five or more, like one
      other category, more often than sizes give: a part of it may belong there, or be a shelf of its own;
    - rename: fewer than half of its judged products read like it, and a third like one other, which in turn
      does not read like it.

    Args:
        categories: names, (n,).
        verdicts: judged products (with enough reviews) by assigned category and the one that most of their
            reviews are predicted in, (n, n).
        reviews: by assigned and predicted category, (n, n).
        pairs: rows of `tables.CONFUSED_PAIRS`.
        customers: rows of `tables.COMMON_CUSTOMERS`.
        rate: false discovery rate up to which a pair counts as confused.

    Returns:
        Rows of `tables.SUGGESTIONS`. None tells of a category that is never predicted: the model has too few
        reviews to learn it.
    """
    number = {name: at for at, name in enumerate(categories)}
    sure = {(number[row["assigned"]], number[row["predicted"]]): row for row in pairs if row["q"] <= rate}
    shared = {frozenset((row["category_a"], row["category_b"])): row for row in customers}
    learned = reviews.sum(axis=0) > 0
    judged = verdicts.sum(axis=1)
    merged, found = set(), []
    for (i, j), row in sure.items():
        if i < j and (j, i) in sure and learned[i] and learned[j]:
            if (
                min(row["share"], row["back_share"]) < _MERGE_SHARE
                or min(judged[i], judged[j]) < _LEAST_PRODUCTS
            ):
                continue
            merged |= {(i, j), (j, i)}
            found.append(_merge(categories, i, j, row, shared.get(frozenset((categories[i], categories[j])))))
    for i in np.flatnonzero(learned & (judged >= _LEAST_PRODUCTS)).tolist():
        others = verdicts[i].copy()
        others[i] = 0
        own = verdicts[i, i] / judged[i]
        for j in np.flatnonzero(others).tolist():
            share = others[j] / judged[i]
            if (i, j) not in sure or (i, j) in merged:
                continue
            if own >= _OWN_SHARE and share >= _SPLIT_SHARE and others[j] >= _SPLIT_PRODUCTS:
                found.append(_split(categories, i, j, verdicts, reviews, shared=shared))
            elif own < _OWN_SHARE and share >= _RENAME_SHARE and verdicts[j, i] < others[j]:
                found.append(_rename(categories, i, j, verdicts, reviews))
    order = (MERGE, SPLIT, RENAME)
    found.sort(key=lambda row: (order.index(row["kind"]), -row["products"], row["category"], row["other"]))
    return found


def _merge(
    categories: Sequence[str], i: int, j: int, row: Mapping[str, Any], shared: Mapping[str, Any] | None
) -> dict[str, Any]:
    a, b = categories[i], categories[j]
    return {
        "kind": MERGE,
        "category": a,
        "other": b,
        "products": row["products"] + row["back_products"],
        "reviews": row["reviews"] + row["back_reviews"],
        "evidence": f"{row['share']:.0%} of the reviews of {a} are predicted in {b}, and "
        f"{row['back_share']:.0%} the other way, in {row['products'] + row['back_products']:,} products; "
        f"{row['lift']:.1f} times as many products of {a} as sizes give. {_customers(shared)}",
        "caution": "Two shelves may sell alike and still be looked for apart. See whether the same products "
        "stand in both, and read some of the confused reviews, before anything is merged.",
    }


def _split(
    categories: Sequence[str],
    i: int,
    j: int,
    verdicts: Ints,
    reviews: Ints,
    *,
    shared: Mapping[frozenset[str], Mapping[str, Any]],
) -> dict[str, Any]:
    a, b = categories[i], categories[j]
    products, judged = int(verdicts[i, j]), int(verdicts[i].sum())
    return {
        "kind": SPLIT,
        "category": a,
        "other": b,
        "products": products,
        "reviews": int(reviews[i, j]),
        "evidence": f"{products:,} of {judged:,} judged products of {a} ({products / judged:.0%}) have most "
        f"of their reviews predicted in {b}, while {verdicts[i, i] / judged:.0%} read like {a}. "
        f"{_customers(shared.get(frozenset((a, b))))}",
        "caution": f"The part may belong in {b}, be a shelf of its own, or share words alone: reviews that "
        "praise or blame delivery read alike everywhere. The list of its products decides.",
    }


def _rename(categories: Sequence[str], i: int, j: int, verdicts: Ints, reviews: Ints) -> dict[str, Any]:
    a, b = categories[i], categories[j]
    products, judged = int(verdicts[i, j]), int(verdicts[i].sum())
    return {
        "kind": RENAME,
        "category": a,
        "other": b,
        "products": products,
        "reviews": int(reviews[i, j]),
        "evidence": f"Only {verdicts[i, i] / judged:.0%} of {judged:,} judged products of {a} read like it; "
        f"{products / judged:.0%} read like {b}. The name may promise something else than the shelf holds.",
        "caution": f"A model also fails on a category that it had few reviews to learn from: {a} "
        f"has {int(reviews[i].sum()):,}, and {b} has {int(reviews[j].sum()):,}: the likelier guess.",
    }


def _customers(shared: Mapping[str, Any] | None) -> str:
    if shared is None or shared["common"] < 1:
        return "No customer has reviewed in both."
    if shared["common"] == 1:
        return "One customer has reviewed in both."
    return (
        f"{shared['common']:,} customers have reviewed in both, "
        f"{shared['lift']:.1f} times as many as sizes give."
    )
