"""New files come to a workspace in an object store, also from a machine whose mirror is empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from shelfcheck import api
from shelfcheck.prepare import iter_prepared
from shelfcheck.remote_workspace import open_workspace
from shelfcheck.stores.mirror import CACHE_VARIABLE

if TYPE_CHECKING:
    from pathlib import Path


def rows(place: str | Path) -> list[dict]:
    folder = open_workspace(place).path("prepared", made_by="run")
    return [row for batch in iter_prepared(folder) for row in batch.to_pylist()]


@pytest.mark.parametrize("mirror_is_empty", [False, True])
def test_new_files_are_added(bucket, tmp_path, monkeypatch, mirror_is_empty):
    api.generate(tmp_path / "all", reviews=600, seed=3)
    table = pq.read_table(tmp_path / "all" / "reviews-00000.parquet")
    table = table.take(pc.sort_indices(table, [("review_date", "ascending")]))
    old, new = tmp_path / "a.parquet", tmp_path / "b.parquet"
    pq.write_table(table.slice(0, 500), old)
    pq.write_table(table.slice(500), new)
    place = f"{bucket}/shop"
    api.prepare(old, place)
    if mirror_is_empty:
        monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "another"))
    plan = api.source_plan(place, [old, new])
    assert (plan.does, plan.changes.new) == ("add", (str(new),))
    assert api.prepare([old, new], place).counts["files_added"] == 1
    api.prepare([old, new], tmp_path / "full")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "third"))
    assert rows(place) == rows(tmp_path / "full")
    assert api.prepare([old, new], place).fresh
