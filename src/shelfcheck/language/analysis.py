"""Compares the groups of one category: top terms, pairs of neighbouring groups, terms that came and went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shelfcheck.language.log_odds import informative_prior, log_odds
from shelfcheck.language.matched import matched_overlaps
from shelfcheck.language.permutation import permutation_test
from shelfcheck.language.tables import FACET, GROUP
from shelfcheck.language.terms import overlap, top_terms
from shelfcheck.schema import PRODUCT_CATEGORY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import ThreadPoolExecutor

    import numpy.typing as npt

    from shelfcheck.config import LanguageSettings
    from shelfcheck.language.facet import CategoryLanguage, Group
    from shelfcheck.language.permutation import Shift

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class CategoryRows:
    """Rows of the tables, of one category; `q` and `shifted` of the pairs are still to come."""

    groups: Rows
    top_terms: Rows
    pairs: Rows
    changed_terms: Rows


def analyse(
    language: CategoryLanguage, settings: LanguageSettings, seed: int, pool: ThreadPoolExecutor | None = None
) -> CategoryRows:
    """All that is told of one category.

    Args:
        language: the category by year or by stars.
        settings: how groups are compared.
        seed: of permutations and draws.
        pool: threads to use.
    """
    place = {PRODUCT_CATEGORY: language.category, FACET: language.facet}
    weights = language.shares * language.rarity
    top = top_terms(weights, settings.top_k)
    pairs = neighbours(language)
    matched = matched_overlaps(
        language.reviews,
        len(language.groups),
        pairs,
        language.rarity,
        settings.top_k,
        draws=settings.draws,
        by=settings.match_by,
        seed=seed,
    )
    pair_rows: Rows = []
    changed: Rows = []
    for i, (a, b) in enumerate(pairs):
        one, other = language.groups[a], language.groups[b]
        name = place | {"group_a": one.value, "group_b": other.value}
        shift = _shift(language, a, b, settings, seed, pool)
        drawn = matched.overlaps[:, i]
        low, high = np.quantile(drawn, [0.025, 0.975])
        percent, jaccard = overlap(top[a], top[b])
        pair_rows.append(
            name
            | _sizes(one, other)
            | {
                "overlap": percent,
                "jaccard": jaccard,
                "matched_words": matched.size,
                "matched_overlap": float(drawn.mean()),
                "matched_low": float(low),
                "matched_high": float(high),
            }
            | _told(shift)
        )
        changed += [name | row for row in changed_terms(language, a, b, shift.z, settings)]
    return CategoryRows(
        [
            place | {GROUP: g.value, "reviews": g.reviews, "words": g.words, "products": g.products}
            for g in language.groups
        ],
        _top_rows(language, place, weights, top),
        pair_rows,
        changed,
    )


def neighbours(language: CategoryLanguage) -> list[tuple[int, int]]:
    """Numbers of groups that follow each other without a gap: 2013 and 2014, 4 and 5 stars."""
    values = [group.value for group in language.groups]
    return [(i, i + 1) for i in range(len(values) - 1) if values[i + 1] == values[i] + 1]


def changed_terms(
    language: CategoryLanguage, a: int, b: int, z_permuted: Floats, settings: LanguageSettings
) -> Rows:
    """The terms that stand more in group b than in a (`came`), and those that stand less (`went`)."""
    prior = informative_prior(language.counts.sum(axis=0), settings.prior_words)
    delta, z = log_odds(language.counts[b], language.counts[a], prior)
    per_1000 = 1000 * language.shares
    found: Rows = []
    for change, sign, group in (("came", 1.0, b), ("went", -1.0, a)):
        order = np.argsort(-sign * z, kind="stable")[: settings.listed_terms]
        order = order[sign * z[order] > 0]
        products = language.reviews.products_with(np.flatnonzero(language.reviews.group == group), order)
        for rank, term in enumerate(order.tolist()):
            found.append(
                {
                    "change": change,
                    "rank": rank + 1,
                    "term": language.terms[term],
                    "per_1000_words_a": float(per_1000[a, term]),
                    "per_1000_words_b": float(per_1000[b, term]),
                    "log_odds": float(delta[term]),
                    "z": float(z[term]),
                    "z_permuted": float(z_permuted[term]),
                    "products": int(products[rank]),
                }
            )
    return found


def _shift(  # noqa: PLR0917 - as `analyse`
    language: CategoryLanguage,
    a: int,
    b: int,
    settings: LanguageSettings,
    seed: int,
    pool: ThreadPoolExecutor | None,
) -> Shift:
    rows = np.flatnonzero((language.reviews.group == a) | (language.reviews.group == b))
    reviews = language.reviews.take(rows)
    return permutation_test(
        reviews,
        reviews.group == b,
        language.rarity,
        settings.top_k,
        permutations=settings.permutations,
        seed=seed,
        by_product=settings.permute == "product",
        pool=pool,
    )


def _sizes(one: Group, other: Group) -> dict[str, int]:
    return {
        "reviews_a": one.reviews,
        "reviews_b": other.reviews,
        "words_a": one.words,
        "words_b": other.words,
        "products_a": one.products,
        "products_b": other.products,
    }


def _told(shift: Shift) -> dict[str, Any]:
    beyond = max(0.0, shift.divergence - shift.divergence_expected)
    return {
        "drawn_overlap": shift.overlap,
        "expected_overlap": shift.overlap_expected,
        "overlap_p": shift.p_overlap,
        "divergence": shift.divergence,
        "expected_divergence": shift.divergence_expected,
        "divergence_sd": shift.divergence_sd,
        "distance": float(np.sqrt(beyond)),
        "p": shift.p_divergence,
    }


def _top_rows(
    language: CategoryLanguage, place: dict[str, Any], weights: Floats, top: Sequence[Ints]
) -> Rows:
    return [
        place
        | {
            GROUP: group.value,
            "rank": rank + 1,
            "term": language.terms[term],
            "count": int(language.counts[g, term]),
            "per_1000_words": float(1000 * language.shares[g, term]),
            "weight": float(weights[g, term]),
        }
        for g, group in enumerate(language.groups)
        for rank, term in enumerate(int(t) for t in top[g])
    ]
