from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from shelfcheck.config import EncodingSettings, TextSettings, validate
from shelfcheck.errors import ConfigError, NotEnoughDataError
from shelfcheck.models.encode import encode_table
from shelfcheck.models.examples import Examples
from shelfcheck.models.labels import label_values, labelled
from shelfcheck.models.split import split

SPEC = EncodingSettings(hash_bits=12)


def _table(n=60):
    return pa.table(
        {
            "review_id": [f"R{i}" for i in range(n)],
            "product_id": [f"P{i // 2}" for i in range(n)],
            "product_category": [["Books", "Music", "Toys"][i % 3] if i else None for i in range(n)],
            "star_rating": pa.array([i % 5 + 1 if i != 1 else None for i in range(n)], pa.int32()),
            "review_date": pa.array(
                [dt.date(2013 + i % 2, 5, 1) if i != 2 else None for i in range(n)], pa.date32()
            ),
            "review_headline": [f"head {i}" for i in range(n)],
            "review_body": [f"word{i % 7} and more" for i in range(n)],
        }
    )


@pytest.fixture(scope="module")
def encoded():
    return encode_table(_table(), SPEC, TextSettings(), 1)


@pytest.mark.parametrize(
    ("label", "third", "fourth"),
    [
        ("product_category", "Toys", "Books"),
        ("star_rating", "3", "4"),
        ("product_category_year", None, "Books_2014"),
        ("product_category_star_rating", "Toys_3", "Books_4"),
    ],
)
def test_labels_are_made_of_what_they_name(encoded, label, third, fourth):
    assert label_values(encoded.rows(), label).to_pylist()[2:4] == [third, fourth]
    given = labelled(encoded, validate({"train": {"label": label, "min_category_reviews": 2}}).train)
    names = [given.encoded.categories[i] if i >= 0 else None for i in given.encoded.label[2:4]]
    assert names == [third, fourth]
    assert given.unlabelled == sum(v is None for v in label_values(encoded.rows(), label).to_pylist())


def test_small_classes_are_dropped_and_counted(encoded):
    train = validate({"train": {"min_category_reviews": 2, "min_class_share": 0.33}}).train
    given = labelled(encoded, train)
    assert given.encoded.categories == ("Music", "Toys")
    assert given.dropped == {"Books": 19}
    assert (given.encoded.label >= 0).sum() == 40
    with pytest.raises(NotEnoughDataError, match="min_class_share"):
        labelled(encoded, validate({"train": {"min_class_share": 0.5}}).train)


def test_product_split_parts_no_product(encoded):
    parts = split(encoded, validate({"train": {"test_share": 0.3, "calibration_share": 0.2}}).train)
    product = np.array([int(name[1:]) for name in encoded.rows()["product_id"].to_pylist()])
    sides = [set(product[part].tolist()) for part in (parts.train, parts.held, parts.test)]
    assert not (sides[0] & sides[1])
    assert not (sides[0] & sides[2])
    assert not (sides[1] & sides[2])
    assert (parts.train ^ parts.held ^ parts.test).all()


def test_row_split_parts_products(encoded):
    parts = split(encoded, validate({"train": {"split": "row", "test_share": 0.5}}).train)
    product = np.array([int(name[1:]) for name in encoded.rows()["product_id"].to_pylist()])
    assert set(product[parts.train].tolist()) & set(product[parts.test].tolist())
    assert parts.kind == "row"


def test_time_split_learns_from_earlier_reviews_only(encoded):
    parts = split(encoded, validate({"train": {"split": "time", "split_date": "2014-01-01"}}).train)
    dates = encoded.rows()["review_date"].to_pylist()
    assert all(date.year == 2014 for date, test in zip(dates, parts.test, strict=True) if test)
    assert all(
        date.year == 2013 for date, train in zip(dates, parts.train | parts.held, strict=True) if train
    )
    assert not (parts.train[2])
    assert not (parts.held[2])
    assert not (parts.test[2])


def test_time_split_of_reviews_that_are_too_late_or_have_no_date(encoded):
    with pytest.raises(NotEnoughDataError, match=r"before 1990-01-01 .* have no date"):
        split(encoded, validate({"train": {"split": "time", "split_date": "1990-01-01"}}).train)


def test_time_split_needs_a_date():
    with pytest.raises(ConfigError, match="split_date"):
        validate({"train": {"split": "time"}})


def test_other_n_grams_of_the_same_reviews_keep_classes_and_order(encoded):
    table = _table()
    examples = Examples(
        labelled(
            encoded, validate({"train": {"label": "star_rating", "min_category_reviews": 2}}).train
        ).encoded,
        table,
    )
    single = examples.encoded_as(EncodingSettings(hash_bits=12, word_ngrams=1), 1)
    assert single.categories == ("1", "2", "3", "4", "5")
    assert single.label.tolist() == examples.label.tolist()
    assert single.n_ids < examples.encoded.n_ids
    assert examples.encoded_as(SPEC) is examples.encoded
    assert examples.texts["review_tokens"][3].as_py() == "word3"
