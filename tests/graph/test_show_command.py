"""`shelfcheck graph show` end to end: files, what it prints, what it refuses."""

from __future__ import annotations

import json
import re
import sys
import xml.etree.ElementTree as ET

import pytest
from click.testing import CliRunner
from picture_support import MODEL, hostile_shop

from shelfcheck import api
from shelfcheck.cli.main import cli
from shelfcheck.errors import MissingExtraError, UsageError


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return hostile_shop(tmp_path_factory.mktemp("show"))[0]


def run(*arguments):
    result = CliRunner().invoke(cli, ["graph", "show", *map(str, arguments), "-q"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_each_level_has_its_page_in_the_workspace(shop):
    said = run("--model", MODEL, "--workspace", shop)
    assert f"Picture: {shop}/graph-by-first.html" in said
    assert "mismatching reviews" in said
    told = json.loads(run("--model", MODEL, "--category", "Garden's", "--workspace", shop, "--json"))
    page = shop / re.search(r"graph-category-Garden-s-[0-9a-f]{8}-by-first\.html$", told["file"])[0]
    assert told["bytes"] == page.stat().st_size
    assert (told["level"], told["title"], told["model"]) == ("category", "Garden's", MODEL)
    assert told["nodes"] > told["products"]
    assert set(told["seconds"]) == {"read", "layout", "write"}
    told = json.loads(run("--model", MODEL, "--product", "P3", "--limit", 20, "--workspace", shop, "--json"))
    assert told["file"].endswith("graph-product-P3-by-first.html")
    assert any("beyond the limit" in sentence for sentence in told["told"])
    assert not list(shop.glob(".*.tmp"))


def test_what_is_pooled_is_said_on_the_terminal_and_in_the_page(shop, tmp_path):
    said = run(
        "--model", MODEL, "--category", "Toys", "--limit", 20, "--workspace", shop, "-o", tmp_path / "a.html"
    )
    sentence = next(line for line in said.splitlines() if line.startswith("Products beyond the limit"))
    assert sentence in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_svg_is_well_formed_and_whole(shop, tmp_path):
    file = tmp_path / "toys.SVG"
    run("--model", MODEL, "--category", "Toys", "--workspace", shop, "--output", file)
    tree = ET.fromstring(file.read_text(encoding="utf-8"))  # noqa: S314 - made here
    told = api.graph_show(shop, "Toys", model=MODEL, output=file).picture
    drawn = [one.get("class", "") for one in tree.iter()]
    for kind in ("category", "review", "product"):
        expected = sum(node.kind == kind for node in told.nodes)
        marks = 1  # in the legend
        assert sum(f"g-node g-{kind}" == classes for classes in drawn) == expected + marks
    assert "Toys" in {one.text for one in tree.iter("{http://www.w3.org/2000/svg}text")}
    assert "var(" not in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("ending", ["html", "svg"])
@pytest.mark.parametrize("asked", [{}, {"category": "Toys"}, {"product": "P3"}])
def test_where_nothing_is_astray_there_is_still_a_picture(shop, tmp_path, asked, ending):
    found = api.graph_show(shop, model=MODEL, min_confidence=1.0, output=tmp_path / f"a.{ending}", **asked)
    assert found.picture.counts["mismatching_reviews"] == 0
    assert found.picture.counts["nodes"] >= 1
    assert found.bytes > 500


def test_png_is_a_picture_of_that_size(shop, tmp_path):
    pytest.importorskip("resvg_py", reason="needs the extra graph")
    file = tmp_path / "all.png"
    run("--model", MODEL, "--workspace", shop, "--output", file)
    data = file.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    picture = api.graph_show(shop, model=MODEL, output=tmp_path / "all.svg").picture
    assert width == pytest.approx(2 * picture.width, abs=2)
    assert height > 2 * picture.height


def test_without_resvg_the_extra_is_named_before_any_work(shop, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(MissingExtraError, match=r"\.svg needs nothing more.*shelfcheck\[graph\]"):
        api.graph_show(shop, model=MODEL, output=tmp_path / "a.png")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"category": "Toys", "product": "P3"}, "of a category or of a product"),
        ({"min_confidence": 1.5}, r"min_confidence == 1.5, must be in \[0, 1\]"),
        ({"limit": 100_000}, r"limit == 100000, must be in \[10, 5000\]: more cannot be read"),
        ({"output": "a.gif"}, r"End its name in \.html, \.svg or \.png"),
        ({"output": "/proc/no/a.html"}, "/proc/no/a.html: cannot be written"),
        ({"output": "https://example.org/a.html"}, "cannot be written to. Name a local path, or an s3"),
        ({"model": "other"}, r"no predictions of 'other'.*It has those of: first"),
        ({"category": "xyz"}, "no category 'xyz'"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_the_way_out(shop, given, told):
    with pytest.raises(UsageError, match=told):
        api.graph_show(shop, **{"model": MODEL} | given)


def test_an_old_picture_stays_when_the_new_one_fails(shop, tmp_path):
    file = tmp_path / "a.html"
    file.write_text("old", encoding="utf-8")
    with pytest.raises(UsageError, match="no category"):
        run("--model", MODEL, "--category", "xyz", "--workspace", shop, "--output", file)
    assert file.read_text(encoding="utf-8") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.html"]


def test_a_picture_goes_to_an_object_store(shop, s3_endpoint, monkeypatch):
    boto3 = pytest.importorskip("boto3", reason="needs the extra aws")
    for name, value in {
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="pictures")
    found = api.graph_show(shop, model=MODEL, output="s3://pictures/a/toys.svg")
    assert (found.place, found.file) == ("s3://pictures/a/toys.svg", None)
    body = client.get_object(Bucket="pictures", Key="a/toys.svg")["Body"].read()
    assert body.startswith(b"<svg")
    assert len(body) == found.bytes
