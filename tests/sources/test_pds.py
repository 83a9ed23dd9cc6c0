"""Amazon Customer Reviews: TSV and Parquet."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shelfcheck.config import SourceSettings
from shelfcheck.errors import SourceError
from shelfcheck.sources import find_sources

from .helpers import PDS_HEADER, pds_row, pds_table, read, reasons, where, write

if TYPE_CHECKING:
    from pathlib import Path

TOMORROW = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)


def tsv(*rows: str, end: str = "\n") -> str:
    return end.join((PDS_HEADER, *rows)) + end


def test_a_row_comes_out_as_it_is(tmp_path: Path) -> None:
    reviews, rejected = read(write(tmp_path / "a.tsv", tsv(pds_row())))
    assert rejected == []
    assert reviews == [
        {
            "marketplace": "US",
            "customer_id": "1001",
            "review_id": "R1",
            "product_id": "B1",
            "product_parent": "77",
            "product_title": 'Lamp, 6" tall',
            "product_category": "Home",
            "star_rating": 5,
            "helpful_votes": 2,
            "total_votes": 3,
            "vine": False,
            "verified_purchase": True,
            "review_headline": "Bright",
            "review_body": "Lights the room \\ well.",
            "review_date": dt.date(2014, 5, 6),
        }
    ]


@pytest.mark.parametrize(
    ("changes", "column", "expected"),
    [
        ({"star_rating": "5.0"}, "star_rating", 5),
        ({"star_rating": ""}, "star_rating", None),
        ({"helpful_votes": ""}, "helpful_votes", None),
        ({"helpful_votes": "1,234"}, "helpful_votes", 1234),
        ({"total_votes": "0"}, "total_votes", 0),
        ({"vine": ""}, "vine", None),
        ({"vine": "true"}, "vine", True),
        ({"verified_purchase": "0"}, "verified_purchase", False),
        ({"review_date": ""}, "review_date", None),
        ({"review_date": str(TOMORROW)}, "review_date", TOMORROW),
        ({"review_headline": ""}, "review_headline", None),
        ({"review_body": ""}, "review_body", None),
        ({"review_body": '"quoted" and "open'}, "review_body", '"quoted" and "open'),
        ({"review_body": "a\rb"}, "review_body", "a\rb"),
        ({"review_body": "caf\u00e9 \u2028 \U0001f600"}, "review_body", "caf\u00e9 \u2028 \U0001f600"),
        ({"product_category": "Gift Card"}, "product_category", "Gift_Card"),
        ({"product_category": ""}, "product_category", None),
        ({"customer_id": ""}, "customer_id", None),
    ],
)
def test_values_that_are_kept(tmp_path: Path, changes: dict[str, str], column: str, expected: object) -> None:
    reviews, rejected = read(write(tmp_path / "a.tsv", tsv(pds_row(), pds_row(**changes), pds_row())))
    assert rejected == []
    assert reviews[1][column] == expected
    assert len(reviews) == 3


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (pds_row(star_rating=7), "bad_star_rating"),
        (pds_row(star_rating=0), "bad_star_rating"),
        (pds_row(star_rating="4.5"), "bad_star_rating"),
        (pds_row(star_rating="five"), "bad_star_rating"),
        (pds_row(helpful_votes="-1"), "bad_number"),
        (pds_row(helpful_votes="many"), "bad_number"),
        (pds_row(total_votes="99999999999"), "bad_number"),
        (pds_row(total_votes="nan"), "bad_number"),
        (pds_row(vine="maybe"), "bad_flag"),
        (pds_row(review_date="2099-01-01"), "future_date"),
        (pds_row(review_date=str(TOMORROW + dt.timedelta(days=2))), "future_date"),
        (pds_row(review_date="2014-02-30"), "bad_date"),
        (pds_row(review_date="soon"), "bad_date"),
        (pds_row(review_date="03/04/2015"), "bad_date"),
        (pds_row(review_date="0001-01-01"), "bad_date"),
        (pds_row(review_body="a\0b"), "nul_bytes"),
        (pds_row() + "\tmore", "too_many_fields"),
        (pds_row().rsplit("\t", 1)[0], "too_few_fields"),
        ("", "blank_line"),
        (PDS_HEADER, "repeated_header"),
    ],
)
def test_rows_that_are_rejected(tmp_path: Path, row: str, reason: str) -> None:
    reviews, rejected = read(
        write(tmp_path / "a.tsv", tsv(pds_row(review_id="RA"), row, pds_row(review_id="RB")))
    )
    assert [review["review_id"] for review in reviews] == ["RA", "RB"]
    assert where(rejected) == [(3, reason)]


def test_invalid_utf8_rejects_its_row_alone(tmp_path: Path) -> None:
    text = (
        tsv(pds_row(), pds_row(review_body="XX"), pds_row(review_body="é"))
        .encode()
        .replace(b"XX", b"\xe9t\xe9")
    )
    reviews, rejected = read(write(tmp_path / "a.tsv", text))
    assert where(rejected) == [(3, "invalid_utf8")]
    assert "�" in rejected[0]["detail"]
    assert reviews[1]["review_body"] == "é"


def test_the_first_wrong_column_names_the_reason(tmp_path: Path) -> None:
    _, rejected = read(write(tmp_path / "a.tsv", tsv(pds_row(star_rating=9, review_date="x"))))
    assert where(rejected) == [(2, "bad_star_rating")]
    assert rejected[0]["detail"] == "star_rating=9"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("tail", ["", "\n", "\n\n\n"])
def test_line_ends(tmp_path: Path, end: str, tail: str) -> None:
    text = tsv(pds_row(), pds_row(), end=end) + tail.replace("\n", end)
    reviews, rejected = read(write(tmp_path / "a.tsv", text))
    assert (len(reviews), rejected) == (2, [])
    assert reviews[0]["review_date"] == dt.date(2014, 5, 6)
    reviews, rejected = read(write(tmp_path / "b.tsv", tsv(pds_row(), end=end) + pds_row()))
    assert (len(reviews), rejected) == (2, [])


def test_header_forms(tmp_path: Path) -> None:
    names = PDS_HEADER.split("\t")
    row = pds_row().split("\t")
    turned = "\t".join(reversed(names)) + "\n" + "\t".join(reversed(row)) + "\n"
    assert read(write(tmp_path / "a.tsv", turned)) == read(write(tmp_path / "b.tsv", tsv(pds_row())))
    assert len(read(write(tmp_path / "c.tsv", pds_row() + "\n" + pds_row() + "\n"))[0]) == 2
    bom = b"\xef\xbb\xbf" + tsv(pds_row(), PDS_HEADER).encode()
    reviews, rejected = read(write(tmp_path / "d.tsv", bom))
    assert (reviews[0]["marketplace"], where(rejected)) == ("US", [(3, "repeated_header")])
    more = PDS_HEADER + "\tsource\n" + pds_row() + "\tweb\n"
    assert len(read(write(tmp_path / "e.tsv", more))[0]) == 1
    assert read(write(tmp_path / "f.tsv", PDS_HEADER + "\n")) == ([], [])


def test_missing_columns(tmp_path: Path) -> None:
    names = PDS_HEADER.split("\t")
    text = tsv(pds_row()).replace("review_body", "words")
    with pytest.raises(SourceError, match=r"review_body is missing.*\[source.columns\]"):
        read(write(tmp_path / "a.tsv", text))
    at = names.index("product_category")
    cut = "\n".join(
        "\t".join(v for i, v in enumerate(line.split("\t")) if i != at) for line in tsv(pds_row()).split("\n")
    )
    with pytest.raises(SourceError, match="product_category is missing"):
        read(write(tmp_path / "b.tsv", cut))
    reviews, _ = read(tmp_path / "b.tsv", settings=SourceSettings(category="gift card"))
    assert reviews[0]["product_category"] == "Gift_Card"
    reviews, _ = read(write(tmp_path / "amazon_reviews_us_Gift_Card_v1_00.tsv", cut))
    assert reviews[0]["product_category"] == "Gift_Card"


def test_small_batches_give_the_same(tmp_path: Path) -> None:
    rows = [pds_row(review_id=f"R{i}", star_rating=i % 7) for i in range(50)]
    path = write(tmp_path / "a.tsv.gz", tsv(*rows))
    once = read(path)
    assert read(path, batch_rows=3) == once
    assert len(once[0]) + len(once[1]) == 50


def test_long_lines_are_rejected_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from shelfcheck.sources import files, pds

    blocks = files.line_blocks
    monkeypatch.setattr(pds, "line_blocks", lambda stream, rejects: blocks(stream, rejects, 512, 4096))
    text = tsv(pds_row(), pds_row(review_body="x" * 20_000), pds_row(review_id="R9"), "", "", pds_row())
    reviews, rejected = read(write(tmp_path / "a.tsv", text))
    assert [review["review_id"] for review in reviews] == ["R1", "R9", "R1"]
    assert where(rejected) == [(3, "line_too_long"), (5, "blank_line"), (6, "blank_line")]


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("vine", pa.array([True, False, None]), [True, False, None]),
        ("vine", pa.array([1, 0, None]), [True, False, None]),
        ("star_rating", pa.array([5.0, 1.0, None]), [5, 1, None]),
        ("star_rating", pa.array(["5", "1", None]), [5, 1, None]),
        ("star_rating", pa.array([1, 2, 3], pa.uint8()), [1, 2, 3]),
        ("customer_id", pa.array([12, 13, None]), ["12", "13", None]),
        ("customer_id", pa.array([12.0, 13.0, None]), ["12", "13", None]),
        ("review_body", pa.array(["a", "b", None], pa.large_string()), ["a", "b", None]),
        ("review_body", pa.array(["a", "b", None]).dictionary_encode(), ["a", "b", None]),
        ("review_body", pa.array([b"a", b"b", None], pa.binary()), ["a", "b", None]),
        ("review_body", pa.array(["a", "b", None], pa.string_view()), ["a", "b", None]),
        ("product_category", pa.array(["a b"] * 3).dictionary_encode(), ["A_B"] * 3),
    ],
)
def test_parquet_types(tmp_path: Path, column: str, values: pa.Array, expected: list[Any]) -> None:
    pq.write_table(pds_table(**{column: values}), tmp_path / "a.parquet")
    reviews, rejected = read(tmp_path / "a.parquet")
    assert rejected == []
    assert [review[column] for review in reviews] == expected


DAY = dt.date(2014, 5, 6)


@pytest.mark.parametrize(
    "values",
    [
        pa.array([DAY] * 3, pa.date64()),
        pa.array([dt.datetime(2014, 5, 6, 23, 59)] * 3, pa.timestamp("us")),  # noqa: DTZ001
        pa.array([dt.datetime(2014, 5, 6, 23, 59)] * 3, pa.timestamp("ns", "UTC")),  # noqa: DTZ001
        pa.array(["2014-05-06"] * 3),
        pa.array(["2014-05-06T10:00:00Z"] * 3),
        pa.array(["May 6, 2014"] * 3),
        pa.array(["05 6, 2014"] * 3),
        pa.array([(DAY - dt.date(1970, 1, 1)).days] * 3, pa.int32()),
        pa.array([20140506] * 3, pa.int64()),
        pa.array([1399334400] * 3, pa.int64()),
        pa.array([1399334400_000] * 3, pa.int64()),
        pa.array([1399334400.0] * 3, pa.float64()),
    ],
)
def test_parquet_dates(tmp_path: Path, values: pa.Array) -> None:
    pq.write_table(pds_table(review_date=values), tmp_path / "a.parquet")
    reviews, rejected = read(tmp_path / "a.parquet")
    assert ([review["review_date"] for review in reviews], rejected) == ([DAY] * 3, [])


def test_parquet_faults_name_the_row(tmp_path: Path) -> None:
    table = pds_table(
        6,
        star_rating=pa.array([5, 7, 5, 5, None, 5]),
        review_date=pa.array([DAY, DAY, dt.date(2099, 1, 1), dt.date(1950, 1, 1), None, DAY]),
        review_body=pa.array(["a"] * 5 + ["a\0b"]),
    )
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    reviews, rejected = read(tmp_path / "a.parquet")
    assert [review["review_id"] for review in reviews] == ["R0", "R4"]
    assert where(rejected) == [(2, "bad_star_rating"), (3, "future_date"), (4, "bad_date"), (6, "nul_bytes")]


def test_hive_partitions(tmp_path: Path) -> None:
    folder = tmp_path / "product_category=Health%20%26%20Personal%20Care" / "year=2014"
    folder.mkdir(parents=True)
    pq.write_table(
        pds_table(product_category=None, year=pa.array([1, 2, 3])), folder / "part-0.snappy.parquet"
    )
    sources = find_sources([str(tmp_path)], SourceSettings(category="Other"))
    assert [source.format for source in sources] == ["pds"]
    reviews, _ = read(tmp_path, settings=SourceSettings(category="Other"))
    assert {review["product_category"] for review in reviews} == {"Health_Personal_Care"}


def test_a_damaged_row_group_is_rejected_row_by_row(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    words = pa.array([f"body {i} " * 40 for i in range(300)])
    pq.write_table(pds_table(300, review_body=words), path, row_group_size=100, compression="zstd")
    data = bytearray(path.read_bytes())
    column = pq.ParquetFile(path).metadata.row_group(1).column(13)
    start = column.dictionary_page_offset or column.data_page_offset
    for i in range(start + 30, start + column.total_compressed_size):
        data[i] ^= 0x5A
    path.write_bytes(data)
    reviews, rejected = read(path)
    assert len(reviews) == 200
    assert reasons(rejected) == {"corrupt_row_group": 100}
    assert [row["source_line"] for row in rejected] == list(range(101, 201))


def test_real_tsv_counts_add_up(real_data: Path) -> None:
    import gzip

    for path in sorted((real_data / "raw" / "pds-tsv").iterdir()):
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        rows = len(data.rstrip(b"\n").split(b"\n")) - 1
        reviews, rejected = read(path)
        assert len(reviews) + len(rejected) == rows, path.name
        expected = data.decode().split("\n")[1].split("\t")
        assert reviews[0]["review_body"] == expected[13]
        assert reviews[0]["review_id"] == expected[2]


def test_real_parquet_counts_add_up(real_data: Path) -> None:
    for path in (real_data / "raw" / "pds-parquet", real_data / "reviews.parquet"):
        files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
        expected = sum(pq.read_metadata(file).num_rows for file in files)
        counts = [
            (batch.reviews.num_rows, batch.rejected.num_rows)
            for source in find_sources([str(path)], SourceSettings())
            for batch in source.batches()
        ]
        assert sum(good for good, _ in counts) == expected
        assert sum(bad for _, bad in counts) == 0
