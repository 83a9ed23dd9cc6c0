"""Top terms by class TF-IDF and what two sets of them share, by hand on a toy corpus."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from shelfcheck.language import kernels
from shelfcheck.language.terms import overlap, rarity, top_terms


def test_by_hand() -> None:
    # Two classes of 10 words: "great" 4 times in both, "lens" 6 times in the first, "strap" in the second.
    counts = np.array([[4, 6, 0], [4, 0, 6]])  # great, lens, strap
    weights = counts / 10 * rarity(counts.sum(axis=0), 10.0)
    assert weights[0].tolist() == pytest.approx([0.4 * math.log(1 + 10 / 8), 0.6 * math.log(1 + 10 / 6), 0])
    first, second = top_terms(weights, 2)
    assert (first.tolist(), second.tolist()) == ([1, 0], [2, 0])
    assert overlap(first, second) == (50.0, pytest.approx(1 / 3))


def test_terms_that_do_not_stand_in_a_class_are_none_of_its_top() -> None:
    assert [row.tolist() for row in top_terms([[1.0, 0.0, 2.0], [0.0, 0.0, 0.0]], 3)] == [[2, 0], []]
    assert overlap([], []) == (0.0, 0.0)


@settings(deadline=None, max_examples=50)
@given(arrays(np.int64, (2, 12), elements=st.integers(0, 4)), st.integers(1, 12))
def test_the_compiled_overlap_is_the_plain_one(counts: np.ndarray, k: int) -> None:
    weight = np.linspace(1.0, 2.0, 12).round(1)  # with ties
    top = top_terms(counts * weight, k)
    assert kernels.shared_top(counts[0], counts[1], weight, k) == pytest.approx(overlap(*top)[0])
