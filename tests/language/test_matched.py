"""Groups cut to one size: same size, drawn by hash, and no growth where only the number of reviews grows."""

from __future__ import annotations

import numpy as np
import pytest
from language_support import made_up

from shelfcheck.language.matched import cut, matched_overlaps
from shelfcheck.language.terms import overlap, top_terms
from shelfcheck.language.trend import trend

WEIGHT = np.ones(40)


@pytest.fixture(scope="module")
def growing():
    """Six years of one language, of 20 to 1,500 reviews."""
    rng = np.random.default_rng(11)
    sizes = [20, 50, 120, 300, 700, 1500]
    group = np.repeat(np.arange(6), sizes)
    return made_up(rng, rng.integers(0, 60, len(group)).tolist(), group.tolist(), own=0.2)


def test_every_group_has_the_size_of_the_smallest(growing) -> None:
    for sizes, size in ((growing.words, 240), (np.ones(len(growing), np.int64), 20)):
        for group, rows in enumerate(cut(growing, sizes, 6, size, draw=3)):
            assert (growing.group[rows] == group).all()
            assert len(set(rows.tolist())) == len(rows)
            assert sizes[rows].sum() == size


def test_draws_hang_on_the_hash_alone(growing) -> None:
    order = np.random.default_rng(1).permutation(len(growing))
    shuffled = growing.take(order)
    for rows, other in zip(
        cut(growing, growing.words, 6, 240, 5), cut(shuffled, growing.words, 6, 240, 5), strict=True
    ):
        assert set(growing.key[rows].tolist()) == set(shuffled.key[other].tolist())
    assert set(cut(growing, growing.words, 6, 240, 5)[5]) != set(cut(growing, growing.words, 6, 240, 6)[5])


def test_growth_of_the_overlap_is_one_of_size_and_goes_with_it(growing) -> None:
    pairs = [(i, i + 1) for i in range(5)]
    counts = np.stack([growing.total(np.flatnonzero(growing.group == g)) for g in range(6)])
    top = top_terms(counts * WEIGHT, 10)
    raw = [overlap(top[a], top[b])[0] for a, b in pairs]
    matched = matched_overlaps(growing, 6, pairs, WEIGHT, 10, draws=20)
    assert matched.size == 240
    assert matched.overlaps.shape == (20, 5)
    assert trend(range(5), raw).slope > 5
    assert abs(trend(range(5), matched.overlaps.mean(axis=0)).slope) < 3
