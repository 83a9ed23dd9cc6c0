"""What is held in files and made in parts is what is held in memory and made at once."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from review_corpus import reviews, write_prepared
from shelfcheck.audit.agreement import Agreement
from shelfcheck.audit.judged import Judged
from shelfcheck.audit.miscategorised_products import score_products
from shelfcheck.audit.misplaced_reviews import score_reviews
from shelfcheck.audit.mixture import quantiles
from shelfcheck.audit.pooling import Pooled
from shelfcheck.audit.room import Room, room_in
from shelfcheck.config import validate
from shelfcheck.models.encode import encode
from shelfcheck.predict.out_of_fold import out_of_fold


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    home = tmp_path_factory.mktemp("judged")
    settings = validate(
        {
            "run": {"threads": 1},
            "audit": {"folds": 2},
            "train": {"min_category_reviews": 10, "linear": {"hash_bits": 14, "epochs": 2}},
        }
    )
    encode(write_prepared(reviews(1500), home / "prepared"), home / "encoded", settings)
    out_of_fold(home / "encoded", home / "oof", settings)
    return Judged.open(home / "oof")


@pytest.fixture
def small(tmp_path):
    """Room for seven products at a time, and for nothing in memory."""
    return Room(tmp_path / "room", in_memory=0, at_once=7 * 40 * 4)


def same(one, other):
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b), err_msg=field.name)


def test_agreement_in_parts(judged, small):
    same(Agreement.gather(judged), Agreement.gather(judged, small))
    assert list(small.folder.iterdir())


def test_scores_of_reviews_in_files(judged, small):
    agreement = Agreement.gather(judged)
    same(score_reviews(judged, agreement, 3), score_reviews(judged, agreement, 3, room=small))


def test_pooled_products_in_parts(judged, small, monkeypatch):
    whole = Pooled.gather(judged)
    scored = score_products(whole, 5)
    monkeypatch.setattr("shelfcheck.audit.pooling._COLUMNS_AT_ONCE", 1)
    monkeypatch.setitem(score_products.__globals__, "_BLOCK", 11)  # the package has a function of its name
    parts = Pooled.gather(judged, small)
    same(whole, parts)
    again = score_products(parts, 5)
    # A matrix of fewer rows is multiplied in another order: the last digit of a float32 may differ.
    for name in ("score", "raw"):
        np.testing.assert_allclose(getattr(again, name), getattr(scored, name), rtol=1e-5, atol=1e-6)
    assert again.suggested.tolist() == scored.suggested.tolist()
    assert again.tells.tolist() == scored.tells.tolist()


def test_the_best_are_those_of_a_full_sort(judged):
    found = score_reviews(judged, Agreement.gather(judged), 3)
    order = np.lexsort((found.row, -found.raw, -found.score))
    for least, most in ((0.0, 10_000), (0.0, 7), (0.2, 3), (2.0, 5)):
        expected = order[(found.score[order] >= least) & found.tells[order]][:most]
        assert found.best(least, most).tolist() == expected.tolist()


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50),
    st.lists(st.floats(0, 1), min_size=1, max_size=9),
)
def test_quantiles_are_those_of_numpy_to_the_bit(values, shares):
    ascending = np.sort(np.array(values))
    assert quantiles(ascending, np.array(shares)).tolist() == np.quantile(ascending, shares).tolist()


def test_a_room_leaves_nothing(tmp_path):
    with room_in(tmp_path / "room") as room:
        array = room.array(1 << 25, np.float32)
        array[:] = 1
        assert list((tmp_path / "room").iterdir())
    assert not (tmp_path / "room").exists()
    assert array[-1] == 1  # who holds it still may
