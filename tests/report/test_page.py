"""The page: complete, accessible, offline, and safe whatever the reviews hold."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
import time
from html.parser import HTMLParser
from importlib import resources
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import report_factory as factory

from shelfcheck.config import Settings
from shelfcheck.errors import WorkspaceError
from shelfcheck.report import ReportInputs, render, write_report

if TYPE_CHECKING:
    from pathlib import Path

VOID = {"meta", "link", "input", "br", "rect", "img", "hr"}
SCRIPT = "<script>document.documentElement.dataset.pwned=1</script>"
EVIL = f"</script>{SCRIPT}\"'><img src=x onerror=alert(1)>{{{{7*7}}}}"


class Page(HTMLParser):
    """Elements of a page with their attributes, text and ancestors; asserts that tags are balanced."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.parents: dict[int, list[str]] = {}
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"attribute twice in <{tag} {attrs}>"
        self.parents[len(self.elements)] = list(self.open)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self, tag: str) -> str:
        return "".join(self.texts.get(tag, ()))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> ReportInputs:
    return factory.write_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def html(inputs: ReportInputs) -> str:
    return render(inputs, Settings())


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def evil_inputs(root: Path) -> ReportInputs:
    inputs = factory.write_inputs(root, findings=4)
    reviews, products = factory.misplaced(2), factory.miscategorised(2)
    texts = ("product_id", "product_title", "review_id", "review_headline", "review_body")
    for row in reviews:
        row.update(dict.fromkeys((*texts, "assigned_category", "suggested_category"), EVIL))
        row["words"] = [{"term": EVIL, "weight": 1.0}, {"term": "img", "weight": 0.5}]
    for row in products:
        named = ("product_id", "product_title", "assigned_category", "suggested_category")
        row.update(dict.fromkeys(named, EVIL))
        row["sample_reviews"] = [{"review_id": EVIL, "headline": EVIL, "body": EVIL, "p_suggested": 0.5}]
        row["words"] = [{"term": EVIL, "weight": 1.0}]
    categories = {EVIL: 900, "Books": 4000, "<b>": 800}
    factory.write_json(root / "prepared" / "summary.json", evil_summary(categories))
    evaluation = factory.evaluated(categories, 0).to_json()
    (root / "evaluation" / "evaluation.json").write_text(evaluation, encoding="utf-8")
    factory.write_json(root / "model" / "card.json", {EVIL: {EVIL: EVIL}})
    return dataclasses.replace(
        inputs,
        title=EVIL,
        made_at=EVIL,
        misplaced_reviews=factory.write_misplaced(root / "evil_reviews", reviews),
        miscategorised_products=factory.write_miscategorised(root / "evil_products", products),
        links={"misplaced_reviews": (EVIL, "a b.csv"), "miscategorised_products": (EVIL,)},
    )


def evil_summary(categories: dict[str, int]) -> dict[str, Any]:
    kept = sum(categories.values())
    file = {"rows_read": kept + 3, "rows_kept": kept, "filtered": {EVIL: 1}, "rejected": {EVIL: 2}}
    rest = {
        "sources": {EVIL: file},
        "categories": categories,
        "months": {"2020-01": kept},
        "length_bounds": [1, 2],
    }
    return file | rest


def test_says_what_there_is(html: str, page: Page) -> None:
    assert page.text("title") == "Shelfcheck report"
    headings = page.texts["h2"]
    assert headings == [
        "Overview",
        "Misplaced reviews",
        "Miscategorised products",
        "Declining products",
        "What came in",
        "Model quality",
        "Models compared",
        "How this was made",
    ]
    assert "23 Nov 2026, 08:30 UTC" in html
    assert re.search(r"[\d,]+ rows read = [\d,]+ kept \+ 3,465 filtered by rule \+ 94 rejected", html)
    assert len([one for one in page.all("article") if (one["id"] or "").startswith("review-")]) == 60
    assert len([one for one in page.all("article") if (one["id"] or "").startswith("product-")]) == 30
    assert len(page.all("mark")) > 60
    for said in ("repeated review id", "Coverage at precision", "Weighted by reviews", "missing body"):
        assert said in html


def test_peers_are_told(html: str) -> None:
    assert "The product has no other reviews." in html
    assert re.search(r"The one other review of this product (agrees|does not agree) with", html)
    assert re.search(r"\d+ of 14 other reviews of this product agree", html)


def test_all_listed_or_how_many_are_not(inputs: ReportInputs, html: str) -> None:
    assert "All 60 are shown here." in html
    few = render(inputs, Settings.model_validate({"report": {"max_findings": 7}}))
    assert "The first <strong>7</strong> are shown here, <strong>53</strong> are not." in few
    assert '<a href="misplaced_reviews.csv">misplaced_reviews.csv</a>' in few
    assert '<a href="miscategorised_products.parquet">' in few
    assert len(Page(few).all("article")) == 14


def test_nothing_is_loaded(html: str, page: Page) -> None:
    for tag, attributes in page.elements:
        assert "src" not in attributes, tag
        assert "style" not in attributes, f"<{tag}> would break the policy"
        assert not [name for name in attributes if name.startswith("on")], tag
        href = attributes.get("href")
        assert href is None or not re.match(r"[a-z]+:|//", href) or href == "data:,", href
    assert {tag for tag, _ in page.elements}.isdisjoint({"iframe", "object", "embed", "base", "img"})
    assert "url(" not in page.text("style")
    assert "@import" not in page.text("style")
    assert "sourceMappingURL" not in html


def test_policy_names_the_scripts_and_the_style(html: str, page: Page) -> None:
    policy = next(one for one in page.all("meta") if one.get("http-equiv") == "Content-Security-Policy")[
        "content"
    ]
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert "unsafe" not in policy
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        texts = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
        assert rules[rule].split() == [f"'sha256-{digest}'" for digest in digests]


def test_review_texts_cannot_break_out(tmp_path: Path) -> None:
    html = render(evil_inputs(tmp_path), Settings())
    page = Page(html)
    assert not page.all("img")
    assert [one.get("type") for one in page.all("script")] == ["application/json", None, None, None, None]
    assert "{{7*7}}" in html
    assert ">49<" not in html
    data = json.loads(
        re.findall(r'<script type="application/json" id="charts">(.*?)</script>', html, re.DOTALL)[0]
    )
    rows = data["specs"]["categories"]["datasets"]["rows"]
    assert EVIL in [row["category"] for row in rows]
    cards = page.all("article")
    assert cards[0]["data-from"] == EVIL
    hrefs = [one["href"] or "" for one in page.all("a")]
    assert "a%20b.csv" in hrefs
    assert not [href for href in hrefs if "<" in href or '"' in href]


def test_structure(page: Page) -> None:
    ids = [one["id"] for _, one in page.elements if one.get("id")]
    assert len(ids) == len(set(ids))
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("main")) == len(page.all("nav")) == len(page.all("h1")) == 1
    for _, attributes in page.elements:
        for name in ("aria-labelledby", "aria-describedby", "for"):
            for target in (attributes.get(name) or "").split():
                assert target in ids, (name, target)
        if (attributes.get("href") or "").startswith("#"):
            assert (attributes["href"] or "")[1:] in ids
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    tables = [at for at, (tag, _) in enumerate(page.elements) if tag == "table"]
    assert all(page.elements[at + 1][0] == "caption" for at in tables)
    assert all(one.get("scope") in {"col", "row"} for one in page.all("th"))
    labelled = {one.get("for") for one in page.all("label")}
    assert all(one["id"] in labelled for one in page.all("input") + page.all("select"))


def test_each_chart_has_a_sentence_and_a_table(html: str, page: Page) -> None:
    data = json.loads(
        re.findall(r'<script type="application/json" id="charts">(.*?)</script>', html, re.DOTALL)[0]
    )
    assert set(data["specs"]) == {
        "months",
        "categories",
        "quality-by-category",
        "reliability",
        "coverage",
        "confusion",
        "by-body-tokens",
        "by-star-rating",
        "by-year",
        "models-0",
        "behind-0",
        "scores-misplaced-reviews",
        "scores-miscategorised-products",
    }
    places = {one["id"]: one for one in page.all("div") if one.get("role") == "img"}
    assert set(places) == {f"chart-{name}" for name in data["specs"]}
    assert all(place["aria-describedby"] for place in places.values())
    assert html.count('<details class="data">') == len(places)
    assert "http" not in json.dumps(data)


def luminance(colour: str) -> float:
    colour = "".join(2 * one for one in colour[1:]) if len(colour) == 4 else colour[1:]
    parts = (int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4))
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio of WCAG 2.2."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_aa_in_both_themes(page: Page) -> None:
    themes = [
        dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{3,6});", block))
        for block in re.findall(r"\{\s*color-scheme: \w+;(.*?)\}", page.text("style"), re.DOTALL)
    ]
    assert len(themes) == 3
    assert themes[1] == themes[2]  # by the system and by the button
    for theme in themes:
        for ground in ("page", "paper"):
            for text in ("ink", "ink-soft", "link", "assigned", "suggested"):
                assert contrast(theme[text], theme[ground]) >= 4.5, (text, ground)
            for mark in ("data", "data-2", "focus"):
                assert contrast(theme[mark], theme[ground]) >= 3, (mark, ground)
        assert contrast(theme["ink"], theme["mark"]) >= 4.5
        assert contrast(theme["ink"], theme["hover"]) >= 4.5


def test_missing_parts_are_said() -> None:
    html = render(ReportInputs(), Settings())
    Page(html)
    for command in ("prepare", "evaluate", "audit misplaced_reviews", "audit miscategorised_products"):
        assert f"<code>shelfcheck {command}</code>" in html


def test_empty_lists_and_one_category(tmp_path: Path) -> None:
    inputs = dataclasses.replace(
        factory.write_inputs(tmp_path, findings=4),
        misplaced_reviews=factory.write_misplaced(tmp_path / "a", []),
        miscategorised_products=factory.write_miscategorised(tmp_path / "b", []),
    )
    summary = {"rows_read": 5, "rows_kept": 5, "filtered": {}, "rejected": {}, "sources": {}}
    summary |= {"categories": {"Books": 5}, "months": {"unknown": 5}, "length_bounds": [6, 4999]}
    factory.write_json(tmp_path / "prepared" / "summary.json", summary)
    html = render(inputs, Settings())
    Page(html)
    assert html.count("and none stands out") == 2
    assert "No row was filtered." in html
    assert 'id="chart-months"' not in html


def test_same_inputs_same_page(inputs: ReportInputs, html: str) -> None:
    assert render(inputs, Settings()) == html


def test_written_whole_or_not_at_all(inputs: ReportInputs, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    assert write_report(inputs, str(path), Settings()) == path
    before = path.read_bytes()
    with pytest.raises(WorkspaceError):
        write_report(dataclasses.replace(inputs, model=tmp_path / "nowhere"), path, Settings())
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]


def test_fifty_thousand_findings(inputs: ReportInputs, tmp_path: Path) -> None:
    some = pa.Table.from_pylist(factory.misplaced(1000), factory.MISPLACED)
    many = pa.concat_tables([some] * 50).set_column(0, "rank", pa.array(range(1, 50_001)))
    folder = factory.write_misplaced(tmp_path / "many", factory.misplaced(1))
    pq.write_table(many, folder / "findings.parquet")
    started = time.perf_counter()
    html = render(dataclasses.replace(inputs, misplaced_reviews=folder), Settings())
    seconds = time.perf_counter() - started
    assert len(html.encode()) < 3_000_000
    assert "<strong>49,800</strong> are not" in html
    assert seconds < 60  # about one on an idle machine


def test_vendored_files_are_the_ones_named() -> None:
    vendor = resources.files("shelfcheck.report").joinpath("vendor")
    readme = vendor.joinpath("README.md").read_text(encoding="utf-8")
    named = re.findall(r"\| `([\w.-]+\.js)` \| ([\w-]+) \| [\d.]+ \| [\w-]+ \| `([0-9a-f]{64})` \|", readme)
    assert len(named) == 3
    for file, package, digest in named:
        assert hashlib.sha256(vendor.joinpath(file).read_bytes()).hexdigest() == digest
        assert "Redistribution" in vendor.joinpath("licences", f"{package}.txt").read_text(encoding="utf-8")


def test_vendored_versions_fit_altair() -> None:
    import altair as alt

    readme = resources.files("shelfcheck.report").joinpath("vendor", "README.md").read_text(encoding="utf-8")
    versions = dict(re.findall(r"\.js` \| ([\w-]+) \| ([\d.]+)", readme))
    assert versions["vega"].split(".")[0] == alt.VEGA_VERSION.split(".")[0]
    assert versions["vega-lite"].split(".")[:2] == alt.VEGALITE_VERSION.split(".")[:2]
    assert versions["vega-embed"].split(".")[0] == alt.VEGAEMBED_VERSION.split(".")[0]
