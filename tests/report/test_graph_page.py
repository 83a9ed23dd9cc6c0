"""The page of a picture: escaped, linked to what stands, in colours that can be told apart."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from importlib import resources
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

sys.path.append(str(Path(__file__).parents[1] / "graph"))

from picture_support import HOSTILE, MODEL, hostile_shop

from shelfcheck import api
from shelfcheck.graph.picture import Node, Request
from shelfcheck.report.graph_links import links_of, page_name
from shelfcheck.report.graph_svg import STEPS, mixed
from shelfcheck.workspace import Manifest, Workspace


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return hostile_shop(tmp_path_factory.mktemp("page"))[0]


def data_of(page):
    found = re.search(r'<script type="application/json" id="graph-data">(.*?)</script>', page, re.DOTALL)
    return json.loads(found[1])


@pytest.mark.parametrize("asked", [{}, {"category": "Toys"}, {"product": "P0"}])
def test_texts_stay_texts(shop, tmp_path, asked):
    file = api.graph_show(shop, model=MODEL, output=tmp_path / "a.html", **asked).file
    page = Path(file).read_text(encoding="utf-8")
    ours = re.findall(r"<script\b", page)
    assert len(ours) == 6  # charts' data, the graph's data, four of the package's own
    assert len(re.findall(r"<img|onerror=\"doc|<style", page)) == 1
    assert "\u202e" not in page
    assert "\x07" not in page
    data = data_of(page)
    texts = [text for node in data["nodes"] for text in node.get("t", ())]
    if asked:
        assert any(body.startswith("</script><script>") for _, _, body in texts)
        assert any(head == HOSTILE[1] for _, head, _ in texts)


def test_the_page_holds_the_whole_picture_without_a_script(shop, tmp_path):
    found = api.graph_show(shop, category="Toys", model=MODEL, output=tmp_path / "a.html")
    page = Path(found.file).read_text(encoding="utf-8")
    assert len(re.findall(r" data-n=", page)) == len(found.picture.nodes)
    assert len(re.findall(r" data-e=", page)) == len(found.picture.edges)
    assert len(re.findall(r"<tr data-row=", page)) == len(found.picture.nodes)
    assert "http://" not in re.sub(r"<script\b.*?</script>", "", page, flags=re.DOTALL)


def test_the_vendored_bundle_is_the_one_named():
    vendor = resources.files("shelfcheck.report").joinpath("vendor")
    readme = vendor.joinpath("README.md").read_text(encoding="utf-8")
    bundle = vendor.joinpath("sigma-graphology.min.js").read_bytes()
    assert f"`{hashlib.sha256(bundle).hexdigest()}`" in readme
    listed = re.findall(r"\| [@\w/-]+ \| [\d.]+ \| `([\w-]+\.txt)` \|", readme)
    assert len(listed) == 5
    for name in listed:
        assert "Permission is hereby granted, free of charge" in " ".join(
            vendor.joinpath("licences", name).read_text(encoding="utf-8").split()
        )


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    r, g, b = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_keep_the_contrast_that_wcag_asks_for(theme):
    assets = resources.files("shelfcheck.report").joinpath("assets")
    shared = assets.joinpath("report.css").read_text(encoding="utf-8").split("@media")
    own = assets.joinpath("graph.css").read_text(encoding="utf-8").split("@media")
    at = 0 if theme == "light" else 1
    page = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6});", shared[at]))
    colours = dict(re.findall(r"--g-([\w-]+): (#[0-9a-f]{6});", own[at]))
    assert dict(re.findall(r"--g-([\w-]+): (#[0-9a-f]{6});", own[2])) == dict(
        re.findall(r"--g-([\w-]+): (#[0-9a-f]{6});", own[1])
    )  # the system's dark and the chosen one
    paper = (
        page["paper"] if len(page["paper"]) == 7 else "#" + "".join(2 * part for part in page["paper"][1:])
    )
    assert colours["halo"] == paper
    assert contrast(colours["label"], paper) >= 4.5
    for text in ("ink", "ink-soft", "link"):
        assert contrast(page[text], paper) >= 4.5
        assert contrast(page[text], page["page"]) >= 4.5
    for mark in ("category", "product", "review", "customer", "assigned", "thin", "in", "ring"):
        assert contrast(colours[mark], paper) >= 3, mark
    for step in range(STEPS):
        assert contrast(mixed(colours["low"], colours["high"], step), paper) >= 3, step


def publish(home, name, fingerprint, tables=None, **more):
    folder = home.root / name / fingerprint
    folder.mkdir(parents=True)
    for file, rows in (tables or {}).items():
        pq.write_table(pa.Table.from_pylist(rows), folder / file)
    values = {"artefact": name, "fingerprint": fingerprint, "folder": fingerprint, **more}
    manifest = Manifest(**values)
    (home.root / name / "manifest.json").write_text(json.dumps(manifest.__dict__), encoding="utf-8")


def test_findings_are_led_to_where_the_report_was_made_from_them(tmp_path):
    home = Workspace(tmp_path)
    publish(
        home,
        "misplaced_reviews",
        "aaa",
        {"findings.parquet": [{"rank": at + 1, "review_id": f"R{at}"} for at in range(9)]},
    )
    publish(home, "miscategorised_products", "bbb", {"findings.parquet": [{"rank": 1, "product_id": "P 1"}]})
    (tmp_path / "report.html").write_text("", encoding="utf-8")
    made = {"misplaced_reviews": "aaa", "miscategorised_products": "bbb"}
    publish(home, "report", "ccc", inputs=made, settings={"report.max_findings": 5})
    page = tmp_path / "sub dir" / "a.html"
    links = links_of(home, Request(category="Toys"), page)
    review = Node("R:R4", "review", "", about={"review_id": "R4", "product_id": "P 1"})
    assert links.of(review) == [
        ("Misplaced review 5 in the report", "../report.html#review-5"),
        ("Miscategorised product 1 in the report", "../report.html#product-1"),
    ]
    beyond = Node("R:R6", "review", "", about={"review_id": "R6", "product_id": "P2"})
    assert links.of(beyond) == []  # the report does not show it
    publish(home, "misplaced_reviews", "ddd", {"findings.parquet": [{"rank": 1, "review_id": "R4"}]})
    stale = links_of(home, Request(category="Toys"), page)
    assert [text for text, _ in stale.of(review)] == ["Miscategorised product 1 in the report"]
    assert links_of(home, Request(), "s3://bucket/a.html").of(review) == []  # no way from there
    (tmp_path / "report.html").unlink()
    assert links_of(home, Request(category="Toys"), page).of(review) == []


def test_pictures_lead_to_pictures_that_exist_and_name_the_command(tmp_path):
    home = Workspace(tmp_path)
    category = Node("C:Pet's", "category", "Pet's")
    links = links_of(home, Request())
    assert links.of(category) == []
    assert links.command(category) == f"shelfcheck graph show --category 'Pet'\"'\"'s' --workspace {tmp_path}"
    target = tmp_path / page_name(Request(category="Pet's"))
    target.write_text("", encoding="utf-8")
    assert links_of(home, Request()).of(category) == [("Picture of this category", target.name)]
    (tmp_path / page_name(Request())).write_text("", encoding="utf-8")
    assert links_of(home, Request(category="Pet's")).overview() == "graph.html"
    assert links_of(home, Request(category="Pet's")).command(category) == ""


def test_names_of_pages_are_safe_and_differ():
    names = [
        page_name(Request(category=one)) for one in ("Books", "../x", "..-x", "A B", "A_B", "家電", "A/B", "")
    ]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[\w.-]+", name, re.ASCII) and "/" not in name for name in names)
    assert names[0] == "graph-category-Books.html"
    assert page_name(Request(product="B1", model="a b"), "svg").startswith("graph-product-B1-by-a-b-")
