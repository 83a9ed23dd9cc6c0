"""Fixtures that several test modules share."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shelfcheck.config import SparkSettings


# What begins first: the commands of the pages, which compile most kernels for all others; beside them, what
# needs other kernels, or none; then what takes longest, so that no process ends long after the others.
_FIRST = (
    "docs/test_examples.py",
    "graph/test_picture.py",
    "explore/test_explore.py",
    "graph/test_show_browser.py",
    "spark",
    "engines/test_cluster.py",
    "stores/test_remote_runs.py",
    "models/test_transformer.py",
    "tuning/test_tune.py",
    "test_run.py",
)


@cache
def _group(path: Path) -> str:
    """What stays in one process: the tests of a file, with what they share; all on Spark, with its Java."""
    if "spark_settings" in path.read_text(encoding="utf-8"):
        return "spark"
    return path.relative_to(Path(__file__).parent).as_posix()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put first what is to begin first."""
    items.sort(
        key=lambda item: _FIRST.index(found) if (found := _group(item.path)) in _FIRST else len(_FIRST)
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Deal out groups in their order; pytest-xdist 3.8 reads no `xdist_group` from tests of pytest 9.2."""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group(config.rootpath / nodeid.partition("::")[0])

    config.option.loadscopereorder = False
    return Groups(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real reviews; skips where it is absent."""
    folder = Path(os.environ.get("SHELFCHECK_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "reviews.parquet").exists():
        pytest.skip(f"no real reviews at {folder}; set SHELFCHECK_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The address of an S3 server over HTTP, in this process."""
    server_of = pytest.importorskip("moto.server", reason="needs moto[server]").ThreadedMotoServer
    pytest.importorskip("s3fs", reason="needs the extra aws")
    server = server_of(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def spark_settings() -> Iterator[SparkSettings]:
    """Settings of one small local Spark, which starts with the first test that uses it, once a process."""
    spark = pytest.importorskip("shelfcheck.engines.spark", reason="needs the extra spark")
    from shelfcheck.config import SparkSettings

    conf = {
        # For a minute's work, the time to compile it well does not come back.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        # Nor do classes that are made and compiled for one query. `test_sql` and `test_cluster` make them.
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.shuffle.partitions": "2",
    }
    yield SparkSettings(master="local[2]", memory="1g", conf=conf)
    spark.Spark.stop()
