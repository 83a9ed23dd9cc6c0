"""What the driver does: cuts the input, has it staged, finds what falls, has months written, publishes."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck import schema
from shelfcheck.engines.exchange import Exchange
from shelfcheck.errors import WorkspaceError
from shelfcheck.interrupts import deferred
from shelfcheck.prepare.limits import RejectedLimit
from shelfcheck.prepare.months import month_name
from shelfcheck.prepare.months_csv import write_month
from shelfcheck.prepare.read import NO_MONTH, prepared_files
from shelfcheck.prepare.rules import data_bounds, fixed_bounds
from shelfcheck.prepare.spark.falls import find_falls
from shelfcheck.prepare.spark.keys import LARGEST, CutKeys
from shelfcheck.prepare.spark.months import (
    FALLS_SCHEMA,
    Falls,
    Written,
    part_name,
    plan_parts,
    write_parts,
)
from shelfcheck.prepare.spark.pieces import cut
from shelfcheck.prepare.spark.staging import REPORT_SCHEMA, Files, Report, stage
from shelfcheck.prepare.summary import Tally
from shelfcheck.prepare.work import memory_bytes, summarise, write_summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shelfcheck.config import Settings
    from shelfcheck.engines.spark import Frame, Spark
    from shelfcheck.prepare.rules import LengthBounds
    from shelfcheck.prepare.spark.months import Part
    from shelfcheck.prepare.spark.pieces import Piece
    from shelfcheck.prepare.summary import PrepareSummary
    from shelfcheck.progress import Progress
    from shelfcheck.sources import Source

LEAST_BUDGET: Final = 16 * 10**6
"""Bytes of rows that may wait in a task for others of their month, however small `run.memory_limit` is."""
_WRITTEN_SCHEMA: Final = pa.schema([("task", pa.int64()), ("report", pa.string())])


def prepare_on_spark(
    sources: Sequence[Source], out_dir: str | Path, settings: Settings, progress: Progress
) -> PrepareSummary:
    """Do what `prepare` does, on Spark: the same reviews in the same months and order, the same counts.

    Only how rows are cut into files differs. Rejected rows are judged by their share when all was read.

    Args:
        sources: what to read, in order; all executors must reach it.
        out_dir: a folder that holds no prepared reviews yet; all executors must reach it.
        settings: the sections `prepare`, `text`, `run` and `spark` hold.
        progress: told how far it is.

    Raises:
        RejectedShareError: more than `prepare.max_rejected_share` of the rows were broken.
        SourceError: a source cannot be read at all.
        SparkError: Spark does not start, or a task failed for good.
        WorkspaceError: out_dir holds prepared reviews already, or executors do not reach it.
    """
    with deferred():
        from shelfcheck.engines.spark import Spark  # noqa: PLC0415 - loads PySpark
    out = Path(out_dir).resolve()
    if (out / "reviews").exists():
        raise WorkspaceError(f"{out / 'reviews'}: there already. Name an empty folder, or remove it first.")
    staging = out / ".staging"
    shutil.rmtree(staging, ignore_errors=True)
    exchange = Exchange.of(settings.spark, staging, "prepare")
    for folder in (out / "reviews", out / "rejected"):
        folder.mkdir(parents=True)
    exchange.make()
    try:
        with Spark(settings.spark, progress) as spark:
            return _prepare(spark, sources, out, exchange, settings)
    finally:
        exchange.clear()


def _prepare(
    spark: Spark, sources: Sequence[Source], out: Path, exchange: Exchange, settings: Settings
) -> PrepareSummary:
    fixed = fixed_bounds(settings.prepare)
    pieces = cut(sources, spark.slots)
    cuts = max(1, min(len(pieces), LARGEST))
    reports = _stage(spark, pieces, exchange, settings, bounds=fixed, cuts=cuts)
    _judge_rejected(reports, sources, settings)
    histogram: Counter[int] = Counter()
    for report in reports:
        histogram.update(report.lengths)
    bounds = fixed or data_bounds(settings.prepare, histogram)

    rows = sum(batch.rows for report in reports for batch in report.batches)
    files = [Files.of(i, report.token) for i, report in enumerate(reports)]
    names = {"id": [one.ids for one in files], "content": [one.contents for one in files]}
    tasks = plan_parts(reports, spark.slots)
    written: list[Written] = []
    if tasks:
        found = CutKeys(exchange, names, cuts, rows)
        falls = find_falls(spark, found, tasks, settings, bounds=None if fixed else bounds)
        written = _write(spark, tasks, falls, reports, exchange=exchange, settings=settings)

    months = _publish_months(tasks, written, exchange, out)
    _publish_rejected(reports, exchange, out)
    if settings.prepare.csv:
        _write_csv(spark, out)
    categories: Counter[str] = Counter()
    for one in written:
        categories.update(one.categories)
    summary = summarise(
        [source.path for source in sources],
        _tallies(len(sources), pieces, reports, written),
        bounds,
        categories,
        months,
    )
    write_summary(out, summary)
    return summary


def _stage(
    spark: Spark,
    pieces: Sequence[Piece],
    exchange: Exchange,
    settings: Settings,
    *,
    bounds: LengthBounds | None,
    cuts: int,
) -> list[Report]:
    """First pass: the report of each piece, in order."""
    budget = max(memory_bytes(settings) // 16, LEAST_BUDGET)
    sent = spark.broadcast(list(pieces))

    def work(number: int) -> Iterator[pa.RecordBatch]:
        exchange.begin()
        report = stage(
            sent.value[number], number, exchange, settings, bounds=bounds, budget=budget, cuts=cuts
        )
        yield pa.record_batch([pa.array([report.to_json()])], schema=REPORT_SCHEMA)

    frame = spark.each(len(pieces), work, REPORT_SCHEMA)
    told = spark.collect(frame, "Reading", len(pieces))
    return [Report.from_json(text) for text in told["report"].to_pylist()]


def _write(
    spark: Spark,
    tasks: list[list[Part]],
    falls: dict[int, pa.Table] | Frame,
    reports: Sequence[Report],
    *,
    exchange: Exchange,
    settings: Settings,
) -> list[Written]:
    """Second pass: what each task wrote, in order."""
    sent = spark.broadcast(tasks)
    starts = [start for report in reports for start in report.starts]

    def work(number: int, rows: pa.Table) -> Iterator[pa.RecordBatch]:
        exchange.begin()
        done = write_parts(
            number, sent.value[number], Falls(rows), starts=starts, exchange=exchange, settings=settings
        )
        columns = [pa.array([number]), pa.array([done.to_json()])]
        yield pa.record_batch(columns, schema=_WRITTEN_SCHEMA)

    if isinstance(falls, dict):
        told_to, none = spark.broadcast(falls), FALLS_SCHEMA.empty_table()
        frame = spark.each(
            len(tasks), lambda number: work(number, told_to.value.get(number, none)), _WRITTEN_SCHEMA
        )
    else:

        def over(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            rows = pa.Table.from_batches(list(batches), FALLS_SCHEMA)
            yield from work(rows["task"][0].as_py(), rows)  # every partition is one task

        frame = spark.map_in_arrow(falls, over, _WRITTEN_SCHEMA)
    told = spark.collect(frame, "Writing", len(tasks)).sort_by("task")
    return [Written.from_json(text) for text in told["report"].to_pylist()]


def _judge_rejected(reports: Sequence[Report], sources: Sequence[Source], settings: Settings) -> None:
    limit = RejectedLimit(settings.prepare.max_rejected_share, [source.size for source in sources])
    for report in reports:
        reasons: Counter[str] = Counter()
        for counts in report.rejected:
            reasons.update(counts)
        limit.add_counts(sum(report.read), reasons, report.examples)
    limit.check()


def _publish_months(
    tasks: Sequence[Sequence[Part]], written: Sequence[Written], exchange: Exchange, out: Path
) -> dict[str | None, int]:
    """Move the files that count to their months; rows of each month."""
    months: Counter[str | None] = Counter()
    for number, (parts, done) in enumerate(zip(tasks, written, strict=True)):
        for at, (part, rows) in enumerate(zip(parts, done.rows, strict=True)):
            if not rows:
                continue
            month = month_name(part.month)
            folder = out / "reviews" / f"{schema.REVIEW_MONTH}={NO_MONTH if month is None else month}"
            folder.mkdir(exist_ok=True)
            exchange.take(part_name(number, at, done.token), folder / f"part-{part.number:05d}.parquet")
            months[month] += rows
    return dict(months)


def _publish_rejected(reports: Sequence[Report], exchange: Exchange, out: Path) -> None:
    """Put the rejected rows of all pieces into one file, in the order of the input."""
    target = out / "rejected" / "rejected.parquet"
    with pq.ParquetWriter(target, schema.REJECTED_SCHEMA, compression="zstd") as writer:
        for number, report in enumerate(reports):
            if any(report.rejected):
                with exchange.reading(Files.of(number, report.token).rejected) as file:
                    for batch in pq.ParquetFile(file).iter_batches(65_536):
                        writer.write_batch(batch)


def _write_csv(spark: Spark, out: Path) -> None:
    files: dict[str | None, list[Path]] = {}
    for file, month in prepared_files(out):
        files.setdefault(month, []).append(file)
    months = list(files.items())
    (out / "csv").mkdir()

    def work(number: int) -> Iterator[pa.RecordBatch]:
        month, parts = months[number]
        write_month(parts, month, out / "csv")
        yield pa.record_batch([pa.array([number])], names=["month"])

    spark.collect(
        spark.each(len(months), work, pa.schema([("month", pa.int64())])), "Writing CSV", len(months)
    )


def _tallies(
    n_sources: int, pieces: Sequence[Piece], reports: Sequence[Report], written: Sequence[Written]
) -> list[Tally]:
    """The counts of each source."""
    tallies = [Tally() for _ in range(n_sources)]
    sources = [item.source for piece in pieces for item in piece]  # of each item, over all pieces
    items = iter(sources)
    for report in reports:
        for read, filtered, rejected in zip(report.read, report.filtered, report.rejected, strict=True):
            tallies[next(items)].add(Tally(read, 0, Counter(filtered), Counter(rejected)))
    for done in written:
        for item, kept in done.kept.items():
            tallies[sources[item]].kept += kept
        for item, fallen in done.fallen.items():
            tallies[sources[item]].filtered.update(fallen)
    return tallies
