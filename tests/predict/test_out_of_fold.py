from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from review_corpus import reviews, write_prepared
from shelfcheck.errors import NotEnoughDataError
from shelfcheck.models import split
from shelfcheck.models.encode import encode
from shelfcheck.models.linear import LinearModel
from shelfcheck.predict.out_of_fold import open_log_probabilities, out_of_fold
from shelfcheck.schema import PREDICTION_SCHEMA


@pytest.fixture(scope="module")
def folder(tmp_path_factory, encoded, settings):
    out = tmp_path_factory.mktemp("oof")
    out_of_fold(encoded.folder, out, settings)
    return out


def test_files(folder):
    assert {file.name for file in folder.iterdir()} == {
        "predictions.parquet", "log_probabilities.f16", "meta.json", "fold-0", "fold-1", "fold-2",
        "assigned.i16", "fold.i8", "product.u32", "products.parquet",
    }  # fmt: skip


def test_predictions_stand_in_the_order_of_the_encoded_reviews(folder, encoded):
    table = pq.read_table(folder / "predictions.parquet")
    assert table.schema.equals(PREDICTION_SCHEMA)
    assert table["review_id"].equals(encoded.rows()["review_id"])
    assert table["fold"].to_pylist() == split.fold(encoded.bucket, 3).tolist()


def test_no_model_saw_the_product_that_it_judges(folder, encoded, settings):
    """A fold's model is what learning without the fold gives, and its products are in no other fold."""
    fold_of = split.fold(encoded.bucket, 3)
    products = encoded.rows()["product_id"].to_pylist()
    homes = {}
    for product, fold in zip(products, fold_of.tolist(), strict=True):
        if product is not None:
            assert homes.setdefault(product, fold) == fold
    for fold in range(3):
        stored = LinearModel.load(folder / f"fold-{fold}")
        again = LinearModel.fit(
            encoded,
            np.flatnonzero(fold_of != fold),
            encoded.categories,
            settings.train.linear,
            threads=1,
            seed=fold,
        )
        assert np.array_equal(stored.weights, again.weights)
        assert stored.facts["training_reviews"] == int((fold_of != fold).sum())


def test_probabilities_are_those_of_the_stored_models(folder, encoded):
    logs, categories = open_log_probabilities(folder)
    assert logs.shape == (encoded.n_rows, 4)
    table = pq.read_table(folder / "predictions.parquet")
    fold_of = split.fold(encoded.bucket, 3)
    for fold in range(3):
        model = LinearModel.load(folder / f"fold-{fold}")
        rows = np.flatnonzero(fold_of == fold)
        expected = model.calibration.log_probabilities_of_truth(
            model.logits(encoded.indptr, encoded.ids, rows, threads=1)
        )
        assert logs[rows].astype(np.float32) == pytest.approx(expected, rel=2e-3, abs=2e-3)
        chosen = table.take(rows)
        assert chosen["confidence"].to_numpy() == pytest.approx(np.exp(expected.max(axis=1)), abs=1e-5)
        assert chosen["predicted_category"].to_pylist() == [categories[i] for i in expected.argmax(axis=1)]
        own = np.exp(expected[np.arange(len(rows)), encoded.label[rows]])
        assert chosen["p_assigned"].to_numpy() == pytest.approx(own, abs=1e-5)


def test_top_categories_fall(folder):
    for row in pq.read_table(folder / "predictions.parquet").slice(0, 50).to_pylist():
        assert row["top_categories"][0] == row["predicted_category"]
        assert row["top_probabilities"] == sorted(row["top_probabilities"], reverse=True)
        assert sum(row["top_probabilities"]) == pytest.approx(1, abs=1e-4)  # four categories, all named


def test_calibration_of_a_fold_comes_from_the_others(folder, encoded):
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    fold_of = split.fold(encoded.bucket, 3)
    cards = [LinearModel.load(folder / f"fold-{fold}").calibration for fold in range(3)]
    assert [one.to_json() for one in cards] == meta["calibration"]
    assert [one["reviews"] for one in meta["calibration"]] == [int((fold_of != f).sum()) for f in range(3)]


def test_reviews_of_rare_categories_are_judged_without_p_assigned(settings, tmp_path):
    table = reviews(600).to_pylist()
    for i, row in enumerate(table[:5]):
        row |= {"product_category": "Rare", "product_id": f"X{i}"}
    import pyarrow as pa

    prepared = write_prepared(pa.Table.from_pylist(table, schema=reviews(1).schema), tmp_path / "p")
    encode(prepared, tmp_path / "e", settings)
    counts = out_of_fold(tmp_path / "e", tmp_path / "o", settings)
    assert counts["reviews_of_skipped_categories"] == 5
    rare = [
        row
        for row in pq.read_table(tmp_path / "o" / "predictions.parquet").to_pylist()
        if row["product_category"] == "Rare"
    ]
    assert len(rare) == 5
    assert all(row["p_assigned"] is None and row["confidence"] > 0 for row in rare)


def test_one_category(settings, tmp_path):
    encode(write_prepared(reviews(100, categories=("Books",)), tmp_path / "p"), tmp_path / "e", settings)
    with pytest.raises(NotEnoughDataError, match="must be >= 2"):
        out_of_fold(tmp_path / "e", tmp_path / "o", settings)
