"""Which rows fall: the same as by a plain reading of the rules, however many rows are compared at a time."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shelfcheck.config import PrepareSettings
from shelfcheck.engines.duckdb import DuckDB
from shelfcheck.prepare.duplicates import FALLS_BY_ORDINAL, KEY_SCHEMA, find_falls
from shelfcheck.prepare.rules import LengthBounds

if TYPE_CHECKING:
    from pathlib import Path

_FEW = st.integers(0, 3)
_MANY = st.integers(0, 30)
_ROWS = st.lists(st.tuples(st.none() | _FEW | _MANY, _FEW | _MANY, st.integers(0, 9)), max_size=40)
_BOUNDS = LengthBounds(1, 8)
_SHARE = 0.2
_FAR = 2**64 - 1  # spreads the keys over all of their range


Row = tuple[int | None, int, int]  # id, content, length; the content is the category too
Fate = tuple[int, str | None, int | None]  # ordinal, rule, occurrence


def found(rows: list[Row], folder: Path, most: int | None = None) -> set[Fate]:
    keys = pa.Table.from_pylist(
        [
            {
                "ordinal": n,
                "length": length,
                "category": content,
                "id_low": None if key is None else _FAR // (key + 1),
                "id_high": key,
                "content_low": _FAR // (content + 1),
                "content_high": content,
            }
            for n, (key, content, length) in enumerate(rows)
        ],
        KEY_SCHEMA,
    )
    wanted = PrepareSettings(min_category_share=_SHARE)
    with DuckDB(folder, "64MB", 1) as engine:
        engine.register("keys", keys)
        find_falls(engine, wanted, _BOUNDS, len(rows), most)
        fates = engine.run(FALLS_BY_ORDINAL)
    assert len(fates) == len(set(fates))
    return {(ordinal, rule, occurrence) for ordinal, rule, occurrence in fates}


def read_plainly(rows: list[Row]) -> set[Fate]:
    standing = dict(enumerate(rows))
    fates: set[Fate] = set()

    def drop(rule: str, ordinals: list[int]) -> None:
        for ordinal in ordinals:
            fates.add((ordinal, rule, None))
            del standing[ordinal]

    drop("too_short", [n for n, row in standing.items() if row[2] < _BOUNDS.least])
    drop("too_long", [n for n, row in standing.items() if row[2] > _BOUNDS.most])
    for rule, column in (("repeated_review_id", 0), ("exact_duplicate", 1)):
        first: dict[int | None, int] = {}
        drop(
            rule,
            [
                n
                for n, row in standing.items()
                if row[column] is not None and first.setdefault(row[column], n) != n
            ],
        )
    categories = Counter(row[1] for row in standing.values())
    few = _SHARE * len(standing)
    drop("rare_category", [n for n, row in standing.items() if categories[row[1]] < few])
    return fates


@given(_ROWS, st.none() | st.integers(1, 50))
@settings(max_examples=60, deadline=None)
def test_falls_are_those_of_a_plain_reading(tmp_path_factory, rows, most):
    assert found(rows, tmp_path_factory.getbasetemp() / "spill", most) == read_plainly(rows)


@pytest.mark.parametrize("most", [None, 2])
def test_equal_contents_without_an_id_are_numbered_where_they_stand(tmp_path, most):
    keys = [(None, 3), (5, 3), (None, 3), (None, 4), (None, 3)]
    table = pa.Table.from_pylist(
        [
            {"ordinal": n, "length": 5, "category": 1, "id_low": low, "id_high": low}
            | {"content_low": content, "content_high": 0}
            for n, (low, content) in enumerate(keys)
        ],
        KEY_SCHEMA,
    )
    with DuckDB(tmp_path, "64MB", 1) as engine:
        engine.register("keys", table)
        find_falls(engine, PrepareSettings(drop_duplicates=False), None, len(keys), most)
        assert sorted(engine.run("SELECT * FROM occurrences")) == [(2, 2), (4, 3)]
        assert engine.run("SELECT * FROM falls") == []


def test_each_rule_finds_its_rows(tmp_path):
    rows: list[Row] = [
        (0, 1, 5),
        (0, 2, 5),
        (1, 1, 5),
        (None, 3, 5),
        (None, 3, 5),
        (2, 1, 0),
        (6, 1, 9),
        (7, 9, 5),
    ]
    assert {(ordinal, rule) for ordinal, rule, _ in found([*rows, *[(None, 1, 5)] * 20], tmp_path)} >= {
        (1, "repeated_review_id"),
        (2, "exact_duplicate"),
        (4, "exact_duplicate"),
        (5, "too_short"),
        (6, "too_long"),
    }
