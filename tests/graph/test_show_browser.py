"""Pictures in a real browser, by WebGL and without: drawn, searched, filtered, by keyboard, and harmless."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import chromium
import pytest
from picture_support import MODEL, hostile_shop

from shelfcheck import api

pytestmark = pytest.mark.skipif(chromium.BROWSER is None, reason="no Chromium on this machine")

PAGES = {"categories": {}, "category": {"category": "Toys"}, "product": {"product": "P3"}}
READY = "document.documentElement.dataset.ready"
# Pixels of the window near a colour of the page's style. Images from `data:` are all that the policy lets in.
PIXELS = """new Promise((done) => {
  const image = new Image();
  image.onload = () => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.width, image.height];
    const pen = canvas.getContext("2d");
    pen.drawImage(image, 0, 0);
    const { left, top, width, height } = document.getElementById("stage").getBoundingClientRect();
    const { data } = pen.getImageData(left, top, width, height);
    const style = getComputedStyle(document.documentElement), found = {};
    for (const name of ["category", "product", "review", "customer"]) {
      const colour = style.getPropertyValue("--g-" + name).trim();
      const want = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
      found[name] = 0;
      for (let at = 0; at < data.length; at += 4) {
        if (want.every((part, i) => Math.abs(part - data[at + i]) < 10)) found[name] += 1;
      }
    }
    done(found);
  };
  image.src = "data:image/png;base64,%s";
})"""

NAMES = """(() => {
  const live = document.querySelector("canvas.labels");
  if (!live) return document.querySelectorAll("#still text").length;
  return live.getContext("2d").getImageData(0, 0, live.width, live.height).data.filter((part) => part).length;
})()"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    root = tmp_path_factory.mktemp("browser")
    shop = hostile_shop(root)[0]
    return {name: api.graph_show(shop, model=MODEL, limit=300, **asked) for name, asked in PAGES.items()}


@pytest.fixture(scope="module", params=["webgl", "svg"])
def browser(request):
    with chromium.Chromium(webgl=request.param == "webgl", size=(1000, 700)) as found:
        yield found, request.param


@pytest.fixture(scope="module")
def still():
    """The browser without WebGL, for what is the same in both: WebGL in software is slow."""
    with chromium.Chromium(webgl=False, size=(1000, 700)) as found:
        yield found, "svg"


def visit(browser, pages, name):
    page, way = browser
    page.open(Path(pages[name].file), READY)
    assert page.run("document.documentElement.dataset.ready").split()[0] == way
    return page, pages[name].picture


def put(page, name, value):
    """Give a field of the page a value, as a hand does."""
    page.run(
        f"""(([id, value]) => {{
            const one = document.getElementById(id);
            one.value = value;
            one.dispatchEvent(new Event("input"));
        }})({json.dumps([name, value])})"""
    )


def shown(page):
    return [int(n) for n in page.run("document.documentElement.dataset.shown").split()]


def details(page):
    return page.run("document.querySelector('#details h2')?.textContent ?? ''")


@pytest.mark.parametrize("level", PAGES)
def test_it_is_drawn_and_says_and_asks_nothing(browser, pages, level):
    page, picture = visit(browser, pages, level)
    assert page.run("document.getElementById('notice').hidden") is (browser[1] == "webgl")
    found = page.run(PIXELS % base64.b64encode(page.picture()).decode())
    kinds = {node.kind.removesuffix("s") if node.kind != "category" else "category" for node in picture.nodes}
    assert {kind for kind, n in found.items() if n > 30} == kinds
    assert shown(page)[0] == len(picture.nodes)
    assert page.run(NAMES) > 0
    assert page.run("'pwned' in document.documentElement.dataset") is False
    assert page.said == []
    assert [url for url in page.asked if not url.startswith(("file:", "data:"))] == []


def test_a_search_finds_and_goes_there(browser, pages):
    page, picture = visit(browser, pages, "category")
    wanted = next(node for node in picture.nodes if node.kind == "review")
    page.run("document.getElementById('search').focus()")
    page.write(wanted.about["review_id"])
    assert page.run("document.querySelectorAll('#found button').length") == 1
    page.key("Enter")
    assert page.run("document.activeElement.id") == "stage"
    assert wanted.about["review_id"] in page.run("document.getElementById('details').textContent")
    put(page, "search", "nowhere")
    assert "Nothing" in page.run("document.getElementById('found').textContent")


def test_the_filter_hides_what_is_less_sure(still, pages):
    page, picture = visit(still, pages, "category")
    before = shown(page)
    assert before == [len(picture.nodes), len(picture.edges)]

    def at_least(step):
        put(page, "confidence", step)
        return shown(page)

    half = at_least(10)
    sure = {at for at, edge in enumerate(picture.edges) if edge.kind == "predicted" and any(edge.bins[10:])}
    reviews = {picture.edges[at].source for at in sure}
    products = {edge.target for edge in picture.edges if edge.kind == "reviewed" and edge.source in reviews}
    categories = {picture.edges[at].target for at in sure} | {0}
    assert half[0] == len(reviews | products | categories) < before[0]
    assert half[1] == len(sure) + len(products) + len(reviews)
    assert "0.50" in page.run("document.getElementById('confidence-said').textContent")
    assert at_least(0) == before
    page, picture = visit(still, pages, "categories")
    put(page, "links", 3)
    assert shown(page) == [len(picture.nodes), 3]


def test_keys_lead_through_the_picture(browser, pages):
    page, picture = visit(browser, pages, "category")
    page.run("document.querySelector('.crumbs a, #theme').focus()")
    for _ in range(4):
        page.key("Tab")
        if page.run("document.activeElement.id") == "stage":
            break
    assert page.run("document.activeElement.id") == "stage"
    assert details(page) == "Toys"  # the category in the middle
    names = {node.key: node for node in picture.nodes}
    seen = set()
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "ArrowLeft", "ArrowDown", "n", "n", "p"):
        page.key(key)
        seen.add(details(page))
        assert page.run("document.getElementById('tip').hidden") is False
    assert len(seen) >= 4
    assert len(names) == len(picture.nodes)
    page.key("Home")
    assert details(page) == "Toys"
    page.key("n")
    page.key("Enter")
    assert page.run("document.getElementById('details').contains(document.activeElement)") is True
    page.key("Escape")
    assert page.run("document.activeElement.id") == "stage"
    page.key("Escape")
    assert details(page) == ""
    page.run("document.querySelector('[data-row] button').click()")
    assert page.run("document.activeElement.id") == "stage"
    assert details(page) == page.run("document.querySelector('[data-row] th').textContent")


def test_pointing_tells_and_clicking_keeps(browser, pages):
    page, picture = visit(browser, pages, "product")
    # Where the still picture has the centre, the live one has it within a few pixels.
    node = picture.nodes[0]
    scale = f"""(() => {{
      const box = document.getElementById("stage").getBoundingClientRect();
      const scale = Math.min(box.width / {picture.width}, box.height / {picture.height});
      return [box.left + box.width / 2 + ({node.x} - {picture.width} / 2) * scale,
              box.top + box.height / 2 + ({node.y} - {picture.height} / 2) * scale];
    }})()"""
    x, y = page.run(scale)
    page.mouse("mouseMoved", x - 30, y - 30)
    page.mouse("mouseMoved", x, y)
    page.wait("!document.getElementById('tip').hidden")
    told = page.run("document.getElementById('tip').textContent")
    assert "review" in told
    page.click(x, y)
    page.wait("document.querySelector('#details dl')")
    page.mouse("mouseMoved", 5, 5)
    assert "Mean stars" in page.run("document.getElementById('details').textContent")


def test_it_follows_the_theme_and_fits_a_narrow_window(still, pages):
    page, _ = visit(still, pages, "categories")
    page.theme("dark")
    page.resize(400, 860)
    page.open(Path(pages["categories"].file), READY)
    assert page.run("document.documentElement.scrollWidth") <= 400
    assert (
        page.run("getComputedStyle(document.documentElement).getPropertyValue('--g-halo').trim()")
        == "#1a1d22"
    )
    assert page.said == []
    page.theme("light")
    page.resize(1000, 700)


def test_the_policy_is_in_force(still, pages, tmp_path):
    """A script that is not the page's own is refused, so the silence above means something."""
    page, _ = still
    text = Path(pages["category"].file).read_text(encoding="utf-8")
    added = "<script>document.documentElement.dataset.pwned=1</script><img src='https://example.org/x.png'>"
    file = tmp_path / "page.html"
    file.write_text(text.replace("<main", added + "<main", 1), encoding="utf-8")
    page.open(file, READY)
    assert page.run("'pwned' in document.documentElement.dataset") is False
    assert len([line for line in page.said if "Content Security Policy" in line]) == 2
