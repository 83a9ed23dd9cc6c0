"""Spark: runs Arrow functions and SQL on a session. With `spark_session` all that imports pyspark.

SQL is written for DuckDB and spelled by `engines.sql`. Text work is a function from Arrow batches to Arrow
batches; it runs in the executors' Python, which needs this package, of the same version.
"""

from __future__ import annotations

import itertools
import json
import warnings
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias, TypeVar, cast

import pyarrow as pa

from shelfcheck import errors
from shelfcheck.__about__ import __version__
from shelfcheck.engines.relations import QueryError
from shelfcheck.engines.spark_session import SparkError, base_session, log_tail, said, stop_session
from shelfcheck.engines.sql import spell
from shelfcheck.errors import MissingExtraError, ShelfcheckError, UsageError
from shelfcheck.progress import NullProgress

with warnings.catch_warnings():
    # PySpark warns of pandas 3 for what it converts to pandas; nothing here is.
    warnings.simplefilter("ignore", FutureWarning)
    try:
        from py4j.protocol import Py4JError, Py4JJavaError
        from pyspark import StorageLevel
        from pyspark.errors import AnalysisException, ParseException, PySparkException
        from pyspark.sql import DataFrame
        from pyspark.sql.pandas.types import from_arrow_schema
    except ImportError as error:
        raise MissingExtraError("The Spark engine", "spark") from error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pyspark import Broadcast

    from shelfcheck.config import SparkSettings
    from shelfcheck.progress import Progress

    Batches = Iterator[pa.RecordBatch]

__all__ = ["Frame", "Spark", "SparkError"]

Frame: TypeAlias = DataFrame
"""A distributed table, not computed yet."""

Result = TypeVar("Result")
_POLL_SECONDS: Final = 0.25
_CANCELS: Final = 30  # times, a second apart, that an interrupted action is cancelled
_ROWS_A_PARTITION: Final = 2_000_000  # of keys and counts, some 100 bytes each
_MARK: Final = "\x1eshelfcheck "  # begins what an executor wants to tell a person
_numbers: Final = itertools.count(1)


class Spark:
    """A session to run stages on; a context manager that leaves no tables behind.

    An active session (a notebook's, spark-submit's, a Glue job's) is used as it is; otherwise one is opened
    by the settings and stays until the process ends or `Spark.stop`, so that several stages share its start.
    SQL runs in a session of its own beside it: time zone UTC, ANSI rules, own names of tables.

    Args:
        settings: the section `spark`.
        progress: told how far each job is.

    Raises:
        UsageError: there is no Java, or one that is too old.
        SparkError: Spark does not start; the message carries the end of Java's log.
    """

    def __init__(self, settings: SparkSettings, progress: Progress | None = None) -> None:
        self._progress = progress or NullProgress()
        base = base_session(settings)
        self._session = base.newSession()
        self._context = base.sparkContext
        own = {
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.ansi.enabled": "true",
            # Values in paths are text: '2015-01' is no date.
            "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
            # Relations that stand on kept ones took 113 jobs with it and 10 without; `expect` cuts shuffles.
            "spark.sql.adaptive.enabled": "false",
        }
        self._partitions = settings.partitions
        if settings.partitions:
            own["spark.sql.shuffle.partitions"] = str(settings.partitions)
        for key, value in own.items():
            if key not in settings.conf:
                self._session.conf.set(key, value)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="spark")
        self._kept: list[Any] = []  # frames and broadcasts to forget
        self._tables: dict[str, Frame] = {}
        self._in_step = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Forget all tables and broadcasts. The session stays."""
        for kept in self._kept:
            with suppress(Exception):  # Java may be gone
                kept.unpersist()
        self._kept.clear()
        self._tables.clear()
        self._pool.shutdown(cancel_futures=True)

    @staticmethod
    def stop() -> None:
        """End the session that this process opened, and its Java; do nothing where it opened none."""
        stop_session()

    @property
    def slots(self) -> int:
        """Tasks that run at a time, as far as Spark knows."""
        return int(self._context.defaultParallelism)

    @property
    def master(self) -> str:
        """The master, e.g. `local[2]`."""
        return str(self._context.master)

    # Frames

    def from_arrow(self, table: pa.Table) -> Frame:
        """A frame of rows that the driver has; for few rows. Unsigned numbers are none of Spark's."""
        schema = from_arrow_schema(table.schema)
        return self._session.createDataFrame([tuple(row.values()) for row in table.to_pylist()], schema)

    def read_parquet(self, paths: Sequence[str | Path], base: str | Path | None = None) -> Frame:
        """A frame of Parquet files that every executor can reach.

        Args:
            paths: files or folders, in any order; Spark keeps none.
            base: the folder below which `name=value` in a path is a column, as text.
        """
        reader = self._session.read
        if base is not None:
            reader = reader.option("basePath", str(base))
        return reader.parquet(*map(str, paths))

    def numbers(self, name: str, n: int) -> Frame:
        """A frame of one BIGINT column: 0 to n - 1."""
        return self._session.range(n).withColumnRenamed("id", name)

    def each(self, n: int, work: Callable[[int], Batches], schema: pa.Schema) -> Frame:
        """Run `work(i)` for each i below n, a task each; its batches are the frame's rows.

        Args:
            n: tasks.
            work: makes batches of `schema`; runs in an executor's Python, maybe more than once for an i.
            schema: what Spark has types for; no unsigned numbers.
        """
        numbers = self._session.range(0, n, 1, n)

        def over(batches: Batches) -> Batches:
            for batch in batches:
                for i in batch.column(0).to_pylist():
                    yield from work(i)

        return self.map_in_arrow(numbers, over, schema)

    def map_in_arrow(self, frame: Frame, work: Callable[[Batches], Batches], schema: pa.Schema) -> Frame:
        """Run a function over the Arrow batches of each partition of a frame.

        Args:
            frame: its rows; a partition is a task.
            work: from batches of the frame's columns to batches of `schema`. Errors of Shelfcheck that it
                raises are raised by the driver's action as they are.
            schema: of what it yields.
        """
        guarded = _guarded(work, __version__)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of pandas 3, as above
            return frame.mapInArrow(guarded, from_arrow_schema(schema))

    def spread(self, frame: Frame, column: str, n: int) -> Frame:
        """Move rows so that those with the value i of an INT column, 0 <= i < n, make partition i."""
        with_id = getattr(frame, "repartitionById", None)
        if with_id is not None:  # since 4.1
            return cast("Frame", with_id(n, frame[column].cast("int")))
        # Before, rows could be sent by hash only: each value goes under one whose hash is that partition.
        found = self._session.range(40 * n + 1000).selectExpr("id AS key", f"pmod(hash(id), {n}) AS place")
        found = found.groupBy("place").agg({"key": "min"}).withColumnRenamed("min(key)", "key")
        keyed = frame.join(found, frame[column] == found["place"]).drop("place")
        return keyed.repartition(n, "key").drop("key")

    def broadcast(self, value: Result) -> Broadcast[Result]:
        """Send a value, of plain data, once to each executor; functions read its `.value`."""
        sent = self._context.broadcast(value)
        self._kept.append(sent)
        return sent

    # SQL

    def view(self, name: str, frame: Frame) -> None:
        """Let statements read a frame under a name."""
        frame.createOrReplaceTempView(name)
        self._tables[name] = frame

    def sql(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Frame:
        """The rows of a query, written for DuckDB and spelled for Spark; not computed yet.

        Raises:
            SpellingError: it uses what is not known to mean the same.
            QueryError: Spark refuses it; the message carries it as Spark saw it.
        """
        spelled = spell(sql)
        used = {name: value for name, value in (parameters or {}).items() if f":{name}" in spelled}
        try:
            return self._session.sql(spelled, args=used or None)
        except (AnalysisException, ParseException) as error:
            raise QueryError(said(error), spelled) from error

    def create(self, name: str, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Keep a query's rows on the executors, once they are computed; see `Relations`."""
        self.keep(name, self.sql(sql, parameters))

    def keep(self, name: str, frame: Frame) -> None:
        """Let statements read a frame, which is computed once, by the first action that needs it."""
        self.view(name, self._kept_frame(frame))

    def append(self, name: str, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Add a query's rows to a relation; see `Relations`."""
        more = self._kept_frame(self.sql(sql, parameters))
        self.view(name, self._tables[name].unionAll(more))

    def drop(self, name: str) -> None:
        """Forget a relation's name; see `Relations`. Its rows go with all the others."""
        self._session.catalog.dropTempView(name)
        del self._tables[name]

    def run(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """The rows of a query; see `Relations`."""
        rows = self.act(self.sql(sql, parameters).collect, "Computing")
        return [tuple(row) for row in rows]

    def _kept_frame(self, frame: Frame) -> Frame:
        frame.persist(StorageLevel.MEMORY_AND_DISK)
        self._kept.append(frame)
        return frame

    def expect(self, rows: int) -> None:
        """Cut the shuffles to come for about so many rows; `spark.partitions` is stronger."""
        if not self._partitions:
            n = max(self.slots, -(-rows // _ROWS_A_PARTITION))
            self._session.conf.set("spark.sql.shuffle.partitions", str(n))

    # Actions

    @contextmanager
    def step(self, label: str) -> Iterator[None]:
        """Show all actions of a block as one step of progress."""
        self._progress.start(label, None, "tasks")
        self._in_step = True
        try:
            yield
        finally:
            self._in_step = False
        self._progress.finish()

    def collect(self, frame: Frame, label: str, tasks: int | None = None) -> pa.Table:
        """The rows of a frame as Arrow; they must fit the driver.

        Args:
            frame: what to compute.
            label: what it is, as progress shows it.
            tasks: how many tasks it takes, where that is known.
        """
        to_arrow = getattr(frame, "toArrow", None)  # since 4.0
        if to_arrow is None:
            older = cast("Any", frame)._collect_as_arrow
            return pa.Table.from_batches(self.act(older, label, tasks))
        return self.act(to_arrow, label, tasks)

    def compute(self, name: str, label: str) -> None:
        """Compute a relation that `create` or `keep` made, and what it stands on."""
        self.act(self._tables[name].count, label)

    def write_parquet(self, frame: Frame, path: str | Path, label: str, tasks: int | None = None) -> None:
        """Let the executors write a frame as Parquet files in a new folder, zstd-compressed."""
        writer = frame.write.option("compression", "zstd")
        self.act(lambda: writer.parquet(str(path)), label, tasks)

    def act(self, action: Callable[[], Result], label: str, tasks: int | None = None) -> Result:
        """Run what makes Spark compute, tell progress, and cancel its jobs on Ctrl-C.

        Raises:
            SparkError: a task failed for good.
            ShelfcheckError: a task raised it.
        """
        group = f"shelfcheck-{next(_numbers)}"

        def work() -> Result:
            self._context.setJobGroup(group, label, interruptOnCancel=True)
            return action()

        future = self._pool.submit(work)
        if not self._in_step:
            self._progress.start(label, tasks, "tasks")
        done = 0
        try:
            while not wait([future], _POLL_SECONDS).done:
                finished = self._finished(group, tasks)
                if finished > done:
                    self._progress.advance(finished - done)
                    done = finished
            result = future.result()
        except (PySparkException, Py4JError) as error:
            raise _failure(error, label) from error
        except BaseException:
            with suppress(Exception):
                for _ in range(_CANCELS):  # a job that is only just on its way is not cancelled by the first
                    self._context.cancelJobGroup(group)
                    if wait([future], 1).done:
                        break
            raise
        if tasks is not None and tasks > done:
            self._progress.advance(tasks - done)
        if not self._in_step:
            self._progress.finish()
        return result

    def _finished(self, group: str, tasks: int | None) -> int:
        """Tasks of a group of jobs that are done; given how many the step has, of those stages alone."""
        tracker = self._context.statusTracker()
        try:
            jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(group)]
            stages = {stage for job in jobs if job is not None for stage in job.stageIds}
            told = [tracker.getStageInfo(stage) for stage in stages]
        except Py4JError:  # Java is gone; the action itself tells
            return 0
        counted = [
            stage.numCompletedTasks for stage in told if stage is not None and tasks in {None, stage.numTasks}
        ]
        return min(sum(counted), tasks) if tasks is not None else sum(counted)


# What goes wrong


def _guarded(work: Callable[[Batches], Batches], version: str) -> Callable[[Iterable[Any]], Iterator[Any]]:
    """What an executor runs: the work, with its errors put so that the driver can raise them again."""

    def run(batches: Iterable[Any]) -> Iterator[Any]:
        from shelfcheck import __about__, errors  # noqa: PLC0415 - of the executor's own installation

        try:
            if __about__.__version__ != version:
                raise errors.UsageError(
                    f"The executors have Shelfcheck {__about__.__version__}, the driver has {version}: they "
                    "must be the same. Pack the environment again; see docs/how-to/run-on-spark.md."
                )
            yield from work(iter(batches))
        except errors.ShelfcheckError as error:
            known = next(kind for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
            told = json.dumps([known.__name__, str(error)])
            raise RuntimeError(f"\x1eshelfcheck {told}\x1e") from None

    return run


def _failure(error: Exception, label: str) -> ShelfcheckError:
    text = _java_said(error) if isinstance(error, Py4JJavaError) else str(error)
    told = text.partition(_MARK)[2].partition("\x1e")[0]
    if told:
        name, message = json.loads(told)
        kind: type[ShelfcheckError] = getattr(errors, name)
        again = ShelfcheckError.__new__(kind)  # of whatever arguments its own constructor wants
        Exception.__init__(again, message)
        return again
    if not isinstance(error, PySparkException | Py4JJavaError):
        return SparkError(
            f"{label}: Spark's Java process ended, most often for want of memory; it has spark.memory. "
            f"Raise that, e.g. --set spark.memory=4g. Its log ends with:\n{log_tail()}"
        )
    if "No module named 'shelfcheck'" in text:
        return UsageError(
            "The executors' Python has no Shelfcheck. Install it there, or send a packed environment; "
            "see docs/how-to/run-on-spark.md."
        )
    return SparkError(f"{label}: {said(error)}")


def _java_said(error: Py4JJavaError) -> str:
    with suppress(Exception):
        return str(error.java_exception.toString())
    return str(error)
