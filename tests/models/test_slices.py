from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shelfcheck.models.judged import Judged
from shelfcheck.models.slices import MOST_VALUES, grouping, kept, slices


def judged(n, products=7, seed=0):
    random = np.random.default_rng(seed)
    label, predicted = random.integers(0, 3, n), random.integers(0, 3, n)
    confidence = random.random(n).astype(np.float32)
    return Judged(("a", "b", "c"), label, predicted, confidence, random.integers(-1, products, n))


def named(name, values, type_=None):
    group = grouping(name, kept(name, pa.array(values, type_)))
    return [group.names[code] for code in group.codes]


@pytest.mark.parametrize(
    ("name", "values", "told"),
    [
        ("body_tokens", [None, "", "one", "a b c d", "a b c d e"], ["0", "0", "1 to 4", "1 to 4", "5 to 9"]),
        ("body_characters", [None, "é" * 49, "é" * 50], ["0", "1 to 49", "50 to 99"]),
        ("year", [dt.date(2014, 12, 31), None], ["2014", "not given"]),
        ("star_rating", [5, 1, None], ["5", "1", "not given"]),
        ("vine", [True, False, None], ["yes", "no", "not given"]),
        ("source", ["x", None, "y"], ["x", "not given", "y"]),
        ("tags", [["x"], None], ["['x']", "not given"]),
        ("score", [0.5, float("nan")], ["0.5", "not given"]),
    ],
)
def test_values_are_named(name, values, told):
    assert named(name, values) == told


def test_numbers_are_in_order_and_other_values_by_how_often_they_occur():
    assert grouping("stars", pa.array([5, 3, 5, 4])).names == ("3", "4", "5", "not given")
    assert grouping("source", pa.array(["x", "y", "y"])).names == ("y", "x", "not given")


def test_many_values_are_put_together_and_many_numbers_cut_into_ranges():
    names = [f"s{i:03d}" for i in range(50) for _ in range(2 if i < MOST_VALUES else 1)]
    group = grouping("source", pa.array(names))
    assert group.names[-2:] == ("20 other values", "not given")
    assert np.bincount(group.codes)[-1] == 20
    group = grouping("votes", pa.array([*range(100), None]))
    assert len(group.names) == 6
    assert np.bincount(group.codes) == pytest.approx([20, 20, 20, 20, 20, 1], abs=1)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.one_of(st.none(), st.integers(0, 60)), min_size=1, max_size=200), st.integers(0, 50))
def test_slices_hold_every_review_once(values, seed):
    reviews = judged(len(values), seed=seed)
    column = pa.array(values, pa.int64())
    found = slices(reviews, {"votes": grouping("votes", column)}, resamples=20)["votes"]
    assert sum(one.reviews for one in found) == len(values)
    right = sum(one.reviews * one.accuracy.estimate for one in found)
    assert right == pytest.approx(reviews.hit.sum())
    for one in found:
        assert 0 <= one.accuracy.low <= one.accuracy.estimate <= one.accuracy.high <= 1
        assert 1 <= one.products <= one.reviews


def test_a_slice_of_one_product_is_not_sure_of_anything():
    reviews = Judged(
        ("a", "b"), np.array([0, 0, 1]), np.array([0, 1, 1]), np.ones(3, np.float32), np.zeros(3, int)
    )
    (found,) = slices(reviews, {"x": grouping("x", pa.array(["v"] * 3))})["x"]
    assert found.products == 1
    assert found.accuracy.low < 0.2
    assert found.accuracy.high > 0.9
