from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from shelfcheck.audit.additive import Basis, fit_logistic
from shelfcheck.audit.agreement import one_hot_sum
from shelfcheck.audit.mixture import Posterior, _rising
from shelfcheck.text.spreadsheet import harmless


@pytest.mark.parametrize("share", [0.01, 0.03, 0.1])
def test_posterior_finds_the_share_and_is_calibrated(share):
    rng = np.random.default_rng(1)
    n = 50_000
    fault = rng.random(n) < share
    rows = np.where(fault, rng.normal(4, 1, n), rng.normal(0, 1, n))
    posterior = Posterior.fit(rows, rng.normal(4, 1, 20_000))
    assert posterior.share == pytest.approx(share, rel=0.15)
    chance = posterior(rows)
    assert chance.sum() == pytest.approx(fault.sum(), rel=0.15)
    for low, high in ((0.0, 0.1), (0.1, 0.5), (0.5, 1.0)):
        here = (chance >= low) & (chance < high)
        assert fault[here].mean() == pytest.approx(chance[here].mean(), abs=0.1)


def test_no_fault_is_expected_where_there_is_none():
    rng = np.random.default_rng(2)
    posterior = Posterior.fit(rng.normal(-4, 1, 20_000), rng.normal(4, 1, 5_000))
    assert posterior.share < 0.001


def test_posterior_never_falls_and_stays_below_one():
    rng = np.random.default_rng(3)
    posterior = Posterior.fit(rng.normal(0, 2, 1000), rng.normal(1, 2, 1000))
    chance = posterior(np.linspace(-20, 20, 500))
    assert (np.diff(chance) >= 0).all()
    assert 0 <= chance.min() <= chance.max() < 1


@pytest.mark.parametrize(("rows", "simulated"), [([], [1.0]), ([1.0], []), ([], [])])
def test_nothing_to_learn_from_gives_no_probability(rows, simulated):
    posterior = Posterior.fit(np.array(rows), np.array(simulated))
    assert posterior(np.array([0.0, 100.0])).tolist() == [0, 0]


def test_rising_is_isotonic_regression():
    from sklearn.isotonic import isotonic_regression

    rng = np.random.default_rng(4)
    values, weights = rng.random(200), rng.random(200) + 0.01
    assert _rising(values, weights) == pytest.approx(isotonic_regression(values, sample_weight=weights))


def test_logistic_agrees_with_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(5)
    x = rng.normal(size=(2000, 3)).astype(np.float32)
    y = (rng.random(2000) < 1 / (1 + np.exp(-(x @ [1, -2, 0.5] + 0.3)))).astype(np.float32)
    columns = np.c_[np.ones(2000, np.float32), x]
    ours = fit_logistic(columns, y, np.ones(2000, np.float32), ridge=1.0)
    theirs = LogisticRegression(C=1.0, tol=1e-8).fit(x, y)
    assert ours[1:] == pytest.approx(theirs.coef_[0], abs=2e-3)
    assert ours[0] == pytest.approx(theirs.intercept_[0], abs=2e-3)


def test_basis_is_flat_beyond_the_knots_and_skips_constants():
    x = np.c_[np.linspace(0, 1, 101), np.full(101, 7)].astype(np.float32)
    basis = Basis.fit(x, 5)
    columns = basis(x)
    assert columns.shape == (101, 5)
    assert (columns[:, 0] == 1).all()
    far = basis(np.array([[-9, 7], [9, 7]], np.float32))
    assert far[:, 1:].tolist() == [[0] * 4, [1] * 4]


def test_one_hot_sum_adds_rows_by_code():
    values = np.arange(8, dtype=np.float32).reshape(4, 2)
    assert one_hot_sum(np.array([2, 0, 2, 0]), values, 4).tolist() == [[8, 10], [0, 0], [4, 6], [0, 0]]
    assert one_hot_sum(np.empty(0, np.int64), values[:0], 2).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("a=b", "a=b"),
        ("", ""),
        (None, None),
    ],
)
def test_formulas_are_disarmed(text, expected):
    assert harmless(pa.array([text], pa.string())).to_pylist() == [expected]
