"""What several learners bring back becomes one set of parameters."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as checked
from hypothesis import strategies as st

from shelfcheck.models.averaging import Average, Change, Parameters
from shelfcheck.models.kernels import BLOCK
from shelfcheck.models.linear import LinearModel
from shelfcheck.models.shards import Plan, Threads


def parameters(rng, features=6, width=3):
    """Whole numbers, so that sums are exact in whatever order."""

    def whole(*shape):
        return rng.integers(-8, 9, shape).astype(np.float32)

    return Parameters(whole(features, width), whole(features) + 10, whole(width), whole(width) + 10)


def change(rng, start, share=0.6):
    met = np.flatnonzero(rng.random(len(start.squares)) < share)
    moved = parameters(rng, len(met), start.weights.shape[1])
    return Change(
        met,
        start.weights[met] + moved.weights,
        start.squares[met] + 2 ** rng.integers(0, 3, len(met)).astype(np.float32),
        start.bias + moved.bias,
        start.bias_squares + 1,
    )


def copy(start):
    return Parameters(*(values.copy() for values in start))


def averaged(start, changes, rule, growth="sum", stretch=0.0):
    average = Average(copy(start), rule, growth, stretch)
    for one in changes:
        average.add(one)
    return average.finish()


SEEDS = st.integers(0, 2**32 - 1)
RULES = pytest.mark.parametrize("rule", ["all", "met", "growth"])


def test_by_hand():
    start = Parameters(np.float32([[1], [1], [1]]), np.ones(3, np.float32), *np.zeros((2, 1), np.float32))
    changes = [
        Change(np.array([0, 1]), np.float32([[3], [5]]), np.float32([2, 4]), *np.float32([[2], [1]])),
        Change(np.array([1]), np.float32([[1]]), np.float32([2]), *np.float32([[4], [3]])),
    ]
    expected = {"all": [2, 3, 1], "met": [3, 3, 1], "growth": [3, 4, 1]}
    for rule, weights in expected.items():
        found = averaged(start, changes, rule)
        assert found.weights[:, 0].tolist() == weights
        assert found.squares.tolist() == [2, 5, 1]
        assert (found.bias.tolist(), found.bias_squares.tolist()) == ([3], [4])
    assert averaged(start, changes, "growth", "mean").squares.tolist() == [2, 3, 1]
    assert averaged(start, changes, "growth", "mean").bias_squares.tolist() == [2]
    # The second n-gram grew by 3 and 1: as if by 1.6 learners alike, so that it moves 1.6 ** .5 times as far.
    stretched = averaged(start, changes, "growth", stretch=0.5).weights[:, 0]
    assert np.allclose(stretched, [3, 1 + 3 * 1.6**0.5, 1])


@RULES
@checked(deadline=None)
@given(SEEDS)
def test_one_learner_alone_is_taken_as_it_is(rule, seed):
    rng = np.random.default_rng(seed)
    start = parameters(rng)
    start.weights[:] = rng.normal(size=start.weights.shape)
    only = change(rng, start)
    found = averaged(start, [only], rule)
    assert np.array_equal(found.weights[only.features], only.weights)
    assert np.array_equal(found.squares[only.features], only.squares)
    assert np.array_equal(found.bias, only.bias)
    assert np.array_equal(found.bias_squares, only.bias_squares)


@RULES
@checked(deadline=None)
@given(SEEDS, st.integers(1, 5))
def test_what_nobody_met_stays_and_the_rest_lies_between(rule, seed, learners):
    rng = np.random.default_rng(seed)
    start = parameters(rng)
    changes = [change(rng, start, 0.4) for _ in range(learners)]
    found = averaged(start, changes, rule)
    for feature in range(len(start.squares)):
        told = [one.weights[one.features == feature] for one in changes]
        told = np.concatenate([*told, start.weights[[feature]] if rule == "all" else told[0][:0]])
        met = any(feature in one.features for one in changes)
        if not met:
            assert np.array_equal(found.weights[feature], start.weights[feature])
            assert found.squares[feature] == start.squares[feature]
            continue
        assert (found.weights[feature] >= told.min(axis=0) - 1e-4).all()
        assert (found.weights[feature] <= told.max(axis=0) + 1e-4).all()
        grown = sum(
            float((one.squares[one.features == feature] - start.squares[feature]).sum()) for one in changes
        )
        assert found.squares[feature] == start.squares[feature] + grown


@RULES
@checked(deadline=None)
@given(SEEDS)
def test_learners_who_agree_are_agreed_with(rule, seed):
    rng = np.random.default_rng(seed)
    start = parameters(rng)
    one = change(rng, start, 1)
    found = averaged(start, [one] * 4, rule)
    assert np.allclose(found.weights[one.features], one.weights)
    assert np.array_equal(found.bias, one.bias)


@RULES
@checked(deadline=None)
@given(SEEDS)
def test_the_order_of_the_learners_does_not_matter(rule, seed):
    rng = np.random.default_rng(seed)
    start = parameters(rng)
    changes = [change(rng, start) for _ in range(4)]
    one, other = averaged(start, changes, rule), averaged(start, changes[::-1], rule)
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


# Shards


@checked(deadline=None)
@given(st.integers(1, 40), st.integers(1, 20 * BLOCK), SEEDS)
def test_every_review_is_met_once_an_epoch(shards, reviews, seed):
    plan = Plan.of(
        shards,
        reviews,
        n_classes=2,
        hash_bits=10,
        epochs=2,
        averages=3,
        learning_rate=1.0,
        dropout=0.0,
        seed=seed,
    )
    assert plan.shards == min(shards, -(-reviews // BLOCK))
    parts = [plan.rows_of(shard) for shard in range(plan.shards)]
    assert (parts[0].start, parts[-1].stop) == (0, reviews)
    assert all(a.stop == b.start for a, b in pairwise(parts))
    assert max(plan.cuts[i + 1] - plan.cuts[i] for i in range(plan.shards)) <= -(
        -plan.cuts[-1] // plan.shards
    )
    for shard, part in enumerate(parts):
        assert part.stop > part.start
        blocks = -(-(part.stop - part.start) // BLOCK)
        assert sorted(plan.visited(shard, 1)) == list(range(blocks))
        steps = [plan.places(shard, step) for step in range(3, 6)]
        assert [i for places in steps for i in places] == list(range(plan.chunks(shard)))
        assert sum(plan.met(shard, step) for step in range(3, 6)) == part.stop - part.start


def fitted(encoded, settings, *, shards=1, threads=1, employer=None):
    linear = settings.train.linear.model_copy(update={"shards": shards})
    rows = np.arange(0, encoded.n_rows, dtype=np.uint32)
    return LinearModel.fit(encoded, rows, encoded.categories, linear, threads=threads, employer=employer)


def same(one, other):
    return np.array_equal(one.weights, other.weights) and np.array_equal(one.bias, other.bias)


def test_one_shard_is_one_machine_bit_for_bit(encoded, settings):
    whole = fitted(encoded, settings)
    one = fitted(encoded, settings, employer=Threads)
    assert same(one, whole)
    assert one.facts["loss_by_epoch"] == whole.facts["loss_by_epoch"]


def test_shards_do_not_depend_on_threads_and_learn_about_as_well(encoded, settings):
    whole = fitted(encoded, settings)
    one, other = (fitted(encoded, settings, shards=3, threads=threads) for threads in (1, 3))
    assert same(one, other)
    assert not same(one, whole)
    rows = np.arange(encoded.n_rows, dtype=np.uint32)

    def right(model):
        found = model.logits(encoded.indptr, encoded.ids, rows, 1).argmax(axis=1)
        return (found == encoded.label).mean()

    assert right(one) > right(whole) - 0.02
