"""The tables: what plain Python finds, whatever the files, threads and memory."""

from __future__ import annotations

import csv
import itertools
import math
from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from explore_support import ends, explored, lay_out, made_up, measured, month, review
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shelfcheck import api
from shelfcheck.errors import NotEnoughDataError, WorkspaceError
from shelfcheck.explore.calendar import Calendar
from shelfcheck.explore.lengths import Lengths, bin_bounds

REVIEWS = made_up(1500, seed=3)
LONG = made_up(1200, seed=5, years=9)  # periods are years


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    home = tmp_path_factory.mktemp("explored")
    return explored(lay_out(home / "prepared", REVIEWS), home / "out")


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    home = tmp_path_factory.mktemp("long")
    return explored(lay_out(home / "prepared", LONG), home / "out")


def grouped(rows, *keys):
    groups = defaultdict(list)
    for row in rows:
        groups[tuple(key(row) for key in keys)].append(row)
    return groups


def category(row):
    return row["product_category"]


def year(row):
    return row["review_date"].year if row["review_date"] else None


GROUPINGS = {
    "whole": (),
    "by_category": (category,),
    "by_month": (month,),
    "by_year": (year,),
    "by_month_and_category": (month, category),
    "by_year_and_category": (year, category),
}
NAMES = {month: "review_month", year: "review_year", category: "product_category"}


def close(found, expected):
    if isinstance(expected, float) and found is not None:
        return math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)
    return found == expected


@pytest.mark.parametrize("name", GROUPINGS)
def test_every_group_is_what_plain_python_finds(tables, name):
    keys = GROUPINGS[name]
    expected = grouped(REVIEWS, *keys)
    found = {tuple(row[NAMES[key]] for key in keys): row for row in tables[name].to_pylist()}
    assert found.keys() == expected.keys()
    assert len(found) == tables[name].num_rows
    for group, rows in expected.items():
        for column, value in measured(rows).items():
            assert close(found[group][column], value), (group, column)


@pytest.mark.parametrize("name", ["by_month", "by_year", "by_month_and_category", "by_year_and_category"])
def test_first_and_last_reviews(tables, name):
    keys = GROUPINGS[name]
    of_category = grouped(REVIEWS, category) if category in keys else {(): REVIEWS}
    for group, rows in grouped(REVIEWS, *keys).items():
        if group[0] is None:
            continue
        every = of_category[group[1:] if category in keys else ()]
        row = next(row for row in tables[name].to_pylist() if tuple(row[NAMES[key]] for key in keys) == group)
        for subject in ("product", "customer"):
            told = (row[f"new_{subject}s"], row[f"last_reviewed_{subject}s"])
            assert told == ends(every, subject, rows), (group, subject)


def test_first_and_last_month_and_what_has_no_date(tables):
    for row in tables["by_category"].to_pylist():
        rows = grouped(REVIEWS, category)[row["product_category"],]
        dated = [month(one) for one in rows if month(one)]
        assert (row["first_month"], row["last_month"]) == (min(dated), max(dated))
        assert row["undated_reviews"] == len(rows) - len(dated)


@pytest.mark.parametrize(("name", "rows", "key"), [("tables", REVIEWS, month), ("long", LONG, year)])
@pytest.mark.parametrize("subject", ["product", "customer"])
def test_distinct_counts_of_any_span(request, name, rows, key, subject):
    """What the page computes from the recurrence is exact for every category and span of periods."""
    period = "month" if key is month else "year"
    table = request.getfixturevalue(name)[f"{subject}s_by_recurrence"]
    recurrence = table.to_pylist()
    periods = sorted({key(row) for row in rows if key(row) is not None})
    spans = list(itertools.combinations_with_replacement(periods, 2))
    spans = [spans[at] for at in np.random.default_rng(1).permutation(len(spans))[:60]]
    for one in [None, "C0", "C2"]:
        own = [row for row in recurrence if row["product_category"] == one]
        for first, last in spans:
            ids = Counter(
                row[f"{subject}_id"]
                for row in rows
                if (one is None or row["product_category"] == one)
                and row[f"{subject}_id"] is not None
                and key(row) is not None
                and first <= key(row) <= last
            )
            earlier = f"earlier_{period}"
            before = [row for row in own if row[earlier] is None or row[earlier] < first]
            unique = sum(
                row[f"unique_{subject}s"] for row in before if first <= row[f"review_{period}"] <= last
            )
            several = sum(
                row[f"{subject}s_with_several_reviews"] for row in before if row[f"review_{period}"] <= last
            )
            assert (unique, several) == (len(ids), sum(n > 1 for n in ids.values())), (one, first, last)


@pytest.mark.parametrize("subject", ["product", "customer"])
def test_activity(tables, subject):
    for one in [None, "C0", "C1"]:
        ids = Counter(
            row[f"{subject}_id"]
            for row in REVIEWS
            if row[f"{subject}_id"] and (one is None or row["product_category"] == one)
        )
        rows = [row for row in tables[f"{subject}s_by_reviews"].to_pylist() if row["product_category"] == one]
        for row in rows:
            last = row["reviews_to"] or max(ids.values())
            inside = [n for n in ids.values() if row["reviews_from"] <= n <= last]
            assert (row[f"{subject}s"], row["reviews"]) == (len(inside), sum(inside))
        assert sum(row[f"{subject}s"] for row in rows) == len(ids)


def test_lengths_by_bin(tables):
    expected = Counter((category(row), month(row), len(row["review_body"])) for row in REVIEWS)
    rows = [row for row in tables["lengths"].to_pylist() if row["unit"] == "characters"]
    for row in rows:
        if row["product_category"] is not None:
            inside = sum(
                n
                for (one, when, length), n in expected.items()
                if one == row["product_category"]
                and when == row["review_month"]
                and row["length_from"] <= length <= row["length_to"]
            )
            assert row["reviews"] == inside
    assert sum(row["reviews"] for row in rows if row["product_category"] is None) == len(REVIEWS)
    tokens = [row for row in tables["lengths"].to_pylist() if row["unit"] == "tokens"]
    none = sum(row["reviews"] for row in tokens if row["length_to"] == 0 and row["product_category"] is None)
    assert none == sum(not row["review_tokens"] for row in REVIEWS) > 0


def test_missing_values(tables):
    for row in tables["missing_values"].to_pylist():
        rows = [one for one in REVIEWS if row["product_category"] in {None, one["product_category"]}]
        missing = sum(one[row["column"]] is None for one in rows)
        assert (row["missing"], row["missing_share"]) == (missing, missing / len(rows))
    columns = set(tables["missing_values"]["column"].to_pylist())
    always = {"review_id", "review_body", "review_tokens", "product_category"}
    assert columns == set(REVIEWS[0]) - always


def test_repeated_texts(tables):
    texts = Counter(row["review_body"] for row in REVIEWS)
    for row in tables["repeated_texts_by_category"].to_pylist():
        rows = [one for one in REVIEWS if row["product_category"] in {None, one["product_category"]}]
        again = [one for one in rows if texts[one["review_body"]] > 1]
        long = [one for one in again if len(one["review_tokens"].split()) >= 10]
        told = (row["reviews"], row["reviews_with_repeated_text"], row["long_reviews_with_repeated_text"])
        assert told == (len(rows), len(again), len(long))


def test_long_texts_posted_most_often(tmp_path):
    text = "word " * 10
    rows = [
        review(n, review_body=text, review_tokens=text.strip(), product_category="C", product_id=f"P{n % 2}")
        for n in range(3)
    ]
    rows += [review(n + 10, product_category="C", review_body=f"other {n}") for n in range(5)]
    found = explored(lay_out(tmp_path / "prepared", rows), tmp_path / "out")["repeated_texts"].to_pylist()
    assert [(row["review_body"], row["reviews"], row["unique_products"]) for row in found] == [(text, 3, 2)]
    assert (found[0]["unique_customers"], found[0]["first_month"]) == (0, None)


def test_top_products(tables):
    counts = Counter((category(row), row["product_id"]) for row in REVIEWS if row["product_id"])
    found = tables["top_products"].to_pylist()
    best = max(counts.values())
    assert found[0]["reviews"] == best
    for row in found:
        rows = [
            one
            for one in REVIEWS
            if (category(one), one["product_id"]) == (row["product_category"], row["product_id"])
        ]
        assert row["reviews"] == len(rows)
        stars = [one["star_rating"] for one in rows if one["star_rating"]]
        assert close(row["mean_stars"], sum(stars) / len(stars) if stars else None)
    for one in {category(row) for row in REVIEWS}:
        own = [row["reviews"] for row in found if row["product_category"] == one][:10]
        expected = sorted((n for (where, _), n in counts.items() if where == one), reverse=True)[:10]
        assert own == expected


@pytest.mark.parametrize(
    ("row_group", "files", "running"), [(7, 1, (1, "1GB")), (1000, 3, (3, "64MB")), (50, 2, (2, "1GB"))]
)
def test_files_threads_and_memory_change_nothing(tables, tmp_path, row_group, files, running):
    threads, memory = running
    rows = [REVIEWS[at] for at in np.random.default_rng(row_group).permutation(len(REVIEWS))]
    prepared = lay_out(tmp_path / "prepared", rows, row_group=row_group, files=files)
    again = explored(prepared, tmp_path / "out", threads=threads, memory=memory)
    # What was the first of its kind hangs on the order of the input, nothing else does.
    by_order = {"top_products", "repeated_texts"}
    for name in tables.keys() - by_order:
        assert again[name].equals(tables[name]), name
    assert sorted(again["top_products"]["reviews"].to_pylist()) == sorted(
        tables["top_products"]["reviews"].to_pylist()
    )


def test_the_same_reviews_give_the_same_files(tables, tmp_path):
    again = explored(lay_out(tmp_path / "prepared", REVIEWS), tmp_path / "out", threads=1)
    assert all(again[name].equals(table) for name, table in tables.items())


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6), st.integers(1, 25), st.integers(1, 8))
def test_small_shops_add_up(tmp_path_factory, seed, n, years):
    home = tmp_path_factory.mktemp("small")
    rows = made_up(n, seed, years=years, categories=2)
    found = explored(lay_out(home / "prepared", rows, row_group=3), home / "out")
    whole = found["whole"].to_pylist()[0]
    for column, value in measured(rows).items():
        assert close(whole[column], value), column
    for name in GROUPINGS:
        for column in ("reviews", "rated", "stars_1", "verified", "helpful_votes", "characters", "tokens"):
            assert sum(found[name][column].to_pylist()) == whole[column]


def test_without_dates(tmp_path):
    rows = [row | {"review_date": None} for row in made_up(40, seed=1)]
    found = explored(lay_out(tmp_path / "prepared", rows), tmp_path / "out")
    assert found["by_month"]["review_month"].to_pylist() == [None]
    assert found["by_month"]["unique_products"].to_pylist() == found["whole"]["unique_products"].to_pylist()
    assert found["whole"].to_pylist()[0]["first_month"] is None
    assert found["products_by_recurrence"].num_rows == 0
    assert sum(found["lengths"]["reviews"].to_pylist()) == 2 * 2 * 40  # two units, of a category and of all


def test_without_products_customers_and_stars(tmp_path):
    rows = [review(n, product_category="C") for n in range(5)]
    found = explored(lay_out(tmp_path / "prepared", rows), tmp_path / "out")
    whole = found["whole"].to_pylist()[0]
    assert (whole["unique_products"], whole["unique_customers"], whole["mean_stars"]) == (0, 0, None)
    assert found["top_products"].num_rows == found["customers_by_reviews"].num_rows == 0


def test_no_review_at_all(tmp_path):
    prepared = lay_out(tmp_path / "prepared", [])
    with pytest.raises(NotEnoughDataError, match="kept no review"):
        explored(prepared, tmp_path / "out")


def test_an_unreadable_summary_says_what_to_do(tmp_path):
    prepared = lay_out(tmp_path / "prepared", made_up(5, seed=1))
    (prepared / "summary.json").write_text("{", encoding="utf-8")
    with pytest.raises(WorkspaceError, match="Run shelfcheck prepare again"):
        explored(prepared, tmp_path / "out")


def test_csv_says_the_same_and_runs_nothing(tmp_path):
    rows = [review(n, product_category="=1+1", product_id="P", product_title="@evil") for n in range(2)]
    explored(lay_out(tmp_path / "prepared", rows), tmp_path / "out")
    with (tmp_path / "out" / "tables" / "top_products.csv").open(encoding="utf-8", newline="") as file:
        told = list(csv.DictReader(file))
    assert [(row["product_category"], row["product_title"]) for row in told] == [("'=1+1", "'@evil")]
    assert told[0]["reviews"] == "2"


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 70_000)), min_size=1, max_size=60))
def test_quantiles_of_counted_lengths(pairs):
    categories = np.array([one for one, _ in pairs], np.int16)
    lengths = np.array([length for _, length in pairs], np.int32)
    half = len(pairs) // 2
    counted = Lengths.count(categories[:half], lengths[:half]) + Lengths.count(
        categories[half:], lengths[half:]
    )
    found = counted.quantiles(3)
    for one in range(3):
        own = np.sort(lengths[categories == one])
        for at, per_cent in enumerate((5, 25, 50, 75, 95)):
            if not own.size:
                assert found[one, at] == -1
                continue
            value = found[one, at]
            assert (own <= value).sum() * 100 >= per_cent * own.size > (own < value).sum() * 100
    assert counted.of_all().reviews.sum() == len(pairs)


@given(st.integers(0, 10**6))
def test_a_length_lies_in_its_bin(length):
    _, bins, reviews = Lengths.count(np.zeros(1, np.int16), np.array([length], np.int32)).bins()
    [first], [last] = bin_bounds(bins)
    assert first <= length <= last
    assert reviews.tolist() == [1]
    assert last <= first * 1.2 or last - first <= 1


def test_a_calendar_knows_its_years():
    calendar = Calendar.of([2010 * 12 + 11, 2012 * 12, -1])
    assert (calendar.n_months, calendar.n_years, calendar.period) == (14, 3, "month")
    assert calendar.years().tolist() == [0, *[1] * 12, 2, 3]
    assert calendar.month_names()[0] == "2010-12"
    assert Calendar.of([-1]).years().tolist() == [0]


def test_real_reviews(real_data, tmp_path):
    raw = pq.ParquetFile(real_data / "reviews.parquet")
    batch = next(raw.iter_batches(4_000))
    pq.write_table(pa.Table.from_batches([batch]), tmp_path / "some.parquet")
    prepared = api.prepare(tmp_path / "some.parquet", tmp_path / "shop").folder
    found = explored(prepared, tmp_path / "out")
    files = sorted((prepared / "reviews").glob("*/*.parquet"))
    reviews = pa.concat_tables([pq.ParquetFile(file).read() for file in files])
    whole = found["whole"].to_pylist()[0]
    assert whole["reviews"] == reviews.num_rows
    for subject in ("product", "customer"):
        ids = Counter(one for one in reviews[f"{subject}_id"].to_pylist() if one is not None)
        assert whole[f"unique_{subject}s"] == len(ids)
        assert whole[f"{subject}s_with_several_reviews"] == sum(n > 1 for n in ids.values())
    lengths = sorted(len(text) for text in reviews["review_body"].to_pylist())
    assert whole["characters_p50"] == lengths[(len(lengths) + 1) // 2 - 1]
    assert whole["tokens"] == sum(len(text.split()) for text in reviews["review_tokens"].to_pylist())
