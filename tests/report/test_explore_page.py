"""The page that explores reviews: whole without a script, harmless, small, exact however it is filtered."""

from __future__ import annotations

import functools
import http.server
import json
import re
import subprocess
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import explore_factory as factory
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from test_browser import BROWSER, FLAGS, drawn, visit
from test_page import EVIL, Page

from shelfcheck.errors import WorkspaceError
from shelfcheck.report.explore_page import write_explore_page

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

CHARTS = {
    "reviews",
    "categories",
    "products",
    "products-activity",
    "stars",
    "mean-stars",
    "length",
    "lengths",
    "length-by-category",
    "flags",
    "customers-activity",
    "missing",
}

# Chooses a category and a time, sorts, and says what the page then shows; from a page of the same origin.
DRIVER = """<!doctype html><iframe id="page" src="explore.html" style="width:1200px;height:900px"></iframe>
<pre id="said"></pre>
<script>
const frame = document.getElementById("page");
const steps = %s;
const until = async (ready) => { while (!ready()) await new Promise((done) => setTimeout(done, 20)); };
const texts = (row) => [...row.cells].map((cell) => cell.textContent);
frame.addEventListener("load", async () => {
  const page = frame.contentDocument;
  const all = (selector) => [...page.querySelectorAll(selector)];
  await until(() => page.documentElement.classList.contains("drawn"));
  const said = [];
  for (const step of steps) {
    for (const [id, value] of Object.entries(step.choose || {})) {
      const control = page.getElementById(`explore-${id}`);
      control.value = [...control.options].find((one) => one.textContent === value).value;
      control.dispatchEvent(new frame.contentWindow.Event("change"));
    }
    for (const key of step.sort || []) all(`#categories-table [data-key=${key}] button`)[0].click();
    if (step.reset) page.getElementById("explore-reset").click();
    page.querySelector("#figure-reviews details").open = true;
    await new Promise((done) => setTimeout(done, 300));
    const headings = all("#categories-table th[aria-sort]");
    said.push({
      shown: page.getElementById("explore-shown").textContent,
      figures: Object.fromEntries(all(".tile dd").map((one) => [one.id, one.textContent])),
      table: all("#categories-table tbody tr").filter((row) => !row.hidden).map(texts),
      sorted: headings.map((one) => [one.dataset.key, one.ariaSort]),
      months: all("#figure-reviews details tbody tr").map(texts),
      bars: all("#chart-reviews .mark-rect path").length,
    });
  }
  document.getElementById("said").textContent = JSON.stringify(said);
});
</script>"""


@pytest.fixture(scope="module")
def reviews() -> pa.Table:
    return factory.history(3000, years=4, categories=5)


@pytest.fixture(scope="module")
def folder(reviews: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = factory.explored(tmp_path_factory.mktemp("explored"), reviews)
    write_explore_page(out, out)
    return out


def test_the_page_is_whole_without_a_script(folder: Path) -> None:
    html = (folder / "explore.html").read_text(encoding="utf-8")
    page = Page(html)  # asserts that tags are balanced
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {str(one)[6:] for one in ids if str(one).startswith("chart-")} == CHARTS
    labelled = {attributes.get("for") for attributes in page.all("label")}
    for tag in ("select", "input"):
        assert {attributes["id"] for attributes in page.all(tag)} <= labelled
    for _, attributes in page.elements:
        for name in ("aria-labelledby", "aria-describedby"):
            assert set((attributes.get(name) or "").split()) <= set(ids)
    assert "3,000 reviews of" in html
    assert len(re.findall(r'<tr data-category="\d+"><th scope="row" data-value="Category \d"', html)) == 5
    for _, attributes in page.elements:
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:"))


def test_every_chart_stands_alone(folder: Path) -> None:
    found = {
        path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (folder / "charts").iterdir()
    }
    assert found.keys() == CHARTS
    for spec in found.values():
        assert spec["$schema"].startswith("https://vega.github.io/schema/vega-lite/")
        assert "var(--" not in json.dumps(spec)
        assert spec["datasets"]["rows"]


def test_twenty_years_of_forty_categories_stay_small(tmp_path: Path) -> None:
    out = factory.explored(tmp_path, factory.history(11_000, years=20, categories=40, dense=True))
    cells = pq.read_table(out / "tables" / "by_month_and_category.parquet").num_rows
    assert cells > 9_500  # nearly every month of every category
    page = write_explore_page(out, out)
    assert page.stat().st_size < 5_000_000


def test_more_categories_than_a_page_holds(tmp_path: Path) -> None:
    out = factory.explored(tmp_path, factory.history(500, years=1, categories=90))
    html = write_explore_page(out, out).read_text(encoding="utf-8")
    assert html.count('<option value="') - html.count("-from") >= 61
    assert re.search(r"The \d+ smallest categories stand in", html)


def test_without_dates(tmp_path: Path) -> None:
    table = factory.history(50, years=1, categories=2)
    at = table.column_names.index("review_date")
    undated = pc.if_else(pc.is_valid(table["review_id"]), None, table["review_date"])
    out = factory.explored(
        tmp_path, table.set_column(at, "review_date", undated.cast(table["review_date"].type))
    )
    html = write_explore_page(out, out).read_text(encoding="utf-8")
    Page(html)
    assert "No review has a date" in html
    assert "explore-from" not in re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
    if BROWSER is not None:
        dom, console, _ = visit(out / "explore.html", tmp_path / "profile")
        assert console == []
        assert "categories" in drawn(dom)
        assert "All categories, all time: 50 reviews" in dom


def test_a_missing_table_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="shelfcheck explore --force"):
        write_explore_page(tmp_path, tmp_path)


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_hostile_names_and_texts_do_nothing(tmp_path: Path) -> None:
    out = factory.explored(tmp_path, factory.history(60, years=1, categories=2, evil=EVIL))
    page = write_explore_page(out, out)
    assert "<img src=x" not in page.read_text(encoding="utf-8")
    dom, console, asked = visit(page, tmp_path / "profile")
    assert console == []
    assert "data-pwned" not in re.findall(r"<html[^>]*>", dom)[0]
    assert drawn(dom) == CHARTS
    assert [url for url in asked if url.startswith(("http", "ws")) and "explore" in url] == []


def drive(folder: Path, profile: Path, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the page shows after each step, in a real browser."""
    (folder / "driver.html").write_text(DRIVER % json.dumps(steps), encoding="utf-8")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/driver.html"
        assert BROWSER is not None
        flags = [flag for flag in FLAGS if "virtual-time" not in flag]
        said = subprocess.run(
            [BROWSER, *flags, f"--user-data-dir={profile}", "--virtual-time-budget=60000", "--dump-dom", url],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        server.shutdown()
    found = re.findall(r'<pre id="said">(.*?)</pre>', said.stdout, flags=re.DOTALL)
    assert found, said.stderr
    assert found[0], said.stderr
    told: list[dict[str, Any]] = json.loads(
        found[0].replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")
    )
    return told


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_filtered_and_sorted_in_a_browser(folder: Path, reviews: pa.Table, tmp_path: Path) -> None:
    """Figures, tables and charts follow the filter, and every number is that of the reviews themselves."""
    first, last = "2003-11", "2005-02"
    steps = [
        {},
        {"choose": {"category": "Category 3", "from": first, "to": last}},
        {"choose": {"category": "All"}, "sort": ["stars"]},
        {"sort": ["stars"]},
        {"reset": True},
    ]
    start, chosen, stars, stars_up, reset = drive(folder, tmp_path / "profile", steps)
    rows = reviews.to_pylist()
    undated = sum(row["review_date"] is None for row in rows)
    assert start["shown"] == f"All categories, all time: 3,000 reviews, {undated} of them without a date"
    inside = [row for row in rows if row["review_date"] and first <= f"{row['review_date']:%Y-%m}" <= last]
    own = [row for row in inside if row["product_category"] == "Category_3"]
    assert chosen["shown"] == f"Category 3, {first} to {last}: {len(own)} reviews"
    for subject in ("product", "customer"):
        ids = Counter(row[f"{subject}_id"] for row in own if row[f"{subject}_id"])
        several = sum(n > 1 for n in ids.values())
        said = chosen["figures"][f"figure-{subject}s-value"]
        assert said.split() == [f"{len(ids):,}", f"{several:,}", "with", "several", "reviews"]
    counts = Counter(f"{row['review_date']:%Y-%m}" for row in own)
    assert len(chosen["months"]) == 16 == chosen["bars"]
    assert {month: int(n) for month, n in chosen["months"] if n != "0"} == counts
    table = {row[0]: row[1:] for row in chosen["table"]}
    for name in sorted({row["product_category"] for row in rows}):
        its = [row for row in inside if row["product_category"] == name]
        given = [row["star_rating"] for row in its if row["star_rating"]]
        products = {row["product_id"] for row in its}
        told = table[name.replace("_", " ")]
        assert (told[0], told[1]) == (str(len(its)), str(len(products)))
        assert abs(float(told[4]) - sum(given) / len(given)) <= 0.005 + 1e-9
    assert stars["sorted"] == [["stars", "descending"]]
    assert stars_up["sorted"] == [["stars", "ascending"]]
    means = [float(row[5]) for row in stars["table"]]
    assert means == sorted(means, reverse=True)
    assert [row[0] for row in stars_up["table"]] == [row[0] for row in stars["table"]][::-1]
    assert reset["shown"] == start["shown"]
    assert sorted(reset["table"]) == sorted(start["table"])
    assert reset["figures"] == start["figures"]
