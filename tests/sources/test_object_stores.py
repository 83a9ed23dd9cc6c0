from __future__ import annotations

import functools
import http.server
import subprocess
import sys
import threading

import pytest

from faulty_proxy import Fault, faulty
from shelfcheck.config import SourceSettings
from shelfcheck.errors import SourceError
from shelfcheck.sources import find_sources
from shelfcheck.sources.demo import generate
from shelfcheck.stores import StoreError, open_store, retry
from shelfcheck.stores.transfer import upload


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    """A folder with gzip TSV of generated reviews, and the rows that it holds."""
    folder = tmp_path_factory.mktemp("reviews")
    generate(folder, 300, 4, format="tsv")
    return folder, rows_of(folder)


def rows_of(spec):
    sources = find_sources([str(spec)], SourceSettings())
    return [row for source in sources for batch in source.batches() for row in batch.reviews.to_pylist()]


def test_a_missing_extra_is_named():
    code = """if True:
        import sys
        sys.modules["s3fs"] = None  # as where it is not installed
        from shelfcheck.config import SourceSettings
        from shelfcheck.errors import MissingExtraError
        from shelfcheck.sources import find_sources
        try:
            find_sources(["s3://bucket/reviews"], SourceSettings())
        except MissingExtraError as error:
            print(error.exit_code, error)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("2 ")
    assert "pip install 'shelfcheck[aws]'" in done.stdout


def test_missing_credentials_are_told_with_the_way_out(monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:11")  # clients are kept by address
    with pytest.raises(StoreError, match="AWS_ACCESS_KEY_ID"):
        find_sources(["s3://bucket/reviews"], SourceSettings())


def test_a_store_that_does_not_answer_is_told(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:9"):
        find_sources(["s3://bucket/a.tsv"], SourceSettings())


def test_reviews_in_s3_are_those_on_disk(monkeypatch, reviews, s3_endpoint):
    folder, rows = reviews
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    from shelfcheck.stores.s3 import filesystem

    filesystem().call_s3("create_bucket", Bucket="reviews")
    store = open_store("s3://reviews/raw")
    upload(store, [(path, path.name) for path in folder.iterdir()])
    assert rows_of("s3://reviews/raw") == rows
    assert rows_of("s3://reviews/raw/*.tsv.gz") == rows
    with pytest.raises(SourceError, match="no file there"):
        rows_of("s3://reviews/other/*.tsv")
    with pytest.raises(SourceError, match=r"s3://none/a\.tsv"):
        rows_of("s3://none/a.tsv")


@pytest.mark.parametrize("form", ["tsv", "parquet"])
def test_a_network_that_fails_makes_no_broken_rows(monkeypatch, tmp_path, s3_endpoint, form):
    """What could not be fetched is no broken row of the input: it is fetched again, or the stage ends."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    from shelfcheck.stores.s3 import filesystem

    filesystem().call_s3("create_bucket", Bucket=f"failing-{form}")
    generate(tmp_path, 300, 4, format=form)
    (name,) = (path.name for path in tmp_path.glob("reviews-*"))
    upload(open_store(f"s3://failing-{form}"), [(tmp_path / name, name)])
    patience = classmethod(lambda cls: cls(attempts=4, first=0.005, longest=0.02))
    monkeypatch.setattr(retry.Patience, "of_environment", patience)
    with faulty(s3_endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        fault = Fault("truncated", lambda method, path, _: method == "GET" and name in path, times=3)
        proxy.faults.append(fault)
        assert rows_of(f"s3://failing-{form}/{name}") == rows_of(tmp_path / name)
        assert fault.done == 3
        (source,) = find_sources([f"s3://failing-{form}"], SourceSettings())
        proxy.faults.append(Fault("error", times=10**6))
        with pytest.raises(StoreError, match="tried 4 times"):
            list(source.batches())
        with pytest.raises(StoreError, match="tried 4 times"):  # not: a file to be skipped
            find_sources([f"s3://failing-{form}"], SourceSettings())


def test_reviews_over_http_are_those_on_disk(reviews):
    pytest.importorskip("aiohttp", reason="needs aiohttp")
    folder, rows = reviews
    (name,) = (path.name for path in folder.glob("*.tsv.gz"))
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        assert rows_of(f"{address}/{name}") == rows
        with pytest.raises(SourceError, match="Check the URL"):
            rows_of(f"{address}/other.tsv.gz")
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""
