from __future__ import annotations

import sys

import pytest

from shelfcheck.config import SourceSettings
from shelfcheck.errors import MissingExtraError, SourceError
from shelfcheck.sources.find import find_sources


@pytest.fixture
def s3():
    """S3's client without what it remembers of earlier tests."""
    client = pytest.importorskip("s3fs", reason="needs the extra aws").S3FileSystem
    client.clear_instance_cache()
    yield
    client.clear_instance_cache()


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'shelfcheck\[aws\]'") as told:
        find_sources(["s3://bucket/reviews"], SourceSettings())
    assert told.value.exit_code == 2


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
