"""Which rows fall, and which task has them: found by the driver where few rows are alike, else by Spark."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa

from shelfcheck.engines.duckdb import DuckDB
from shelfcheck.prepare.spark.keys import KEYS_SCHEMA, Alike, alike_rows, find_alike
from shelfcheck.prepare.spark.months import FALLS_SCHEMA
from shelfcheck.prepare.work import memory_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from shelfcheck.config import Settings
    from shelfcheck.engines.exchange import Exchange
    from shelfcheck.engines.spark import Frame, Spark
    from shelfcheck.prepare.rules import LengthBounds
    from shelfcheck.prepare.spark.keys import CutKeys
    from shelfcheck.prepare.spark.months import Part

FEW: Final = 1_000_000
"""Rows that the driver compares by itself, 60 MB: Spark's statements take seconds for any number."""
_REPORT_SCHEMA: Final = pa.schema([("task", pa.int64()), ("report", pa.string())])

# `placed` tells the month of a row, if it is one that may fall.
FALLS_BY_TASK: Final = """
    SELECT p.task, c.ordinal, c.rule, c.occurrence
    FROM changed c
    JOIN placed k ON k.ordinal = c.ordinal
    JOIN parts p ON p.month = k.month AND k.ordinal >= p.first AND k.ordinal < p.past
"""
_EACH_TASK: Final = """
    UNION ALL
    SELECT task, CAST(NULL AS BIGINT), CAST(NULL AS VARCHAR), CAST(NULL AS BIGINT) FROM tasks
"""
FALLS_AND_TASKS: Final = FALLS_BY_TASK + _EACH_TASK


class AlikeRows(NamedTuple):
    """Where the rows are that share a key with another one."""

    files: Mapping[str, Sequence[str]]  # key -> names
    rows: Mapping[str, int]


def find_falls(
    spark: Spark,
    keys: CutKeys,
    tasks: Sequence[Sequence[Part]],
    settings: Settings,
    *,
    bounds: LengthBounds | None,
) -> dict[int, pa.Table] | Frame:
    """The rows that fall, or whose made-up id gets a number, FALLS_SCHEMA.

    Args:
        spark: runs what many rows need.
        keys: of all staged rows.
        tasks: what will be written; each must be told of its rows.
        settings: the sections `prepare` and `run` hold.
        bounds: lengths to keep, where they came from the data.

    Returns:
        By task; or a frame with a partition for each task, in which one row has no ordinal.
    """
    from shelfcheck.prepare.duplicates import needs_all  # noqa: PLC0415 - loads Numba

    alike = _find_alike_rows(spark, keys, settings, bounds)
    if sum(alike.rows.values()) <= FEW and not needs_all(settings.prepare, bounds):
        return _by_the_driver(keys, alike, tasks, settings)
    with spark.step("Comparing"):
        return _by_spark(spark, keys, alike, tasks, settings=settings, bounds=bounds)


def _find_alike_rows(
    spark: Spark, keys: CutKeys, settings: Settings, bounds: LengthBounds | None
) -> AlikeRows:
    """Find the rows that share a key with another one, a task for each cut by each key."""
    from shelfcheck.prepare.duplicates import compared  # noqa: PLC0415 - loads Numba

    by = compared(settings.prepare)

    def work(number: int) -> Iterator[pa.RecordBatch]:
        keys.exchange.begin()
        at, cut = divmod(number, keys.cuts)
        found = find_alike(keys, by[at], cut, bounds)
        yield pa.record_batch([pa.array([number]), pa.array([found.to_json()])], schema=_REPORT_SCHEMA)

    tasks = len(by) * keys.cuts
    told = spark.collect(spark.each(tasks, work, _REPORT_SCHEMA), "Finding duplicates", tasks)
    files: dict[str, list[str]] = {key: [] for key in by}
    rows = dict.fromkeys(by, 0)
    for number, report in zip(told["task"].to_pylist(), told["report"].to_pylist(), strict=True):
        at, cut = divmod(number, keys.cuts)
        alike = Alike.from_json(report)
        if alike.rows:
            files[by[at]].append(alike.file(by[at], cut))
            rows[by[at]] += alike.rows
    return AlikeRows(files, rows)


def _by_the_driver(
    keys: CutKeys, alike: AlikeRows, tasks: Sequence[Sequence[Part]], settings: Settings
) -> dict[int, pa.Table]:
    from shelfcheck.prepare.duplicates import FALLS_BY_ORDINAL, judge  # noqa: PLC0415 - loads Numba

    megabytes = max(64, memory_bytes(settings) // 2 // 10**6)
    with (
        tempfile.TemporaryDirectory(prefix="shelfcheck-") as scratch,
        DuckDB(scratch, f"{megabytes}MB") as engine,
    ):
        for key, names in alike.files.items():
            rows = [batch for name in names for batch in alike_rows(keys.exchange, name)]
            engine.register(f"alike_{key}", pa.Table.from_batches(rows, KEYS_SCHEMA))
        judge(engine, settings.prepare, None, alike.rows)
        engine.create("changed", FALLS_BY_ORDINAL)
        both = " UNION ".join(f"SELECT ordinal, month FROM alike_{key}" for key in alike.files)  # noqa: S608
        engine.create("placed", both)
        engine.register("parts", _parts_table(tasks))
        found = pa.Table.from_batches(engine.stream(FALLS_BY_TASK), FALLS_SCHEMA).sort_by("task")
    numbers, begins = np.unique(found["task"].to_numpy(), return_index=True)
    ends = [*begins[1:].tolist(), found.num_rows]
    return {
        number: found.slice(begin, end - begin)
        for number, begin, end in zip(numbers.tolist(), begins.tolist(), ends, strict=False)
    }


def _by_spark(
    spark: Spark,
    keys: CutKeys,
    alike: AlikeRows,
    tasks: Sequence[Sequence[Part]],
    *,
    settings: Settings,
    bounds: LengthBounds | None,
) -> Frame:
    from shelfcheck.prepare.duplicates import FALLS_BY_ORDINAL, judge  # noqa: PLC0415 - loads Numba

    spark.expect(keys.rows)
    spark.keep("keys", spark.each(len(keys.names["content"]), keys.of_piece, KEYS_SCHEMA))
    for key, names in alike.files.items():
        spark.keep(f"alike_{key}", _frame(spark, keys.exchange, names))
    judge(spark, settings.prepare, bounds, alike.rows)
    spark.create("changed", FALLS_BY_ORDINAL)
    spark.compute("changed", "Comparing")
    spark.view("placed", spark.sql("SELECT ordinal, month FROM keys"))
    spark.view("parts", spark.from_arrow(_parts_table(tasks)))
    spark.view("tasks", spark.numbers("task", len(tasks)))
    return spark.spread(spark.sql(FALLS_AND_TASKS), "task", len(tasks))


def _frame(spark: Spark, exchange: Exchange, names: Sequence[str]) -> Frame:
    return spark.each(len(names), lambda i: alike_rows(exchange, names[i]), KEYS_SCHEMA)


def _parts_table(tasks: Sequence[Sequence[Part]]) -> pa.Table:
    planned = [(part, number) for number, parts in enumerate(tasks) for part in parts]
    return pa.table(
        {
            "task": pa.array([number for _, number in planned], pa.int64()),
            "month": pa.array([part.month for part, _ in planned], pa.int64()),
            "first": pa.array([part.first for part, _ in planned], pa.int64()),
            "past": pa.array([part.end for part, _ in planned], pa.int64()),
        }
    )
