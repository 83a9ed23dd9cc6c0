from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

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
    labels[:200] = np.random.default_rng(2).integers(0, 6, 200)
    weights = np.random.default_rng(1).random(3000)

    def nll(point):
        scale, noise = point
        z = logits.astype(float) * scale
        own = np.exp(z[np.arange(3000), labels]) / np.exp(z).sum(axis=1)
        return -(weights @ np.log((1 - noise) * own + noise / 6)) / weights.sum()

    best = minimize(nll, [1.0, 0.02], bounds=[(0.05, 20), (0, 0.9)], tol=1e-10)
    found = Calibration.fit(logits, labels, weights)
    assert found.nll_after == pytest.approx(best.fun, abs=1e-5)
    assert found.scale == pytest.approx(best.x[0], rel=0.01)
    assert found.noise == pytest.approx(best.x[1], abs=0.005)


@pytest.mark.parametrize("noise", [0.0, 0.03, 0.1])
def test_wrong_labels_do_not_flatten_the_probabilities(noise):
    logits, labels = drawn(scale=1.5)
    wrong = np.random.default_rng(3).random(len(labels)) < noise
    labels[wrong] = np.random.default_rng(4).integers(0, 6, wrong.sum())
    found = Calibration.fit(logits, labels)
    assert found.scale == pytest.approx(1.5, rel=0.03)
    assert found.noise == pytest.approx(noise, abs=0.006)


def test_odds_of_the_truth_are_the_scaled_logits():
    logits, _ = drawn(n=500)
    found = Calibration(scale=0.7, noise=0.05)
    logs = found.log_probabilities_of_truth(logits)
    assert logs[:, 0] - logs[:, 1] == pytest.approx(0.7 * (logits[:, 0] - logits[:, 1]), abs=1e-5)
    chances = np.exp(found.log_probabilities(logits))
    assert chances == pytest.approx(0.95 * np.exp(logs) + 0.05 / 6, abs=1e-6)


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
    found = Calibration(scale=0.5, noise=0.1).log_probabilities(logits)
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
