"""DuckDB: opens a bounded connection and runs SQL; spelling the SQL is the caller's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import duckdb

from shelfcheck.engines.relations import QueryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import pyarrow as pa

__all__ = ["DuckDB", "QueryError"]


class DuckDB:
    """An in-memory database that spills to disk past its memory limit.

    Args:
        temp_dir: folder to spill to; made when needed, left empty at the end.
        memory_limit: e.g. `512MB`; of the data it holds, the process takes a little more.
        threads: worker threads.

    Raises:
        QueryError: a statement fails.
    """

    def __init__(self, temp_dir: str | Path, memory_limit: str = "2GB", threads: int = 1) -> None:
        self._connection = duckdb.connect(
            config={
                "memory_limit": memory_limit,
                "threads": threads,
                "temp_directory": str(temp_dir),
                "autoinstall_known_extensions": False,  # nothing is fetched behind a user's back
            }
        )
        self._connection.execute("SET enable_progress_bar = false")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop all data. Closing twice does nothing."""
        self._connection.close()

    def beside(self) -> DuckDB:
        """The same data, memory and threads for another Python thread; temporary tables are its own."""
        other = object.__new__(DuckDB)
        other._connection = self._connection.cursor()
        return other

    def create(self, name: str, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Compute a query once and keep its rows as a table; see `Relations`."""
        self.run(f"CREATE TABLE {name} AS {sql}", parameters)

    def append(self, name: str, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Add a query's rows to a table; see `Relations`."""
        self.run(f"INSERT INTO {name} {sql}", parameters)

    def drop(self, name: str) -> None:
        """Forget a table; see `Relations`."""
        self.run(f"DROP TABLE {name}")

    def run(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Run one statement with `$name` parameters and fetch all rows."""
        try:
            return self._connection.execute(sql, dict(parameters or {})).fetchall()
        except duckdb.Error as error:
            raise QueryError(str(error), sql) from error

    def stream(
        self, sql: str, parameters: dict[str, Any] | None = None, batch_rows: int = 65536
    ) -> Iterator[pa.RecordBatch]:
        """Run one query and yield its rows in batches; use it up before the next statement."""
        try:
            relation = self._connection.sql(sql, params=parameters or {})
            reader: pa.RecordBatchReader = relation.to_arrow_reader(batch_rows)
            yield from reader
        except duckdb.Error as error:
            raise QueryError(str(error), sql) from error

    def register(self, name: str, data: pa.Table | pa.RecordBatchReader) -> None:
        """Let statements read Arrow data under a name, without a copy."""
        self._connection.register(name, data)
