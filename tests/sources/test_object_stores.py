from __future__ import annotations

import functools
import http.server
import subprocess
import sys
import threading

import pytest

from shelfcheck.config import SourceSettings
from shelfcheck.errors import SourceError
from shelfcheck.sources import find_sources
from shelfcheck.sources.demo import generate


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    """A folder with gzip TSV of generated reviews, and the rows that it holds."""
    folder = tmp_path_factory.mktemp("reviews")
    generate(folder, 300, 4, format="tsv")
    return folder, rows_of(folder)


def rows_of(spec):
    sources = find_sources([str(spec)], SourceSettings())
    return [row for source in sources for batch in source.batches() for row in batch.reviews.to_pylist()]


@pytest.fixture
def s3():
    """S3's client without what it remembers of earlier tests."""
    client = pytest.importorskip("s3fs", reason="needs the extra aws").S3FileSystem
    client.clear_instance_cache()
    yield
    client.clear_instance_cache()


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


@pytest.mark.usefixtures("s3")
def test_missing_credentials_are_told_with_the_way_out(monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    with pytest.raises(SourceError, match="AWS_ACCESS_KEY_ID"):
        find_sources(["s3://bucket/reviews"], SourceSettings())


@pytest.mark.usefixtures("s3")
def test_a_store_that_does_not_answer_is_told(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(SourceError, match=r"127\.0\.0\.1:9"):
        find_sources(["s3://bucket/a.tsv"], SourceSettings())


def test_reviews_in_s3_are_those_on_disk(monkeypatch, reviews, s3_endpoint, s3):
    import s3fs

    folder, rows = reviews
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    store = s3fs.S3FileSystem()
    store.mkdir("reviews")
    store.put(str(folder), "reviews/raw", recursive=True)
    assert rows_of("s3://reviews/raw") == rows
    assert rows_of("s3://reviews/raw/*.tsv.gz") == rows
    with pytest.raises(SourceError, match="no file there"):
        rows_of("s3://reviews/other/*.tsv")
    with pytest.raises(SourceError, match=r"s3://none/a\.tsv"):
        rows_of("s3://none/a.tsv")


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
