"""Audits on Spark and on one machine: equal findings in equal order, score by score."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow.parquet as pq
import pytest
from test_audits import _shop, _write

from shelfcheck.audit import judged, miscategorised_products, misplaced_reviews
from shelfcheck.config import validate
from shelfcheck.models.encode import encode
from shelfcheck.predict.out_of_fold import out_of_fold

AUDITS = {"misplaced_reviews": misplaced_reviews, "miscategorised_products": miscategorised_products}


@pytest.fixture(scope="module")
def settings(spark_settings):
    return validate(
        {
            "run": {"threads": 1},
            "audit": {"folds": 3, "min_score": 0.001},
            "train": {"min_category_reviews": 10, "linear": {"hash_bits": 14}},
            "spark": spark_settings.model_dump(),
        }
    )


@pytest.fixture(scope="module")
def shop(tmp_path_factory, settings):
    """Moved reviews, products in a wrong category, one product with a fifth of all, reviews without one."""
    rows, _, _ = _shop(seed=4)
    rows += [
        (f"S{i}", "SKEW", "Books", f"novel chapter {('plot', 'oven', 'song')[i % 3]}") for i in range(300)
    ]
    home = tmp_path_factory.mktemp("shop")
    _write(rows, home / "prepared")
    encode(home / "prepared", home / "encoded", settings)
    out_of_fold(home / "encoded", home / "oof", settings)
    return home


@pytest.fixture
def small_chunks(monkeypatch):
    """Several chunks and spans, as of a large shop."""
    from shelfcheck.audit import spark

    for module in (judged, spark):
        monkeypatch.setattr(module, "CHUNK_ROWS", 400)
    monkeypatch.setattr(spark, "AT_ONCE", 4 * 40 * 3 * 7)  # seven products a span


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("kind", AUDITS)
def test_findings_are_equal(kind, shop, settings, tmp_path):
    from shelfcheck.audit import spark

    on_spark = getattr(spark, f"{kind}_on_spark")
    counts = AUDITS[kind](shop / "prepared", shop / "oof", tmp_path / "one", settings)
    assert on_spark(shop / "prepared", shop / "oof", tmp_path / "many", settings) == counts
    one, many = (pq.read_table(tmp_path / out / "findings.parquet") for out in ("one", "many"))
    assert one.num_rows > 2
    assert many.equals(one)
    for name in ("summary.json", "findings.csv"):
        assert (tmp_path / "many" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
    assert sorted(file.name for file in (tmp_path / "many").iterdir()) == sorted(
        file.name for file in (tmp_path / "one").iterdir()
    )


@pytest.mark.parametrize("with_product", [False, True])
@pytest.mark.parametrize(("block", "chunk"), [(7, 3), (3, 7), (5, 5), (1000, 11)])
def test_chunks_are_those_of_one_machine(block, chunk, with_product, shop, monkeypatch):
    from shelfcheck.audit import spark

    monkeypatch.setattr(judged, "CHUNK_ROWS", chunk)
    monkeypatch.setattr(spark, "BLOCK_ROWS", block)
    opened = judged.Judged.open(shop / "oof")
    expected = list(opened.chunks(opened.learned(with_product=with_product)))
    found = list(spark._chunks(opened, chunk, with_product=with_product))
    assert len(found) == len(expected) > 1
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
    # In ranges that end where chunks do, too.
    cuts = [0, *(int(rows[-1]) + 1 for rows in expected[1::2]), opened.n_reviews]
    parted = [
        rows
        for first, last in itertools.pairwise(cuts)
        for rows in spark._chunks(opened, chunk, first, last, with_product=with_product)
    ]
    assert all(np.array_equal(a, b) for a, b in zip(parted, expected, strict=True))
