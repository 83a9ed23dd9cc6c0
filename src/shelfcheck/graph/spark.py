"""The tables of the review graph on Spark: the same queries, each table one sorted file as before.

All of the work is relational, so Spark reads the prepared reviews itself and sorts what it finds over all
machines. The driver joins the sorted parts of a table to one file, row group by row group: readers of a graph
know of no parts.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck.engines.executor import check_reach, mark
from shelfcheck.errors import NotEnoughDataError
from shelfcheck.graph.build import (
    ALL,
    ASSIGNED,
    FIRST,
    REPEATED,
    REPEATS,
    ROW_GROUP_ROWS,
    SEVERAL,
    SEVERAL_CATEGORIES,
    lacking,
    statements,
)
from shelfcheck.graph.store import EDGES, NODES
from shelfcheck.interrupts import deferred
from shelfcheck.prepare.read import count_prepared, prepared_files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shelfcheck.config import Settings
    from shelfcheck.engines.spark import Spark
    from shelfcheck.progress import Progress

_WIDTH: Final = 4  # times as wide as a key is a row with its texts


def build_on_spark(
    prepared_dir: Path, out: Path, settings: Settings, progress: Progress
) -> Mapping[str, Any]:
    """Do what `build` does, on Spark: the same rows in the same order.

    Args:
        prepared_dir: what `prepare` wrote; all executors must reach it.
        out: the folder to write into; all executors must reach it.
        settings: `graph.bought` and `spark`.
        progress: told how far each table is.

    Raises:
        NotEnoughDataError: prepare kept no review.
        SparkError: Spark does not start, or a job failed for good.
        WorkspaceError: there are no prepared reviews, or executors do not reach `out`.
    """
    with deferred():
        from shelfcheck.engines.spark import Spark  # noqa: PLC0415 - loads PySpark
    prepared_dir, out = Path(prepared_dir).resolve(), Path(out).resolve()
    files = [file for file, _ in prepared_files(prepared_dir)]
    if not files:
        raise NotEnoughDataError(f"{prepared_dir}: prepare kept no review. Its summary.json says why.")
    staging = out / ".staging"
    shutil.rmtree(staging, ignore_errors=True)
    mark(staging)
    try:
        with Spark(settings.spark, progress) as spark:
            check_reach(spark, staging)
            spark.expect(_WIDTH * count_prepared(prepared_dir))
            counts = lacking(spark, _view_of_reviews(spark, files))
            for place, sql in statements(settings.graph.bought).items():
                folder, name = place.split("/")
                parts = staging / name
                spark.write_parquet(spark.sql(sql), parts, f"Building {name}")
                (out / folder).mkdir(exist_ok=True)
                schema = (NODES if folder == "nodes" else EDGES)[name]
                counts[name] = _join(parts, out / f"{place}.parquet", schema)
                if place == ASSIGNED:
                    spark.view("assigned", spark.read_parquet([out / f"{place}.parquet"]))
                shutil.rmtree(parts)
            counts[SEVERAL_CATEGORIES] = spark.run(SEVERAL)[0][0]
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return counts


def _view_of_reviews(spark: Spark, files: list[Path]) -> int:
    """Make the view `r` of the reviews, one row an id; returns the rows left out."""
    # Where a row lies, by the names that DuckDB has for it.
    where = ("_metadata.file_path AS filename", "_metadata.row_index AS file_row_number")
    spark.view("read", spark.read_parquet(files).selectExpr("*", *where))
    spark.create("repeated", REPEATED)
    repeats = spark.run(REPEATS)[0][0]
    spark.view("r", spark.sql(FIRST if repeats else ALL))
    return int(repeats)


def _join(parts: Path, path: Path, schema: pa.Schema) -> int:
    """Write sorted parts, in order, as one file; returns its rows."""
    rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        waiting: list[pa.RecordBatch] = []
        held = 0
        for file in sorted(parts.glob("*.parquet")):
            with pq.ParquetFile(file) as part:
                for batch in part.iter_batches(ROW_GROUP_ROWS):
                    waiting.append(batch)
                    held += batch.num_rows
                    if held >= ROW_GROUP_ROWS:
                        whole = pa.Table.from_batches(waiting)
                        writer.write_table(whole.slice(0, ROW_GROUP_ROWS).cast(schema), ROW_GROUP_ROWS)
                        waiting = whole.slice(ROW_GROUP_ROWS).to_batches()
                        rows, held = rows + ROW_GROUP_ROWS, held - ROW_GROUP_ROWS
        if held:
            writer.write_table(pa.Table.from_batches(waiting).cast(schema), ROW_GROUP_ROWS)
    return rows + held
