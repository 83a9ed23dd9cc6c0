"""Fixtures that several test modules share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shelfcheck.config import SparkSettings


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

    # For a minute's work, the time to compile it well does not come back.
    java = {"spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
    yield SparkSettings(master="local[2]", memory="1g", conf=java)
    spark.Spark.stop()
