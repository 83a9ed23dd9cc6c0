from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfcheck.config import SourceSettings
from shelfcheck.errors import SourceError
from shelfcheck.sources import find_sources
from shelfcheck.sources.checks import Rejects
from shelfcheck.sources.fasttext import _parse, _split
from shelfcheck.sources.files import Block
from shelfcheck.sources.label_map import parse

from .helpers import json_lines, read, reasons, where, write

if TYPE_CHECKING:
    from pathlib import Path

FIRST = SourceSettings(several_labels="first")


def said(reviews: list[dict[str, Any]]) -> list[tuple[str | None, str | None]]:
    return [(row["product_category"], row["review_body"]) for row in reviews]


def form_of(path: Path, settings: SourceSettings | None = None) -> str:
    return find_sources([str(path)], settings or SourceSettings())[0].format


# augmented_manifest


def test_the_lines_of_the_developer_guide(tmp_path: Path) -> None:
    lines = (
        '{"source":"linux ready for prime time , intel says", "label":1}\n'
        '{"source":"bowled by the slower one again , kolkata", "label":2}\n'
    )
    path = write(tmp_path / "train.manifest", lines)
    assert form_of(path) == "augmented_manifest"
    reviews, rejected = read(path)
    assert rejected == []
    assert said(reviews) == [
        ("1", "linux ready for prime time , intel says"),
        ("2", "bowled by the slower one again , kolkata"),
    ]
    assert {name for row in reviews for name, value in row.items() if value is not None} == {
        "product_category",
        "review_body",
    }


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.manifest.gz", "part-00000"])
def test_names_and_compression(tmp_path: Path, name: str) -> None:
    (tmp_path / "train").mkdir()
    write(tmp_path / "train" / name, json_lines([{"source": "a kettle", "label": "Kitchen"}] * 3))
    assert said(read(tmp_path)[0]) == [("Kitchen", "a kettle")] * 3


def test_zstd(tmp_path: Path) -> None:
    data = json_lines([{"source": "a kettle", "label": "Kitchen"}]).encode()
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(pa.Codec("zstd").compress(data, asbytes=True))
    assert said(read(path)[0]) == [("Kitchen", "a kettle")]


@pytest.mark.parametrize("names", [{"Books": 0, "Baby & Co": 1}, {"0": "Books", "1": "Baby & Co"}])
def test_a_label_map_beside_the_files_or_above(tmp_path: Path, names: dict[str, object]) -> None:
    (tmp_path / "train").mkdir()
    rows = [{"source": "a novel", "label": 0}, {"source": "a bottle", "label": 1}]
    path = write(tmp_path / "train" / "a.jsonl", json_lines(rows))
    (tmp_path / "label_map.json").write_text(json.dumps(names))
    expected = [("Books", "a novel"), ("Baby_Co", "a bottle")]
    assert said(read(path)[0]) == expected
    assert said(read(tmp_path)[0]) == expected  # and the map itself is no source
    (tmp_path / "train" / "label_map.json").write_text('{"Shoes": 0, "Toys": 1}')
    assert said(read(path)[0]) == [("Shoes", "a novel"), ("Toys", "a bottle")]


def test_a_label_map_that_is_set(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "__label__0 a novel\n__label__Books a story\n__label__7 a bottle\n")
    other = tmp_path / "names"
    other.write_text('{"Books": 0, "Baby": 1}')
    reviews, rejected = read(path, settings=SourceSettings(label_map=str(other)))
    assert said(reviews) == [("Books", "a novel"), ("Books", "a story")]
    assert where(rejected) == [(3, "unknown_label")]
    assert rejected[0]["detail"] == "__label__7"


def test_another_label_map_makes_another_source(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "__label__0 a novel\n")
    names = tmp_path / "label_map.json"
    seen = {find_sources([str(path)], SourceSettings())[0].fingerprint}
    for text in ('{"Books": 0}', '{"Baby": 0, "Books": 1}'):
        names.write_text(text)
        seen.add(find_sources([str(path)], SourceSettings())[0].fingerprint)
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nonsense", "no JSON"),
        ("[]", "no label map"),
        ("{}", "no label map"),
        ('{"Books": "x"}', "has a number"),
        ('{"Books": 0, "Baby": true}', "has a number"),
        ('{"Books": 0, "Baby": 0}', "same number"),
    ],
)
def test_label_maps_that_are_none(tmp_path: Path, text: str, told: str) -> None:
    path = write(tmp_path / "a.txt", "__label__0 a novel\n")
    (tmp_path / "label_map.json").write_text(text)
    for place in (path, tmp_path):
        with pytest.raises(SourceError, match=told):
            find_sources([str(place)], SourceSettings())


def test_numbers_in_the_map_may_be_text() -> None:
    assert parse('{"Books": "0", "Baby": -1}', "x") == {"0": "Books", "-1": "Baby"}
    assert parse('{"0": "1", "1": "2"}', "x") == {"0": "1", "1": "2"}  # categories that are numbers


def test_labels_of_every_kind(tmp_path: Path) -> None:
    rows = [
        {"source": "one", "label": 3},
        {"source": "two", "label": "Home & Garden"},
        {"source": "three", "label": [4]},
        {"source": "four", "label": [4, 5]},
        {"source": "five", "label": []},
        {"source": "six", "label": None},
        {"source": "seven"},
        {"source": "eight", "label": {"a": 1}},
        {"source": "nine", "label": ["Books"]},
        {"source": None, "label": 3},
        {"label": 3},
        {"source": ["a", "b"], "label": 3},
        "nonsense",
        "",
        {"source": "ten", "label": "[bracket"},
    ]
    path = write(tmp_path / "a.jsonl", json_lines(rows))
    reviews, rejected = read(path)
    assert said(reviews) == [
        ("3", "one"),
        ("Home_Garden", "two"),
        ("4", "three"),
        (None, "five"),
        (None, "six"),
        (None, "seven"),
        ("Books", "nine"),
        ("3", None),
        ("3", None),
        ("3", '["a", "b"]'),
        ("Bracket", "ten"),
    ]
    assert where(rejected) == [
        (4, "several_labels"),
        (8, "bad_label"),
        (13, "invalid_json"),
        (14, "blank_line"),
    ]
    assert said(read(path, settings=FIRST)[0])[3] == ("4", "four")


@pytest.mark.parametrize("inner", [[[1], [2, 3], None, []], [["a"], ["b", "c"], None, []]])
def test_lists_of_labels(tmp_path: Path, inner: list[Any]) -> None:
    rows = [{"source": f"text {i}", "label": label} for i, label in enumerate(inner)]
    path = write(tmp_path / "a.jsonl", json_lines(rows))
    reviews, rejected = read(path)
    first = str(inner[0][0]).capitalize()
    assert said(reviews) == [(first, "text 0"), (None, "text 2"), (None, "text 3")]
    assert where(rejected) == [(2, "several_labels")]
    assert said(read(path, settings=FIRST)[0])[1][0] == str(inner[1][0]).capitalize()


def test_keys_of_ground_truth(tmp_path: Path) -> None:
    rows = [
        {
            "source": "a kettle",
            "my-job": 0,
            "my-job-metadata": {"class-name": "ignored", "confidence": 0.9, "job-name": "x"},
        }
    ]
    path = write(tmp_path / "output.manifest", json_lines(rows))
    assert form_of(path) == "augmented_manifest"
    assert said(read(path)[0]) == [("0", "a kettle")]


def test_keys_that_are_mapped(tmp_path: Path) -> None:
    rows = [{"source": "web", "text": "a kettle", "kind": 1, "id": "R1"}]
    path = write(tmp_path / "a.jsonl", json_lines(rows))
    with pytest.raises(SourceError, match="not source and label"):
        read(path, settings=SourceSettings(format="augmented_manifest"))
    columns = {"review_body": "text", "product_category": "kind", "review_id": "id"}
    reviews, _ = read(path, settings=SourceSettings(format="augmented_manifest", columns=columns))
    assert said(reviews) == [("1", "a kettle")]
    assert reviews[0]["review_id"] == "R1"
    assert form_of(path, SourceSettings(columns=columns)) == "table"  # mapped, and no form named


def test_columns_of_a_review_are_read(tmp_path: Path) -> None:
    row = {"source": "a kettle", "label": "Kitchen", "review_id": "R1", "product_id": "P1", "star_rating": 9}
    path = write(tmp_path / "a.jsonl", json_lines([row, row | {"star_rating": 4}]))
    reviews, rejected = read(path)
    assert [(r["review_id"], r["product_id"], r["star_rating"]) for r in reviews] == [("R1", "P1", 4)]
    assert where(rejected) == [(1, "bad_star_rating")]


def test_references_are_not_followed(tmp_path: Path) -> None:
    row = {"source-ref": "s3://bucket/a.txt", "label": 0}
    path = write(tmp_path / "a.jsonl", json_lines([row]))
    with pytest.raises(SourceError, match="source-ref names files elsewhere"):
        read(path)


def test_a_table_that_has_a_source_stays_a_table(tmp_path: Path) -> None:
    row = {"source": "web", "label": "x", "review_body": "a kettle", "product_category": "Kitchen"}
    path = write(tmp_path / "a.jsonl", json_lines([row]))
    assert form_of(path) == "table"
    assert said(read(path)[0]) == [("Kitchen", "a kettle")]


# fasttext


def test_fasttext_lines(tmp_path: Path) -> None:
    text = (
        "\ufeff__label__Home_Kitchen  a kettle , steel \r\n"
        "__label__Books\ta novel\n"
        "\n"
        "no label here\n"
        "the label comes __label__Books late\n"
        "__label__Books __label__Baby of both\n"
        "__label__ nameless\n"
        "__label__Books\n"
        "  __label__Books indented\n"
        "__label__Baby a bottle"
    )
    path = write(tmp_path / "cooking.train", text)
    assert form_of(path) == "fasttext"
    reviews, rejected = read(path)
    assert said(reviews) == [
        ("Home_Kitchen", "a kettle , steel"),
        ("Books", "a novel"),
        ("Books", "the label comes late"),
        ("Books", None),
        ("Books", "indented"),
        ("Baby", "a bottle"),
    ]
    assert where(rejected) == [(3, "blank_line"), (4, "no_label"), (6, "several_labels"), (7, "no_label")]
    assert ("Books", "of both") in said(read(path, settings=FIRST)[0])


@pytest.mark.parametrize("name", ["a.txt.gz", "part-00000.txt"])
def test_fasttext_in_folders(tmp_path: Path, name: str) -> None:
    for part in ("train", "validation"):
        (tmp_path / part).mkdir()
        write(tmp_path / part / name, "__label__Books a novel\n")
    assert said(read(tmp_path)[0]) == [("Books", "a novel")] * 2


def test_broken_bytes(tmp_path: Path) -> None:
    data = b"__label__Books good\n__label__Books b\xffad\n__label__B\xffx bad\n__label__Books n\0ul\n\xff\n"
    data += "__label__Bücher schön\n".encode()
    reviews, rejected = read(write(tmp_path / "a.txt", data))
    assert said(reviews) == [("Books", "good"), ("Bücher", "schön")]
    assert reasons(rejected) == {"invalid_utf8": 3, "nul_bytes": 1}
    assert [row["source_line"] for row in rejected] == [2, 3, 4, 5]


def test_truncated_gzip(tmp_path: Path) -> None:
    lines = "".join(f"__label__Books text number {i} of many\n" for i in range(20_000))
    data = gzip.compress(lines.encode())
    path = tmp_path / "a.txt.gz"
    path.write_bytes(data[: len(data) // 2])
    reviews, rejected = read(path)
    assert 0 < len(reviews) < 20_000
    assert reasons(rejected) == {"truncated_file": 1}


def test_no_label_at_all(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "just words\n")
    with pytest.raises(SourceError, match="no __label__ in its first lines"):
        read(path, settings=SourceSettings(format="fasttext"))


def test_parquet_is_neither(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1" + bytes(64))
    for form in ("fasttext", "augmented_manifest"):
        with pytest.raises(SourceError, match="--format table"):
            read(path, settings=SourceSettings(format=form))  # type: ignore[arg-type]


words = st.lists(
    st.sampled_from(["a", "é", "日", "_", "__label__", "x", "\t", "\xa0", "\x1f", "\r"]),
    min_size=1,
    max_size=3,
).map("".join)
lines = st.lists(st.lists(words, max_size=5).map(" ".join), min_size=1, max_size=8)


@given(lines, st.booleans())
def test_the_fast_way_agrees_with_the_slow_one(texts: list[str], first: bool) -> None:
    """Lines that numpy cuts read as `_parse` reads them one by one, which splits on white space alone."""
    data = "".join(f"{text}\n" for text in texts).encode()
    rejects = Rejects("f")
    own, bodies, good = _split(Block(data, 1), rejects, first=first)
    broken = {row["source_line"]: row["reason"] for row in rejects.take().to_pylist()}
    for row, text in enumerate(texts):
        label, body, reason = _parse(text.encode(), first=first)
        assert broken.get(row + 1) == reason
        assert good[row] == (reason is None)
        if reason is None:
            assert own[row].as_py() == label
            assert (bodies[row].as_py() or "").encode().split() == (body or "").encode().split()
