from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from review_corpus import reviews
from shelfcheck.config import Settings, validate
from shelfcheck.errors import NotEnoughDataError, SourceError, UsageError
from shelfcheck.models.examples import Examples
from shelfcheck.models.split import is_test
from shelfcheck.models.train import fit_calibrated, judge
from shelfcheck.predict import labelled_data
from shelfcheck.predict.evaluating import evaluate_data
from shelfcheck.predict.judging import is_held_out
from shelfcheck.schema import REVIEW_SCHEMA

NAMES = ("linear-1",)


@pytest.fixture(scope="module")
def model(encoded, settings):
    return fit_calibrated(Examples(encoded), settings, encoded.bucket)


def on(model, path, settings=None, **more):
    return evaluate_data(
        {"linear-1": model}, [str(path)], settings or validate({"run": {"threads": 1}}), **more
    )


def test_of_what_was_held_out_it_says_what_the_evaluation_stage_says(model, encoded, prepared):
    rows = np.flatnonzero(is_test(encoded.bucket, 0.2))
    theirs = judge(model, Examples(encoded), rows, 1)
    ours = on(model, prepared, held_out=True)
    assert ours.confusion == theirs.confusion
    assert ours.notes["split"] == "data_held_out"
    assert ours.notes["reviews_left_out_by_split"] == 2000 - len(rows)
    for name in (
        "accuracy",
        "ece",
        "ece_uncalibrated",
        "classwise_ece",
        "nll",
        "products",
        "product_accuracy",
    ):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), abs=1e-5)


def test_prepared_parquet_and_tsv_agree_and_batches_do_not_matter(model, prepared, tmp_path, monkeypatch):
    one = on(model, prepared)
    table = reviews()
    pq.write_table(table.drop_columns(["review_tokens", "review_month"]), tmp_path / "r.parquet")
    pc_table = table.select(REVIEW_SCHEMA.names)
    lines = ["\t".join(REVIEW_SCHEMA.names)]
    lines += [
        "\t".join("" if value is None else str(value) for value in row.values())
        for row in pc_table.to_pylist()
    ]
    (tmp_path / "r.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    monkeypatch.setattr(labelled_data, "_BATCH_ROWS", 333)
    for path in (tmp_path / "r.parquet", tmp_path / "r.tsv"):
        two = on(model, path)
        assert two.confusion == one.confusion
        assert two.product_accuracy == pytest.approx(one.product_accuracy)
        assert two.classwise_ece == pytest.approx(one.classwise_ece, abs=1e-6)
        assert two.slices["body_tokens"] == one.slices["body_tokens"]


def test_every_slice_holds_every_review_and_columns_of_ones_own_slice_too(model, tmp_path):
    table = reviews()
    source = pa.array(["shop" if i % 3 else "partner" for i in range(table.num_rows)])
    pq.write_table(table.append_column("source", source), tmp_path / "r.parquet")
    found = on(model, tmp_path / "r.parquet", by=["source", "vine"])
    assert set(found.slices) == {"body_tokens", "body_characters", "year", "star_rating", "source", "vine"}
    for some in found.slices.values():
        assert sum(one.reviews for one in some) == found.reviews
    assert [one.value for one in found.slices["source"]] == ["shop", "partner"]
    assert "By source" in found.text()


def test_classes_that_the_model_does_not_know_are_counted_by_name(model, tmp_path):
    table = pa.table(
        {
            "review_body": ["plot author", "plot", "hammer", "hammer", "nail"],
            "product_category": ["Books", None, "Tools", "tools", "Garden"],
        }
    )
    pq.write_table(table, tmp_path / "r.parquet")
    found = on(model, tmp_path / "r.parquet")
    assert found.reviews == 1
    assert found.notes["unknown_categories"] == {"Tools": 2, "Garden": 1}
    assert found.notes["reviews_without_label"] == 1
    assert "3 more are of classes that the model does not know" in found.text()
    assert found.intervals == {}
    pq.write_table(table.slice(2), tmp_path / "none.parquet")
    with pytest.raises(NotEnoughDataError, match="3 have others"):
        on(model, tmp_path / "none.parquet")


def test_what_is_missing_is_named(model, tmp_path):
    pq.write_table(pa.table({"review_body": ["plot"], "genre": ["Books"]}), tmp_path / "r.parquet")
    with pytest.raises(SourceError, match=r"no column product_category, which the label.*genre.*\[source\]"):
        on(model, tmp_path / "r.parquet")
    mapped = validate({"source": {"columns": {"product_category": "genre"}}})
    assert on(model, tmp_path / "r.parquet", mapped).reviews == 1
    pq.write_table(pa.table({"review_body": ["x"], "product_category": ["Books"]}), tmp_path / "s.parquet")
    with pytest.raises(SourceError, match="no column shop to slice by"):
        on(model, tmp_path / "s.parquet", by=["shop"])
    with pytest.raises(SourceError, match=r"nothing\.tsv"):
        on(model, tmp_path / "nothing.tsv")


def test_a_column_of_a_wrong_type_is_named(model, tmp_path):
    table = pa.table({"review_body": ["x"], "product_category": ["Books"], "star_rating": ["five"]})
    pq.write_table(table, tmp_path / "r.parquet")
    with pytest.raises(SourceError, match="column star_rating is string, must be int32"):
        on(model, tmp_path / "r.parquet")


def test_products_that_were_learned_from_are_told(model, encoded, prepared, tmp_path):
    from shelfcheck.predict.judging import judge_data

    rows = encoded.rows()
    batches = [(pa.Table.from_batches([batch]), 0) for batch in reviews().to_batches(500)]
    found = judge_data([model], batches, data="r", encoded_rows=encoded.batches(batch_rows=100), threads=1)[
        0
    ].evaluation
    learned = {
        p for p, b in zip(rows["product_id"].to_pylist(), encoded.bucket, strict=True) if p and b >= 200
    }
    expected = sum(p in learned for p in reviews()["product_id"].to_pylist())
    assert found.notes["reviews_of_products_learned_from"] == expected
    assert "--held-out leaves them out" in found.text()


def test_two_models_are_compared_on_the_same_reviews(model, encoded, prepared):
    weak = fit_calibrated(
        Examples(encoded),
        validate(
            {"run": {"threads": 1}, "train": {"linear": {"hash_bits": 16, "epochs": 1, "dropout": 0.9}}}
        ),
        encoded.bucket,
    )
    found = evaluate_data({"a": model, "b": weak}, [str(prepared)], Settings(), held_out=True)
    assert found.comparison is not None
    assert found.comparison.reviews == found.reviews
    assert found.comparison.accuracy[0] == pytest.approx(found.accuracy)
    assert "a against b" in found.text()


def test_models_of_two_labels_are_not_compared(model, encoded, prepared):
    from dataclasses import replace

    other = replace(model, facts=model.facts | {"label": "star_rating"})
    with pytest.raises(UsageError, match="different labels"):
        evaluate_data({"a": model, "b": other}, [str(prepared)], Settings())


@pytest.mark.parametrize("by", ["product", "row", "time"])
def test_what_a_split_holds_out_is_told_from_the_card(by):
    import datetime as dt

    rows = pa.table(
        {
            "review_id": [f"R{i}" for i in range(500)],
            "product_id": [f"P{i // 10}" for i in range(500)],
            "review_date": pa.array(
                [dt.date(2014, 12, 31) if i % 2 else dt.date(2015, 1, 1) for i in range(500)]
            ),
        }
    )
    held = is_held_out(rows, {"by": by, "date": "2015-01-01", "test_share": 0.5})
    if by == "time":
        assert held.tolist() == [i % 2 == 0 for i in range(500)]
    else:
        assert 0.3 < held.mean() < 0.7
        whole = held.reshape(-1, 10)
        assert (whole.all(axis=1) | ~whole.any(axis=1)).all() == (by == "product")
    assert pc.sum(pa.array(held)).as_py() == held.sum()
