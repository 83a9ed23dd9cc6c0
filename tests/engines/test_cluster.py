"""A real standalone cluster, a master and two workers: what crosses processes, by the commands people run."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from nasty_reviews import write_nasty

from shelfcheck.config import Settings
from shelfcheck.engines.java import java_environment
from shelfcheck.prepare import iter_prepared, prepare
from shelfcheck.progress import NullProgress
from shelfcheck.sources import find_sources
from shelfcheck.workspace import Workspace

pyspark = pytest.importorskip("pyspark", reason="needs the extra spark")

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HOME = Path(pyspark.__file__).parent
_SECONDS = 240  # a machine that does other things, too
_QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


def _die_with_parent() -> None:
    with contextlib.suppress(Exception):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: also when the tests are killed


class Cluster:
    """A master and workers on the loopback interface, on free ports."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._logs: dict[subprocess.Popen[bytes], Path] = {}
        self.environment = dict(os.environ) | {
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_DAEMON_MEMORY": "160m",
            "SPARK_DAEMON_JAVA_OPTS": _QUICK,
            "SPARK_LAUNCHER_OPTS": _QUICK,
            "SPARK_HOME": str(_HOME),
            "PYSPARK_PYTHON": sys.executable,
        }
        self.master = ""

    def start(self) -> None:
        with java_environment(self._folder):
            self.environment["JAVA_HOME"] = os.environ.get("JAVA_HOME", "")
        if not self.environment["JAVA_HOME"]:
            del self.environment["JAVA_HOME"]
        self._launch("master", "Master")
        self.master = self._wait_for(self._processes[0], r"Starting Spark master at (spark://\S+)")
        for number in (1, 2):
            work = str(self._folder / f"work-{number}")
            words = ["--cores", "1", "--memory", "700m", "--work-dir", work, self.master]
            self._launch(f"worker-{number}", "Worker", words)
        for process in self._processes[1:]:
            self._wait_for(process, "(Successfully registered with master)")

    def _launch(self, name: str, kind: str, words: Sequence[str] = ()) -> None:
        log = self._folder / f"{name}.log"
        command = [str(_HOME / "bin" / "spark-class"), f"org.apache.spark.deploy.{kind.lower()}.{kind}"]
        command += ["--host", "127.0.0.1", "--port", "0", "--webui-port", "0", *words]
        with log.open("wb") as sink:
            process = subprocess.Popen(
                command,
                stdout=sink,
                stderr=sink,
                env=self.environment,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - no threads hold locks that it takes
            )
        self._processes.append(process)
        self._logs[process] = log

    def _wait_for(self, process: subprocess.Popen[bytes], ready: str) -> str:
        log = self._logs[process]
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end:
            found = re.search(ready, log.read_text(errors="replace"))
            if found:
                return found[1]
            if process.poll() is not None:
                break
            time.sleep(0.1)
        pytest.fail(f"{log.name}: not ready\n{log.read_text(errors='replace')[-3000:]}")

    def stop(self) -> None:
        for process in reversed(self._processes):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in self._processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _client(endpoint: str) -> Any:
    boto3 = pytest.importorskip("boto3", reason="needs the extra aws")
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    return boto3.client("s3", endpoint_url=endpoint, **keys)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, s3_endpoint: str) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    cluster.environment |= {
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    _client(s3_endpoint).create_bucket(Bucket="exchange")
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_nasty(tmp_path_factory.mktemp("raw") / "nasty")


@pytest.fixture(scope="module")
def expected(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    settings = Settings.model_validate({"prepare": {"max_rejected_share": 1.0}})
    out = tmp_path_factory.mktemp("alone")
    prepare(find_sources([str(raw)], settings.source), out, settings, NullProgress())
    return pa.Table.from_batches(iter_prepared(out))


_SMALL = {
    "spark.driver.memory": "512m",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.executor.memory": "512m",
    "spark.driver.extraJavaOptions": _QUICK,
    "spark.executor.extraJavaOptions": _QUICK,
}


def _prepared(workspace: Path) -> pa.Table:
    return pa.Table.from_batches(iter_prepared(Workspace(workspace).path("prepared", made_by="the test")))


def _words(raw: Path, workspace: Path) -> list[str]:
    return [
        "prepare",
        str(raw),
        "--workspace",
        str(workspace),
        "--engine",
        "spark",
        "--set",
        "prepare.max_rejected_share=1.0",
        "--json",
    ]


def test_prepare_on_a_cluster(
    cluster: Cluster, raw: Path, expected: pa.Table, tmp_path: Path, s3_endpoint: str
) -> None:
    """What tasks leave one another goes through an object store, as on machines that share no disk."""
    conf = "{" + ", ".join(f"'{key}' = '{value}'" for key, value in _SMALL.items()) + "}"
    command = [sys.executable, "-m", "shelfcheck", *_words(raw, tmp_path / "shop")]
    command += ["--set", f"spark.master={cluster.master}", "--set", "spark.memory=512m"]
    command += ["--set", f"spark.conf={conf}", "--set", "spark.exchange=s3://exchange/tmp"]
    done = subprocess.run(
        command, env=cluster.environment, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows_kept"] == expected.num_rows
    assert "WARN" not in done.stderr
    assert _prepared(tmp_path / "shop").equals(expected)
    assert len(list(cluster._folder.glob("work-*/app-*/*"))) == 2  # an executor on each worker
    assert _client(s3_endpoint).list_objects_v2(Bucket="exchange")["KeyCount"] == 0  # all was cleared


def test_spark_submit(cluster: Cluster, raw: Path, expected: pa.Table, tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "deploy" / "spark_submit.py"
    command = [str(_HOME / "bin" / "spark-submit"), "--master", cluster.master]
    command += ["--conf", "spark.cores.max=1"]  # two executors are seen above
    for key, value in _SMALL.items():
        command += ["--conf", f"{key}={value}"]
    done = subprocess.run(
        [*command, str(script), *_words(raw, tmp_path / "shop")],
        env=cluster.environment,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = done.stdout[done.stdout.index("{") :]  # spark-submit puts what goes to stderr on stdout, too
    assert json.loads(told)["rows_kept"] == expected.num_rows
    assert _prepared(tmp_path / "shop").equals(expected)
