"""Counts the language on Spark; the statistics over the counts stay with the driver.

Executors split the tokens of their reviews in the kernel that the tests of a shift use, count terms by
category and year, and by category and stars, and lay down what they counted with a few facts of each
review. Spark's SQL adds up, and says which reviews are drawn; executors read the tokens of these alone. What
the driver then has is as large as the vocabulary and the draws, whatever the reviews.
"""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shelfcheck.engines.executor import begin, mark
from shelfcheck.errors import NotEnoughDataError
from shelfcheck.interrupts import deferred
from shelfcheck.language.counts import REVIEW_YEAR, TERM, frequent_sql
from shelfcheck.language.facet import FACETS, drawn_sql, grouped_sql, seed_of
from shelfcheck.language.run import language
from shelfcheck.language.sparse import terms_of
from shelfcheck.prepare.units import PLACE_BITS, places, tasks_of, units
from shelfcheck.schema import PRODUCT_CATEGORY, PRODUCT_ID, REVIEW_DATE, REVIEW_ID, REVIEW_TOKENS, STAR_RATING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from shelfcheck.config import LanguageSettings, Settings
    from shelfcheck.engines.duckdb import DuckDB
    from shelfcheck.engines.spark import Frame, Spark
    from shelfcheck.prepare.units import Unit
    from shelfcheck.progress import Progress

    Ints = npt.NDArray[np.int64]

_MOST_CELLS: Final = 2_000_000  # of counted terms that wait in memory
_PLACE: Final = "place"
_TASK: Final = "task"
_FACTS: Final = pa.schema(
    [
        (PRODUCT_CATEGORY, pa.string()),
        (REVIEW_YEAR, pa.int32()),
        (STAR_RATING, pa.int32()),
        (PRODUCT_ID, pa.string()),
        (REVIEW_ID, pa.string()),
        ("words", pa.int64()),  # 0 without any
        (_PLACE, pa.int64()),
        (_TASK, pa.int64()),
    ]
)
_REPORT: Final = pa.schema([("task", pa.int64()), ("token", pa.string())])
_READ: Final = (PRODUCT_CATEGORY, STAR_RATING, PRODUCT_ID, REVIEW_ID, REVIEW_DATE, REVIEW_TOKENS)


class OnSpark:
    """Counting by executors; see `facet.Counting`. Reads every review once, when it is made.

    Args:
        spark: where to count.
        prepared_dir: output of `prepare`; all executors must reach it.
        work: an empty folder for what is counted; all executors must reach it.
        settings: which terms count.
        seed: draws other reviews for the tests.

    Raises:
        NotEnoughDataError: there is no review.
    """

    def __init__(
        self, spark: Spark, prepared_dir: Path, work: Path, settings: LanguageSettings, seed: int
    ) -> None:
        self._spark = spark
        self._work = work
        self._settings = settings
        self._seed = seed
        mark(work / "staging")
        staging, word_ngrams = work / "staging", settings.word_ngrams
        todo = units(prepared_dir)
        if not todo:
            raise NotEnoughDataError(f"{prepared_dir}: prepare kept no review. Its summary.json says why.")
        self._tasks = tasks_of(todo, spark.slots)
        spark.expect(sum(unit.rows for unit in todo))
        sent = spark.broadcast(self._tasks)
        self._sent = sent

        def count(number: int) -> Iterator[pa.RecordBatch]:
            begin(staging)
            token = uuid.uuid4().hex[:8]
            _count(sent.value[number], number, _folder(staging, number, token), word_ngrams)
            yield pa.record_batch([pa.array([number]), pa.array([token])], schema=_REPORT)

        n = len(self._tasks)
        told = spark.collect(spark.each(n, count, _REPORT), "Counting terms", n)
        folders = [
            _folder(staging, *row)
            for row in zip(*(told[name].to_pylist() for name in _REPORT.names), strict=True)
        ]
        spark.view("facts", spark.read_parquet([folder / "facts.parquet" for folder in folders]))
        for column in FACETS.values():
            spark.view(
                f"terms_{column}", spark.read_parquet([folder / f"{column}.parquet" for folder in folders])
            )

    def group(self, engine: DuckDB, column: str) -> None:
        """See `facet.Counting`."""
        frame = self._spark.sql(grouped_sql("facts", column))
        _keep(engine, "grouped", self._spark.collect(frame, "Counting groups"))

    def count_and_draw(self, engine: DuckDB, column: str) -> None:
        """See `facet.Counting`."""
        by = (PRODUCT_CATEGORY, column)
        names = ", ".join((*by, TERM))
        summed = f"SELECT {names}, sum(n) AS n FROM terms_{column} GROUP BY {names}"  # noqa: S608
        counted = self._work / f"counted-{column}"
        frame = self._spark.sql(frequent_sql(summed, by, self._settings.min_count))
        self._spark.write_parquet(frame, counted, "Adding up terms")
        _read(engine, "counted", counted)

        bounds = pa.Table.from_batches(list(engine.stream("SELECT * FROM bounds")))
        self._spark.view("bounds", self._spark.from_arrow(bounds))
        chosen = self._spark.sql(drawn_sql("facts", column, (_PLACE, _TASK)), {"seed": seed_of(self._seed)})
        drawn = self._work / f"drawn-{column}"
        self._spark.write_parquet(self._with_tokens(chosen), drawn, "Drawing reviews", len(self._tasks))
        _read(engine, "drawn", drawn)

    def _with_tokens(self, chosen: Frame) -> Frame:
        """The reviews that were drawn, with their tokens, which the tasks read that read them before."""
        sent = self._sent
        schema = pa.schema(
            [
                (PRODUCT_CATEGORY, pa.string()),
                ("value", pa.int32()),
                (PRODUCT_ID, pa.string()),
                (REVIEW_ID, pa.string()),
                ("key", pa.int64()),
                (REVIEW_TOKENS, pa.string()),
            ]
        )

        def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                if not batch.num_rows:
                    continue
                tokens = _tokens(sent.value, batch.column(_PLACE).to_numpy(), batch.column(_TASK).to_numpy())
                yield pa.RecordBatch.from_arrays(
                    [*(batch.column(name) for name in schema.names[:-1]), tokens], schema=schema
                )

        spread = self._spark.spread(chosen, _TASK, len(self._tasks)).sortWithinPartitions(_PLACE)
        return self._spark.map_in_arrow(spread, read, schema)


def _tokens(tasks: Sequence[Sequence[Unit]], at: Ints, task: Ints) -> pa.Array:
    """Tokens of the reviews at some places, ascending, (n)."""
    found = []
    for number in np.unique(at >> PLACE_BITS):
        here = np.flatnonzero(at >> PLACE_BITS == number)
        unit = next(unit for unit in tasks[task[here[0]]] if unit.number == number)
        rows = at[here] & ((1 << PLACE_BITS) - 1)
        found += unit.read([REVIEW_TOKENS]).column(0).take(pa.array(rows)).chunks
    return pa.concat_arrays(found)


def _count(todo: Sequence[Unit], task: int, folder: Path, word_ngrams: int) -> None:
    """Lay down `facts.parquet`, and the terms by each column of `FACETS`."""
    folder.mkdir()
    with (
        _Terms(folder, REVIEW_YEAR) as by_year,
        _Terms(folder, STAR_RATING) as by_stars,
        pq.ParquetWriter(folder / "facts.parquet", _FACTS, compression="zstd") as facts,
    ):
        for unit in todo:
            table = unit.read(_READ).combine_chunks()
            category, stars = (table[name].combine_chunks() for name in (PRODUCT_CATEGORY, STAR_RATING))
            years = pc.year(table[REVIEW_DATE].combine_chunks()).cast(pa.int32())
            tokens = pc.fill_null(table[REVIEW_TOKENS].combine_chunks(), "")
            n = len(tokens)
            spoken = np.flatnonzero(pc.binary_length(tokens).to_numpy())
            words = np.zeros(n, np.int64)
            words[spoken], terms = terms_of(tokens.take(pa.array(spoken)), word_ngrams)
            ids = (table[PRODUCT_ID], table[REVIEW_ID])
            numbers = (words, places(unit, 0, n), np.full(n, task, np.int64))
            facts.write_table(
                pa.table([category, years, stars, *ids, *map(pa.array, numbers)], schema=_FACTS)
            )
            for counter, values in ((by_year, years), (by_stars, stars)):
                known = pc.and_(category.is_valid(), values.is_valid()).to_numpy(zero_copy_only=False)
                for row, named in terms:
                    inside = np.flatnonzero(known[spoken[row]])
                    at = pa.array(spoken[row[inside]])
                    counter.add(category.take(at), values.take(at), named.take(pa.array(inside)))


class _Terms:
    """Counts terms by category and a value, and writes what it counted when too much waits."""

    def __init__(self, folder: Path, column: str) -> None:
        names = [
            (PRODUCT_CATEGORY, pa.string()),
            (column, pa.int32()),
            (TERM, pa.string()),
            ("n", pa.int64()),
        ]
        self._schema = pa.schema(names)
        self._writer = pq.ParquetWriter(folder / f"{column}.parquet", self._schema, compression="zstd")
        self._waiting: list[pa.Table] = []
        self._n = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and self._waiting:
            self._writer.write_table(self._summed())
        self._writer.close()

    def add(self, category: pa.Array, values: pa.Array, terms: pa.Array) -> None:
        """Count terms, each of a review of this category and value, (n) each."""
        arrays = [category, values, terms, pa.array(np.ones(len(terms), np.int64))]
        self._waiting.append(self._added(pa.Table.from_arrays(arrays, schema=self._schema)))
        self._n += self._waiting[-1].num_rows
        if self._n > _MOST_CELLS:
            self._waiting = [self._summed()]
            self._n = self._waiting[0].num_rows
            if self._n > _MOST_CELLS // 2:
                self._writer.write_table(self._waiting[0])
                self._waiting, self._n = [], 0

    def _summed(self) -> pa.Table:
        return self._added(pa.concat_tables(self._waiting))

    def _added(self, table: pa.Table) -> pa.Table:
        keys = self._schema.names[:-1]
        summed = table.group_by(keys, use_threads=False).aggregate([("n", "sum")])
        return summed.rename_columns({"n_sum": "n"}).select(self._schema.names).cast(self._schema)


def _keep(engine: DuckDB, name: str, table: pa.Table) -> None:
    engine.register("told", table)
    engine.run(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM told")  # noqa: S608


def _read(engine: DuckDB, name: str, folder: Path) -> None:
    files = [str(file) for file in sorted(folder.glob("*.parquet"))]
    engine.run(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM read_parquet($files)", {"files": files})  # noqa: S608


def _folder(staging: Path, number: int, token: str) -> Path:
    return staging / f"{number:06d}-{token}"


def language_on_spark(
    prepared_dir: str | Path, out_dir: str | Path, settings: Settings, progress: Progress | None = None
) -> Mapping[str, Any]:
    """Do what `language` does, with the counting on Spark: the same tables.

    Args:
        prepared_dir: output of `prepare`; all executors must reach it.
        out_dir: folder to fill; all executors must reach it.
        settings: `language`, `run` and `spark` are read.
        progress: told how far the work is.

    Raises:
        NotEnoughDataError: no category has two neighbouring years or ratings with enough reviews.
        SparkError: Spark does not start, or a task failed for good.
        WorkspaceError: there are no prepared reviews, or executors do not reach them.
    """
    with deferred():
        from shelfcheck.engines.spark import Spark  # noqa: PLC0415 - loads PySpark
    prepared, out = Path(prepared_dir).resolve(), Path(out_dir).resolve()
    out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=out, prefix=".work-") as work,
        Spark(settings.spark, progress) as spark,
    ):
        counting = OnSpark(spark, prepared, Path(work), settings.language, settings.run.seed)
        return language(prepared, out, settings, progress, counting=counting)
