from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import classification_report, confusion_matrix

from shelfcheck.models import measures
from shelfcheck.models.blocks import blocks
from shelfcheck.models.evaluation import Evaluation, evaluate, summarise
from shelfcheck.models.measures import BinSums, calibration_error, coverages
from shelfcheck.models.tally import Tally

NAMES = ["a", "b", "c", "d"]


def drawn(n=500, seed=0):
    random = np.random.default_rng(seed)
    p = random.dirichlet(np.ones(4), n).astype(np.float32)
    labels = np.where(random.random(n) < 0.6, p.argmax(axis=1), random.integers(0, 3, n)).astype(np.int16)
    return labels, p


def test_report_is_sklearns():
    labels, p = drawn()
    found = evaluate(labels, p, NAMES)
    theirs = classification_report(
        labels, p.argmax(axis=1), labels=range(4), target_names=NAMES, output_dict=True, zero_division=0
    )
    for name in NAMES:
        ours = found.report[name]
        assert [ours.precision, ours.recall, ours.f1, ours.support] == pytest.approx(
            list(theirs[name].values())
        )
    for ours, key in ((found.weighted, "weighted avg"),):
        assert [ours.precision, ours.recall, ours.f1] == pytest.approx(list(theirs[key].values())[:3])
    assert np.array_equal(found.confusion, confusion_matrix(labels, p.argmax(axis=1), labels=range(4)))
    present = sorted(set(labels.tolist()))
    assert found.macro.f1 == pytest.approx(np.mean([theirs[NAMES[i]]["f1-score"] for i in present]))


def test_calibration_error_worked_by_hand():
    # Bins of width .5: (.6, .8) right, wrong -> |.7 - .5| ; (.4) right -> |.4 - 1|.
    sums = BinSums(bins=2)
    sums.add(np.array([0.6, 0.8]), np.array([True, False]))
    sums.add(np.array([0.4]), np.array([True]))
    bins = sums.reliability()
    assert [(one.reviews, one.accuracy) for one in bins] == [(1, 1.0), (2, 0.5)]
    assert calibration_error(bins) == pytest.approx((1 * 0.6 + 2 * 0.2) / 3)


def test_bins_hold_their_upper_edge():
    sums = BinSums(bins=2)
    sums.add(np.array([0.0, 0.5, 1.0]), np.ones(3, bool))
    assert sums.reliability()[0].reviews == 2


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(0, 5))
def test_order_of_the_rows_does_not_matter(n, seed):
    labels, p = drawn(n, seed)
    order = np.random.default_rng(seed).permutation(n)
    one, two = evaluate(labels, p, NAMES), evaluate(labels[order], p[order], NAMES)
    assert one.confusion == two.confusion
    assert one.ece == pytest.approx(two.ece)
    assert one.nll == pytest.approx(two.nll)


def test_coverage_worked_by_hand():
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]], np.float32)
    found = evaluate(np.array([0, 0, 1, 0], np.int16), p, ["x", "y"])
    assert [(one.coverage, one.accuracy) for one in found.coverage if one.coverage in (0.5, 0.75, 1.0)] == [
        (0.5, 1.0),
        (0.75, pytest.approx(2 / 3)),
        (1.0, 0.75),
    ]
    assert [(one.precision, one.coverage) for one in found.at_precision] == [
        (0.8, 0.5),
        (0.9, 0.5),
        (0.95, 0.5),
    ]
    assert found.at_precision[0].confidence == pytest.approx(0.8)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 60), st.integers(0, 1000))
def test_coverage_is_that_of_a_stable_sort_in_blocks_of_any_size(n, seed):
    random = np.random.default_rng(seed)
    confidence = random.choice(np.linspace(0, 1, 12, dtype=np.float32), n)  # many are equal
    hit = random.random(n) < 0.8
    order = np.argsort(-confidence, kind="stable")
    right = np.cumsum(hit[order]) / np.arange(1, n + 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measures, "blocks", lambda n: blocks(n, 7))
        covered, reached = coverages(confidence, hit, (5, 50, 100), (0.8, 2.0))
    for one, percent in zip(covered, (5, 50, 100), strict=True):
        last = max(1, n * percent // 100) - 1
        assert (one.accuracy, one.confidence) == (right[last], confidence[order][last])
    enough = np.flatnonzero(right >= 0.8)
    assert reached[0].coverage == ((enough[-1] + 1) / n if len(enough) else 0)
    assert reached[0].confidence == (confidence[order][enough[-1]] if len(enough) else 1)
    assert (reached[1].coverage, reached[1].confidence) == (0, 1)


def test_a_tally_holds_few_bytes_of_a_review(tmp_path):
    """Sums by product lie in a folder; what is left is the confidence, and its sorting in the end."""
    n, k, products = 1 << 20, 24, 1 << 17
    random = np.random.default_rng(0)
    p = random.dirichlet(np.ones(k), 1 << 12).astype(np.float32)
    tracemalloc.start()
    tally = Tally(k, tmp_path)
    tally.reserve(products)
    for block in blocks(n, len(p)):
        labels = random.integers(0, k, len(p)).astype(np.int16)
        tally.add(labels, p, p, np.arange(block.start, block.stop) % products)
    held, most = tracemalloc.get_traced_memory()
    found = summarise(tally, [str(i) for i in range(k)])
    in_the_end = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found.reviews, found.products) == (n, products)
    assert held < 6 * n
    assert most < 6 * n + 20e6  # a batch
    assert in_the_end < 6 * n + 5 * n + 8 * n + 40e6


@pytest.mark.parametrize("in_folder", [True, False])
def test_sums_by_product_grow_as_products_come(tmp_path, in_folder):
    labels, p = drawn(200)
    products = np.arange(200) // 3
    tally = Tally(len(NAMES), tmp_path if in_folder else None)
    for block in blocks(200, 17):
        tally.add(labels[block], p[block], None, products[block])
    whole = evaluate(labels, p, NAMES, products=products)
    found = summarise(tally, NAMES)
    assert (found.products, found.product_accuracy) == (whole.products, whole.product_accuracy)
    assert found.confusion == whole.confusion


def test_products_are_judged_by_all_their_reviews():
    p = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.9, 0.1]], np.float32)
    found = evaluate(np.array([0, 0, 0, 1], np.int16), p, ["x", "y"], products=np.array([7, 7, 3, -1]))
    assert found.products == 2
    assert found.product_accuracy == 0.5
    assert evaluate(np.array([0, 0, 0, 1], np.int16), p, ["x", "y"]).product_accuracy is None


def test_json_and_back_and_text():
    labels, p = drawn()
    found = evaluate(labels, p, NAMES, uncalibrated=p)
    assert found.ece_uncalibrated == pytest.approx(found.ece)
    assert Evaluation.from_json(found.to_json()) == found
    text = found.text()
    for word in (*NAMES, "precision", "macro avg", "weighted avg", "accuracy", "calibration error"):
        assert word in text


def test_what_is_no_evaluation_is_refused():
    with pytest.raises(ValueError, match="not an evaluation"):
        Evaluation.from_json("{}")
    with pytest.raises(ValueError, match="0 labels"):
        evaluate(np.zeros(0, np.int16), np.zeros((0, 2), np.float32), ["x", "y"])
