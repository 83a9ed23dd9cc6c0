"""Language on Spark and on one machine: every table equal, number by number."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from language_support import prepared_table
from test_language import QUICK, shop

from review_corpus import write_prepared
from shelfcheck.config import validate
from shelfcheck.errors import NotEnoughDataError
from shelfcheck.language.run import language
from shelfcheck.language.tables import TABLES

NASTY = prepared_table(
    ["İ", None, "Steady", "Steady", "Steady", "Moving"],
    ["straße 👍 ΑΣ", "no category", None, "", "x", "a\u00a0b c\x0bd é"],
    [dt.date(2015, 1, 1)] * 5 + [None],
    [5, 4, 4, 4, None, 4],
    ["P", None, "P", None, "P", "P"],
).set_column(2, "review_id", pa.array([f"N{i}" for i in range(6)]))


@pytest.mark.parametrize("word_ngrams", [1, 2])
def test_every_table_is_equal(word_ngrams, spark_settings, tmp_path, monkeypatch):
    from shelfcheck.language import spark as module
    from shelfcheck.prepare import units

    monkeypatch.setattr(units, "UNIT_ROWS", 300)
    monkeypatch.setattr(module, "_MOST_CELLS", 500)  # so that counts are written in several pieces
    values = {"language": QUICK | {"word_ngrams": word_ngrams}, "run": {"threads": 2, "seed": 3}}
    settings = validate(values | {"spark": spark_settings.model_dump()})
    table = pa.concat_tables([shop(), NASTY.cast(shop().schema)]).take(pa.array(range(shop().num_rows + 6)))
    prepared = write_prepared(table, tmp_path / "prepared")
    [file] = (prepared / "reviews").rglob("*.parquet")
    pq.write_table(pq.read_table(file, partitioning=None), file, row_group_size=100)
    counts = language(prepared, tmp_path / "one", settings)
    assert module.language_on_spark(prepared, tmp_path / "many", settings) == counts
    assert len(TABLES) == 5
    for name in TABLES:
        one, many = (pq.read_table(tmp_path / out / f"{name}.parquet") for out in ("one", "many"))
        assert one.num_rows > 0
        assert many.equals(one), name
    one, many = ((tmp_path / out / "summary.json").read_bytes() for out in ("one", "many"))
    assert many == one
    assert not [path for path in (tmp_path / "many").iterdir() if path.name.startswith(".work")]


def test_no_review(spark_settings, tmp_path):
    from shelfcheck.language.spark import language_on_spark

    (tmp_path / "prepared" / "reviews").mkdir(parents=True)
    settings = validate({"spark": spark_settings.model_dump()})
    with pytest.raises(NotEnoughDataError, match="kept no review"):
        language_on_spark(tmp_path / "prepared", tmp_path / "out", settings)
