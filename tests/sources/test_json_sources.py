"""UCSD 2014 and 2018, and Amazon Reviews 2023."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from shelfcheck.config import SourceSettings
from shelfcheck.errors import SourceError
from shelfcheck.sources import find_sources

from .helpers import amazon_row, json_lines, pds_table, read, ucsd_row, where, write


def test_ucsd_2018(tmp_path: Path) -> None:
    rows = [
        ucsd_row(vote="1,234", style={"Size:": " 7"}, image=["x.jpg"]),
        ucsd_row(reviewText=..., summary=..., unixReviewTime=...),
        ucsd_row(overall=5, verified=False, reviewText=""),
    ]
    reviews, rejected = read(write(tmp_path / "All_Beauty_5.json", json_lines(rows)))
    assert rejected == []
    assert reviews[0] == {
        "marketplace": None,
        "customer_id": "A1",
        "review_id": None,
        "product_id": "B1",
        "product_parent": None,
        "product_title": None,
        "product_category": "All_Beauty",
        "star_rating": 4,
        "helpful_votes": 1234,
        "total_votes": None,
        "vine": None,
        "verified_purchase": True,
        "review_headline": "Fine",
        "review_body": "Smells of nothing at all.",
        "review_date": dt.date(2016, 9, 1),
    }
    assert reviews[1]["review_body"] is None
    assert reviews[1]["review_date"] == dt.date(2016, 9, 1)
    assert (reviews[2]["star_rating"], reviews[2]["verified_purchase"], reviews[2]["review_body"]) == (
        5,
        False,
        None,
    )


def test_ucsd_2014_votes(tmp_path: Path) -> None:
    rows = [
        ucsd_row(helpful=[2, 3], verified=...),
        ucsd_row(helpful=[0, 0]),
        ucsd_row(),
        ucsd_row(helpful=[2]),
    ]
    reviews, rejected = read(write(tmp_path / "reviews_Books_5.json.gz", json_lines(rows)))
    assert [(r["helpful_votes"], r["total_votes"]) for r in reviews] == [(2, 3), (0, 0), (None, None)]
    assert where(rejected) == [(4, "bad_number")]
    assert {r["product_category"] for r in reviews} == {"Books"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "invalid_json"),
        ("[1, 2]", "invalid_json"),
        ("5", "invalid_json"),
        ("null", "invalid_json"),
        ('{"asin": "B1"} {"asin": "B2"}', "invalid_json"),
        ("{'asin': open('x')}", "invalid_json"),
        ("[" * 100_000, "invalid_json"),
        ("{" + '"a":{' * 5000, "invalid_json"),
        ('{"overall": ' + "9" * 5000 + "}", "bad_star_rating"),
        ("", "blank_line"),
        (json.dumps(ucsd_row(overall=7)), "bad_star_rating"),
        (json.dumps(ucsd_row(overall=4.5)), "bad_star_rating"),
        (json.dumps(ucsd_row(overall="great")), "bad_star_rating"),
        (json.dumps(ucsd_row(overall=True)), "bad_star_rating"),
        (json.dumps(ucsd_row(overall=float("inf"))), "bad_star_rating"),
        (json.dumps(ucsd_row(vote="lots")), "bad_number"),
        (json.dumps(ucsd_row(unixReviewTime=4070908800)), "future_date"),
        (json.dumps(ucsd_row(unixReviewTime=-5)), "bad_date"),
        (json.dumps(ucsd_row(unixReviewTime=..., reviewTime="13 1, 2016")), "bad_date"),
        (json.dumps(ucsd_row(reviewText="a\0b")), "nul_bytes"),
        ('{"asin": "B1", "reviewText": "\\ud800"}', "invalid_utf8"),
    ],
)
def test_ucsd_rejects(tmp_path: Path, line: str, reason: str) -> None:
    path = write(tmp_path / "Books_5.json", json_lines([ucsd_row(asin="B1"), line, ucsd_row(asin="B3")]))
    reviews, rejected = read(path)
    assert where(rejected) == [(2, reason)]
    assert [review["product_id"] for review in reviews] == ["B1", "B3"]


def test_types_that_change_between_lines(tmp_path: Path) -> None:
    rows = [ucsd_row(vote=12), ucsd_row(overall="4"), ucsd_row(reviewerID=17), ucsd_row(reviewText=None)]
    reviews, rejected = read(write(tmp_path / "Books_5.json", json_lines(rows)))
    assert rejected == []
    assert [r["helpful_votes"] for r in reviews] == [12, None, None, None]
    assert [r["star_rating"] for r in reviews] == [4, 4, 4, 4]
    assert reviews[2]["customer_id"] == "17"


def test_invalid_utf8_in_json(tmp_path: Path) -> None:
    data = json_lines([ucsd_row(), ucsd_row(reviewText="XX"), ucsd_row()]).encode().replace(b"XX", b"\xff")
    reviews, rejected = read(write(tmp_path / "Books_5.json", data))
    assert (len(reviews), where(rejected)) == (2, [(2, "invalid_utf8")])


META_2018 = [
    {"asin": "B1", "title": "A pen", "category": ["Office Products", "Pens"], "main_cat": "Grocery"},
    {"asin": "B2", "title": "", "category": [], "main_cat": "Toys"},
    {"asin": "B3", "category": []},
]


def test_ucsd_metadata_is_joined(tmp_path: Path) -> None:
    write(tmp_path / "Books_5.json", json_lines(ucsd_row(asin=f"B{i}") for i in range(1, 5)))
    write(tmp_path / "meta_Books.json.gz", json_lines([*META_2018, "{oops"]))
    sources = find_sources([str(tmp_path)], SourceSettings())
    assert [Path(source.path).name for source in sources] == ["Books_5.json"]
    assert [form for _, form in sources.metadata] == ["ucsd"]
    reviews, rejected = read(tmp_path)
    assert [(r["product_title"], r["product_category"]) for r in reviews] == [
        ("A pen", "Office_Products"),
        (None, "Toys"),
        (None, "Books"),
        (None, "Books"),
    ]
    assert where(rejected) == [(4, "bad_metadata")]
    assert rejected[0]["source_file"].endswith("meta_Books.json.gz")


def test_ucsd_2014_metadata_is_python(tmp_path: Path) -> None:
    write(tmp_path / "reviews_Music_5.json", json_lines([ucsd_row(asin="B1"), ucsd_row(asin="B2")]))
    write(
        tmp_path / "meta_Music.json",
        "{'asin': 'B1', 'title': \"Dad's song\", 'categories': [['CDs & Vinyl', 'Pop'], ['Music']]}\n"
        "{'asin': 'B2', 'title': __import__('os').getcwd()}\n",
    )
    reviews, rejected = read(tmp_path)
    assert [(r["product_title"], r["product_category"]) for r in reviews] == [
        ("Dad's song", "CDs_Vinyl"),
        (None, "Music"),
    ]
    assert where(rejected) == [(2, "bad_metadata")]


def test_metadata_goes_to_its_own_stem_and_is_reported_once(tmp_path: Path) -> None:
    for name in ("Books", "Music"):
        write(tmp_path / f"{name}_5.json", json_lines([ucsd_row(asin="B1")]))
        write(
            tmp_path / f"meta_{name}.json", json_lines([{"asin": "B1", "title": name, "category": []}, "x"])
        )
    write(tmp_path / "Toys_5.json", json_lines([ucsd_row(asin="B1")]))
    reviews, rejected = read(tmp_path)
    assert [r["product_title"] for r in reviews][:2] == ["Books", "Music"]
    assert len(rejected) == 2


def test_amazon_2023(tmp_path: Path) -> None:
    rows = [
        amazon_row(),
        amazon_row(parent_asin=None),
        amazon_row(parent_asin=..., title=..., helpful_vote=0),
    ]
    reviews, rejected = read(write(tmp_path / "Gift_Cards.jsonl", json_lines(rows)))
    assert rejected == []
    assert reviews[0] == {
        "marketplace": None,
        "customer_id": "U1",
        "review_id": None,
        "product_id": "B1",
        "product_parent": None,
        "product_title": None,
        "product_category": "Gift_Cards",
        "star_rating": 3,
        "helpful_votes": 4,
        "total_votes": None,
        "vine": None,
        "verified_purchase": True,
        "review_headline": "Fine",
        "review_body": "It holds water.",
        "review_date": dt.date(2020, 5, 4),
    }
    assert [r["product_id"] for r in reviews] == ["B1", "B2", "B2"]


def test_amazon_2023_metadata(tmp_path: Path) -> None:
    write(
        tmp_path / "All_Beauty.jsonl",
        json_lines([amazon_row(), amazon_row(parent_asin="B9"), amazon_row(rating=6)]),
    )
    meta: list[dict[str, Any]] = [
        {
            "parent_asin": "B1",
            "main_category": "AMAZON FASHION",
            "title": "Cup",
            "store": "S",
            "categories": [],
        },
        {
            "parent_asin": "B9",
            "main_category": None,
            "title": "Jar",
            "average_rating": 4.5,
            "categories": ["A"],
        },
    ]
    write(tmp_path / "meta_All_Beauty.jsonl", json_lines(meta))
    reviews, rejected = read(tmp_path)
    assert [(r["product_title"], r["product_category"]) for r in reviews] == [
        ("Cup", "Amazon_Fashion"),
        ("Jar", "All_Beauty"),
    ]
    assert where(rejected) == [(3, "bad_star_rating")]


def test_a_named_format_that_does_not_fit(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", json_lines([{"id": 1, "words": "x"}]))
    for form in ("ucsd", "amazon2023"):
        with pytest.raises(SourceError, match="--format table"):
            read(path, settings=SourceSettings(format=form))  # type: ignore[arg-type]


def test_parquet_under_a_json_format(tmp_path: Path) -> None:
    pq.write_table(pds_table(), tmp_path / "a.parquet")
    with pytest.raises(SourceError, match="ucsd is JSON lines"):
        read(tmp_path / "a.parquet", settings=SourceSettings(format="ucsd"))


def test_a_first_line_longer_than_the_sample(tmp_path: Path) -> None:
    rows = [ucsd_row(reviewText="word " * 100_000), ucsd_row()]
    reviews, rejected = read(write(tmp_path / "Books_5.json", json_lines(rows)))
    assert ([len(r["review_body"]) for r in reviews], rejected) == ([500_000, 25], [])


def test_metadata_alone_is_no_source(tmp_path: Path) -> None:
    path = write(tmp_path / "meta_Books.json", json_lines(META_2018))
    with pytest.raises(SourceError, match="product metadata of ucsd"):
        read(path)


def test_real_ucsd_counts_add_up(real_data: Path) -> None:
    folder = real_data / "raw" / "ucsd-2018"
    expected: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(folder.glob("*_5.json*")):
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        expected[path.name] = [json.loads(line) for line in data.splitlines() if line.strip()]
    reviews, rejected = read(folder)
    assert rejected == []
    rows = [row for name in sorted(expected) for row in expected[name]]
    assert len(reviews) == len(rows) > 0
    assert [r["review_body"] for r in reviews] == [row.get("reviewText") or None for row in rows]
    assert [r["star_rating"] for r in reviews] == [int(row["overall"]) for row in rows]
    assert [r["review_date"].strftime("%m %-d, %Y") for r in reviews] == [row["reviewTime"] for row in rows]
    titled = [r for r in reviews if r["product_category"] == "Gift_Cards"]
    assert sum(r["product_title"] is not None for r in titled) / len(titled) > 0.9
