"""The DuckDB engine runs statements, spills, and says which SQL failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from shelfcheck.engines.duckdb import DuckDB, QueryError
from shelfcheck.errors import ShelfcheckError

if TYPE_CHECKING:
    from pathlib import Path


def test_runs_with_parameters_and_arrow(tmp_path: Path) -> None:
    with DuckDB(tmp_path / "spill") as engine:
        engine.register("reviews", pa.table({"stars": [1, 5, 5]}))
        assert engine.run("SELECT count(*) FROM reviews WHERE stars = $stars", {"stars": 5}) == [(2,)]


def test_streams_in_batches(tmp_path: Path) -> None:
    with DuckDB(tmp_path / "spill") as engine:
        batches = list(engine.stream("SELECT * FROM range($n) t(i) ORDER BY i", {"n": 10_000}, 3_000))
    assert len(batches) > 1
    assert [i for batch in batches for i in batch.column(0).to_pylist()] == list(range(10_000))


def test_error_carries_the_statement(tmp_path: Path) -> None:
    with DuckDB(tmp_path / "spill") as engine:
        with pytest.raises(QueryError, match="SELECT nothing FROM nowhere") as caught:
            engine.run("SELECT nothing FROM nowhere")
        with pytest.raises(QueryError, match="SELECT wrong"):
            list(engine.stream("SELECT wrong"))
    assert caught.value.sql == "SELECT nothing FROM nowhere"
    assert isinstance(caught.value, ShelfcheckError)


def test_limits_hold(tmp_path: Path) -> None:
    with DuckDB(tmp_path / "spill", "64MB", threads=2) as engine:
        assert engine.run("SELECT current_setting('threads')") == [(2,)]
        # 40 MB of distinct keys do not fit an aggregate of 64 MB: it spills and still answers.
        sql = "SELECT count(*) FROM (SELECT md5(i::VARCHAR) k FROM range(1_000_000) t(i) GROUP BY k)"
        assert engine.run(sql) == [(1_000_000,)]
    assert not list((tmp_path / "spill").glob("*"))
