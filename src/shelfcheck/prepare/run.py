"""`prepare`: two passes over the reviews, in bounded memory.

First pass: read, screen by the rules that need no other row, stage on disk, write keys.
Then DuckDB finds repeats and rare categories over the keys. Second pass: staged rows
without those, with tokens, to one Parquet partition a month. Reading, kernels and writing
overlap on threads; the result does not depend on their number.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck import schema
from shelfcheck.errors import WorkspaceError
from shelfcheck.interrupts import deferred
from shelfcheck.prepare.falls import FallStream
from shelfcheck.prepare.limits import RejectedLimit
from shelfcheck.prepare.months import MonthSlice, MonthWriter, split_by_month
from shelfcheck.prepare.ordered import ordered_map
from shelfcheck.prepare.rules import data_bounds, fixed_bounds
from shelfcheck.prepare.staging import StagedBatch, StageReader, StageWriter
from shelfcheck.prepare.summary import Tally
from shelfcheck.prepare.work import (
    BATCH_ROWS,
    First,
    counted,
    first,
    memory_bytes,
    second,
    summarise,
    write_summary,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shelfcheck.config import Settings
    from shelfcheck.prepare.falls import Falls
    from shelfcheck.prepare.rules import LengthBounds
    from shelfcheck.prepare.summary import PrepareSummary
    from shelfcheck.progress import Progress
    from shelfcheck.sources import Source, SourceBatch


def prepare(
    sources: Sequence[Source], out_dir: str | Path, settings: Settings, progress: Progress
) -> PrepareSummary:
    """Read, check, clean and store reviews by month.

    Writes under out_dir: `reviews/review_month=YYYY-MM/part-*.parquet` (PREPARED_SCHEMA; rows
    without a date under `__HIVE_DEFAULT_PARTITION__`), `rejected/rejected.parquet`,
    `months.json` (each month's files, rows and bytes), `summary.json`, `summary.csv` and, with
    `prepare.csv`, `csv/YYYY-MM.csv.gz`. Within a month, rows stand in the order of the input. Memory
    does not grow with the input: about an eighth of `run.memory_limit` for rows by month and, before
    that, an eighth for duplicates, beside the code itself and some batches for each thread. On disk,
    the uncompressed size of the input is needed while it runs.

    Args:
        sources: what to read, in order.
        out_dir: a folder that holds no prepared reviews yet.
        settings: the sections `prepare`, `text` and `run` hold.
        progress: told how far it is.

    Raises:
        RejectedShareError: more than `prepare.max_rejected_share` of the rows were broken.
        SourceError: a source cannot be read at all.
        WorkspaceError: out_dir holds prepared reviews already.
    """
    out = Path(out_dir)
    if (out / "reviews").exists():
        raise WorkspaceError(f"{out / 'reviews'}: there already. Name an empty folder, or remove it first.")
    staging = out / ".staging"
    shutil.rmtree(staging, ignore_errors=True)
    for folder in (staging, out / "reviews", out / "rejected"):
        folder.mkdir(parents=True)
    threads = settings.run.threads or os.cpu_count() or 1
    pool = ThreadPoolExecutor(threads, thread_name_prefix="prepare")
    try:
        return _Run(sources, out, staging, settings, progress, pool, threads).all()
    finally:
        pool.shutdown(cancel_futures=True)
        shutil.rmtree(staging, ignore_errors=True)


class _Second(NamedTuple):
    """A batch after the second pass's work."""

    slices: list[MonthSlice]
    categories: Counter[str]
    rows: int
    fallen: Counter[str]


@dataclass
class _Run:
    """One run of `prepare`."""

    sources: Sequence[Source]
    out: Path
    staging: Path
    settings: Settings
    progress: Progress
    pool: ThreadPoolExecutor
    threads: int
    histogram: Counter[int] = field(default_factory=Counter)  # characters -> reviews
    staged: list[StagedBatch] = field(default_factory=list)
    local: threading.local = field(default_factory=threading.local)  # one reader of staged rows a thread

    def __post_init__(self) -> None:
        self.window = self.threads + 1  # batches under way
        self.memory = memory_bytes(self.settings)
        self.tallies = [Tally() for _ in self.sources]

    def all(self) -> PrepareSummary:
        with deferred():  # DuckDB's module aborts the process when Ctrl-C comes while it is loaded
            from shelfcheck.engines.duckdb import DuckDB  # noqa: PLC0415 - loads DuckDB
            from shelfcheck.prepare.duplicates import (  # noqa: PLC0415 - loads Numba
                find_falls,
                view_keys,
                write_falls,
            )

        fixed = fixed_bounds(self.settings.prepare)
        self.first_pass(fixed)
        bounds = fixed or data_bounds(self.settings.prepare, self.histogram)
        megabytes = max(64, self.memory // 8 // 10**6)
        self.progress.start("Finding duplicates", None, "rows")
        with DuckDB(self.staging / "spill", f"{megabytes}MB", self.threads) as engine:
            view_keys(engine, self.staging / "keys.parquet")
            find_falls(engine, self.settings.prepare, None if fixed else bounds)
            write_falls(engine, self.staging / "falls.parquet")
        self.progress.finish()
        categories, months = self.second_pass(FallStream(self.staging / "falls.parquet"))
        if self.settings.prepare.csv:
            self.write_csv()
        summary = summarise(
            [source.path for source in self.sources], self.tallies, bounds, categories, months
        )
        write_summary(self.out, summary)
        return summary

    # First pass

    def first_pass(self, bounds: LengthBounds | None) -> None:
        from shelfcheck.prepare.duplicates import KeyWriter  # noqa: PLC0415 - loads Numba

        def work(item: tuple[int, SourceBatch]) -> First:
            return first(item[1].reviews, self.settings, bounds)

        limit = RejectedLimit(self.settings.prepare.max_rejected_share, [s.size for s in self.sources])
        rows = 0
        self.progress.start("Reading", sum(source.size for source in self.sources) or None, "bytes")
        with (
            StageWriter(self.staging / "reviews.arrow") as stage,
            KeyWriter(self.staging / "keys.parquet") as keys,
            pq.ParquetWriter(
                self.out / "rejected" / "rejected.parquet", schema.REJECTED_SCHEMA, compression="zstd"
            ) as rejected,
        ):
            for (source, batch), done in ordered_map(self.pool, work, self.batches(), self.window):
                tally = self.tallies[source]
                tally.read += batch.reviews.num_rows + batch.rejected.num_rows
                tally.filtered.update(done.screened.filtered)
                if batch.rejected.num_rows:
                    rejected.write_batch(batch.rejected)
                    tally.rejected.update(counted(batch.rejected.column(schema.REASON)))
                if done.lengths is not None:
                    self.histogram.update(done.lengths)
                if done.keys.num_rows:
                    keys.write(done.keys, stage.write(done.screened, source).ordinal)
                limit.add(batch)
                rows += batch.reviews.num_rows + batch.rejected.num_rows
                self.progress.advance(batch.bytes_read, rows=rows)
        self.progress.finish()
        pa.default_memory_pool().release_unused()  # the next phases would stand on top of it
        limit.check()
        self.staged = stage.batches

    def batches(self) -> Iterator[tuple[int, SourceBatch]]:
        for index, source in enumerate(self.sources):
            for batch in source.batches(BATCH_ROWS):
                yield index, batch

    # Second pass

    def second_pass(self, falls: FallStream) -> tuple[Counter[str], dict[str | None, int]]:
        # An eighth of the memory: half of it waits, half is being written.
        writer = MonthWriter(self.out / "reviews", self.pool, max(self.memory // 16, 16 * 10**6))
        categories: Counter[str] = Counter()
        self.progress.start("Writing", sum(batch.rows for batch in self.staged), "rows")
        kept = 0
        for (staged, _), done in ordered_map(self.pool, self.finish, falls.batches(self.staged), self.window):
            tally = self.tallies[staged.source]
            tally.kept += done.rows
            tally.filtered.update(done.fallen)
            categories.update(done.categories)
            writer.add(done.slices)
            kept += done.rows
            self.progress.advance(staged.rows, rows=kept)
        writer.close()
        self.progress.finish()
        return categories, writer.rows

    def finish(self, item: tuple[StagedBatch, Falls]) -> _Second:
        staged, falls = item
        reader: StageReader | None = getattr(self.local, "reader", None)
        if reader is None:
            reader = self.local.reader = StageReader(self.staging / "reviews.arrow")
        reviews, standing = reader.read(staged)
        standing[falls.rows] = False
        rows = second(reviews, falls.suffixes, self.settings)
        categories = counted(rows.column(schema.PRODUCT_CATEGORY).filter(pa.array(standing)))
        return _Second(
            split_by_month(rows, standing), categories, int(np.count_nonzero(standing)), falls.counts
        )

    # Results

    def write_csv(self) -> None:
        from shelfcheck.prepare.months_csv import write_csv  # noqa: PLC0415 - only on request

        write_csv(self.out, self.pool, self.progress)
