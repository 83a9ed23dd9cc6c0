from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from test_intervals import drawn

from shelfcheck.errors import UsageError
from shelfcheck.models.comparison import Comparison, aligned, compare, holm, sign_flip
from shelfcheck.models.judged import HELD_OUT_SCHEMA


def other(judged, share, seed=0):
    """The same reviews, as a model that gets a share of the products wrong throughout judged them."""
    random = np.random.default_rng(seed)
    wrong = random.random(judged.product.max() + 1) < share
    worse = wrong[judged.product]
    k = len(judged.categories)
    return replace(judged, predicted=np.where(worse, (judged.label + 1) % k, judged.predicted))


def test_a_worse_model_is_told_apart():
    judged = drawn(200)
    found = compare(judged, other(judged, 0.1), ("good", "bad"))
    assert found.difference.low > 0
    assert found.p_value < 0.01
    assert found.only_other == 0
    assert found.difference.estimate == pytest.approx(found.only_one / found.reviews)
    assert found.accuracy[0] - found.accuracy[1] == pytest.approx(found.difference.estimate)
    assert "good against bad" in found.text()
    assert Comparison.from_json(found.to_json()) == found


def test_a_model_does_not_differ_from_itself():
    judged = drawn(50)
    found = compare(judged, judged)
    assert (found.difference.low, found.difference.high, found.p_value) == (0, 0, 1)


@settings(deadline=None, max_examples=20)
@given(st.integers(2, 60), st.integers(0, 1000))
def test_turning_the_two_around_turns_the_sign(products, seed):
    judged = drawn(products, seed)
    worse = other(judged, 0.2, seed)
    one, two = compare(judged, worse, resamples=50), compare(worse, judged, resamples=50)
    assert one.p_value == two.p_value
    assert one.difference.estimate == pytest.approx(-two.difference.estimate)
    assert one.difference.low == pytest.approx(-two.difference.high, abs=1e-9)


def test_sign_flip_is_the_exact_test_of_all_signs():
    differences = np.array([3, -1, 2, 2, 1, 0, 4.0])
    signs = np.array(list(itertools.product((-1, 1), repeat=len(differences))))
    exact = (np.abs(signs @ differences) >= abs(differences.sum())).mean()
    assert sign_flip(differences, flips=40_000) == pytest.approx(exact, abs=0.01)
    scipys = stats.permutation_test(
        (differences, np.zeros(len(differences))),
        lambda x, y, axis: (x - y).sum(axis=axis),
        permutation_type="samples",
        vectorized=True,
    )
    assert exact == pytest.approx(scipys.pvalue)


def test_false_alarms_are_as_many_as_the_level_says():
    """Two models that are equally good on products that they get right or wrong throughout."""
    random = np.random.default_rng(0)
    alarms = 0
    for seed in range(400):
        sizes = 1 + random.integers(0, 20, 80)
        alarms += sign_flip(sizes * random.integers(-1, 2, 80), flips=499, seed=seed) <= 0.05
    assert 0.02 <= alarms / 400 <= 0.08


def test_holm_worked_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def rows(ids, labels):
    one = {"product": 0, "predicted": "a", "confidence": 0.5, "p_label": 0.5}
    return pa.Table.from_pylist(
        [one | {"review_id": i, "label": label} for i, label in zip(ids, labels, strict=True)],
        schema=HELD_OUT_SCHEMA,
    )


def test_only_what_both_judged_with_the_same_label_is_compared():
    one, two = aligned(rows("abcd", "aaab"), rows("dcbx", "baaa"))
    assert len(one.label) == len(two.label) == 3
    one, two = aligned(rows("ab", "ab"), rows("ba", "aa"))
    assert one.label.tolist() == [0]
    with pytest.raises(UsageError, match="no review in common"):
        aligned(rows("ab", "ab"), rows("cd", "ab"))
