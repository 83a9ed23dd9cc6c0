from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import f1_score

from shelfcheck.models.intervals import (
    coverage_at,
    effective,
    expanded_tail,
    intervals,
    macro_f1,
    resampled,
    share_interval,
    sums,
)
from shelfcheck.models.judged import HELD_OUT_SCHEMA, Judged
from shelfcheck.models.measures import BinSums, calibration_error, coverages


def drawn(products=60, seed=0, classes=5):
    """Reviews of products that are each right or wrong in their own way."""
    random = np.random.default_rng(seed)
    sizes = 1 + random.integers(0, 12, products)
    product = np.repeat(np.arange(products), sizes)
    right = random.beta(4, 0.8, products)
    n = len(product)
    label = random.choice(classes, products)[product]
    hit = random.random(n) < right[product]
    predicted = np.where(hit, label, (label + random.integers(1, classes, n)) % classes)
    confidence = np.clip(0.6 * right[product] + 0.4 * random.beta(4, 0.8, n), 0.02, 1)
    names = tuple("abcdefgh"[:classes])
    return Judged(names, label, predicted, confidence.astype(np.float32), product)


def measured(judged):
    bins = BinSums()
    bins.add(judged.confidence, judged.hit)
    return {
        "accuracy": judged.hit.mean(),
        "macro_f1": f1_score(
            judged.label, judged.predicted, labels=sorted(set(judged.label.tolist())), average="macro"
        ),
        "ece": calibration_error(bins.reliability()),
    }


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 80), st.integers(0, 1000))
def test_intervals_hold_the_measures_that_others_compute(products, seed):
    judged = drawn(products, seed)
    found = intervals(judged, resamples=50)
    for name, value in measured(judged).items():
        assert found[name].estimate == pytest.approx(value, abs=1e-6)
    for one in found.values():
        assert 0 <= one.low <= one.estimate <= one.high <= 1


@settings(deadline=None, max_examples=10)
@given(st.integers(2, 60), st.integers(0, 1000))
def test_order_of_the_reviews_does_not_matter(products, seed):
    judged = drawn(products, seed)
    order = np.random.default_rng(seed).permutation(len(judged.label))
    turned = Judged(
        judged.categories,
        *(getattr(judged, k)[order] for k in ("label", "predicted", "confidence", "product")),
    )
    one, two = intervals(judged, resamples=40), intervals(turned, resamples=40)
    for name, interval in one.items():
        assert [interval.estimate, interval.low, interval.high] == pytest.approx(
            [two[name].estimate, two[name].low, two[name].high], abs=1e-9
        )


def test_the_same_seed_gives_the_same_interval_and_another_gives_another():
    judged = drawn()
    assert intervals(judged, resamples=100, seed=3) == intervals(judged, resamples=100, seed=3)
    assert intervals(judged, resamples=100, seed=3) != intervals(judged, resamples=100, seed=4)


def test_resampled_sums_are_those_of_rows_drawn_with_replacement():
    # One column that numbers the rows' powers of 10: the digits of a sum tell how often each was drawn.
    values = np.array([1, 10, 100, 1000])
    part = sums(np.arange(4), np.zeros(4, int), (4, 1), values)
    again = resampled({"a": part, "b": part}, 500, seed=0)
    assert np.array_equal(again["a"], again["b"])
    digits = np.array([[int(d) for d in f"{int(total):04d}"] for total in again["a"][:, 0]])
    assert (digits.sum(axis=1) == 4).all()
    assert digits.mean(axis=0) == pytest.approx(1, abs=0.15)


def test_many_products_are_put_into_groups_without_changing_what_is_estimated():
    judged = drawn(400, 1)
    cluster, groups, products = judged.clusters(50)
    assert (groups, products) == (50, 400)
    pairs = set(zip(judged.product.tolist(), cluster.tolist(), strict=True))
    assert len(pairs) == 400  # a product is in one group


def test_reviews_without_a_product_stand_alone():
    judged = replace(drawn(3), product=np.array([-1, -1, *drawn(3).product[2:]]))
    alone = judged.clusters(100)[0][:2]
    assert alone[0] != alone[1]
    assert judged.clusters(100)[2] == len(set(judged.product[2:].tolist())) + 2


def test_one_product_says_nothing_about_others():
    assert intervals(drawn(1)) == {}


def test_expanded_tail_is_hesterbergs():
    # By hand for 10 groups: t = -2.262, sqrt(10 / 9) t = -2.384, of which the normal tail is .0086.
    t = stats.t.ppf(0.025, 9)
    assert expanded_tail(effective(np.full(10, 7))) == pytest.approx(stats.norm.cdf(np.sqrt(10 / 9) * t))
    assert expanded_tail(effective(np.full(10, 7))) == pytest.approx(0.0086, abs=2e-4)
    assert expanded_tail(100_000) == pytest.approx(0.025, abs=1e-4)


def test_a_share_of_one_has_the_exact_bound():
    found = share_interval(1.0, np.ones(100), np.ones(20, int))
    exact = stats.binomtest(20, 20).proportion_ci(0.95, method="exact")
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))
    assert share_interval(0.0, np.zeros(9), np.ones(20, int)).high == pytest.approx(1 - exact.low)


def test_macro_f1_is_sklearns_over_classes_with_support():
    support, given_, right = np.array([[5.0, 3, 0]]), np.array([[4.0, 2, 2]]), np.array([[4.0, 1, 0]])
    assert macro_f1(support, given_, right)[0] == pytest.approx((8 / 9 + 2 / 5) / 2)


def test_coverage_by_hand_and_near_the_exact_one():
    # Steps of 10 reviews: 10 right, 9 right, 5 right. 95 % of the first 20 are right, and no more.
    assert coverage_at(np.array([[10.0, 10, 10]]), np.array([[10.0, 9, 5]]), 0.95)[0] == pytest.approx(2 / 3)
    # 10 of 10, then 5 of 10: (10 + 5 t) / (10 + 10 t) = .95 at t = 1 / 9.
    assert coverage_at(np.array([[10.0, 10]]), np.array([[10.0, 5]]), 0.95)[0] == pytest.approx(
        (10 + 10 / 9) / 20
    )
    assert coverage_at(np.array([[10.0, 10]]), np.array([[9.0, 9]]), 0.95)[0] == 0
    assert coverage_at(np.array([[10.0, 10]]), np.array([[10.0, 10]]), 0.95)[0] == 1
    judged = drawn(3000, 5)
    exact = coverages(judged.confidence, judged.hit, (), (0.95,))[1][0].coverage
    assert intervals(judged, resamples=20)["coverage_at_95"].estimate == pytest.approx(exact, abs=0.01)


def test_intervals_hold_the_truth_where_products_err_together_and_rows_do_not():
    """Simulated: of 200 samples of 100 products, about 95 % of the intervals hold the truth."""
    truth = 4 / 4.8  # mean of beta(4, .8)
    ours = by_row = 0
    for seed in range(200):
        judged = drawn(100, seed)
        one = intervals(judged, resamples=200, seed=seed)["accuracy"]
        rows = replace(judged, product=np.arange(len(judged.label)))
        two = intervals(rows, resamples=200, seed=seed)["accuracy"]
        ours += one.low <= truth <= one.high
        by_row += two.low <= truth <= two.high
    assert 0.9 <= ours / 200 <= 0.99
    assert by_row / 200 < 0.88


def test_from_a_table_and_classes_in_one_order():
    rows = [
        {"review_id": "1", "product": 4, "label": "b", "predicted": "c", "confidence": 0.5, "p_label": 0.2},
        {"review_id": "2", "product": 4, "label": "a", "predicted": "a", "confidence": 0.9, "p_label": 0.9},
    ]
    judged = Judged.of_table(pa.Table.from_pylist(rows, schema=HELD_OUT_SCHEMA))
    assert judged.categories == ("a", "b", "c")
    assert (judged.label.tolist(), judged.predicted.tolist()) == ([1, 0], [2, 0])
    assert judged.hit.tolist() == [False, True]
