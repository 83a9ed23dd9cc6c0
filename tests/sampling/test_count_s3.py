"""Counts from a real S3 endpoint over HTTP, and how many requests they take."""

from __future__ import annotations

import logging
from collections import Counter

import pytest
from sampling_support import publish, shop

from shelfcheck.sampling.count import count

REVIEWS = shop(400, seed=5)
MONTHS = Counter(month or "unknown" for month in REVIEWS["review_month"].to_pylist())


class _Requests(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(record.getMessage())


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    """A bucket of an in-process S3 server: its URL, and the requests it saw."""
    server_of = pytest.importorskip("moto.server", reason="needs moto[server]").ThreadedMotoServer
    s3fs = pytest.importorskip("s3fs", reason="needs the extra aws")
    log = logging.getLogger("werkzeug")
    requests = _Requests()
    log.addHandler(requests)
    level, log.propagate = log.level, False
    log.setLevel(logging.INFO)
    server = server_of(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "any")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "any")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        s3fs.S3FileSystem.clear_instance_cache()
        fs = s3fs.S3FileSystem()
        fs.mkdir("shelf")
        for listed in (True, False):
            root = publish(REVIEWS, tmp_path_factory.mktemp("shop"), listed=listed)
            fs.put(str(root), f"shelf/listed-{listed}", recursive=True)
        s3fs.S3FileSystem.clear_instance_cache()
        yield "s3://shelf", requests
        s3fs.S3FileSystem.clear_instance_cache()
    server.stop()
    log.removeHandler(requests)
    log.setLevel(level)
    log.propagate = True


@pytest.mark.parametrize("listed", [True, False])
def test_s3_is_counted(bucket, listed):
    url, requests = bucket
    requests.seen.clear()
    found = count(f"{url}/listed-{listed}", by="month")
    assert (found.rows, found.months, found.files) == (400, dict(MONTHS), len(MONTHS))
    assert ("months.json" in found.used) == listed
    assert requests.seen, "nothing was asked of the server"
    # Three looks for a listing or a manifest and the listing; or one list and one range of each file.
    assert len(requests.seen) <= (4 if listed else 6 + len(MONTHS))
    assert all("HEAD" not in seen for seen in requests.seen)
