from __future__ import annotations

import json
from fnmatch import fnmatchcase

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
import pytest

from shelfcheck.audit import miscategorised_products, misplaced_reviews
from shelfcheck.audit.miscategorised_products import SCHEMA as PRODUCT_SCHEMA
from shelfcheck.audit.misplaced_reviews import SCHEMA as REVIEW_FINDINGS
from shelfcheck.config import validate
from shelfcheck.errors import WorkspaceError
from shelfcheck.models.encode import encode
from shelfcheck.predict.out_of_fold import out_of_fold
from shelfcheck.prepare.read import NO_MONTH
from shelfcheck.schema import PREPARED_SCHEMA, REVIEW_MONTH

WORDS = {
    "Books": "novel chapter author plot story pages reading paperback characters ending",
    "Kitchen": "pan oven stove cooking knife recipe nonstick baking spatula lid",
    "Music": "album song band guitar vocals lyrics melody drums track chorus",
}
WORDS = {name: words.split() for name, words in WORDS.items()}
PRAISE = ("great product love it", "five stars", "very good thank you", "works fine would buy again")


def _shop(seed=0, products=60, reviews=20):
    """Reviews of three categories; some moved, some products in a wrong category, some praise."""
    rng = np.random.default_rng(seed)
    names = list(WORDS)
    rows, moved, wrong = [], set(), set()
    for p in range(products):
        true = names[p % 3]
        given = true
        if p in (5, 31):
            given = names[(p + 1) % 3]
            wrong.add(f"P{p}")
        for r in range(reviews):
            text = true
            if (p * reviews + r) % 50 == 7 and f"P{p}" not in wrong:
                text = names[(p + 2) % 3]
                moved.add(f"R{p}-{r}")
            praise = r % 4 == 3 and f"R{p}-{r}" not in moved
            chosen = PRAISE[r % 3] if praise else " ".join(rng.choice(WORDS[text], 6))
            rows.append((f"R{p}-{r}", f"P{p}", given, f"={chosen}" if r == 0 else chosen))
    rows += [(f"N{i}", None, names[i % 3], " ".join(rng.choice(WORDS[names[i % 3]], 6))) for i in range(30)]
    rows.append(("ONE", "SOLO", "Books", "novel chapter author plot"))
    rows += [(f"X{i}", f"Q{i}", "Rare", "something else altogether") for i in range(2)]
    return rows, moved, wrong


def _write(rows, folder):
    columns = {field.name: pa.nulls(len(rows), field.type) for field in PREPARED_SCHEMA}
    ids, products, categories, bodies = (pa.array(c, pa.string()) for c in zip(*rows, strict=True))
    columns |= {"review_id": ids, "product_id": products, "product_category": categories}
    columns |= {"review_body": bodies, "review_tokens": bodies}
    del columns[REVIEW_MONTH]
    part = folder / "reviews" / f"{REVIEW_MONTH}={NO_MONTH}"
    part.mkdir(parents=True)
    pq.write_table(pa.table(columns), part / "part-0.parquet")
    return folder


@pytest.fixture(scope="module")
def settings():
    return validate(
        {
            "run": {"threads": 1},
            "audit": {"folds": 4, "min_score": 0.2},
            "train": {"min_category_reviews": 10, "linear": {"hash_bits": 14}},
        }
    )


@pytest.fixture(scope="module")
def shop(tmp_path_factory, settings):
    rows, moved, wrong = _shop()
    home = tmp_path_factory.mktemp("shop")
    _write(rows, home / "prepared")
    encode(home / "prepared", home / "encoded", settings)
    out_of_fold(home / "encoded", home / "oof", settings)
    counts = {
        "reviews": misplaced_reviews(home / "prepared", home / "oof", home / "reviews", settings),
        "products": miscategorised_products(home / "prepared", home / "oof", home / "products", settings),
    }
    return home, moved, wrong, counts


def foreign(terms, category):
    """The words and beginnings of words (`nove*`) that are none of the category's."""
    told = {word for one in terms for word in one["term"].split()}
    known = WORDS[category]
    return {word for word in told if not any(fnmatchcase(one, word) for one in known)}


def test_moved_reviews_lead_the_list(shop):
    home, moved, _, counts = shop
    table = pq.read_table(home / "reviews" / "findings.parquet")
    assert table.schema.equals(REVIEW_FINDINGS)
    top = table["review_id"].to_pylist()[:10]
    assert len(moved.intersection(top)) >= 9
    assert table["rank"].to_pylist() == list(range(1, table.num_rows + 1))
    scores = table["score"].to_pylist()
    assert scores == sorted(scores, reverse=True)
    assert all(0.2 <= score < 1 for score in scores)
    assert counts["reviews"]["findings"] == table.num_rows


def test_praise_that_fits_anything_is_not_listed(shop):
    home, *_ = shop
    bodies = pq.read_table(home / "reviews" / "findings.parquet")["review_body"].to_pylist()
    assert not [body for body in bodies if body in PRAISE]


def test_suggestion_and_words_are_those_of_the_text(shop):
    home, moved, *_ = shop
    for row in pq.read_table(home / "reviews" / "findings.parquet").to_pylist():
        if row["review_id"] in moved:
            assert row["words"]
            assert foreign(row["words"], row["suggested_category"]) == set()
            assert row["p_suggested"] > row["p_assigned"]
            assert row["product_reviews"] == 19
            assert 0 < row["product_agreeing"] <= 19


def test_reviews_of_a_wrong_product_are_told_once_as_the_product(shop):
    home, _, wrong, _ = shop
    products = pq.read_table(home / "reviews" / "findings.parquet")["product_id"].to_pylist()
    assert sum(product in wrong for product in products) < 0.2 * 20 * len(wrong)
    found = pq.read_table(home / "products" / "findings.parquet")
    assert found.schema.equals(PRODUCT_SCHEMA)
    assert set(found["product_id"].to_pylist()[:2]) == wrong


def test_products_come_with_counts_words_and_samples(shop):
    home, _, wrong, _ = shop
    for row in pq.read_table(home / "products" / "findings.parquet").to_pylist()[:2]:
        assert row["product_id"] in wrong
        votes = row["reviews_for_suggested"], row["reviews_for_assigned"], row["reviews_undecided"]
        assert row["reviews"] == 20
        assert votes[0] > votes[1]
        assert sum(votes) <= 20
        assert len(row["sample_reviews"]) == 3
        chances = [one["p_suggested"] for one in row["sample_reviews"]]
        assert chances == sorted(chances, reverse=True)
        assert foreign(row["words"], row["suggested_category"]) == set()


def test_summary_accounts_for_every_review_and_product(shop):
    home, *_ = shop
    reviews = json.loads((home / "reviews" / "summary.json").read_text())
    assert reviews["candidates"] == 60 * 20 + 30 + 1
    assert reviews["skipped"] == {"category_not_learned": 2}
    assert 0 < reviews["cannot_tell"] < reviews["candidates"]
    products = json.loads((home / "products" / "summary.json").read_text())
    assert products["candidates"] == 61
    assert products["skipped"]["category_not_learned"] == 2
    scores = pq.read_table(home / "reviews" / "findings.parquet")["score"].to_pylist()
    assert reviews["expected_faults"] == pytest.approx(sum(scores), abs=0.01)


def test_csv_has_the_same_rows_and_runs_no_formula(shop):
    home, *_ = shop
    for kind in ("reviews", "products"):
        table = pq.read_table(home / kind / "findings.parquet")
        csv = pcsv.read_csv(
            home / kind / "findings.csv", parse_options=pcsv.ParseOptions(newlines_in_values=True)
        )
        assert csv.num_rows == table.num_rows
        assert csv.column_names == table.column_names
        assert csv["words"].to_pylist()[0].split("; ")[0] == table["words"].to_pylist()[0][0]["term"]
        for name in csv.column_names:
            texts = [v for v in csv[name].to_pylist() if isinstance(v, str)]
            assert not [text for text in texts if text[:1] in "=+-@" and text]


def test_the_same_inputs_give_the_same_findings(shop, settings, tmp_path):
    home, *_ = shop
    misplaced_reviews(home / "prepared", home / "oof", tmp_path / "r", settings)
    miscategorised_products(home / "prepared", home / "oof", tmp_path / "p", settings)
    for again, first in (("r", "reviews"), ("p", "products")):
        for name in ("findings.csv", "summary.json"):
            assert (tmp_path / again / name).read_bytes() == (home / first / name).read_bytes()


def test_without_any_product_reviews_are_judged_by_their_text(settings, tmp_path):
    rows, _moved, _ = _shop(1, products=30)
    rows = [(review, None, category, body) for review, _, category, body in rows]
    _write(rows, tmp_path / "prepared")
    encode(tmp_path / "prepared", tmp_path / "encoded", settings)
    out_of_fold(tmp_path / "encoded", tmp_path / "oof", settings)
    counts = misplaced_reviews(tmp_path / "prepared", tmp_path / "oof", tmp_path / "r", settings)
    assert counts["findings"] > 0
    assert pq.read_table(tmp_path / "r" / "findings.parquet")["product_reviews"].to_pylist()[0] == 0
    counts = miscategorised_products(tmp_path / "prepared", tmp_path / "oof", tmp_path / "p", settings)
    assert counts["findings"] == counts["candidates"] == 0
    assert (tmp_path / "p" / "findings.csv").exists()


def test_missing_predictions_say_how_to_make_them(settings, tmp_path):
    with pytest.raises(WorkspaceError, match="shelfcheck audit"):
        misplaced_reviews(tmp_path, tmp_path, tmp_path / "out", settings)


def test_predictions_of_another_run_are_refused(shop, settings, tmp_path):
    home, *_ = shop
    _write([("other", "P0", "Books", "novel")], tmp_path / "prepared")
    with pytest.raises(WorkspaceError, match="different runs"):
        misplaced_reviews(tmp_path / "prepared", home / "oof", tmp_path / "out", settings)
