"""The chapter on the sample: it tells what the files hold, escaped, and only of the reviews that stand."""

from __future__ import annotations

import json
from collections import Counter
from types import SimpleNamespace

import pytest

from shelfcheck.config import Settings
from shelfcheck.errors import WorkspaceError
from shelfcheck.pipeline import SAMPLE_MANIFEST
from shelfcheck.pipeline.adapters import sample_of
from shelfcheck.report import ReportInputs
from shelfcheck.report.page import render
from shelfcheck.report.sample import read_sample
from shelfcheck.sampling.representativeness import compare
from shelfcheck.workspace import Workspace

NASTY = "<script>alert(1)</script>"


def distributions(garden: int, nasty: int) -> dict[str, Counter]:
    n = garden + nasty
    return {
        "product_category": Counter({"Garden_Tools": garden, NASTY: nasty}),
        "star_rating": Counter({5: n // 2, None: n - n // 2}),
        "body_length": Counter({20: n // 2, 90: n - n // 2}),
        "review_month": Counter({"2015-01": n - n // 5, None: n // 5}),
    }


@pytest.fixture
def folder(tmp_path):
    compared = compare(distributions(900, 100), distributions(60, 40), distributions(90, 10), 0)
    (tmp_path / "representativeness.json").write_text(compared.to_json(), encoding="utf-8")
    summary = {
        "by": ["review_month", "product_category"],
        "population": 1000,
        "strata": 4,
        "rows": 100,
        "forced_rows": 3,
        "dropped_categories": {"Books": 7, "Baby": 5},
    }
    (tmp_path / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    return tmp_path


def test_it_tells_what_was_drawn_and_how_it_compares(folder):
    chapter = read_sample(folder)
    told = " ".join(chapter.sentences)
    assert (
        "100 of 1,000 reviews (10.0\u202f%), drawn from 4 strata, by review month and product category"
        in told
    )
    assert "3 are more than asked for" in told
    assert "2 rare categories with 12 reviews were left out" in told
    assert "representative when its reviews are weighed" in told
    distances = dict(chapter.distances)
    assert distances["Categories, total variation"][:2] == ("30.0\u202f%", "0.0\u202f%")
    assert (
        distances["Categories, total variation"][3] == "further than chance; as close as chance when weighted"
    )
    assert [row[0] for row in chapter.chart.rows] == ["Garden Tools", NASTY]
    assert chapter.chart.rows[0][1:4] == ("90.00\u202f%", "60.00\u202f%", "90.00\u202f%")
    assert [len(rows) for _, rows in chapter.tables] == [2, 2, 2]


def test_the_page_has_the_chapter_where_there_is_a_sample(folder):
    page = render(ReportInputs(sample=folder, made_at=""), Settings())
    assert 'id="sample"' in page
    assert 'href="#sample"' in page
    assert 'id="chart-sample-categories"' in page
    assert NASTY not in page
    assert "&lt;script&gt;alert" in page
    assert 'href="#sample"' not in render(ReportInputs(made_at=""), Settings())


def test_damaged_files_are_told_with_the_way_out(folder):
    (folder / "representativeness.json").write_text("{}", encoding="utf-8")
    with pytest.raises(WorkspaceError, match="shelfcheck sample --force"):
        read_sample(folder)


def publish(root, name: str, fingerprint: str, inputs: dict[str, str]) -> None:
    (root / name / "abc").mkdir(parents=True, exist_ok=True)
    manifest = {"artefact": name, "fingerprint": fingerprint, "folder": "abc", "inputs": inputs, "format": 1}
    (root / name / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def test_a_sample_of_earlier_reviews_is_not_shown(tmp_path):
    publish(tmp_path, "prepared", "new", {})
    inputs = {SAMPLE_MANIFEST: tmp_path / SAMPLE_MANIFEST}
    context = SimpleNamespace(inputs=inputs, workspace=Workspace(tmp_path))
    publish(tmp_path, "sample", "of the new", {"prepared": "new"})
    assert sample_of(context) == tmp_path / "sample/abc"
    publish(tmp_path, "sample", "of the old", {"prepared": "old"})
    assert sample_of(context) is None
    assert sample_of(SimpleNamespace(inputs={})) is None
