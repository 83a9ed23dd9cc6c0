"""Broken bytes to every reader: no error but SourceError, and no row lost."""

from __future__ import annotations

import gzip
import io
import tracemalloc
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shelfcheck.config import SourceSettings
from shelfcheck.errors import SourceError
from shelfcheck.sources import find_sources

from .helpers import PDS_HEADER, amazon_row, json_lines, pds_row, pds_table, read_source, ucsd_row

if TYPE_CHECKING:
    from pathlib import Path

fuzz = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
MAPPED = SourceSettings(columns={"review_body": "Text"}, category="Toys")


def _parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(pds_table(40), out, row_group_size=15)
    return out.getvalue()


VALID = {
    "a.tsv": "\n".join(
        [PDS_HEADER, *(pds_row(review_id=f"R{i}", star_rating=i % 5 + 1) for i in range(12))]
    ).encode()
    + b"\n",
    "Books_5.json": json_lines(ucsd_row(asin=f"B{i}", helpful=[0, i]) for i in range(12)).encode(),
    "Toys.jsonl": json_lines(amazon_row(asin=f"B{i}") for i in range(12)).encode(),
    "a.csv": b"No,Text\n" + b'1,"some, text"\n2,plain\n3,"more\nlines"\n' * 4,
    "a.parquet": _parquet(),
    "c.jsonl": json_lines({"source": f"a kettle {i}", "label": i % 3} for i in range(12)).encode(),
    "c.train": b"".join(b"__label__%d a kettle %d\n" % (i % 3, i) for i in range(12)),
    "b.jsonl": json_lines({"No": i, "Text": "x" * i} for i in range(12)).encode(),
}
pieces = st.one_of(
    st.binary(max_size=6),
    st.sampled_from(
        [
            b"\n",
            b"\t",
            b'"',
            b",",
            b"\r",
            b"\0",
            b"\\",
            b"{",
            b"}",
            b"[",
            b"\xff",
            b"\xe2\x80\xa8",
            b"\xef\xbb\xbf",
        ]
    ),
)
edits = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 30), pieces), max_size=5)


def mutate(data: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
    for share, cut, piece in changes:
        at = int(share * len(data))
        data = data[:at] + piece + data[at + cut :]
    return data


def physical_rows(name: str, data: bytes) -> int | None:
    """Lines of a text file that must come out, where that is simple to count."""
    if not name.endswith((".tsv", ".json", ".jsonl", ".train")) or data.startswith(
        (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1")
    ):
        return None  # compressed, or a quoted field may hold line feeds
    return len(data.rstrip(b"\r\n").split(b"\n")) if data.strip(b"\r\n") else 0


def check(folder: Path, name: str, data: bytes) -> None:
    """Read a file named itself, and found beside a good one."""
    path = folder / name
    path.write_bytes(data)
    settings_ = MAPPED if name in {"a.csv", "b.jsonl"} else SourceSettings()
    try:
        sources = find_sources([str(path)], settings_)
        tracemalloc.start()
        counts = [tuple(map(len, read_source(source))) for source in sources]
    except SourceError:
        pass  # a named file that is nothing at all
    else:
        rows = physical_rows(name, data)
        total = sum(good + bad for good, bad in counts)
        if rows is not None:
            text = name.endswith(".tsv")  # with a header, unless its first row came to stand there
            assert total in {rows, rows - 1} if text else total == rows
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()
    (folder / "good.tsv").write_bytes(VALID["a.tsv"])
    found = find_sources([str(folder)], settings_ if name != "good.tsv" else SourceSettings())
    listed = (
        {source.path for source in found} | {p for p, _ in found.skipped} | {p for p, _ in found.metadata}
    )
    assert str(path) in listed
    for source in found:
        read_source(source)
    path.unlink()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.mark.parametrize("name", sorted(VALID))
def test_mutated_files(folder: Path, name: str) -> None:
    @fuzz
    @given(edits)
    @example([])
    def run(changes: list[tuple[float, int, bytes]]) -> None:
        check(folder, name, mutate(VALID[name], changes))

    run()


@pytest.mark.parametrize("name", sorted(VALID))
def test_raw_bytes(folder: Path, name: str) -> None:
    @fuzz
    @given(st.binary(max_size=400))
    def run(data: bytes) -> None:
        check(folder, name, data)

    run()


@pytest.mark.parametrize("name", ["a.tsv", "Books_5.json", "a.csv"])
@pytest.mark.parametrize(
    "compress", [gzip.compress, lambda data: pa.Codec("zstd").compress(data, asbytes=True)]
)
def test_cut_and_damaged_compression(folder: Path, name: str, compress: object) -> None:
    whole = compress(VALID[name] * 3)  # type: ignore[operator]
    ending = ".gz" if whole.startswith(b"\x1f\x8b") else ".zst"

    @fuzz
    @given(st.floats(0, 1), edits)
    def run(share: float, changes: list[tuple[float, int, bytes]]) -> None:
        check(folder, name + ending, mutate(whole[: int(share * len(whole)) + 1], changes))

    run()


def test_what_was_read_before_a_cut_is_kept(folder: Path) -> None:
    whole = gzip.compress(VALID["a.tsv"] * 20)
    plain = VALID["a.tsv"] * 20

    @fuzz
    @given(st.integers(60, len(whole) - 1))
    def run(cut: int) -> None:
        path = folder / "cut.tsv.gz"
        path.write_bytes(whole[:cut])
        try:
            reviews, rejected = read_source(find_sources([str(path)], SourceSettings())[0])
        except SourceError:
            return
        import zlib

        kept = zlib.decompressobj(31).decompress(whole[:cut])
        assert plain.startswith(kept)
        assert len(reviews) + len(rejected) == max(kept.count(b"\n") - 1, 0) + 1
        assert [row["reason"] for row in rejected][-1] == "truncated_file"

    run()
