"""Weighted log odds agree with hand computation and keep the symmetries of their definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from shelfcheck.language.log_odds import informative_prior, log_odds

counts = arrays(np.int64, 6, elements=st.integers(0, 500))


def test_by_hand() -> None:
    # Monroe et al. (2008), equation 16, for `battery`: 9 of 20 words beside 3 of 40, prior (1, 2, 2).
    delta, z = log_odds([9, 6, 5], [3, 17, 20], [1, 2, 2])
    expected = math.log(10 / (20 + 5 - 10)) - math.log(4 / (40 + 5 - 4))  # log(2/3) - log(4/41)
    assert delta[0] == pytest.approx(expected)
    assert delta[0] == pytest.approx(1.921812, abs=1e-6)
    # equation 20: the variance is 1/10 + 1/4
    assert z[0] == pytest.approx(1.921812 / math.sqrt(0.35), abs=1e-5)


@settings(deadline=None, max_examples=50)
@given(counts, counts)
def test_swapping_the_groups_changes_the_sign(a: np.ndarray, b: np.ndarray) -> None:
    prior = np.full(6, 0.5)
    for one, other in zip(log_odds(a, b, prior), log_odds(b, a, prior), strict=True):
        np.testing.assert_allclose(one, -other, atol=1e-9)


@settings(deadline=None, max_examples=50)
@given(counts, counts, st.permutations(range(6)))
def test_order_of_terms_does_not_matter(a: np.ndarray, b: np.ndarray, order: list[int]) -> None:
    prior = np.linspace(0.5, 3, 6)
    _, z = log_odds(a, b, prior)
    np.testing.assert_allclose(log_odds(a[order], b[order], prior[order])[1], z[order], atol=1e-9)


def test_many_pairs_at_once() -> None:
    years = np.array([[5, 1, 4], [2, 8, 3], [9, 9, 9]])
    prior = np.array([1.0, 2.0, 3.0])
    delta, z = log_odds(years[1:], years[:-1], prior)
    assert delta.shape == z.shape == (2, 3)
    np.testing.assert_array_equal(delta[1], log_odds(years[2], years[1], prior)[0])


def test_a_stronger_prior_draws_rare_terms_to_no_difference() -> None:
    a, b = np.array([3, 3000]), np.array([0, 3000])
    weak = log_odds(a, b, informative_prior([3, 6000], 10))[1][0]
    strong = log_odds(a, b, informative_prior([3, 6000], 100_000))[1][0]
    assert 0 < strong < weak


def test_prior_has_the_background_s_proportions() -> None:
    np.testing.assert_allclose(informative_prior([30, 10, 0], 8), [6, 2, 0.01])
    with pytest.raises(ValueError, match="no term"):
        informative_prior([0, 0], 8)
    with pytest.raises(ValueError, match="size == 0"):
        informative_prior([1], 0)


def test_wrong_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="pseudo-count"):
        log_odds([1, 2], [3, 4], [0, 1])
    with pytest.raises(ValueError, match=">= 0"):
        log_odds([1, -2], [3, 4], [1, 1])


def test_z_is_standard_normal_when_the_groups_are_alike() -> None:
    rng = np.random.default_rng(5)
    shares = rng.dirichlet(np.ones(40))
    a, b = (rng.multinomial(20_000, shares, size=300) for _ in range(2))
    frequent = shares > 0.01
    _, z = log_odds(a, b, informative_prior(shares, 10))
    z = z[:, frequent]
    assert abs(z.mean()) < 0.05
    assert 0.95 < z.std() < 1.05
    assert 0.035 < (np.abs(z) > 1.96).mean() < 0.065
