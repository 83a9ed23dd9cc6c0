"""Explore on Spark and on one machine: every table equal, number by number."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
from explore_support import explored, lay_out, made_up, review

from shelfcheck.config import validate
from shelfcheck.errors import NotEnoughDataError
from shelfcheck.explore.output import TABLES
from shelfcheck.progress import NullProgress


@pytest.fixture(scope="module")
def settings(spark_settings):
    return validate({"run": {"threads": 1, "engine": "spark"}, "spark": spark_settings.model_dump()})


def on_spark(prepared, out, settings):
    from shelfcheck.explore.spark import explore_on_spark

    out.mkdir(parents=True)
    figures = explore_on_spark(prepared, out, settings, NullProgress())
    assert json.loads((out / "figures.json").read_text(encoding="utf-8")) == figures
    assert sorted(path.name for path in out.iterdir()) == ["figures.json", "tables"]  # nothing left behind
    return {path.stem: pq.read_table(path) for path in sorted((out / TABLES).glob("*.parquet"))}


def compare(prepared, tmp_path, settings):
    one = explored(prepared, tmp_path / "one")
    many = on_spark(prepared, tmp_path / "many", settings)
    assert len(one) == 16
    assert list(many) == list(one)
    for name, table in one.items():
        assert many[name].equals(table), name
    assert (tmp_path / "many" / "figures.json").read_bytes() == (
        tmp_path / "one" / "figures.json"
    ).read_bytes()


# Unknown values everywhere, products in several categories, repeated texts, reviews without a date; many
# products with as many reviews each, so that ties decide which are listed; one product with a third of all.
SMALL_SHOP = made_up(2500, seed=3)
TIES = [
    review(
        10_000 + i,
        product_category=f"C{i % 2}",
        product_id=f"T{i // 3}",
        review_body=f"ten words {i // 2} " * 5,
        review_tokens="ten words " * 5 + "end",
    )
    for i in range(900)
]
SKEW = [
    review(20_000 + i, product_category="C0", product_id="P-all", star_rating=i % 6 or None)
    for i in range(1700)
]


SHOPS = {
    "ties, skew, many units": (SMALL_SHOP + TIES + SKEW, 2, 200),
    "many years, one unit": (made_up(400, seed=5, years=12), 1, 32_768),
}


@pytest.mark.parametrize("shop", SHOPS)
def test_every_table_is_equal(shop, settings, tmp_path, monkeypatch):
    rows, files, unit_rows = SHOPS[shop]
    from shelfcheck.prepare import units

    monkeypatch.setattr(units, "UNIT_ROWS", unit_rows)
    compare(lay_out(tmp_path / "prepared", rows, row_group=150, files=files), tmp_path, settings)


def test_no_review_at_all(settings, tmp_path):
    with pytest.raises(NotEnoughDataError, match="kept no review"):
        on_spark(lay_out(tmp_path / "prepared", []), tmp_path / "out", settings)
