"""Runs one query on each batch of reviews: on one machine one after another, on Spark side by side.

The query is DuckDB's in both cases: Spark's executors open one for a batch. So the same rows come out, in the
order of the batches, and only small results travel.
"""

from __future__ import annotations

import tempfile
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import pyarrow as pa

from shelfcheck.interrupts import deferred
from shelfcheck.progress import NullProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from shelfcheck.config import Settings
    from shelfcheck.engines.duckdb import DuckDB
    from shelfcheck.engines.exchange import Exchange
    from shelfcheck.engines.spark import Spark
    from shelfcheck.progress import Progress
    from shelfcheck.sampling.reviews import Batch

_TOLD: Final = pa.schema([("number", pa.int64()), ("file", pa.string())])


@dataclass(frozen=True)
class Query:
    """A query on a batch.

    Attributes:
        sql: the query of a batch.
        parameters: their values.
        tables: what it reads beside, by name.
    """

    sql: Callable[[Batch], str]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, pa.Table] = field(default_factory=dict)


class Scan(Protocol):
    """Runs a query on each batch."""

    def __call__(self, batches: Sequence[Batch], query: Query, label: str) -> Iterator[pa.RecordBatch]:
        """The rows of all batches, batch by batch; `label` is what progress shows."""


class LocalScan:
    """One engine, one batch after another."""

    def __init__(self, engine: DuckDB, progress: Progress | None = None) -> None:
        self._engine = engine
        self._progress = progress or NullProgress()

    def __call__(self, batches: Sequence[Batch], query: Query, label: str) -> Iterator[pa.RecordBatch]:
        """See `Scan`; use a batch's rows up before the engine runs another statement."""
        self._progress.start(label, sum(batch.rows for batch in batches), "reviews")
        for name, table in query.tables.items():
            self._engine.register(name, table)
        for batch in batches:
            yield from self._engine.stream(query.sql(batch), dict(query.parameters))
            self._progress.advance(batch.rows)
        self._progress.finish()


class SparkScan:
    """A task a batch. Its rows wait in the exchange until the driver reads them, in order."""

    def __init__(self, spark: Spark, exchange: Exchange, settings: Settings) -> None:
        self._spark = spark
        self._exchange = exchange
        self._memory = settings.run.memory_limit

    def __call__(self, batches: Sequence[Batch], query: Query, label: str) -> Iterator[pa.RecordBatch]:
        """See `Scan`."""
        exchange, memory, groups = self._exchange, self._memory, tuple(batches)

        def work(number: int) -> Iterator[pa.RecordBatch]:
            exchange.begin()
            name = _answer(groups[number], query, exchange, memory)
            yield pa.record_batch([pa.array([number]), pa.array([name])], schema=_TOLD)

        told = self._spark.collect(self._spark.each(len(batches), work, _TOLD), label, len(batches))
        for name in told.sort_by("number")["file"].to_pylist():
            with exchange.reading(name) as file:
                reader = pa.ipc.open_file(file)
                for i in range(reader.num_record_batches):
                    yield reader.get_batch(i)


def _answer(batch: Batch, query: Query, exchange: Exchange, memory: str) -> str:
    """Run the query on a batch; the name of the Arrow file with its rows, without any of an empty one."""
    with deferred():
        from shelfcheck.engines.duckdb import DuckDB  # noqa: PLC0415 - loads DuckDB

    name = f"scan-{uuid.uuid4().hex[:12]}.arrow"
    with (
        tempfile.TemporaryDirectory(prefix="shelfcheck-") as scratch,
        DuckDB(scratch, memory, 1) as engine,
        exchange.writing(name) as path,
    ):
        for table, rows in query.tables.items():
            engine.register(table, rows)
        stream = engine.stream(query.sql(batch), dict(query.parameters))
        first = next(stream, None)
        schema = pa.schema([]) if first is None else first.schema
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            if first is not None:
                writer.write_batch(first)
            for rows in stream:
                writer.write_batch(rows)
    return name
