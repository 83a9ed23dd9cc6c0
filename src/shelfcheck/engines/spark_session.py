"""The Spark session: one is used where it is active, and opened by the settings otherwise."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from shelfcheck.engines.java import java_environment
from shelfcheck.errors import MissingExtraError, ShelfcheckError

with warnings.catch_warnings():
    # PySpark warns of pandas 3 for what it converts to pandas; nothing here is.
    warnings.simplefilter("ignore", FutureWarning)
    try:
        import pyspark

        if int(pyspark.__version__.partition(".")[0]) >= 4:
            import pyspark.testing.utils  # PySpark 4 loads it later, and it warns then
        from py4j.protocol import Py4JError
        from pyspark import SparkConf, SparkContext
        from pyspark.errors import PySparkException
        from pyspark.java_gateway import launch_gateway
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise MissingExtraError("The Spark engine", "spark") from error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shelfcheck.config import SparkSettings


class SparkError(ShelfcheckError):
    """Spark could not be started, or a job of its failed."""


class _Opened(NamedTuple):
    """The session that this process opened itself."""

    session: SparkSession
    settings: SparkSettings
    folder: Path  # Java's log and start script


_lock: Final = threading.Lock()
_opened: Final[list[_Opened]] = []  # at most one


def stop_session() -> None:
    """End the session that this process opened, and its Java; do nothing where it opened none."""
    with _lock:
        while _opened:
            _end(_opened.pop())


atexit.register(stop_session)


def base_session(settings: SparkSettings) -> SparkSession:
    """The active session, or else one by the settings; it stays until the process ends or `stop_session`.

    Raises:
        UsageError: there is no Java.
        SparkError: Spark does not start; the message carries the end of Java's log.
    """
    with _lock:
        if _opened and _opened[0].settings != settings:
            _end(_opened.pop())
        if _opened:
            return _opened[0].session
        active = SparkSession.getActiveSession()
        if active is not None:
            return active
        if "PYSPARK_GATEWAY_PORT" in os.environ or SparkContext._active_spark_context is not None:
            return SparkSession.builder.appName("shelfcheck").getOrCreate()  # spark-submit's, or Glue's
        opened = _open(settings)
        _opened.append(opened)
        return opened.session


def _open(settings: SparkSettings) -> _Opened:
    for talker in ("py4j", "SQLQueryContextLogger"):  # what they print of errors is for us to say
        logging.getLogger(talker).setLevel(logging.CRITICAL)
    folder = Path(tempfile.mkdtemp(prefix="shelfcheck-spark-"))
    conf = SparkConf(loadDefaults=True)
    for key, value in _configuration(settings, folder).items():
        conf.set(key, value)
    os.environ.setdefault(
        "PYSPARK_PYTHON", conf.get("spark.pyspark.python", sys.executable) or sys.executable
    )
    log = folder / "java.log"
    try:
        with java_environment(folder), log.open("wb") as sink, _own_interrupts():
            gateway = launch_gateway(conf, {"stdout": sink, "stderr": sink})  # type: ignore[no-untyped-call]
            session = SparkSession(SparkContext(conf=conf, gateway=gateway))
    except (PySparkException, Py4JError) as error:
        told = _tail(log) or said(error)
        shutil.rmtree(folder, ignore_errors=True)
        raise SparkError(
            f"Spark does not start on {settings.master} (spark.master). Its last words:\n{told}"
        ) from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return _Opened(session, settings, folder)


def _configuration(settings: SparkSettings, folder: Path) -> dict[str, str]:
    local = settings.master.startswith("local")
    conf = {
        "spark.app.name": "shelfcheck",
        "spark.master": settings.master,
        "spark.driver.memory" if local else "spark.executor.memory": settings.memory,
        "spark.ui.showConsoleProgress": "false",  # ours is shown
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
    }
    if local:
        slots = settings.master.partition("[")[2].strip("]").partition(",")[0]
        cores = int(slots) if slots.isdecimal() else os.cpu_count() or 1
        conf |= {
            "spark.ui.enabled": "false",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.sql.shuffle.partitions": str(max(8, 4 * cores)),
        }
    return conf | settings.conf


@contextmanager
def _own_interrupts() -> Iterator[None]:
    """Keep our handler of Ctrl-C: Spark puts one in its place that cancels all jobs of a shared session."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT) if main else None
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGINT, before)


def _end(opened: _Opened) -> None:
    with suppress(Exception):
        opened.session.stop()
    gateway, SparkContext._gateway, SparkContext._jvm = SparkContext._gateway, None, None
    process = getattr(gateway, "proc", None)
    with suppress(Exception):
        gateway.shutdown()  # type: ignore[union-attr]
    if process is not None:
        process.stdin.close()  # at its end Java ends
        with suppress(Exception):
            process.wait(20)
        if process.poll() is None:
            process.kill()
            process.wait()
    shutil.rmtree(opened.folder, ignore_errors=True)


def log_tail() -> str:
    """The end of the log of the Java that this process started; empty where it started none."""
    return _tail(_opened[0].folder / "java.log") if _opened else ""


def said(error: Exception) -> str:
    """The words of an error without the stacks of Java and Python around them."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith(("\t", "  ", "JVM stacktrace", "Traceback"))]
    return "\n".join(kept[:12]) or type(error).__name__


def _tail(log: Path, lines: int = 12) -> str:
    with suppress(OSError):
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    return ""
