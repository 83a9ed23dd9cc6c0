from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from shelfcheck.models.calibration import Calibration, product_weights
from shelfcheck.models.evaluation import evaluate


def drawn(n=20_000, classes=6, scale=1.0, seed=0):
    """Logits, and labels drawn from softmax(scale * logits)."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (n, classes)).astype(np.float32)
    p = np.exp(scale * logits.astype(float))
    p /= p.sum(axis=1, keepdims=True)
    labels = (p.cumsum(axis=1) < random.random((n, 1))).sum(axis=1).astype(np.int16)
    return logits, labels


@pytest.mark.parametrize("scale", [0.3, 0.8, 1.0, 2.5])
def test_finds_the_scale_the_labels_were_drawn_with(scale):
    found = Calibration.fit(*drawn(scale=scale))
    assert found.scale == pytest.approx(scale, rel=0.03)
    assert found.nll_after <= found.nll_before + 1e-9


def test_is_the_minimum_that_scipy_finds():
    logits, labels = drawn(n=3000, scale=0.6)
    weights = np.random.default_rng(1).random(3000)

    def nll(s):
        z = logits.astype(float) * s
        return weights @ (np.log(np.exp(z).sum(axis=1)) - z[np.arange(3000), labels])

    best = minimize_scalar(nll, bounds=(0.05, 20), method="bounded").x
    assert Calibration.fit(logits, labels, weights).scale == pytest.approx(best, abs=1e-3)


def test_makes_overconfident_probabilities_right():
    logits, labels = drawn(scale=0.5)
    half = len(labels) // 2
    found = Calibration.fit(logits[:half], labels[:half])
    names = [str(i) for i in range(6)]
    before = evaluate(labels[half:], np.exp(Calibration().log_probabilities(logits[half:])), names).ece
    after = evaluate(labels[half:], np.exp(found.log_probabilities(logits[half:])), names).ece
    assert before > 0.1
    assert after < 0.015


def test_log_probabilities_are_a_distribution_and_leave_their_input_alone():
    logits = np.array([[1000, -1000, 0], [0, 0, 0]], np.float32)
    kept = logits.copy()
    found = Calibration(scale=0.5).log_probabilities(logits)
    assert np.exp(found).sum(axis=1) == pytest.approx([1, 1])
    assert np.array_equal(logits, kept)


def test_too_few_reviews_leave_the_logits_alone():
    assert Calibration.fit(np.zeros((3, 2), np.float32), np.zeros(3, np.int16)).scale == 1.0


def test_certain_and_right_predictions_do_not_run_away():
    logits = np.tile(np.array([[5, 0]], np.float32), (100, 1))
    assert Calibration.fit(logits, np.zeros(100, np.int16)).scale <= 20


def test_large_input_is_sampled_to_the_same_scale():
    assert Calibration.fit(*drawn(n=250_000, classes=3, scale=0.7)).scale == pytest.approx(0.7, rel=0.02)


def test_products_count_by_the_root_of_their_reviews():
    weights = product_weights(np.array([0] * 100 + [1]))
    assert weights[:100].sum() == pytest.approx(10)
    assert weights[100] == 1


def test_json_and_back():
    found = Calibration.fit(*drawn(n=200))
    assert Calibration.from_json(found.to_json()) == found
