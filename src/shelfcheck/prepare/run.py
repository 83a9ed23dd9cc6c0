"""`prepare`: two passes over the reviews, in bounded memory.

First pass: read, screen by the rules that need no other row, stage on disk, write keys.
Then DuckDB finds repeats and rare categories over the keys. Second pass: staged rows
without those, with tokens, to one Parquet partition a month. Reading, kernels and writing
overlap on threads; the result does not depend on their number.

Where reviews were prepared before and all their sources stand, only new sources pass through; the keys of
the others are kept. If the new rows change what becomes of an old one, all sources are read after all.
"""

from __future__ import annotations

import itertools
import os
import shutil
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck import schema
from shelfcheck.errors import WorkspaceError
from shelfcheck.interrupts import deferred
from shelfcheck.ordered import ordered_map
from shelfcheck.prepare.earlier import Earlier, NotUsableError, link, link_files, merge_parts, usable
from shelfcheck.prepare.falls import FallStream
from shelfcheck.prepare.limits import RejectedLimit
from shelfcheck.prepare.months import MonthSlice, MonthWriter, split_by_month
from shelfcheck.prepare.record import RECORD_FILE, ReadSource, Record
from shelfcheck.prepare.rules import LengthBounds, data_bounds, fixed_bounds
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
    from shelfcheck.prepare.earlier import Previous
    from shelfcheck.prepare.falls import Falls
    from shelfcheck.prepare.summary import PrepareSummary
    from shelfcheck.progress import Progress
    from shelfcheck.sources import Source, SourceBatch

# Rows that are compared with one another at a time, for each megabyte that the engine has. DuckDB 2.0
# compares 134,000 out of core, but may hold rows that fell beside; it has run out of memory at 240,000.
_COMPARED_ROWS: Final = 50_000


def prepare(
    sources: Sequence[Source],
    out_dir: str | Path,
    settings: Settings,
    progress: Progress,
    *,
    previous: Previous | None = None,
) -> PrepareSummary:
    """Read, check, clean and store reviews by month.

    Writes under out_dir: `reviews/review_month=YYYY-MM/part-*.parquet` (PREPARED_SCHEMA; rows
    without a date under `__HIVE_DEFAULT_PARTITION__`), `rejected/rejected.parquet`,
    `months.json` (each month's files, rows and bytes), `summary.json`, `summary.csv`, `sources.json` (what
    was read), with `run.incremental` `keys/` and `falls/`, by which a later run adds to these reviews, and,
    with `prepare.csv`, `csv/YYYY-MM.csv.gz`. Within a month, rows stand in the order of the input. Memory
    does not grow with the input: about an eighth of `run.memory_limit` for rows by month and, before
    that, half for duplicates, beside the code itself and some batches for each thread. On disk,
    the uncompressed size of the input is needed while it runs, and 40 bytes a review to find duplicates.

    With `previous`, only sources that it does not hold are read, where that gives the same: the rows,
    counts and rejected rows are always those of a run that reads all sources. Within a month, rows of new
    sources stand behind the others; where they come behind them in `sources` too, so do they in such a run.

    Args:
        sources: what to read, in order.
        out_dir: a folder that holds no prepared reviews yet.
        settings: the sections `prepare`, `text` and `run` hold.
        progress: told how far it is.
        previous: reviews prepared before, on the same disk if they are to be taken over without a copy.

    Raises:
        RejectedShareError: more than `prepare.max_rejected_share` of the rows were broken.
        SourceError: a source cannot be read at all.
        WorkspaceError: out_dir holds prepared reviews already.
    """
    out = Path(out_dir)
    if (out / "reviews").exists():
        raise WorkspaceError(f"{out / 'reviews'}: there already. Name an empty folder, or remove it first.")
    why = ""
    if previous is not None and settings.run.incremental:
        earlier = usable(previous, sources)
        if isinstance(earlier, Earlier):
            if previous.fetch is not None:
                previous.fetch()
            try:
                earlier.check()
                return _run(sources, out, settings, progress, earlier=earlier)
            except NotUsableError as error:
                why = str(error)
            for name in ("reviews", "rejected", "keys", "falls"):
                shutil.rmtree(out / name, ignore_errors=True)
        else:
            why = earlier
        progress.start(f"Preparing all files anew: {why}", None, "files")
        progress.finish()
    return _run(sources, out, settings, progress, anew=why)


def _run(
    sources: Sequence[Source],
    out: Path,
    settings: Settings,
    progress: Progress,
    *,
    earlier: Earlier | None = None,
    anew: str = "",
) -> PrepareSummary:
    staging = out / ".staging"
    shutil.rmtree(staging, ignore_errors=True)
    for folder in (staging, out / "reviews", out / "rejected"):
        folder.mkdir(parents=True)
    threads = settings.run.threads or os.cpu_count() or 1
    pool = ThreadPoolExecutor(threads, thread_name_prefix="prepare")
    try:
        return _Run(sources, out, staging, settings, progress, pool, threads, earlier, anew).all()
    finally:
        pool.shutdown(cancel_futures=True)
        shutil.rmtree(staging, ignore_errors=True)


class _Second(NamedTuple):
    """A batch after the second pass's work."""

    slices: list[MonthSlice]
    categories: Counter[str]
    rows: int
    fallen: Counter[str]


class _Known(NamedTuple):
    """What is known of a source: its number in the order of arrival, and what an earlier run left."""

    number: int
    before: ReadSource | None


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
    earlier: Earlier | None
    anew: str
    staged: list[StagedBatch] = field(default_factory=list)
    local: threading.local = field(default_factory=threading.local)  # one reader of staged rows a thread

    def __post_init__(self) -> None:
        self.window = self.threads + 1  # batches under way
        self.memory = memory_bytes(self.settings)
        self.known = _numbered(self.sources, self.earlier)
        self.tallies = [Tally() if known.before is None else known.before.tally() for known in self.known]
        self.rows = [0 if known.before is None else known.before.rows for known in self.known]  # staged
        held = () if self.earlier is None else self.earlier.record.keys
        self.following: dict[str | None, int] = {}
        # The files that this run adds to those that it takes over.
        self.part = f"part-{len(held):05d}.parquet"
        self.keys = self.out if self.settings.run.incremental else self.staging
        for folder in ("keys", "falls"):
            (self.keys / folder).mkdir(exist_ok=True)

    def all(self) -> PrepareSummary:
        fixed = fixed_bounds(self.settings.prepare)
        self.first_pass(fixed)
        bounds = self.judge(fixed)
        categories: Counter[str] = Counter()
        months: Counter[str | None] = Counter()
        if self.earlier is not None:
            self.following = link_files(self.earlier, self.out)
            categories, months = self.earlier.categories, self.earlier.months
        new_categories, new_months = self.second_pass(FallStream(self.staging / "falls.parquet"))
        added = {} if self.earlier is None else merge_parts(self.out, self.following, self.staging)
        if self.settings.prepare.csv:
            self.write_csv(set(new_months))
        summary = summarise(
            [source.path for source in self.sources],
            self.tallies,
            bounds,
            categories + new_categories,
            months + Counter(new_months),
        )
        write_summary(self.out, summary)
        record = self.record(added)
        (self.out / RECORD_FILE).write_text(record.to_json(), encoding="utf-8")
        return summary

    # First pass

    def first_pass(self, bounds: LengthBounds | None) -> None:
        with deferred():
            from shelfcheck.prepare.keys import KeyWriter  # noqa: PLC0415 - loads Numba and DuckDB

        def work(item: tuple[int, SourceBatch]) -> First:
            return first(item[1].reviews, self.settings, bounds)

        limit = self.limit()
        before = self.rows_before()
        new = [source for source, known in zip(self.sources, self.known, strict=True) if known.before is None]
        rows = 0
        self.progress.start("Reading", sum(source.size for source in new) or None, "bytes")
        with (
            StageWriter(self.staging / "reviews.arrow") as stage,
            KeyWriter(self.keys / "keys" / self.part) as keys,
            pq.ParquetWriter(
                self.out / "rejected" / "rejected.parquet", schema.REJECTED_SCHEMA, compression="zstd"
            ) as rejected,
        ):
            if self.earlier is not None:
                for held in self.earlier.rejected():
                    rejected.write_batch(held)
            for (source, batch), done in ordered_map(self.pool, work, self.batches(), self.window):
                tally = self.tallies[source]
                tally.read += batch.reviews.num_rows + batch.rejected.num_rows
                tally.filtered.update(done.screened.filtered)
                if batch.rejected.num_rows:
                    rejected.write_batch(batch.rejected)
                    tally.rejected.update(counted(batch.rejected.column(schema.REASON)))
                if done.keys.num_rows:
                    keys.write(done.keys, self.known[source].number, self.rows[source])
                    stage.write(done.screened, source, before[source])
                    self.rows[source] += done.screened.reviews.num_rows
                limit.add(batch)
                rows += batch.reviews.num_rows + batch.rejected.num_rows
                self.progress.advance(batch.bytes_read, rows=rows)
        self.progress.finish()
        pa.default_memory_pool().release_unused()  # the next phases would stand on top of it
        limit.check()
        self.staged = stage.batches

    def limit(self) -> RejectedLimit:
        limit = RejectedLimit(self.settings.prepare.max_rejected_share, [s.size for s in self.sources])
        for source, tally, known in zip(self.sources, self.tallies, self.known, strict=True):
            if known.before is not None:
                limit.add_counts(tally.read, tally.rejected, [], source.size)
        return limit

    def rows_before(self) -> list[int]:
        """Staged rows of earlier runs that come before each source in the order of the input."""
        return [0, *itertools.accumulate(self.rows)][:-1]

    def batches(self) -> Iterator[tuple[int, SourceBatch]]:
        for index, (source, known) in enumerate(zip(self.sources, self.known, strict=True)):
            if known.before is None:
                for batch in source.batches(BATCH_ROWS):
                    yield index, batch

    # Over all rows

    def judge(self, fixed: LengthBounds | None) -> LengthBounds:
        """Find the rows that fall; write those that are read now to `falls.parquet`.

        Raises:
            NotUsableError: rows that were read earlier would fall now, or stand again.
        """
        with deferred():  # DuckDB's module aborts the process when Ctrl-C comes while it is loaded
            from shelfcheck.engines.duckdb import DuckDB  # noqa: PLC0415 - loads DuckDB
            from shelfcheck.prepare import keys  # noqa: PLC0415 - loads Numba
            from shelfcheck.prepare.duplicates import find_falls  # noqa: PLC0415

        files = [self.keys / "keys" / self.part]
        if self.earlier is not None:
            files += self.earlier.key_files
        bases = keys.base_table(
            [known.number for known in self.known],
            self.rows,
            [known.before is None for known in self.known],
        )
        megabytes = max(64, self.memory // 2 // 10**6)
        most = megabytes * _COMPARED_ROWS
        self.progress.start("Finding duplicates", None, "rows")
        with DuckDB(self.staging / "spill", f"{megabytes}MB", self.threads) as engine:
            keys.view_keys(engine, files, bases)
            bounds = fixed or data_bounds(self.settings.prepare, keys.length_histogram(engine))
            find_falls(engine, self.settings.prepare, None if fixed else bounds, sum(self.rows), most)
            keys.place_falls(engine)
            if self.earlier is not None:
                changed = keys.judged_otherwise(engine, self.earlier.fall_files)
                if changed:
                    told = ", ".join(f"{rule} {n:,}" for rule, n in changed.items())
                    raise NotUsableError(f"the new rows change what becomes of some of the others ({told})")
            keys.write_falls(
                engine,
                self.staging / "falls.parquet",
                self.out / "falls" / self.part if self.settings.run.incremental else None,
            )
        self.progress.finish()
        return bounds

    # Second pass

    def second_pass(self, falls: FallStream) -> tuple[Counter[str], dict[str | None, int]]:
        # An eighth of the memory: half of it waits, half is being written.
        budget = max(self.memory // 16, 16 * 10**6)
        writer = MonthWriter(self.out / "reviews", self.pool, budget, self.following)
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

    def write_csv(self, new_months: set[str | None]) -> None:
        from shelfcheck.prepare.months_csv import month_csv, write_csv  # noqa: PLC0415 - only on request

        if self.earlier is not None:
            for month in self.following:
                if month not in new_months:
                    link(month_csv(self.earlier.folder / "csv", month), month_csv(self.out / "csv", month))
        write_csv(self.out, self.pool, self.progress)

    def record(self, added: dict[str, int]) -> Record:
        arrived: dict[int, ReadSource] = {}
        for source, known, rows, tally in zip(self.sources, self.known, self.rows, self.tallies, strict=True):
            arrived[known.number] = known.before or ReadSource.of(source, rows, tally)
        keys: tuple[str, ...] = ()
        if self.settings.run.incremental:
            keys = (*(() if self.earlier is None else self.earlier.record.keys), self.part)
        return Record(
            tuple(arrived[number] for number in range(len(arrived))),
            keys,
            () if self.earlier is None else (*self.earlier.record.extends, self.earlier.fingerprint),
            0 if self.earlier is None else len(arrived) - len(self.earlier.record.sources),
            added,
            self.anew,
        )


def _numbered(sources: Sequence[Source], earlier: Earlier | None) -> list[_Known]:
    if earlier is None:
        return [_Known(number, None) for number in range(len(sources))]
    before = {source.path: number for number, source in enumerate(earlier.record.sources)}
    known = []
    following = len(before)
    for source in sources:
        if source.path in before:
            number = before[source.path]
            known.append(_Known(number, earlier.record.sources[number]))
        else:
            known.append(_Known(following, None))
            following += 1
    return known
