"""The chapter of products that changed: complete, escaped, and honest where there is nothing."""

from __future__ import annotations

import datetime as dt
import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shelfcheck.audit.declining_products.evidence import SCHEMA
from shelfcheck.config import validate
from shelfcheck.errors import WorkspaceError
from shelfcheck.report import ReportInputs
from shelfcheck.report.declines import decline_cards, read_declines
from shelfcheck.report.page import render

HOSTILE = '</article><script>alert(1)</script><img src=x onerror="alert(2)">'
DAY = dt.date(2014, 3, 1)


def _finding(rank=1, **changes):
    row = {
        "rank": rank,
        "score": 1.0,
        "direction": "worse",
        "product_id": f"P{rank}{HOSTILE}",
        "product_title": HOSTILE,
        "assigned_category": "Kitchen",
        "seen_in": "stars",
        "since": DAY,
        "since_earliest": DAY - dt.timedelta(days=9),
        "since_latest": DAY + dt.timedelta(days=4),
        "until": None,
        "seen": DAY + dt.timedelta(days=20),
        "reviews": 90,
        "reviews_before": 60,
        "reviews_since": 30,
        "stars_before": 4.5,
        "stars_since": 2.5,
        "stars_change": -1.9,
        "stars_change_low": -2.5,
        "stars_change_high": -1.3,
        "low_share_before": 0.05,
        "low_share_since": 0.6,
        "stars_by_design": False,
        "p_value": 1e-9,
        "words": [{"term": "broke", "weight": 3.0}],
        "themes": [{"term": "broke", "weight": 3.0, "reviews_since": 9, "reviews_before": 1}],
        "samples_before": [{"review_id": "R1", "date": DAY, "stars": 5, "headline": None, "body": "Lovely"}],
        "samples_since": [
            {"review_id": "R2", "date": DAY, "stars": 1, "headline": HOSTILE, "body": f"It broke {HOSTILE}"}
        ],
        "timeline": [
            {"date": DAY + dt.timedelta(days=30 * i), "reviews": 9, "stars": 3 + i / 2, "low": 1}
            for i in range(-4, 5)
        ],
    }
    return dict.fromkeys(SCHEMA.names) | row | changes


def _folder(rows, path):
    path.mkdir()
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), path / "findings.parquet")
    summary = {
        "worse": len(rows),
        "better": 0,
        "candidates": 120,
        "max_false_share": 0.1,
        "skipped": {"reviews_without_a_date": 7, "reviews_without_stars": 0},
    }
    (path / "summary.json").write_text(json.dumps(summary))
    return path


def _chapter(folder):
    html = render(ReportInputs(declining_products=folder, made_at=""), validate({}))
    return html[html.index('<section id="declining"') : html.index('<section id="intake"')]


def test_texts_cannot_break_out(tmp_path):
    chapter = _chapter(_folder([_finding()], tmp_path / "one"))
    assert "<script>alert" not in chapter
    assert "<img src=x" not in chapter
    assert "&lt;script&gt;" in chapter
    assert "It <mark>broke</mark>" in chapter
    assert " style=" not in chapter  # the page's policy forbids it


def test_it_says_what_changed_when_and_how_sure(tmp_path):
    rows = [
        _finding(),
        _finding(2, direction="better", until=DAY + dt.timedelta(days=60), stars_by_design=True),
    ]
    chapter = re.sub(r"[ \n]+", " ", _chapter(_folder(rows, tmp_path / "two")))
    assert "120 products have enough reviews to be judged; 2 became worse, 0 better" in chapter
    assert "7 reviews without a date." in chapter
    assert "since 1 Mar 2014" in chapter
    assert "from 1 Mar 2014 to 30 Apr 2014" in chapter
    assert "4.50 stars on average in 60 reviews before, 2.50 in 30 reviews since" in chapter
    assert "\N{MINUS SIGN}1.90 stars (95\u202f% interval \N{MINUS SIGN}2.50 to \N{MINUS SIGN}1.30)" in chapter
    assert "could be seen from 21 Mar 2014 on, in stars" in chapter
    assert chapter.count("sampled by stars") == 1
    assert "9 since, 1 before" in chapter
    assert "100\u202f%" not in chapter  # nothing is certain


def test_the_timeline_stays_in_its_box():
    card = decline_cards([_finding()], list)[0]
    line = card.timeline
    assert all(0 <= x <= 1000 and 0 <= y <= 200 for x, y in line.points)
    assert 0 <= line.from_x <= line.since <= line.to_x <= 1000
    assert line.until == 1000
    assert line.told == "Mean stars over time: 4.5 before 1 Mar 2014, 2.5 since."


def test_none_and_no_folder(tmp_path):
    assert "0 became worse" in _chapter(_folder([], tmp_path / "none"))
    html = render(ReportInputs(made_at=""), validate({}))
    assert re.search(
        r"No declining products in this workspace.*shelfcheck audit declining_products", html, re.DOTALL
    )


def test_broken_findings_are_told(tmp_path):
    folder = _folder([_finding()], tmp_path / "broken")
    (folder / "findings.parquet").write_bytes(b"no parquet")
    with pytest.raises(WorkspaceError, match="Run the audit again"):
        read_declines(folder, 10)
