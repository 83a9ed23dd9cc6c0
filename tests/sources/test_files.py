"""Compression, truncation, and what folders hold."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest

from shelfcheck.config import SourceSettings
from shelfcheck.errors import SourceError
from shelfcheck.sources import find_sources
from shelfcheck.sources.files import head, open_stream

from .helpers import PDS_HEADER, json_lines, pds_row, read, reasons, ucsd_row, where, write

ROWS = 400
TEXT = (
    "\n".join([PDS_HEADER, *(pds_row(review_id=f"R{i}", customer_id=i * 7919) for i in range(ROWS))]) + "\n"
)


def zstd(data: bytes) -> bytes:
    out: bytes = pa.Codec("zstd").compress(data, asbytes=True)
    return out


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.tsv", TEXT.encode()),
        ("a.tsv.gz", gzip.compress(TEXT.encode())),
        ("a.tsv", gzip.compress(TEXT.encode())),
        ("a.tsv.gz", gzip.compress(TEXT[:5000].encode()) + gzip.compress(TEXT[5000:].encode())),
        ("a.tsv.gz", gzip.compress(TEXT.encode()) + b"\0" * 600),
        ("a.tsv.zst", zstd(TEXT.encode())),
        ("a.tsv.zst", zstd(TEXT[:5000].encode()) + zstd(TEXT[5000:].encode())),
    ],
)
def test_compressions(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    reviews, rejected = read(path)
    assert ([review["review_id"] for review in reviews], rejected) == ([f"R{i}" for i in range(ROWS)], [])


@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
def test_a_truncated_gzip_keeps_what_came_before(tmp_path: Path, share: float) -> None:
    data = gzip.compress(TEXT.encode())
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(data[: int(len(data) * share)])
    reviews, rejected = read(path)
    assert reasons(rejected) == {"truncated_file": 1}
    assert [review["review_id"] for review in reviews] == [f"R{i}" for i in range(len(reviews))]
    assert len(reviews) > ROWS * share * 0.5
    assert rejected[0]["source_line"] == len(reviews) + 2


def test_a_truncated_zstd_keeps_what_came_before(tmp_path: Path) -> None:
    text = "\n".join(
        [PDS_HEADER, *(pds_row(review_id=f"R{i}", review_body=os.urandom(40).hex()) for i in range(9000))]
    )
    data = zstd(text.encode())
    path = tmp_path / "a.tsv.zst"
    path.write_bytes(data[: len(data) * 2 // 3])
    reviews, rejected = read(path)
    assert reasons(rejected) == {"truncated_file": 1}
    assert [review["review_id"] for review in reviews] == [f"R{i}" for i in range(len(reviews))]
    assert len(reviews) > 3000


def test_damaged_gzip_and_rubbish_behind_it(tmp_path: Path) -> None:
    data = bytearray(gzip.compress(TEXT.encode()))
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(data + b"rubbish")
    reviews, rejected = read(path)
    assert (len(reviews), reasons(rejected)) == (ROWS, {"truncated_file": 1})
    data[-6] ^= 0xFF  # the checksum
    path.write_bytes(data)
    reviews, rejected = read(path)
    assert (len(reviews), reasons(rejected)) == (ROWS, {"truncated_file": 1})


def test_truncated_json(tmp_path: Path) -> None:
    path = tmp_path / "Books_5.json.gz"
    data = gzip.compress(
        json_lines(ucsd_row(asin=f"B{i}", reviewText=os.urandom(30).hex()) for i in range(500)).encode()
    )
    path.write_bytes(data[:-400])
    reviews, rejected = read(path)
    assert reasons(rejected) == {"truncated_file": 1}
    assert 400 < len(reviews) < 500


BAD = [
    ("a.tsv.gz", TEXT.encode(), "the name says gzip"),
    ("a.tsv.zst", TEXT.encode(), "the name says zstd"),
    ("a.parquet", TEXT.encode(), "the name says Parquet"),
    ("a.parquet", b"PAR1" + b"x" * 100, "not a whole Parquet file"),
    ("a.tsv", b"", "empty"),
    ("a.json", b"{\n\n]", "JSON lines"),
    ("a.tsv", bytes(range(256)) * 20, "binary"),
    ("a.tsv.gz", gzip.compress(TEXT.encode(), mtime=0)[:9], "nothing can be decompressed"),
]


@pytest.mark.parametrize(("name", "data", "message"), BAD)
def test_a_named_file_that_is_not_what_it_says(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceError, match=message):
        find_sources([str(tmp_path / name)], SourceSettings())


@pytest.mark.parametrize(("name", "data", "message"), BAD)
def test_among_others_it_is_one_rejected_row(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    write(tmp_path / "good.tsv", TEXT)
    for spec in (tmp_path, tmp_path / "*"):
        reviews, rejected = read(spec)
        assert len(reviews) == ROWS
        assert where(rejected) == [(None, "unreadable_file")]
        assert message in rejected[0]["detail"]


def test_a_missing_column_among_others_is_one_rejected_row(tmp_path: Path) -> None:
    write(tmp_path / "a.tsv", TEXT.replace("review_body", "words"))
    write(tmp_path / "b.tsv", TEXT)
    reviews, rejected = read(tmp_path)
    assert (len(reviews), where(rejected)) == (ROWS, [(None, "missing_column")])


def test_finding(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "deep" / ".git").mkdir(parents=True)
    for name in ("b.tsv", "a.tsv.gz", "deep/c.tsv", "deep/.git/x.tsv"):
        write(folder / name, TEXT)
    for name in ("README.md", "sealed.bin", "truth.parquet", "manifest.json", "_SUCCESS", ".hidden.tsv"):
        (folder / name).write_bytes(b"x")
    sources = find_sources([str(folder / "b.tsv"), str(folder), f"{folder}/*.tsv"], SourceSettings())
    assert [Path(source.path).name for source in sources] == ["a.tsv.gz", "b.tsv", "c.tsv"]
    assert [source.named for source in sources] == [False, True, False]
    assert {Path(path).name for path, _ in sources.skipped} == {
        "README.md", "sealed.bin", "truth.parquet", "manifest.json", "_SUCCESS", ".hidden.tsv",
    }  # fmt: skip
    again = find_sources([str(folder)], SourceSettings())
    assert [source.fingerprint for source in again] == [source.fingerprint for source in sources]
    write(folder / "b.tsv", TEXT + pds_row())
    changed = find_sources([str(folder)], SourceSettings())
    assert [a.fingerprint != b.fingerprint for a, b in zip(again, changed, strict=True)] == [
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        ([], "No source is named"),
        (["{}/none.tsv"], "no such file"),
        (["{}/*.tsv"], "no file matches"),
        (["{}"], "No file of reviews"),
        (["nope://x/y.tsv"], "nope"),
        (["memory://nothing/here.tsv"], "cannot be read"),
    ],
)
def test_nothing_to_read(tmp_path: Path, specs: list[str], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        find_sources([spec.format(tmp_path) for spec in specs], SourceSettings())


def test_urls(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/shop/2015/a.tsv.gz", gzip.compress(TEXT.encode()))
    memory.pipe("/shop/b.tsv", TEXT.encode())
    memory.pipe("/shop/c.tsv.zst", zstd(TEXT.encode()))
    memory.pipe("/shop/notes.md", b"x")
    try:
        for specs, files in (
            (["memory://shop"], 3),
            (["memory://shop/*.tsv"], 1),
            (["memory://shop/b.tsv", "memory://shop/b.tsv"], 1),
            (["memory://shop/2015/a.tsv.gz", str(write(tmp_path / "x.tsv", TEXT))], 2),
        ):
            reviews, rejected = read(*specs)
            assert (len(reviews), rejected) == (files * ROWS, [])
    finally:
        memory.rm("/shop", recursive=True)


def test_parquet_urls(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    from .helpers import pds_table

    pq.write_table(pds_table(5), tmp_path / "a.parquet")
    memory = fsspec.filesystem("memory")
    memory.pipe("/p/a.parquet", (tmp_path / "a.parquet").read_bytes())
    try:
        assert len(read("memory://p/a.parquet")[0]) == 5
    finally:
        memory.rm("/p", recursive=True)


def test_memory_is_bounded(tmp_path: Path) -> None:
    """A small gzip of a huge line: at most what the limits say is held."""
    import tracemalloc

    path = tmp_path / "a.tsv.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(f"{PDS_HEADER}\n{pds_row()}\n".encode())
        for _ in range(150):
            file.write(b"x" * (1 << 20))
        file.write(f"\n{pds_row()}\n".encode())
    source = find_sources([str(path)], SourceSettings())[0]
    tracemalloc.start()
    rows = [(batch.reviews.num_rows, batch.rejected.num_rows) for batch in source.batches()]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (sum(good for good, _ in rows), sum(bad for _, bad in rows)) == (2, 1)
    assert peak < 80 << 20


def test_streams_close_their_files(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv.gz", TEXT)
    with open_stream(str(path)) as stream:
        assert stream.read(10) == TEXT[:10].encode()
    assert head(str(path), 20) == TEXT[:20].encode()
