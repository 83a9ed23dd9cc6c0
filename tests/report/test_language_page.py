"""The page of the language shift in a real browser: charts drawn, console silent, the filter works."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from test_browser import BROWSER, drawn, visit

from shelfcheck.config import Settings
from shelfcheck.language.run import fit_trends
from shelfcheck.language.tables import write_tables
from shelfcheck.report.language_page import write_language_page

if TYPE_CHECKING:
    from pathlib import Path

EVIL = "</script><img src=x onerror=alert(1)>"


def pair(category: str, facet: str, a: int) -> dict:
    sizes = {f"{what}_{side}": 100 * (a % 100) for what in ("reviews", "words", "products") for side in "ab"}
    return {
        "product_category": category,
        "facet": facet,
        "group_a": a,
        "group_b": a + 1,
        **sizes,
        "overlap": 40.0 + 5 * (a % 10),
        "jaccard": 0.4,
        "matched_words": 100,
        "matched_overlap": 44.0,
        "matched_low": 40.0,
        "matched_high": 50.0,
        "drawn_overlap": 40.0 + 5 * (a % 10),
        "expected_overlap": 50.0 + 5 * (a % 10),
        "overlap_p": 0.01,
        "divergence": 0.2,
        "expected_divergence": 0.1,
        "divergence_sd": 0.01,
        "distance": 0.3,
        "p": 0.005,
        "q": 0.01,
        "shifted": True,
    }


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("page")
    pairs = [pair(c, "year", y) for c in ("Baby", "Toys & <Games>") for y in range(2011, 2015)]
    pairs += [pair("Baby", "stars", 4)]
    changed = [
        {name: row[name] for name in ("product_category", "facet", "group_a", "group_b")}
        | {"change": change, "rank": 1, "term": EVIL, "per_1000_words_a": 1.0, "per_1000_words_b": 2.0}
        | {"log_odds": 1.0, "z": z, "z_permuted": z, "products": 3}
        for row in pairs
        for change, z in (("came", 4.5), ("went", -1.5))
    ]
    trends = fit_trends(pairs)
    write_tables(
        {"groups": [], "top_terms": [], "pairs": pairs, "changed_terms": changed, "trends": trends}, home
    )
    counts = {"year_categories": 2, "year_pairs": 8, "year_pairs_shifted": 8}
    counts |= {"stars_categories": 1, "stars_pairs": 1, "stars_pairs_shifted": 1}
    told = {"used": 900, "not_used": {"no date": 7}}
    summary = {"counts": counts, "reviews": {"year": told, "stars": told}, "answer": ["It grows.", "So."]}
    (home / "summary.json").write_text(json.dumps(summary))
    return write_language_page(home, home / "language.html", Settings())


def test_words_of_reviews_are_text(page: Path) -> None:
    html = page.read_text()
    assert "<img" not in html.partition("<script>")[0]
    assert "&lt;img src=x" in html
    assert "Toys &amp; &lt;Games&gt;" in html
    assert "900 reviews were used; not used: 7 (no date)." in html
    assert "It grows. So." in html


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_charts_are_drawn_and_the_filter_shows_one_category(page: Path, tmp_path: Path) -> None:
    asked = page.with_name("asked.html")
    asked.write_text(page.read_text())

    class Asked:
        def as_uri(self) -> str:
            return f"{asked.as_uri()}?category=Baby"

    dom, console, requests = visit(Asked(), tmp_path / "profile")
    assert console == []
    assert drawn(dom) == {"year-0", "year-1", "stars-0", "slopes-year"}
    assert not [
        url for url in requests if url.startswith("http") and "google" not in url and "gvt1" not in url
    ]
    cards = re.findall(r'<article class="finding language"[^>]*>', dom)
    assert [("Baby" in card, "hidden" in card) for card in cards] == [
        (True, False),
        (False, True),
        (True, False),
    ]
    assert "Showing 2 of 3 comparisons" in dom
