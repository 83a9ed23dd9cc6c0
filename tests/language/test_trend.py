"""Slopes and rank tests are scipy's for one series; several series pool as defined."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from shelfcheck.language.trend import pooled_trend, trend


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(-1000, 1000), min_size=4, max_size=12, unique=True))
def test_same_as_scipy(values: list[int]) -> None:
    years = np.arange(2010, 2010 + len(values))
    found = trend(years, values)
    expected = stats.theilslopes(values, years, 0.95)
    assert (found.slope, found.low, found.high) == pytest.approx(
        (expected.slope, expected.low_slope, expected.high_slope)
    )
    assert found.p == pytest.approx(stats.kendalltau(years, values).pvalue)


def test_few_points() -> None:
    assert trend([2015], [3]) is None
    two = trend([2014, 2015], [3, 5])
    assert (two.slope, two.low, two.p) == (2, None, None)
    three = trend([2013, 2014, 2015], [3, 5, 9])
    assert (three.slope, three.low, three.tau) == (3, None, 1)
    level = trend([1, 2, 3, 4], [5, 5, 5, 5])
    assert (level.slope, level.tau, level.p) == (0, 0, 1)


def test_pooled_by_hand() -> None:
    # Slopes 1, 1, 1 and 2; rank sums 3 and 1 with variances 11/3 and 1.
    found = pooled_trend([([0, 1, 2], [5, 6, 7]), ([0, 1], [0, 2])])
    assert found.slope == 1
    assert found.points == 5
    assert found.p == pytest.approx(2 * stats.norm.sf((4 - 1) / np.sqrt(11 / 3 + 1)))
    assert found.low is None  # two series bound nothing
    assert pooled_trend([([2015], [1])]) is None


def test_levels_of_the_series_do_not_matter() -> None:
    series = [([0, 1, 2], [5, 6, 8]), ([0, 1, 2], [50, 53, 54]), ([0, 1, 2, 3], [9, 8, 7, 7])]
    shifted = [(x, [v + 100 * i for v in y]) for i, (x, y) in enumerate(series)]
    assert pooled_trend(series) == pooled_trend(shifted)
    assert pooled_trend(series).low <= pooled_trend(series).slope <= pooled_trend(series).high
