from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from review_corpus import reviews
from shelfcheck.errors import WorkspaceError
from shelfcheck.models.examples import Examples
from shelfcheck.models.train import fit_calibrated
from shelfcheck.predict import batch as module
from shelfcheck.predict.batch import predict
from shelfcheck.schema import PREDICTION_SCHEMA, REVIEW_SCHEMA


@pytest.fixture(scope="module")
def model(encoded, settings):
    return fit_calibrated(Examples(encoded), settings, encoded.bucket)


def test_prepared_reviews_file_and_raw_texts_agree(model, prepared, tmp_path, monkeypatch):
    assert predict(model, prepared, tmp_path / "a.parquet", threads=1) == (2000, 0)
    one = pq.read_table(tmp_path / "a.parquet")
    assert one.schema.equals(PREDICTION_SCHEMA)
    assert one["fold"].null_count == 2000

    raw = reviews().drop_columns(["review_tokens", "review_month", "product_id"])
    pq.write_table(raw, tmp_path / "raw.parquet")
    monkeypatch.setattr(module, "BATCH_ROWS", 333)
    predict(model, tmp_path / "raw.parquet", tmp_path / "b.parquet", threads=1)
    two = pq.read_table(tmp_path / "b.parquet")
    assert two["product_id"].null_count == 2000
    assert two["confidence"].to_numpy() == pytest.approx(one["confidence"].to_numpy(), abs=1e-6)

    bodies, headlines = raw["review_body"].to_pylist(), raw["review_headline"].to_pylist()
    assert model.predict_proba(bodies, headlines).max(axis=1) == pytest.approx(
        one["confidence"].to_numpy(), abs=1e-6
    )


def test_unknown_and_missing_categories_have_no_p_assigned(model, tmp_path):
    pq.write_table(
        pa.table({"review_body": ["plot", "plot", "plot"], "product_category": ["Books", "Toys", None]}),
        tmp_path / "in.parquet",
    )
    predict(model, tmp_path / "in.parquet", tmp_path / "out.parquet")
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["p_assigned"] is None for row in rows] == [False, True, True]
    assert rows[0]["p_assigned"] == pytest.approx(
        rows[0]["top_probabilities"][rows[0]["top_categories"].index("Books")]
    )


def test_no_rows(model, tmp_path):
    pq.write_table(pa.table({"review_body": pa.array([], pa.string())}), tmp_path / "in.parquet")
    assert predict(model, tmp_path / "in.parquet", tmp_path / "out.parquet") == (0, 0)
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 0


def test_no_file_and_no_body(model, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(WorkspaceError, match="no reviews here"):
        predict(model, tmp_path / "empty", tmp_path / "out.parquet")
    pq.write_table(pa.table({"x": [1]}), tmp_path / "in.parquet")
    with pytest.raises(WorkspaceError, match="review_body"):
        predict(model, tmp_path / "in.parquet", tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []


def test_sources(model, tmp_path):
    from shelfcheck.config import SourceSettings
    from shelfcheck.sources import find_sources

    lines = ["\t".join(REVIEW_SCHEMA.names)]
    lines += [
        f"US\t1\tR{i}\tP1\t2\tT\tBooks\t5\t0\t0\tN\tY\tgreat\tnovel plot author\t2015-01-02" for i in range(3)
    ]
    lines.append("broken\trow")
    (tmp_path / "reviews.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = predict(
        model, find_sources([str(tmp_path / "reviews.tsv")], SourceSettings()), tmp_path / "o.parquet"
    )
    assert found == (3, 1)
    assert np.all(
        np.array(pq.read_table(tmp_path / "o.parquet")["predicted_category"].to_pylist()) == "Books"
    )
