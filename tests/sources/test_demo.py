"""Generated reviews: the same for the same seed, like real ones, with the truth beside them."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow.parquet as pq
import pytest

from shelfcheck import schema
from shelfcheck.config import SourceSettings
from shelfcheck.errors import UsageError
from shelfcheck.sources import demo, find_sources
from shelfcheck.sources.demo import rare, templates
from shelfcheck.sources.demo.words import CATEGORIES

from .helpers import read, reasons

N = 20_000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> demo.GeneratedFiles:
    return demo.generate(tmp_path_factory.mktemp("made"), N, seed=5)


@pytest.fixture(scope="module")
def rows(made: demo.GeneratedFiles) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(made.reviews[0]).to_pylist()
    return found


@pytest.fixture(scope="module")
def truth(made: demo.GeneratedFiles) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(made.truth).to_pylist()
    return found


def test_counts_and_schema(made: demo.GeneratedFiles, rows: list[dict[str, Any]]) -> None:
    assert len(rows) == made.rows == N
    assert list(rows[0]) == schema.REVIEW_SCHEMA.names
    assert pq.read_schema(made.truth).equals(demo.TRUTH_SCHEMA)
    assert [path.name for path in made.reviews] == ["reviews-00000.parquet"]
    assert {row["product_category"] for row in rows} == {category.name for category in CATEGORIES}


def test_the_same_seed_gives_the_same_bytes(made: demo.GeneratedFiles, tmp_path: Path) -> None:
    again = demo.generate(tmp_path / "again", N, seed=5)
    assert again.reviews[0].read_bytes() == made.reviews[0].read_bytes()
    assert again.truth.read_bytes() == made.truth.read_bytes()
    other = demo.generate(tmp_path / "other", N, seed=6)
    assert other.reviews[0].read_bytes() != made.reviews[0].read_bytes()


def test_reviews_are_like_real_ones(rows: list[dict[str, Any]]) -> None:
    words = sorted(len(row["review_body"].split()) for row in rows)
    assert 22 <= median(words) <= 40
    assert words[-1] > 300
    assert words[len(words) // 50] <= 5
    stars = Counter(row["star_rating"] for row in rows)
    assert stars[5] / N > 0.5
    assert stars[1] > stars[2]
    products = Counter(row["product_id"] for row in rows).most_common()
    assert sum(n for _, n in products[: len(products) // 10]) / N > 0.3
    assert {row["review_date"].year for row in rows} >= {2012, 2013, 2014, 2015}
    texts = [row["review_body"] for row in rows]
    assert not re.search(r"[{}]|  |\s$|^\s", "\n".join(texts).replace("\n", "|"))
    assert sum("<br />" in text for text in texts) > N / 100
    garden = Counter(row["review_date"].month for row in rows if row["product_category"] == "Lawn_and_Garden")
    assert garden[5] > 2 * garden[1]


def test_titles_fit_the_products(rows: list[dict[str, Any]], truth: list[dict[str, Any]]) -> None:
    wrong = {row["product_id"] for row in truth if row["kind"] == "miscategorised_product"}
    names = {c.name: {n.lower() for kind in c.types for n in kind.nouns} for c in CATEGORIES}
    by_product = {row["product_id"]: row for row in rows}
    assert len({(row["product_id"], row["product_title"], row["product_category"]) for row in rows}) == len(
        by_product
    )
    for product, row in by_product.items():
        fits = any(noun in row["product_title"].lower() for noun in names[row["product_category"]])
        assert fits or product in wrong


def test_planted_faults_are_there(
    made: demo.GeneratedFiles, rows: list[dict[str, Any]], truth: list[dict[str, Any]]
) -> None:
    assert made.planted == dict(Counter(row["kind"] for row in truth))
    by_id = {row["review_id"]: row for row in rows}
    of = lambda kind: [row for row in truth if row["kind"] == kind]  # noqa: E731
    assert 0.011 < len(of("misplaced_review")) / N < 0.017
    for row in of("misplaced_review"):
        assert by_id[row["review_id"]]["product_id"] == row["product_id"]
        assert by_id[row["review_id"]]["product_category"] != row["true_category"]
    products = {row["product_id"]: row["product_category"] for row in rows}
    for row in of("miscategorised_product"):
        assert row["detail"] == f"stands in {products.get(row['product_id'], row['detail'].split()[-1])}"
        assert row["detail"].split()[-1] != row["true_category"]
    assert 0.01 < len(of("miscategorised_product")) / (N / 14) < 0.03
    repeated = Counter(row["review_id"] for row in rows)
    assert {i for i, n in repeated.items() if n > 1} == {row["review_id"] for row in of("repeated_id")}
    for row in of("duplicate"):
        original = by_id[row["detail"].removeprefix("copy of ")]
        assert by_id[row["review_id"]] == {**original, "review_id": row["review_id"]}
    assert len(of("duplicate")) > 20


def test_declining_products_decline(rows: list[dict[str, Any]], truth: list[dict[str, Any]]) -> None:
    before, after = [], []
    for fault in truth:
        if fault["kind"] == "declining_product":
            since = fault["detail"].removeprefix("since ")
            for row in rows:
                if row["product_id"] == fault["product_id"]:
                    (after if str(row["review_date"]) >= since else before).append(row["star_rating"])
    assert len(after) > 20
    assert sum(before) / len(before) - sum(after) / len(after) > 0.8


@pytest.mark.parametrize("form", ["parquet", "tsv"])
def test_broken_rows_are_rejected_as_planted(tmp_path: Path, form: Any) -> None:
    made = demo.generate(tmp_path, N, seed=1, format=form)
    reviews, rejected = read(*made.reviews)
    assert len(reviews) + len(rejected) == N
    planted = [row["detail"] for row in pq.read_table(made.truth).to_pylist() if row["kind"] == "broken_row"]
    assert sorted(planted) == sorted(
        f"{row['reason']} {Path(row['source_file']).name}:{row['source_line']}" for row in rejected
    )
    kinds = {"bad_star_rating", "future_date"} | (
        {"too_many_fields", "too_few_fields"} if form == "tsv" else set()
    )
    assert set(reasons(rejected)) == kinds


def test_both_forms_hold_the_same_reviews(made: demo.GeneratedFiles, tmp_path: Path) -> None:
    tsv = demo.generate(tmp_path, N, seed=5, format="tsv")
    a, b = ({r["review_id"]: r for r in read(*files.reviews)[0]} for files in (made, tsv))
    assert len(a.keys() & b.keys()) > N * 0.99
    assert all(a[key] == b[key] for key in a.keys() & b.keys())


def test_chunks_and_stale_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "CHUNK_ROWS", 1000)
    assert len(demo.generate(tmp_path, 3500, seed=0).reviews) == 4
    made = demo.generate(tmp_path, 1500, seed=0, format="tsv")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "reviews-00000.tsv.gz",
        "reviews-00001.tsv.gz",
        "truth.parquet",
    ]
    sources = find_sources([str(tmp_path)], SourceSettings())
    assert [source.path for source in sources] == [str(path) for path in made.reviews]
    ids = [review["review_id"] for review in read(tmp_path)[0]]
    assert len(set(ids)) > 1480


@pytest.mark.parametrize("n", [1, 2, 30])
def test_few_reviews(tmp_path: Path, n: int) -> None:
    made = demo.generate(tmp_path, n, seed=0)
    reviews, rejected = read(*made.reviews)
    assert len(reviews) + len(rejected) == n


def test_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="reviews == 0, must be >= 1"):
        demo.generate(tmp_path, 0)
    with pytest.raises(UsageError, match="seed == -1"):
        demo.generate(tmp_path, 1, -1)


def test_every_slot_has_words() -> None:
    known = {*templates.TYPE_SLOTS, *templates.WORDS}
    for name, sentences in vars(templates).items():
        if name.isupper() and isinstance(sentences, tuple) and name != "TYPE_SLOTS":
            for sentence in sentences:
                assert set(re.findall(r"\{(\w+)\}", sentence)) <= known
    for category in CATEGORIES:
        assert category.like in {"", *(other.name for other in CATEGORIES)}
        assert len(category.types) >= 3
        for kind in category.types:
            assert all(all(phrases) and phrases for phrases in kind)
    assert len(CATEGORIES) >= 12


def test_rare_words_make_texts_as_long_and_words_as_many_as_real_ones(tmp_path: Path) -> None:
    """Real reviews have 10 tokens more than those of the templates on average, and 1 in the middle."""
    plain = demo.generate(tmp_path / "plain", 20_000, 3)
    made = demo.generate(tmp_path / "rare", 20_000, 3, rare_words=10.0)
    assert made.planted == plain.planted
    both = [pq.read_table(one.reviews[0], columns=["review_id", "review_body"]) for one in (plain, made)]
    assert both[0]["review_id"].equals(both[1]["review_id"])
    added = []
    for before, after in zip(*(table["review_body"].to_pylist() for table in both), strict=True):
        if before is not None:
            assert after.startswith(before)
            added.append(after[len(before) :].split())
    assert 8 < sum(map(len, added)) / len(added) < 12
    assert 0 <= median(map(len, added)) <= 2
    few, many = (len({word for words in part for word in words}) for part in (added[:2000], added))
    assert few > 8000  # the templates have 1,400
    assert 10**0.41 < many / few < 10**0.65  # at first they grow faster


def test_words_of_different_ranks_differ() -> None:
    words = [rare.word(rank) for rank in (*range(5000), 10**6, 10**9, 1 << 40)]
    assert len(set(words)) == len(words)
    assert not {word for word in words if not word.isalpha()}
