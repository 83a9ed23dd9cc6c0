from __future__ import annotations

import numpy as np

from shelfcheck.audit.agreement import Agreement

CLEAR, OTHER = np.log([0.96, 0.02, 0.02], dtype=np.float32), np.log([0.02, 0.96, 0.02], dtype=np.float32)


def _explained(reviews_of_product, logs):
    """How far the product explains a review in category 0, by what all its reviews read like."""
    p = np.exp(np.stack(reviews_of_product))
    agreement = Agreement(
        pi=np.full(3, 1 / 3, np.float32),
        category_sum=np.eye(3, dtype=np.float32) * 100,
        category_n=np.full(3, 100),
        product_sum=p.sum(axis=0, keepdims=True),
        product_n=np.array([len(p)]),
        product_hits=np.array([(p.argmax(axis=1) == 0).sum()], np.float32),
        product_log_p=np.array([np.log(p[:, 0]).sum()], np.float32),
    )
    one = logs[None]
    placed = agreement.features(one, np.array([0]), np.array([0]), one)
    return float(placed.explained[0])


def test_only_review_shares_the_blame_with_its_product():
    assert _explained([OTHER], OTHER) == 0.5


def test_others_that_agree_with_the_category_blame_the_review():
    assert _explained([OTHER] + [CLEAR] * 5, OTHER) < 0.01


def test_others_that_read_alike_blame_the_product():
    assert _explained([OTHER] * 7, OTHER) > 0.9
