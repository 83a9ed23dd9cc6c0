"""Target counts: proportional, exact in their sum, at least one a stratum."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfcheck.sampling.allocation import allocate

SIZES = st.lists(st.integers(1, 10_000), min_size=1, max_size=60)
FRACTIONS = st.one_of(
    st.integers(1, 1000).map(lambda n: n / 1000),
    st.floats(1e-6, 1.0, exclude_min=True, allow_subnormal=False),
)


@given(SIZES, FRACTIONS)
def test_targets_are_the_shares_rounded(rows, fraction):
    targets = allocate(rows, fraction)
    exact = Fraction(repr(fraction))
    shares = [n * exact for n in rows]
    assert all(1 <= target <= n for target, n in zip(targets, rows, strict=True))
    assert all(
        abs(target - share) < 1 or (target == 1 and share < 1)
        for target, share in zip(targets, shares, strict=True)
    )
    total = int(sum(rows) * exact + Fraction(1, 2))
    least = sum(max(1, int(share)) for share in shares)
    assert sum(targets) == max(total, least)


@given(SIZES, FRACTIONS, st.randoms())
def test_a_larger_stratum_gets_no_less(rows, fraction, random):
    targets = allocate(rows, fraction)
    by_size = sorted(zip(rows, targets, strict=True))
    assert all(a <= b + (m == n) for (m, a), (n, b) in pairwise(by_size))
    order = list(range(len(rows)))
    random.shuffle(order)
    shuffled = allocate([rows[i] for i in order], fraction)
    assert sum(shuffled) == sum(targets)


@pytest.mark.parametrize(
    ("rows", "fraction", "targets"),
    [
        ([100], 0.07, [7]),  # 0.07 * 100 is 7.000000000000001 in floating point
        ([100], 0.29, [29]),  # and 0.29 * 100 is 28.999999999999996
        ([10, 10, 10], 0.25, [3, 3, 2]),  # 7.5 in all, halves up; ties to the first
        ([1, 1, 98], 0.01, [1, 1, 1]),  # one would do, three strata force three
        ([1, 50, 949], 0.1, [1, 5, 94]),  # 0.1, 5, 94.9: with the forced row, the total is 100
        ([15, 15, 70], 0.1, [2, 1, 7]),
        ([3, 5], 1.0, [3, 5]),
        ([1], 0.000001, [1]),
    ],
)
def test_by_hand(rows, fraction, targets):
    assert allocate(rows, fraction) == targets
