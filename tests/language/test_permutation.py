"""The permutation test keeps products together, holds its level, and finds what was planted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from language_support import made_up

from shelfcheck.language import kernels
from shelfcheck.language.divergence import jensen_shannon
from shelfcheck.language.permutation import permutation_test, units

WEIGHT = np.ones(40)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=2, max_size=60))
def test_what_may_change_places(reviews: list[tuple[int, bool]]) -> None:
    product = np.array([p for p, _ in reviews])
    in_b = np.array([b for _, b in reviews])
    unit, label, segment = units(product, in_b)
    np.testing.assert_array_equal(label[unit], in_b)
    assert sorted(set(unit.tolist())) == list(range(len(label)))
    assert segment[0] == 0
    assert segment[-1] == len(label)
    assert (np.diff(segment) > 0).all()
    of_unit = np.searchsorted(segment, np.arange(len(label)), side="right")
    for p in set(product.tolist()):
        rows = np.flatnonzero(product == p)
        if len(set(in_b[rows].tolist())) == 2:  # in both groups: alone in a segment, review by review
            assert len(set(unit[rows].tolist())) == len(rows)
            (mine,) = set(of_unit[unit[rows]].tolist())
            assert np.flatnonzero(of_unit == mine).size == len(rows)
        else:  # whole, among products of similar size
            (one,) = set(unit[rows].tolist())
            others = [np.sum(unit == u) for u in np.flatnonzero(of_unit == of_unit[one])]
            assert max(others) < 2 * min(others)


def test_the_shuffles_are_of_what_may_change_places() -> None:
    """Product 0 stands in both groups, 1 and 2 in one: the sums of the groups have these two arrangements."""
    reviews = made_up(np.random.default_rng(0), [0, 0, 1, 1, 2, 2], [0, 1, 0, 0, 1, 1])
    counts = np.array([reviews.total(np.array([i])) for i in range(6)])
    allowed = set()
    for first in ([0], [1]):
        for whole in ([2, 3], [4, 5]):
            a = counts[first + whole].sum(axis=0)
            allowed.add(round(float(jensen_shannon(a, counts.sum(axis=0) - a)), 9))
    unit, label, segment = units(reviews.product, reviews.group == 1)
    found, overlaps = np.empty(60), np.empty(60)
    near = np.arange(40)
    args = reviews.indptr, reviews.ids, reviews.times, unit, label, segment, WEIGHT, near, 5, np.zeros(1)
    kernels.permute(*args, 3, found, overlaps, np.zeros(40), np.zeros(40))
    assert {round(value, 9) for value in found.tolist()} == allowed


def false_alarms(trials: int, *, by_product: bool) -> float:
    """Share of p-values at most .05 where products have words of their own and come and go, and no more."""
    rng = np.random.default_rng(8)
    found = 0
    for trial in range(trials):
        products = np.repeat(np.arange(30), rng.integers(1, 12, 30))
        when = np.array([0, 1, 2])[rng.integers(0, 3, 30)][products]  # sold in a, in b, in both
        group = np.where(when == 2, rng.integers(0, 2, len(products)), when)
        reviews = made_up(rng, products.tolist(), group.tolist(), own=0.5)
        shift = permutation_test(
            reviews, group == 1, WEIGHT, 5, permutations=39, seed=100 * trial, by_product=by_product
        )
        found += shift.p_divergence is not None and shift.p_divergence <= 0.05
    return found / trials


def test_false_alarms_are_as_rare_as_said() -> None:
    assert false_alarms(150, by_product=True) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 150)


def test_single_reviews_shuffled_raise_false_alarms() -> None:
    """Why products are kept together."""
    assert false_alarms(30, by_product=False) > 0.5


def test_a_planted_shift_is_found_and_its_word_named() -> None:
    rng = np.random.default_rng(4)
    products, group = rng.integers(0, 40, 400), rng.integers(0, 2, 400)
    reviews = made_up(rng, products.tolist(), group.tolist(), own=0.3)
    ids = reviews.ids.copy()
    row = np.repeat(np.arange(400), np.diff(reviews.indptr))
    ids[(ids == 3) & (group[row] == 1)] = 7  # what was term 3 is said as term 7
    shift = permutation_test(replace(reviews, ids=ids), group == 1, WEIGHT, 5, permutations=99)
    assert shift.p_divergence == pytest.approx(0.01)
    assert np.argmax(shift.z) == 7
    assert np.argmin(shift.z) == 3
    assert shift.divergence > shift.divergence_expected + 3 * shift.divergence_sd


def test_threads_do_not_matter() -> None:
    rng = np.random.default_rng(2)
    reviews = made_up(rng, rng.integers(0, 9, 80).tolist(), rng.integers(0, 2, 80).tolist())
    arguments = reviews, reviews.group == 1, WEIGHT, 5
    alone = permutation_test(*arguments, permutations=60, seed=1)
    with ThreadPoolExecutor(3) as pool:
        together = permutation_test(*arguments, permutations=60, seed=1, pool=pool)
    np.testing.assert_array_equal(alone.z, together.z)
    assert replace(alone, z=together.z) == replace(together, z=together.z)


def test_any_seed_will_do() -> None:
    rng = np.random.default_rng(2)
    reviews = made_up(rng, rng.integers(0, 9, 80).tolist(), rng.integers(0, 2, 80).tolist())
    found = [
        permutation_test(
            reviews, reviews.group == 1, WEIGHT, 5, permutations=20, seed=seed
        ).divergence_expected
        for seed in (0, 1, 10**30)
    ]
    assert len(set(found)) == 3


def test_where_nothing_can_change_places_nothing_is_claimed() -> None:
    reviews = made_up(np.random.default_rng(1), [0, 0, 0, 0, 1], [0, 0, 0, 0, 1])
    shift = permutation_test(reviews, reviews.group == 1, WEIGHT, 5, permutations=19)
    assert shift.p_divergence is None
    assert shift.p_overlap is None
    assert (shift.z == 0).all()
