"""Counts of terms by group are those that Python's Counter gives."""

from __future__ import annotations

import datetime as dt
import itertools
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from language_support import prepared_table

from review_corpus import write_prepared
from shelfcheck.engines.duckdb import DuckDB
from shelfcheck.errors import UsageError
from shelfcheck.language.counts import term_counts

if TYPE_CHECKING:
    from pathlib import Path

YEARLY = ("product_category", "review_year")
A, B = dt.date(2014, 3, 1), dt.date(2015, 12, 31)


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    rows = [
        ("Toys", "bright red red car", A, 5),
        ("Toys", "red", B, 1),
        ("Toys", "blue car", B, None),
        ("Books", "red", A, 5),
        ("Books", "", A, 5),
        ("Books", None, A, 5),
        ("Books", "undated words", None, 4),
        (None, "no category", A, 4),
    ]
    categories, tokens, dates, stars = zip(*rows, strict=True)
    return write_prepared(prepared_table(categories, tokens, dates, stars), tmp_path / "prepared")


def counted(folder: Path, by: tuple[str, ...], **options: object) -> list[tuple]:
    with DuckDB(folder / "spill") as engine:
        batches = list(term_counts(engine, folder, by, **options))
    return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]


def test_by_hand(toy: Path) -> None:
    assert counted(toy, YEARLY) == [
        ("Books", 2014, "red", 1),
        ("Toys", 2014, "bright", 1),
        ("Toys", 2014, "car", 1),
        ("Toys", 2014, "red", 2),
        ("Toys", 2015, "blue", 1),
        ("Toys", 2015, "car", 1),
        ("Toys", 2015, "red", 1),
    ]


def test_reviews_instead_of_terms_and_rare_terms_left_out(toy: Path) -> None:
    assert counted(toy, YEARLY, count="reviews", min_count=2) == [
        ("Toys", 2014, "car", 1),
        ("Toys", 2014, "red", 1),
        ("Toys", 2015, "car", 1),
        ("Toys", 2015, "red", 1),
    ]


def test_by_stars_reviews_without_any_are_left_out(toy: Path) -> None:
    found = counted(toy, ("product_category", "star_rating"))
    assert ("Books", 4, "undated", 1) in found
    assert not any(term == "blue" for _, _, term, _ in found)


def test_pairs(toy: Path) -> None:
    found = {
        (category, term): n for category, year, term, n in counted(toy, YEARLY, word_ngrams=2) if year == 2014
    }
    toys = {term: n for (category, term), n in found.items() if category == "Toys"}
    assert toys == {"bright": 1, "red": 2, "car": 1, "bright red": 1, "red red": 1, "red car": 1}


def test_same_counts_as_python(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    words = [f"w{i}" for i in range(30)]
    tokens = [" ".join(rng.choice(words, rng.integers(1, 12))) for _ in range(400)]
    categories = rng.choice(["A", "B"], 400).tolist()
    dates = [dt.date(2010 + int(y), 6, 1) for y in rng.integers(0, 4, 400)]
    folder = write_prepared(prepared_table(categories, tokens, dates), tmp_path / "prepared")
    expected: Counter[tuple] = Counter()
    for category, text, date in zip(categories, tokens, dates, strict=True):
        listed = text.split()
        pairs = [f"{a} {b}" for a, b in itertools.pairwise(listed)]
        expected.update((category, date.year, term) for term in set(listed + pairs))
    found = {row[:3]: row[3] for row in counted(folder, YEARLY, count="reviews", word_ngrams=2)}
    assert found == dict(expected)


def test_unknown_column_is_refused(toy: Path) -> None:
    with pytest.raises(UsageError, match="review_year"):
        counted(toy, ("colour",))
