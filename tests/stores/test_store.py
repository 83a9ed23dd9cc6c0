"""One folder of a real S3 server: conditions, parts, ranges, and what the network does to them."""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import os

import pytest

from faulty_proxy import Fault
from shelfcheck.progress import NullProgress
from shelfcheck.stores import ANY, AbsentError, ChangedError, StoreError, open_store, retry
from shelfcheck.stores.places import brought_here, folder_to, writing_to
from shelfcheck.stores.transfer import StoredFile, download, upload

PART = 64 << 10


@pytest.fixture
def store(bucket):
    return open_store(f"{bucket}/some/folder")


@pytest.fixture
def parts(monkeypatch):
    """Files are moved in parts of 64 KiB, so that small ones have several."""
    import moto.s3.models

    from shelfcheck.stores import s3, transfer

    monkeypatch.setattr(moto.s3.models, "S3_UPLOAD_PART_MIN_SIZE", PART)

    monkeypatch.setattr(s3, "PART_BYTES", PART)
    monkeypatch.setattr(transfer, "PART_BYTES", PART)


class Told(NullProgress):
    def __init__(self):
        self.labels, self.bytes, self.counters = [], 0, {}

    def start(self, label, total=None, unit="rows"):
        self.labels.append((label, total, unit))

    def advance(self, n, **counters):
        self.bytes += n
        self.counters |= counters


def test_a_write_holds_only_where_nobody_was_before(store):
    assert store.get("a.json") is None
    first = store.put("a.json", b"one", None)
    with pytest.raises(ChangedError, match=r"some/folder/a\.json: another process"):
        store.put("a.json", b"two", None)
    second = store.put("a.json", b"two", first)
    with pytest.raises(ChangedError):
        store.put("a.json", b"three", first)
    found = store.get("a.json")
    assert (found.data, found.tag) == (b"two", second)
    assert 0 <= found.age < 60
    with pytest.raises(ChangedError):  # expected there, and is not
        store.put("b.json", b"x", second)
    store.put("a.json", b"four", ANY)
    assert store.get("a.json").data == b"four"


def test_folders_are_listed_and_emptied(store, bucket):
    for name in ("a", "b/c", "b/d/e"):
        store.put(name, name.encode())
    open_store(f"{bucket}/some").put("folder-beside", b"x")
    assert list(store.listing()) == ["a", "b/c", "b/d/e"]
    assert list(store.listing("b/")) == ["b/c", "b/d/e"]
    assert store.listing()["b/c"].size == 3
    store.delete(["a", "b/c", "was-never-there"])
    assert list(store.listing()) == ["b/d/e"]
    assert open_store(f"{bucket}/some").get("folder-beside") is not None


def test_more_objects_than_a_page_are_listed(store, monkeypatch):
    for i in range(5):
        store.put(f"{i}", b"x")
    real = store._call

    def by_two(method, **given):
        return real(method, **given, **({"MaxKeys": 2} if method == "list_objects_v2" else {}))

    monkeypatch.setattr(store, "_call", by_two)
    assert list(store.listing()) == ["0", "1", "2", "3", "4"]


def test_files_go_up_and_down_in_parts(store, tmp_path, parts):
    contents = {"empty": b"", "small": b"abc", "large": os.urandom(2 * PART + 77), "exact": os.urandom(PART)}
    files = []
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        files.append((tmp_path / name, f"up/{name}"))
    told = Told()
    upload(store, files, told, "Uploading x")
    total = sum(map(len, contents.values()))
    assert told.labels == [("Uploading x", total, "bytes")]
    assert told.bytes == total
    wanted = [
        StoredFile(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in contents.items()
    ]
    download(store, "up/", wanted, tmp_path / "down", stamp=10**18)
    for name, content in contents.items():
        path = tmp_path / "down" / name
        assert path.read_bytes() == content
        assert path.stat().st_mtime_ns == 10**18
    assert len(list((tmp_path / "down").iterdir())) == len(contents)  # no temporary one stays


def test_an_object_is_read_as_a_file(store):
    data = os.urandom(100_000)
    store.put("x", data)
    with store.open("x", block_bytes=1000) as file:
        assert file.read(10) == data[:10]
        file.seek(-50, os.SEEK_END)
        assert file.read() == data[-50:]
        file.seek(500)
        assert file.read(5000) == data[500:5500]
    with pytest.raises(AbsentError, match="nothing is there"):
        store.open("y")


def test_uploads_that_were_never_finished_are_given_up(store, bucket):
    name = bucket.removeprefix("s3://")
    keys = ["some/folder/a", "some/folder/b", "other"]
    for key in keys:
        store._fs.call_s3("create_multipart_upload", Bucket=name, Key=key)
    seen = {}

    def leftover(key, begun):
        seen[key] = begun
        return key == "a"

    assert store.end_unfinished(leftover) == 1
    assert sorted(seen) == ["a", "b"]
    assert all(begun < dt.datetime.now(dt.UTC) for begun in seen.values())  # with its time zone
    left = store._fs.call_s3("list_multipart_uploads", Bucket=name)["Uploads"]
    assert sorted(one["Key"] for one in left) == ["other", "some/folder/b"]


# What the network does


def is_get(method, path, number):
    return method == "GET" and "list-type" not in path


def is_part(method, path, number):
    return method == "PUT" and "partNumber" in path


def is_end(method, path, number):
    return method == "POST" and "uploadId" in path


def is_put(method, path, number):
    return method == "PUT"


@pytest.mark.parametrize(
    ("kind", "applies"),
    [
        ("slow_down", is_get), ("error", is_get), ("reset", is_get), ("truncated", is_get), ("late", is_get),
        ("slow_down", is_part), ("reset", is_part), ("lost_answer", is_part),
        ("slow_down", is_end), ("reset", is_end), ("lost_answer", is_end),
        ("slow_down", is_put), ("lost_answer", is_put),
    ],
)  # fmt: skip
def test_what_passes_is_outlived(  # noqa: PLR0917 - its table
    store, proxy, tmp_path, parts, kind, applies
):
    store = open_store(store.url)  # of the proxy
    data = os.urandom(PART + 1000)
    (tmp_path / "file").write_bytes(data)
    (tmp_path / "small").write_bytes(b"small")
    fault = Fault(kind, applies, times=3)
    proxy.faults.append(fault)
    upload(store, [(tmp_path / "file", "x/file"), (tmp_path / "small", "x/small")])
    told = Told()
    wanted = [StoredFile("file", len(data), hashlib.sha256(data).hexdigest()), StoredFile("small", 5)]
    download(store, "x/", wanted, tmp_path / "down", told)
    assert (tmp_path / "down" / "file").read_bytes() == data
    assert (tmp_path / "down" / "small").read_bytes() == b"small"
    assert fault.done >= (1 if applies is is_end else 2), "the fault never came"
    if kind in {"slow_down", "error", "truncated"}:  # broken connections the client's pool mends, too
        assert store.retrying.retries >= 1
        assert told.counters.get("retries", 0) == (store.retrying.retries if applies is is_get else 0)


@pytest.mark.parametrize("expected", [None, "before"])
def test_a_conditional_write_whose_answer_is_lost_counts_once(store, proxy, expected):
    tag = store.put("m", b"before", None) if expected else None
    client = open_store(store.url)
    proxy.faults.append(Fault("lost_answer", is_put))
    after = client.put("m", b"after", tag)
    assert client.get("m").data == b"after"
    assert client.get("m").tag == after
    with pytest.raises(ChangedError):  # but another's is no success
        client.put("m", b"other", tag)


def test_retries_are_bounded_and_told(store, proxy, monkeypatch, caplog):
    monkeypatch.setattr(retry, "_TOLD_FROM", 0.0)
    client = open_store(store.url)
    proxy.faults.append(Fault("slow_down", times=1000))
    with caplog.at_level(logging.WARNING), pytest.raises(StoreError) as raised:
        client.get("a")
    assert str(raised.value).endswith(
        "some/folder/a: the store is overloaded or failing: SlowDown. Run the same command again later. "
        "(tried 6 times)"
    )
    assert len(proxy.requests) == 6
    waits = [record.getMessage() for record in caplog.records if "trying again in" in record.getMessage()]
    assert len(waits) == 5
    assert "(1 of 5)" in waits[0]
    assert "SlowDown" in waits[0] or "reduce your request rate" in waits[0]


def test_what_does_not_pass_is_not_tried_again(store, proxy):
    client = open_store(store.url.replace("shelf", "none"))
    with pytest.raises(StoreError, match="no bucket 'none"):
        client.get("a")
    assert len(proxy.requests) == 1


def test_waits_grow_and_are_not_the_same_for_all():
    patience = retry.Patience(attempts=8, first=0.2, longest=5.0)
    for failures, most in ((1, 0.2), (2, 0.4), (5, 3.2), (6, 5.0), (7, 5.0)):
        seconds = [patience.seconds(failures) for _ in range(200)]
        assert most / 2 <= min(seconds) < max(seconds) <= most
        assert len(set(seconds)) > 100


def test_attempts_are_those_of_the_environment(monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "3")
    assert retry.Patience.of_environment().attempts == 3
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "many")
    assert retry.Patience.of_environment().attempts == retry.Patience().attempts


# Files wherever they are


def test_an_output_is_there_whole_or_not_at_all(bucket, tmp_path):
    for place in (f"{bucket}/out/x.txt", str(tmp_path / "deep" / "x.txt")):
        with writing_to(place) as path:
            path.write_text("first")
        with pytest.raises(RuntimeError), writing_to(place) as path:  # noqa: PT012 - it fails in the middle
            path.write_text("half")
            raise RuntimeError
        with brought_here(place) as path:
            assert path.read_text() == "first"
    assert list((tmp_path / "deep").iterdir()) == [tmp_path / "deep" / "x.txt"]
    with folder_to(f"{bucket}/made") as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "a").write_text("a")
    assert list(open_store(f"{bucket}/made").listing()) == ["sub/a"]


def test_an_output_that_cannot_be_is_refused_before_the_work(bucket):
    from shelfcheck.errors import UsageError

    with pytest.raises(UsageError, match="cannot be written to"), writing_to("https://example.org/x"):
        pytest.fail("work was done for nothing")
    with pytest.raises(UsageError, match="cannot be written to"), folder_to("hf://datasets/x"):
        pytest.fail("work was done for nothing")
    for place in (writing_to("s3://nobody-made-this/x.parquet"), folder_to("s3://nobody-made-this/x")):
        with pytest.raises(StoreError, match="no bucket 'nobody-made-this'"), place:
            pytest.fail("work was done for nothing")
