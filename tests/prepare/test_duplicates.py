"""Rows are compared part by part of their keys, with the same result however many parts there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from shelfcheck.config import PrepareSettings
from shelfcheck.engines.duckdb import DuckDB
from shelfcheck.prepare.duplicates import FALLS_BY_ORDINAL, KEY_SCHEMA, find_falls
from shelfcheck.prepare.rules import LengthBounds

if TYPE_CHECKING:
    from pathlib import Path

_FEW = st.integers(0, 3)
_ROWS = st.lists(st.tuples(st.none() | _FEW, _FEW, st.integers(0, 9)), max_size=40)
_FAR = 2**64 - 1  # spreads the keys over all of their range


def fallen(rows: list[tuple[int | None, int, int]], parts: int, folder: Path) -> list[tuple[object, ...]]:
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
    wanted = PrepareSettings(min_category_share=0.2)
    with DuckDB(folder, "64MB", 1) as engine:
        engine.register("keys", keys)
        find_falls(engine, wanted, LengthBounds(1, 8), parts)
        return sorted(engine.run(FALLS_BY_ORDINAL), key=str)


@given(_ROWS, st.integers(2, 5))
@settings(max_examples=25, deadline=None)
def test_parts_change_nothing(tmp_path_factory, rows, parts):
    folder = tmp_path_factory.getbasetemp() / "spill"
    assert fallen(rows, parts, folder) == fallen(rows, 1, folder)


def test_each_rule_finds_its_rows_in_parts(tmp_path):
    rows = [(0, 1, 5), (0, 2, 5), (1, 1, 5), (None, 3, 5), (None, 3, 5), (2, 1, 0)]
    found = {(ordinal, rule or occurrence) for ordinal, rule, occurrence in fallen(rows, 3, tmp_path)}
    assert found >= {
        (1, "repeated_review_id"),
        (2, "exact_duplicate"),
        (4, "exact_duplicate"),
        (5, "too_short"),
    }
