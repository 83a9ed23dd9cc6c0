"""`sample`: plan, find the cut-offs, write, and check that the sample stands for all."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from shelfcheck.interrupts import deferred
from shelfcheck.listing import UNKNOWN_MONTH
from shelfcheck.prepare import read_listing
from shelfcheck.sampling.cutoffs import find_cutoffs
from shelfcheck.sampling.distributions import count_all, count_strata
from shelfcheck.sampling.draw import SAMPLE_SCHEMA, draw
from shelfcheck.sampling.representativeness import ShareRow, compare
from shelfcheck.sampling.reviews import Batch, batches
from shelfcheck.sampling.scan import LocalScan, SparkScan
from shelfcheck.sampling.strata import SamplePlan, plan, plan_months
from shelfcheck.schema import PREPARED_SCHEMA, REVIEW_MONTH, SAMPLE_WEIGHT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shelfcheck.config import Settings
    from shelfcheck.engines.duckdb import DuckDB
    from shelfcheck.progress import Progress
    from shelfcheck.sampling.representativeness import Representativeness
    from shelfcheck.sampling.scan import Scan

SAMPLE_FILE: Final = "sample.parquet"
SAMPLE_CSV: Final = "sample.csv"


@dataclass(frozen=True)
class Sampled:
    """A sample that was written: its plan, its rows, and how it compares."""

    plan: SamplePlan
    rows: int
    comparison: Representativeness


def plan_sample(
    prepared_dir: str | Path, scratch: str | Path, settings: Settings, progress: Progress
) -> SamplePlan:
    """What a sample would hold; reads metadata alone where months are the strata and no category is dropped.

    Args:
        prepared_dir: what `prepare` wrote.
        scratch: a folder for what does not fit into memory; left as it was.
        settings: the sections `sample` and `run` hold.
        progress: told how far it is.

    Raises:
        NotEnoughDataError: there is nothing to draw from.
        WorkspaceError: there are no prepared reviews.
    """
    listing = read_listing(prepared_dir)
    if settings.sample.by == (REVIEW_MONTH,) and not settings.sample.min_category_share:
        months = {
            None if month == UNKNOWN_MONTH else month: n for month, n in listing.rows_by_month().items()
        }
        return plan_months(months, settings.sample)
    groups = list(batches(Path(prepared_dir).resolve(), listing))
    with _engine(Path(scratch), settings) as engine:
        counts = count_strata(LocalScan(engine, progress), groups, settings.sample.by)
    return plan(counts, settings.sample)


def sample(prepared_dir: str | Path, out_dir: str | Path, settings: Settings, progress: Progress) -> Sampled:
    """Draw a stratified sample whose rows depend on the review ids alone.

    Writes under out_dir: `sample.parquet` (PREPARED_SCHEMA and `sample_weight`, by month and md5), with
    `sample.csv = true` the same as `sample.csv`, `strata.parquet` and `.csv` (what was drawn of what),
    `shares.parquet` and `.csv` (sample beside population), `representativeness.json`, `summary.json`. Reads
    the reviews three times: counts, cut-offs, rows. Keys kept grow with the square root of the sample; its
    rows are sorted by some months at a time, on disk past `run.memory_limit`.

    Args:
        prepared_dir: what `prepare` wrote.
        out_dir: an empty folder.
        settings: the sections `sample`, `run` and, for `run.engine = "spark"`, `spark` hold.
        progress: told how far it is.

    Raises:
        NotEnoughDataError: there is nothing to draw from.
        SparkError: Spark does not start, or a task failed for good.
        WorkspaceError: there are no prepared reviews.
    """
    out = Path(out_dir)
    listing = read_listing(prepared_dir)
    groups = list(batches(Path(prepared_dir).resolve(), listing))
    wanted = settings.sample
    with _engine(out, settings) as engine, _scan(engine, out, settings, progress) as scan:
        counts = count_all(scan, groups, wanted.by, "Counting")
        planned = plan(counts.strata, wanted)
        cutoffs = find_cutoffs(engine, scan, groups, planned, wanted.salt)
        rows = draw(scan, groups, planned, cutoffs, out / SAMPLE_FILE, salt=wanted.salt)
        if rows != planned.target:
            raise AssertionError(f"{rows} reviews were drawn, not {planned.target}")
        written = Batch((out / SAMPLE_FILE,), rows, by_month=False)
        here = LocalScan(engine, progress)
        drawn = count_all(here, [written], wanted.by, "Counting the sample")
        stood_for = count_all(here, [written], wanted.by, "Weighing the sample", weighted=True)
    progress.start("Comparing with all reviews", rows, "reviews")
    comparison = compare(
        counts.without(planned.dropped).distributions(),
        drawn.distributions(),
        stood_for.distributions(),
        settings.run.seed,
    )
    progress.finish()
    _write_tables(out, planned, comparison)
    if wanted.csv:
        _write_csv(out, progress, rows)
    return Sampled(planned, rows, comparison)


@contextmanager
def _engine(folder: Path, settings: Settings) -> Iterator[DuckDB]:
    with deferred():  # DuckDB's module aborts the process when Ctrl-C comes while it is loaded
        from shelfcheck.engines.duckdb import DuckDB  # noqa: PLC0415 - loads DuckDB

    spill = folder / ".spill"
    try:
        with DuckDB(spill, settings.run.memory_limit, settings.run.threads or os.cpu_count() or 1) as engine:
            yield engine
    finally:
        shutil.rmtree(spill, ignore_errors=True)


@contextmanager
def _scan(engine: DuckDB, out: Path, settings: Settings, progress: Progress) -> Iterator[Scan]:
    if settings.run.engine != "spark":
        yield LocalScan(engine, progress)
        return
    from shelfcheck.engines.exchange import Exchange  # noqa: PLC0415 - only here

    with deferred():
        from shelfcheck.engines.spark import Spark  # noqa: PLC0415 - loads PySpark
    exchange = Exchange.of(settings.spark, out.resolve() / ".staging", "sample")
    exchange.make()
    try:
        with Spark(settings.spark, progress) as spark:
            yield SparkScan(spark, exchange, settings)
    finally:
        exchange.clear()


def _write_tables(out: Path, planned: SamplePlan, comparison: Representativeness) -> None:
    strata = {
        name: pa.array([stratum.values[i] for stratum in planned.strata], PREPARED_SCHEMA.field(name).type)
        for i, name in enumerate(planned.by)
    } | {
        "population_reviews": pa.array([stratum.rows for stratum in planned.strata], pa.int64()),
        "sample_reviews": pa.array([stratum.target for stratum in planned.strata], pa.int64()),
        SAMPLE_WEIGHT: pa.array([stratum.weight for stratum in planned.strata], pa.float64()),
    }
    shares = {
        field.name: [getattr(row, field.name) for row in comparison.shares] for field in fields(ShareRow)
    }
    for name, table in (("strata", pa.table(strata)), ("shares", pa.table(shares))):
        pq.write_table(table, out / f"{name}.parquet")
        pa_csv.write_csv(table, out / f"{name}.csv")
    (out / "representativeness.json").write_text(comparison.to_json(), encoding="utf-8")
    (out / "summary.json").write_text(json.dumps(summary(planned), indent=2) + "\n", encoding="utf-8")


def summary(planned: SamplePlan) -> dict[str, Any]:
    """A plan in numbers: how many strata and reviews, how many the strata forced, what was dropped."""
    return {
        "by": list(planned.by),
        "fraction": planned.fraction,
        "population": planned.rows,
        "strata": len(planned.strata),
        "rows": planned.target,
        "proportional_rows": planned.proportional,
        "forced_rows": planned.forced,
        "dropped_categories": planned.dropped,
        "dropped_rows": sum(planned.dropped.values()),
    }


def _write_csv(out: Path, progress: Progress, rows: int) -> None:
    progress.start("Writing CSV", rows, "reviews")
    with (
        pq.ParquetFile(out / SAMPLE_FILE) as file,
        pa_csv.CSVWriter(out / SAMPLE_CSV, SAMPLE_SCHEMA) as writer,
    ):
        for batch in file.iter_batches(16_384):
            writer.write_batch(batch)
            progress.advance(batch.num_rows)
    progress.finish()
