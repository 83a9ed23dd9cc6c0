from __future__ import annotations

import json
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_comparison import other
from test_intervals import drawn

from shelfcheck.errors import WorkspaceError
from shelfcheck.models.breakdown import with_details
from shelfcheck.models.comparison import compare
from shelfcheck.models.evaluation import evaluate
from shelfcheck.models.judged import HELD_OUT_SCHEMA, Judged
from shelfcheck.models.leaderboard import COLUMNS, cells, leaderboard


class Stored(NamedTuple):
    """What the leaderboard reads of a registered version."""

    version: str
    folder: object
    model: str = "linear"
    label: str = "product_category"
    split: str = "product"
    created: str = "2026-11-23T10:00:00+00:00"
    train_seconds: float = 12.5
    peak_memory_mb: int = 900
    bytes: int = 65_800_000
    reviews_per_second: int | None = 36_000


def stored(folder, judged, *, recorded=True, **more):
    """Write a version's evaluation as the evaluation stage does."""
    names = pa.array(judged.categories)
    n, k = len(judged.label), len(judged.categories)
    order = np.random.default_rng(len(more)).permutation(n)  # versions need not have the same order
    table = pa.table(
        [
            pa.array([f"R{i}" for i in range(n)]),
            pa.array(judged.product),
            names.take(pa.array(judged.label)),
            names.take(pa.array(judged.predicted)),
            pa.array(judged.confidence),
            pa.array(judged.confidence),
        ],
        schema=HELD_OUT_SCHEMA,
    ).take(pa.array(order))
    p = np.full((n, k), 0.1, np.float32)
    p[np.arange(n), judged.predicted] = 0.9
    found = evaluate(judged.label[order].astype(np.int16), p[order], judged.categories)
    folder.mkdir(parents=True)
    if recorded:
        found = with_details(found, Judged.of_table(table), {})
    (folder / "evaluation.json").write_text(found.to_json())
    pq.write_table(table, folder / "held_out.parquet")
    return Stored(folder.name, folder, **more)


def test_the_best_stands_first_and_the_others_are_compared_with_it(tmp_path):
    good = drawn(150)
    bad, worse = other(good, 0.1), other(good, 0.3)
    versions = [
        stored(tmp_path / "linear-1", worse),
        stored(tmp_path / "linear-2", good),
        stored(tmp_path / "tfidf_svm-1", bad, recorded=False, model="tfidf_svm"),
    ]
    found = leaderboard(versions, {"champion": "linear-1"})
    (group,) = found.groups
    assert [row.version for row in group.rows] == ["linear-2", "tfidf_svm-1", "linear-1"]
    assert (group.reviews, group.products) == (len(good.label), 150)
    best, second, last = group.rows
    assert best.difference is best.p_value is None
    assert last.aliases == ("champion",)
    paired = compare(bad, good)
    assert second.difference.estimate == pytest.approx(paired.difference.estimate)
    assert second.difference.low == pytest.approx(paired.difference.low, abs=0.01)
    assert second.p_value == pytest.approx(paired.p_value, abs=0.005)
    assert last.p_adjusted >= last.p_value
    for row in group.rows:
        accuracy = row.measures["accuracy"]
        assert accuracy.low < accuracy.estimate < accuracy.high
        assert len(cells(row)) == len(COLUMNS)
    assert second.measures["accuracy"].estimate == pytest.approx(bad.hit.mean())
    assert json.loads(json.dumps(found.to_json()))["groups"][0]["rows"][0]["version"] == "linear-2"
    markdown = found.markdown()
    assert markdown.count("\n|") == 5
    assert "linear-1 (champion)" in markdown


def test_only_what_was_judged_alike_is_compared(tmp_path):
    judged = drawn(40)
    relabelled = replace(judged, label=(judged.label + 1) % 5)
    versions = [
        stored(tmp_path / "a-1", judged),
        stored(tmp_path / "a-2", judged),
        stored(tmp_path / "b-1", judged, split="row"),
        stored(tmp_path / "c-1", judged, label="star_rating"),
        stored(tmp_path / "d-1", drawn(41)),
        stored(tmp_path / "e-1", relabelled),
        Stored("f-1", tmp_path / "f-1"),
    ]
    found = leaderboard(versions, {})
    assert {tuple(row.version for row in group.rows) for group in found.groups} == {
        ("a-1", "a-2"),
        ("b-1",),
        ("c-1",),
        ("d-1",),
        ("e-1",),
        ("f-1",),
    }
    assert [row.version for row in found.groups[0].rows] == ["a-1", "a-2"]
    assert found.groups[-1].title() == "product_category, product split: not judged"
    assert cells(found.groups[-1].rows[0])[1] == ""


def test_an_empty_registry_has_no_group():
    assert leaderboard([], {}).groups == ()
    assert leaderboard([], {}).markdown() == "\n"


def test_a_broken_version_is_named(tmp_path):
    version = stored(tmp_path / "a-1", drawn(5))
    (tmp_path / "a-1" / "held_out.parquet").write_text("rows")
    with pytest.raises(WorkspaceError, match=r"held_out\.parquet: no judged reviews"):
        leaderboard([version], {})
