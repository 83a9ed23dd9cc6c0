"""A bucket of a real S3 server, with and without a network that fails."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from faulty_proxy import FaultyProxy, faulty

if TYPE_CHECKING:
    from collections.abc import Iterator

_numbers = itertools.count()


@pytest.fixture
def s3_environment(s3_endpoint, tmp_path, monkeypatch) -> str:
    """Credentials, the endpoint and a cache of this test alone; waits are short."""
    from shelfcheck.stores import retry

    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_MAX_ATTEMPTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    monkeypatch.setenv("SHELFCHECK_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(
        retry.Patience, "of_environment", classmethod(lambda cls: cls(attempts=6, first=0.005, longest=0.05))
    )
    return s3_endpoint


@pytest.fixture
def bucket(s3_environment) -> str:
    """The URL of a new bucket."""
    from shelfcheck.stores.s3 import filesystem

    name = f"shelf-{next(_numbers)}"
    filesystem().call_s3("create_bucket", Bucket=name)
    return f"s3://{name}"


@pytest.fixture(scope="session")
def one_proxy(s3_endpoint) -> Iterator[FaultyProxy]:
    """The proxy of all tests: clients are made once for each address, and take their time."""
    with faulty(s3_endpoint) as made:
        yield made


@pytest.fixture
def proxy(one_proxy, bucket, monkeypatch) -> Iterator[FaultyProxy]:
    """A proxy in front of the server, which every client of the test goes through from here on."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", one_proxy.url)
    one_proxy.requests.clear()
    yield one_proxy
    one_proxy.faults.clear()
