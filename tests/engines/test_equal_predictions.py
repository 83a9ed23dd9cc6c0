"""Batch predictions: Spark and one machine give the same rows in the same order."""

from __future__ import annotations

import gzip

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from review_corpus import reviews, write_prepared
from shelfcheck.config import validate
from shelfcheck.errors import SourceError, UsageError, WorkspaceError
from shelfcheck.models.encode import encode
from shelfcheck.models.examples import Examples
from shelfcheck.models.shipping import loaded, read_files
from shelfcheck.models.train import fit_calibrated
from shelfcheck.predict.batch import predict
from shelfcheck.schema import PREDICTION_SCHEMA, REVIEW_SCHEMA
from shelfcheck.sources import find_sources

NASTY = (
    None,
    "",
    " ",
    "İstanbul ΑΣ straße",
    "👍" * 300,
    "plot\x0bnovel\u00a0author",
    "<br />&amp;&lt;b&gt; don't",
    "novel " * 5000,
    "\u0301\u200d",
)


@pytest.fixture(scope="module")
def settings(spark_settings):
    return validate(
        {
            "run": {"threads": 1, "engine": "spark"},
            "train": {"linear": {"hash_bits": 16}},
            "spark": spark_settings.model_dump(),
        }
    )


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory, settings):
    prepared = write_prepared(reviews(), tmp_path_factory.mktemp("prepared"))
    encoded = encode(prepared, tmp_path_factory.mktemp("encoded"), settings)
    folder = tmp_path_factory.mktemp("model")
    fit_calibrated(Examples(encoded), settings, encoded.bucket).save(folder)
    return folder


@pytest.fixture(scope="module")
def raw(tmp_path_factory, real_data):
    """A large Parquet file of many row groups, small files, one empty, one with broken rows, real reviews."""
    folder = tmp_path_factory.mktemp("raw")
    corpus = reviews().select(REVIEW_SCHEMA.names)
    pq.write_table(pa.concat_tables([corpus] * 4), folder / "a.parquet", row_group_size=900)
    body = pa.array(NASTY, pa.string())
    ids = pa.array([f"N{i}" for i in range(len(NASTY))])
    groups = pa.array(["Books", None, "Unknown", "İ"] * 2 + ["Books"])
    nasty = pa.table({"review_id": ids, "review_body": body, "product_category": groups})
    pq.write_table(nasty, folder / "b.parquet")
    pq.write_table(corpus.slice(0, 0), folder / "c.parquet")
    line = "US\t1\tR{}\tP1\t2\tT\tBooks\t5\t0\t0\tN\tY\tgreat\tnovel plot {}\t2015-01-02"
    lines = ["\t".join(REVIEW_SCHEMA.names), *(line.format(i, NASTY[i % 4]) for i in range(50)), "broken"]
    (folder / "d.tsv.gz").write_bytes(gzip.compress("\n".join([*lines, ""]).encode()))
    with pq.ParquetFile(real_data / "reviews.parquet") as file:
        part = next(file.iter_batches(3000))
    pq.write_table(pa.Table.from_batches([part]), folder / "e.parquet", row_group_size=500)
    return folder


def on_both(model_dir, sources, out, settings):
    from shelfcheck.predict.spark import predict_on_spark

    counts = predict(loaded(read_files(model_dir)), sources, out / "one.parquet", threads=1)
    assert predict_on_spark(model_dir, sources, out / "many", settings) == counts
    return pq.read_table(out / "one.parquet"), out / "many"


def test_the_same_rows_in_the_same_order(model_dir, raw, settings, tmp_path, monkeypatch):
    from shelfcheck.prepare.spark import pieces

    monkeypatch.setattr(pieces, "SMALLEST", 30_000)  # so that files are cut, and others put together
    sources = find_sources([str(raw)], settings.source)
    assert len(pieces.cut(sources, 2)) > 3
    one, folder = on_both(model_dir, sources, tmp_path, settings)
    files = sorted(folder.iterdir())
    assert len(files) > 3
    many = pa.concat_tables([pq.read_table(file) for file in files])
    assert all(pq.read_schema(file).equals(PREDICTION_SCHEMA) for file in files)
    assert pc.sum(pc.starts_with(many["review_id"], "N")).as_py() >= 6
    assert many.num_rows > 8000 + 50 + 3000
    assert many.equals(one)
    assert pq.read_table(folder).equals(one)


def test_a_prediction_is_replaced_and_nothing_else_is(model_dir, raw, settings, tmp_path):
    from shelfcheck.predict.spark import predict_on_spark

    sources = find_sources([str(raw / "b.parquet")], settings.source)
    for _ in range(2):
        predict_on_spark(model_dir, sources, tmp_path / "out", settings)
        assert [file.name for file in (tmp_path / "out").iterdir()] == ["part-00000.parquet"]
    (tmp_path / "out" / "notes.txt").touch()
    with pytest.raises(UsageError, match="something else"):
        predict_on_spark(model_dir, sources, tmp_path / "out", settings)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out"]


def test_whole_or_not_at_all(model_dir, raw, settings, tmp_path):
    from shelfcheck.predict.spark import predict_on_spark

    lost = tmp_path / "lost.parquet"
    lost.write_bytes((raw / "a.parquet").read_bytes())
    sources = find_sources([str(raw / "b.parquet"), str(lost)], settings.source)
    lost.unlink()  # between the listing and the reading
    with pytest.raises(SourceError, match=r"lost\.parquet"):
        predict_on_spark(model_dir, sources, tmp_path / "out", settings)
    assert list(tmp_path.iterdir()) == []


def test_no_reviews(model_dir, raw, settings, tmp_path):
    one, folder = on_both(
        model_dir, find_sources([str(raw / "c.parquet")], settings.source), tmp_path, settings
    )
    assert one.num_rows == 0
    assert pq.read_table(folder).equals(one)


def test_a_model_travels_as_its_files(model_dir, tmp_path):
    sent = read_files(model_dir)
    assert sorted(sent.files) == ["card.json", "model.safetensors"]
    model = loaded(sent)
    assert loaded(read_files(model_dir)) is model
    assert np.array_equal(model.weights, type(model).load(model_dir).weights)
    (tmp_path / "card.json").write_text("{}")
    with pytest.raises(WorkspaceError, match="no model"):
        loaded(read_files(tmp_path))
