"""Keys cut by what they hash to: none is lost, and rows that share one meet."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shelfcheck.engines.exchange import Exchange
from shelfcheck.prepare.rules import LengthBounds
from shelfcheck.prepare.spark.keys import KEYS_SCHEMA, CutKeys, KeyFile, alike_rows, find_alike

if TYPE_CHECKING:
    from pathlib import Path

_NUMBERS = st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1)
_ROW = st.tuples(st.none() | _NUMBERS, _NUMBERS, st.integers(0, 4))  # id, content, length
_PIECES = st.lists(st.lists(_ROW, min_size=1, max_size=12), min_size=1, max_size=4)
Rows = list[dict[str, Any]]


def written(pieces: list[list[tuple[int | None, int, int]]], folder: Path, cuts: int) -> tuple[CutKeys, Rows]:
    keys = CutKeys(Exchange(folder), {"id": [], "content": []}, cuts, 0)
    all_rows: Rows = []
    for number, piece in enumerate(pieces):
        rows: Rows = [
            {"ordinal": number * 100 + place, "length": length, "month": 1, "category": 2}
            | {"id_low": low, "id_high": low, "content_low": content, "content_high": 7}
            for place, (low, content, length) in enumerate(piece)
        ]
        all_rows += rows
        for key in ("id", "content"):
            name = f"{key}-{number}.arrow"
            keys.names[key].append(name)  # type: ignore[attr-defined]
            with KeyFile(folder / name, key, cuts) as file:
                for first in range(0, len(rows), 3):
                    file.write(pa.RecordBatch.from_pylist(rows[first : first + 3], KEYS_SCHEMA))
    return keys._replace(rows=len(all_rows)), all_rows


@given(_PIECES, st.integers(1, 5), st.none() | st.just(LengthBounds(1, 3)))
@settings(max_examples=40, deadline=None)
def test_rows_that_share_a_key_meet(tmp_path_factory, pieces, cuts, bounds):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shelfcheck.prepare.spark.keys._RUN_ROWS", 5)
        keys, rows = written(pieces, tmp_path_factory.mktemp("keys"), cuts)
    found = [row for i in range(len(pieces)) for batch in keys.of_piece(i) for row in batch.to_pylist()]
    assert sorted(found, key=lambda row: row["ordinal"]) == rows
    looked_at = [row for row in rows if bounds is None or bounds.least <= row["length"] <= bounds.most]
    for key in ("id", "content"):
        counts = Counter(row[f"{key}_low"] for row in looked_at)
        shared = [row for row in looked_at if row[f"{key}_low"] is not None and counts[row[f"{key}_low"]] > 1]
        alike: Rows = []
        for cut in range(cuts):
            told = find_alike(keys, key, cut, bounds)
            if told.rows:
                batches = list(alike_rows(keys.exchange, told.file(key, cut)))
                assert sum(batch.num_rows for batch in batches) == told.rows
                alike += [row for batch in batches for row in batch.to_pylist()]
        assert sorted(alike, key=lambda row: row["ordinal"]) == shared
