"""Explore prepared reviews on Spark: the same scan in many places, the same SQL, the same tables.

Texts go from the files into the kernels of the scan without passing through Java. A task reads units that
follow each other, adds up what it finds by month, and leaves that and the keys of its reviews as files.
Distinct products and customers are counted where Spark brings equal ones together, by the pass that one
machine makes.
"""

from __future__ import annotations

import io
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck.engines.executor import begin as begin_task
from shelfcheck.engines.executor import mark
from shelfcheck.explore.lengths import Lengths
from shelfcheck.explore.run import begin, write_tables
from shelfcheck.explore.scan import KEY_SCHEMA, MonthlyCounts, add_months, count_unit
from shelfcheck.explore.subjects import SUBJECTS, Counts, count_sorted, subjects_sql
from shelfcheck.interrupts import deferred
from shelfcheck.prepare.units import tasks_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from shelfcheck.config import Settings
    from shelfcheck.engines.spark import Spark
    from shelfcheck.explore.calendar import Calendar
    from shelfcheck.prepare.units import Unit
    from shelfcheck.progress import Progress

_REPORT_SCHEMA: Final = pa.schema([("task", pa.int64()), ("token", pa.string()), ("months", pa.int64())])
_COUNTS_SCHEMA: Final = pa.schema([("counts", pa.binary())])
_SIGNED: Final = pa.schema(
    [pa.field(one.name, pa.int64() if one.type == pa.uint64() else one.type) for one in KEY_SCHEMA]
)
"""Keys as Spark gets them: it has no unsigned numbers, so the fingerprints' bits are those of signed ones."""


def explore_on_spark(
    prepared_dir: Path, out: Path, settings: Settings, progress: Progress
) -> Mapping[str, Any]:
    """Do what `explore` does, on Spark: the same tables, number by number.

    Args:
        prepared_dir: what `prepare` wrote; all executors must reach it.
        out: where tables and figures go; all executors must reach it.
        settings: the section `spark` holds.
        progress: told how far the work is.

    Raises:
        NotEnoughDataError: prepare kept no review.
        SparkError: Spark does not start, or a task failed for good.
        WorkspaceError: there are no prepared reviews, or executors do not reach them.
    """
    with deferred():
        from shelfcheck.engines.spark import Spark  # noqa: PLC0415 - loads PySpark
    prepared_dir, out = Path(prepared_dir).resolve(), Path(out).resolve()
    summary, todo, groups = begin(prepared_dir)
    with tempfile.TemporaryDirectory(dir=out, prefix=".work-") as work:
        staging = Path(work, "staging")
        mark(staging)
        with Spark(settings.spark, progress) as spark:
            spark.expect(sum(unit.rows for unit in todo))
            groups.collect(_scan(spark, todo, groups.categories, staging))
            found = {
                subject: _count(spark, subject, len(groups.categories), groups.calendar)
                for subject in SUBJECTS
            }
            counting = {subject: lambda counts=counts: counts for subject, counts in found.items()}
            return write_tables(spark, groups, counting, todo, summary, out, progress)


def _scan(
    spark: Spark, todo: Sequence[Unit], categories: Sequence[str], staging: Path
) -> Iterator[tuple[int, MonthlyCounts]]:
    """Read every review once; make the view `keys`; each month and what was counted of it, in order."""
    tasks = tasks_of(todo, spark.slots)
    codes = {name: code for code, name in enumerate(categories)}
    sent = spark.broadcast(tasks)

    def work(number: int) -> Iterator[pa.RecordBatch]:
        begin_task(staging)
        token, months = _read(sent.value[number], codes, number, staging)
        yield pa.record_batch(
            [pa.array([number]), pa.array([token]), pa.array([months])], schema=_REPORT_SCHEMA
        )

    told = spark.collect(spark.each(len(tasks), work, _REPORT_SCHEMA), "Reading", len(tasks)).sort_by("task")
    done = list(
        zip(told["task"].to_pylist(), told["token"].to_pylist(), told["months"].to_pylist(), strict=True)
    )
    spark.view(
        "keys", spark.read_parquet([_folder(staging, n, token) / "keys.parquet" for n, token, _ in done])
    )
    return add_months(
        [_opened(_folder(staging, n, token) / f"{at:04d}.npz")]
        for n, token, months in done
        for at in range(months)
    )


def _read(units: Sequence[Unit], codes: Mapping[str, int], number: int, staging: Path) -> tuple[str, int]:
    """Count units into a folder: the keys, and a file a month; returns its token and how many months."""
    token = uuid.uuid4().hex[:8]
    folder = _folder(staging, number, token)
    folder.mkdir()
    with pq.ParquetWriter(
        folder / "keys.parquet", _SIGNED, compression="none", use_dictionary=False, write_statistics=False
    ) as writer:

        def counted() -> Iterator[list[tuple[int, MonthlyCounts]]]:
            for unit in units:
                months, keys = count_unit(unit, codes)
                for batch in keys:
                    columns = [
                        column.view(field.type) for column, field in zip(batch.columns, _SIGNED, strict=True)
                    ]
                    writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=_SIGNED))
                yield months

        at = -1
        for at, (month, counts) in enumerate(add_months(counted())):
            np.savez(
                folder / f"{at:04d}.npz",
                month=np.array(month),
                sums=counts.sums,
                missing=counts.missing,
                characters=np.stack([counts.characters.keys, counts.characters.reviews]),
                tokens=np.stack([counts.tokens.keys, counts.tokens.reviews]),
            )
    return token, at + 1


def _opened(file: Path) -> tuple[int, MonthlyCounts]:
    with np.load(file, allow_pickle=False) as found:
        lengths = [Lengths(*found[unit]) for unit in ("characters", "tokens")]
        return int(found["month"]), MonthlyCounts(found["sums"], found["missing"], *lengths)


def _folder(staging: Path, number: int, token: str) -> Path:
    return staging / f"{number:06d}-{token}"


def _count(spark: Spark, subject: str, categories: int, calendar: Calendar) -> Counts:
    """Count products or customers of the view `keys`: equal ones are brought together, and gone over once."""
    rows = spark.sql(subjects_sql(subject, ordered=False))
    together = rows.repartition(subject).sortWithinPartitions(subject)

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        file = io.BytesIO()
        np.savez_compressed(file, **vars(count_sorted(batches, categories, calendar)))
        yield pa.record_batch([pa.array([file.getvalue()], pa.binary())], schema=_COUNTS_SCHEMA)

    told = spark.collect(spark.map_in_arrow(together, work, _COUNTS_SCHEMA), f"Counting {subject}s")
    counts = Counts.empty(categories, calendar)
    for part in told["counts"]:
        with np.load(io.BytesIO(part.as_py()), allow_pickle=False) as found:
            counts.add(Counts(**{name: found[name] for name in found.files}))
    return counts
