"""The whole comparison: what was planted is told, every review is accounted for, the page says it."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from language_support import prepared_table

from review_corpus import write_prepared
from shelfcheck import api
from shelfcheck.cli.main import cli
from shelfcheck.config import TextSettings, validate
from shelfcheck.errors import NotEnoughDataError
from shelfcheck.language.run import language
from shelfcheck.language.tables import TABLES
from shelfcheck.report.language_page import write_language_page

if TYPE_CHECKING:
    from pathlib import Path

QUICK = {"top_k": 10, "min_reviews": 50, "permutations": 199, "draws": 5, "max_reviews": 500}
WORDS = [f"word{i}" for i in range(60)]
NASTY = "<script>alert(1)</script>"


def shop(seed: int = 0):
    """Two categories, 2012 to 2015: Steady never changes; Moving says `zigbee` from 2015 on, not `serial`."""
    rng = np.random.default_rng(seed)
    shares = 1 / np.arange(3, 63)
    shares /= shares.sum()
    rows = []
    for year, n in ((2012, 60), (2013, 120), (2014, 240), (2015, 400)):
        for category in ("Steady", "Moving"):
            for _ in range(n):
                words = rng.choice(WORDS, 10, p=shares).tolist()
                stars = int(rng.choice([4, 5]))
                if category == "Moving" and rng.random() < 0.5:
                    words.append("zigbee" if year == 2015 else "serial")
                if category == "Steady" and stars == 5 and rng.random() < 0.4:
                    words.append("superb")
                if rng.random() < 0.1:
                    words.append(NASTY)
                product = f"{category}{rng.integers(0, 40)}" if rng.random() < 0.9 else None
                date = dt.date(year, int(rng.integers(1, 13)), 5)
                rows.append((category, " ".join(words), date, stars, product))
    rows += [("Steady", "no date", None, 4, "P")] * 7  # and one too few to be a year
    rows += [
        ("Steady", "too early", dt.date(2010, 1, 1), 4, "P"),
        ("Steady", "", dt.date(2015, 1, 1), 4, "P"),
    ]
    rows += [(None, "no category", dt.date(2015, 1, 1), None, "P")] * 2
    return prepared_table(*map(list, zip(*((r[0], r[1], r[2], r[3], r[4]) for r in rows), strict=True)))


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("language")
    prepared = write_prepared(shop(), home / "prepared")
    language(prepared, home / "out", validate({"language": QUICK, "run": {"threads": 2}}))
    return home / "out"


def read(folder: Path, name: str) -> list[dict]:
    return pq.read_table(folder / f"{name}.parquet").to_pylist()


def test_what_was_planted_is_told_and_nothing_else(found: Path) -> None:
    shifted = {
        (row["product_category"], row["facet"], row["group_a"])
        for row in read(found, "pairs")
        if row["shifted"]
    }
    assert shifted == {("Moving", "year", 2014), ("Steady", "stars", 4)}
    firsts = {
        (row["product_category"], row["group_a"], row["change"]): row
        for row in read(found, "changed_terms")
        if row["facet"] == "year" and row["rank"] == 1
    }
    came, went = firsts["Moving", 2014, "came"], firsts["Moving", 2014, "went"]
    assert (came["term"], went["term"]) == ("zigbee", "serial")
    assert came["z"] > 5
    assert went["z"] < -5
    assert came["z_permuted"] > 5
    assert came["products"] > 20
    assert came["per_1000_words_a"] == 0
    assert 35 < came["per_1000_words_b"] < 60


def test_top_terms_are_those_of_the_whole_data(found: Path) -> None:
    terms = {
        row["term"]
        for row in read(found, "top_terms")
        if row["product_category"] == "Moving" and row["group"] == 2015
    }
    assert {"zigbee", "word0"} <= terms
    rows = [row for row in read(found, "top_terms") if row["facet"] == "stars" and row["group"] == 5]
    assert [row["rank"] for row in rows if row["product_category"] == "Steady"] == list(range(1, 11))
    weights = [row["weight"] for row in rows if row["product_category"] == "Steady"]
    assert weights == sorted(weights, reverse=True)


def test_every_review_is_accounted_for(found: Path) -> None:
    told = json.loads((found / "summary.json").read_text())["reviews"]
    total = shop().num_rows
    for facet in ("year", "stars"):
        assert told[facet]["used"] + sum(told[facet]["not_used"].values()) == total
    assert told["year"]["not_used"] == {
        "no category": 2,
        "no date": 7,
        "no words": 1,
        "too few reviews in the year": 1,
    }
    assert told["year"]["used"] == 2 * 820
    groups = [row for row in read(found, "groups") if row["facet"] == "year"]
    assert sum(row["reviews"] for row in groups) == told["year"]["used"]


def test_tables_have_their_schemas_and_the_csv_runs_nothing(found: Path) -> None:
    for name, schema in TABLES.items():
        table = pq.read_table(found / f"{name}.parquet")
        assert table.schema.equals(schema)
        assert pcsv.read_csv(found / f"{name}.csv").num_rows == table.num_rows


def test_same_again_whatever_the_order_of_the_rows_and_the_threads(found: Path, tmp_path: Path) -> None:
    table = shop()
    order = np.random.default_rng(1).permutation(table.num_rows)
    prepared = write_prepared(table.take(pa.array(order)), tmp_path / "prepared")
    language(prepared, tmp_path / "out", validate({"language": QUICK, "run": {"threads": 1}}))
    for name in ("groups", "top_terms", "trends"):
        assert read(tmp_path / "out", name) == read(found, name)
    for row, other in zip(read(tmp_path / "out", "pairs"), read(found, "pairs"), strict=True):
        for key in ("overlap", "matched_overlap", "divergence", "shifted"):
            assert row[key] == pytest.approx(other[key])


def test_without_dates_ratings_are_still_compared(tmp_path: Path) -> None:
    table = shop()
    at = table.schema.get_field_index("review_date")
    table = table.set_column(at, table.schema.field(at), pa.nulls(table.num_rows, pa.date32()))
    prepared = write_prepared(table, tmp_path / "prepared")
    counts = language(prepared, tmp_path / "out", validate({"language": QUICK}))
    assert counts["year_pairs"] == 0
    assert counts["stars_pairs"] == 2
    page = write_language_page(tmp_path / "out", tmp_path / "page.html", validate({"language": QUICK}))
    assert "No category has two consecutive years" in page.read_text()


def test_too_little_says_what_is_missing(tmp_path: Path) -> None:
    prepared = write_prepared(prepared_table(["A"] * 9, ["some words"] * 9), tmp_path / "prepared")
    with pytest.raises(NotEnoughDataError, match=r"9 with no date.*9 with no stars.*language\.min_reviews"):
        language(prepared, tmp_path / "out", validate({}))


def test_the_page_is_safe_and_complete(found: Path, tmp_path: Path) -> None:
    settings = validate({"language": QUICK})
    html = write_language_page(found, tmp_path / "page.html", settings).read_text()
    assert len(html) < 5_000_000
    assert NASTY not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "zigbee" in html
    assert "1 of 6 pairs of consecutive years" in html
    assert not re.findall(r'(?:src|href)="(?!#|data:)', html.partition("<script")[0])
    ids = re.findall(r' id="([^"]+)"', html.partition("<script>")[0])
    assert len(ids) == len(set(ids))
    specs = json.loads(
        re.search(r'<script type="application/json" id="charts">(.*?)</script>', html, re.DOTALL)[1]
    )
    for name in specs["specs"]:
        assert f'id="chart-{name}"' in html


def test_command_makes_the_page_and_is_fresh_the_second_time(tmp_path: Path) -> None:
    api.generate(tmp_path / "raw", reviews=3000)
    api.prepare(tmp_path / "raw", tmp_path / "shop")
    command = ["language", "-w", str(tmp_path / "shop"), "-q", "--set", "language.permutations=19"]
    command += ["--set", "language.min_reviews=30"]
    done = CliRunner().invoke(cli, command, catch_exceptions=False)
    assert done.exit_code == 0
    assert "overlap at one size" in done.output
    assert "So " in done.output
    assert (tmp_path / "shop" / "language.html").exists()
    told = json.loads(CliRunner().invoke(cli, [*command, "--json"], catch_exceptions=False).output)
    assert told["fresh"]
    assert told["year_pairs"] > 0
    assert {row["measure"] for row in told["trends"]} == {"overlap", "matched_overlap", "beyond_chance"}


def test_real_reviews_overlap_grows_with_their_number(real_data: Path, tmp_path: Path) -> None:
    """Baby: a complete history that grows 40-fold. What looks like settling goes when size is taken out."""
    from shelfcheck.text.tokens import tokens

    names = ["product_category", "product_id", "review_body", "review_date", "star_rating"]
    real = pq.read_table(
        real_data / "reviews.parquet", columns=names, filters=pc.field("product_category") == "Baby"
    ).to_pydict()
    made = tokens(pa.array(real["review_body"], pa.string()), TextSettings()).to_pylist()
    table = prepared_table(
        real["product_category"], made, real["review_date"], real["star_rating"], real["product_id"]
    )
    prepared = write_prepared(table, tmp_path / "prepared")
    language(prepared, tmp_path / "out", validate({"language": {"permutations": 19, "max_reviews": 1000}}))
    slopes = {
        row["measure"]: row["slope"]
        for row in read(tmp_path / "out", "trends")
        if row["facet"] == "year" and row["product_category"] == "Baby"
    }
    assert slopes["overlap"] > 3
    assert abs(slopes["matched_overlap"]) < 2
