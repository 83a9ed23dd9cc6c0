from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from shelfcheck.models import split


def test_bucket_is_the_md5_rule_worked_by_hand():
    # md5("") = d41d8cd98f00b204e9800998ecf8427e
    assert split.bucket("") == 0xD41D8CD98F00B20 % 1000
    # md5("a") = 0cc175b9c0f1b6a831c399e269772661
    assert split.bucket("a") == 0x0CC175B9C0F1B6A % 1000


@pytest.mark.parametrize("salt", ["", "s1", "it's"])
def test_sql_and_python_agree(salt):
    ids = ["", "a", "B00L9EPT8O", "ß", "日本", "x" * 300, "it's"]
    sql = f"SELECT {split.bucket_sql('id', salt)} FROM (SELECT unnest($ids) AS id)"  # noqa: S608
    found = [row[0] for row in duckdb.execute(sql, {"ids": ids}).fetchall()]
    assert found == [split.bucket(one, salt) for one in ids]


def test_reviews_without_product_are_products_of_their_own():
    products = pa.array(["p", None, "p", None])
    found = split.buckets(products, pa.array(["r1", "r2", "r3", "r4"]))
    assert found.tolist() == [split.bucket(one) for one in ("p", "r2", "p", "r4")]


def test_reviews_without_product_go_by_their_text():
    products = pa.array([None, None, "p", None, None, "said twice"])
    texts = pa.array(["said twice", "said twice", "said twice", "", None, None])
    reviews = pa.array(["r1", "r2", "r3", "r4", "r5", "r6"])
    found = split.buckets(products, reviews, texts=texts).tolist()
    keys = ["text\nsaid twice", "text\nsaid twice", "p", "r4", "r5", "said twice"]
    assert found == [split.bucket(key) for key in keys]
    chunked = split.buckets(pa.chunked_array([products]), pa.chunked_array([reviews]), texts=texts)
    assert chunked.tolist() == found


def test_parts_are_disjoint_and_have_their_share():
    bucket = np.arange(1000, dtype=np.int16)
    test, held = split.is_test(bucket, 0.2), split.is_calibration(bucket, 0.2, 0.1)
    assert test.sum() == 200
    assert held.sum() == 100
    assert not (test & held).any()


@pytest.mark.parametrize("folds", [2, 3, 5, 7, 20])
def test_folds_are_even(folds):
    counts = np.bincount(split.fold(np.arange(1000, dtype=np.int16), folds))
    assert len(counts) == folds
    assert counts.max() - counts.min() <= 1
