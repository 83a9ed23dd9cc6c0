"""Any table with a column mapping."""

from __future__ import annotations

import csv
import datetime as dt
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shelfcheck.config import SourceSettings
from shelfcheck.errors import SourceError
from shelfcheck.sources import find_sources, quoted

from .helpers import json_lines, read, where, write

MAPPED = SourceSettings(
    columns={"review_body": "Text", "product_category": "Shelf", "star_rating": "Stars", "review_id": "No"}
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", 'No,Stars,Text,Shelf\n1,5,"Says ""hi"", then\nleaves",gift card\n2,,x,Toys\n'),
        ("a.csv", 'No;Stars;Text;Shelf\r\n1;5;"Says ""hi"", then\nleaves";gift card\r\n2;;x;Toys\r\n'),
        ("a.tsv", 'No\tStars\tText\tShelf\n1\t5\t"Says ""hi"", then\nleaves"\tgift card\n2\t\tx\tToys\n'),
        ("a.csv.gz", '\ufeff"No",Stars,"Text",Shelf\n1,5,"Says ""hi"", then\nleaves",gift card\n2,,x,Toys'),
        (
            "a.jsonl",
            json_lines(
                [
                    {
                        "No": 1,
                        "Stars": 5,
                        "Text": 'Says "hi", then\nleaves',
                        "Shelf": "gift card",
                        "more": [1],
                    },
                    {"No": 2, "Stars": None, "Text": "x", "Shelf": "Toys"},
                ]
            ),
        ),
    ],
)
def test_forms(tmp_path: Path, name: str, text: str) -> None:
    reviews, rejected = read(write(tmp_path / name, text), settings=MAPPED)
    assert rejected == []
    assert [(r["review_id"], r["star_rating"], r["review_body"], r["product_category"]) for r in reviews] == [
        ("1", 5, 'Says "hi", then\nleaves', "Gift_Card"),
        ("2", None, "x", "Toys"),
    ]


def test_parquet(tmp_path: Path) -> None:
    table = pa.table(
        {"No": [1, 2], "Stars": [5.0, None], "Text": ["a", "b"], "Shelf": ["x", "y"], "z": [0, 0]}
    )
    pq.write_table(table, tmp_path / "a.parquet")
    reviews, _ = read(tmp_path / "a.parquet", settings=MAPPED)
    assert [(r["review_id"], r["star_rating"]) for r in reviews] == [("1", 5), ("2", None)]


def test_canonical_names_need_no_mapping(tmp_path: Path) -> None:
    text = "Review Body,product-category,reviewDate,x\nok,Toys,2015-03-04,1\n"
    reviews, _ = read(write(tmp_path / "a.csv", text))
    assert (reviews[0]["review_body"], reviews[0]["review_date"]) == ("ok", dt.date(2015, 3, 4))


def test_missing_columns_are_suggested(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "id,Rating,Review Text,Department\n1,5,ok,Toys\n")
    with pytest.raises(SourceError) as error:
        read(path)
    message = str(error.value)
    assert 'review_body = "Review Text"' in message
    assert 'product_category = "Department"' in message
    assert 'star_rating = "Rating"' in message
    assert "there are: id, Rating, Review Text, Department" in message


def test_wrong_mappings(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "a,b\n1,2\n")
    with pytest.raises(SourceError, match=r"review_body = 'Text'.*there are: a, b"):
        read(path, settings=MAPPED)
    with pytest.raises(SourceError, match=r"source.columns.body: no such column"):
        read(path, settings=SourceSettings(columns={"body": "a"}))
    reviews, _ = read(
        path, settings=SourceSettings(columns={"review_body": "b"}, category="Toys", marketplace="DE")
    )
    assert (reviews[0]["product_category"], reviews[0]["marketplace"]) == ("Toys", "DE")


@pytest.mark.parametrize(
    ("rows", "good", "bad"),
    [
        ('1,5,ok,A\n2,5,"open,A\n3,5,ok,A\n', ["1", "3"], [(3, "bad_csv")]),
        ('1,5,5" pipe,A\n2,5,"x",A\n3,5,12" disc,A\n', ["1", "2", "3"], []),
        ('1,5,ok,A\n2,5,"a"b,A\n3,5,ok,A\n', ["1", "3"], [(3, "bad_csv")]),
        ('1,5,"open,A\n2,5,ok,A\n3,5,again",A\n4,5,ok,A\n', ["1", "4"], []),
        ("1,5,ok,A\n2,5\n\n3,5,a,b,c\nNo,Stars,Text,Shelf\n4,5,ok,A\n\n", ["1", "4"],
         [(3, "too_few_fields"), (4, "blank_line"), (5, "too_many_fields"), (6, "repeated_header")]),
        ('1,9,"two\nlines",A\n2,x,ok,A\n', [], [(2, "bad_star_rating"), (4, "bad_star_rating")]),
    ],
)  # fmt: skip
def test_broken_quotes_cost_what_they_spoil(
    tmp_path: Path, rows: str, good: list[str], bad: list[tuple[int, str]]
) -> None:
    reviews, rejected = read(write(tmp_path / "a.csv", "No,Stars,Text,Shelf\n" + rows), settings=MAPPED)
    assert [r["review_id"] for r in reviews] == good
    assert where(rejected) == bad


def test_tsv_with_literal_quotes(tmp_path: Path) -> None:
    text = 'No\tStars\tText\tShelf\n1\t5\t"open\tA\n2\t5\t12" disc\tA\n'
    reviews, rejected = read(write(tmp_path / "a.tsv", text), settings=MAPPED)
    assert ([r["review_body"] for r in reviews], rejected) == (['"open', '12" disc'], [])


def test_latin1_csv_is_rejected_by_row(tmp_path: Path) -> None:
    data = 'No,Stars,Text,Shelf\n1,5,"café",A\n2,5,"ok",A\n'.encode("latin-1")
    reviews, rejected = read(write(tmp_path / "a.csv", data), settings=MAPPED)
    assert ([r["review_id"] for r in reviews], where(rejected)) == (["2"], [(2, "invalid_utf8")])


def test_utf16_says_how_to_convert(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="iconv"):
        read(write(tmp_path / "a.csv", "Text,Shelf\na,b\n".encode("utf-16")), settings=MAPPED)


def test_other_tables_in_a_folder_are_skipped_and_listed(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "review_body,product_category\nok,Toys\n")
    write(tmp_path / "prices.csv", "sku,price\n1,2\n")
    write(tmp_path / "settings.json", '{\n "a": 1\n}\n')
    sources = find_sources([str(tmp_path)], SourceSettings())
    assert [Path(source.path).name for source in sources] == ["a.csv"]
    assert {Path(path).name for path, _ in sources.skipped} == {"prices.csv", "settings.json"}


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from('ab,"\n\r '), max_size=60), st.integers(1, 3))
def test_pyarrow_is_used_only_where_it_reads_like_the_csv_module(text: str, width: int) -> None:
    data = text.replace("\r", "\r\n").encode() + b"\n"
    layout = quoted.Layout(b",", width, range(width), ["head"] * width)
    fast = quoted._read_fast(data, 2, layout)
    if fast is not None:
        found, end, line = fast
        rows = list(csv.reader(quoted._split_lines(data[:end].decode()), strict=True))
        columns = [column.cast(pa.string()).to_pylist() for column in found.columns]
        assert [list(row) for row in zip(*columns, strict=True)] == rows
        assert line == 2 + data[:end].count(b"\n")
        reader = csv.reader(quoted._split_lines(data[:end].decode()), strict=True)
        starts = [2, *(2 + reader.line_num for _ in reader)][:-1]
        assert found.lines.tolist() == starts


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=30), st.sampled_from([",", ";", "\t"]))
def test_what_the_csv_module_writes_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], delimiter: str
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(["review_headline", "review_body", "product_category"])
    writer.writerows([(a, b, "Toys") for a, b in rows])
    path = write(tmp_path_factory.mktemp("csv") / "a.csv", text.getvalue())
    reviews, rejected = read(path)
    assert rejected == []
    assert [(r["review_headline"] or "", r["review_body"] or "") for r in reviews] == rows
