"""`shelfcheck graph analyse` end to end: what it prints, when it is stale, and what the report takes."""

from __future__ import annotations

import json
import sys

import pytest
from click.testing import CliRunner
from graph_support import predict, reviews, workspace_of

from shelfcheck import api
from shelfcheck.cli.main import cli
from shelfcheck.errors import MissingExtraError, UsageError
from shelfcheck.workspace import Workspace


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A workspace with a graph and predictions named `first`."""
    root = tmp_path_factory.mktemp("analyse")
    rows = reviews()
    workspace = workspace_of(rows, root / "shop")
    api.graph_build(workspace, predict(rows, root / "first.parquet"), "first")
    return workspace, rows, root


def run(*arguments):
    result = CliRunner().invoke(cli, ["graph", "analyse", *map(str, arguments), "-q"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_it_prints_what_was_found_and_is_fresh_until_predictions_change(shop):
    workspace, rows, root = shop
    said = run("--model", "first", "--workspace", workspace)
    assert "predicted elsewhere than assigned" in said
    assert "(fresh)" not in said
    assert "(fresh)" in run("--model", "first", "--workspace", workspace)
    told = json.loads(run("--model", "first", "--workspace", workspace, "--json"))
    assert told["stage"] == "graph_analysis"
    assert told["fresh"] is True
    assert told["model"] == told["settings"]["model"] == "first"
    assert told["judged_reviews"] + told["not_judged_reviews"] > told["mismatched_reviews"] > 0
    api.graph_build(workspace, predict(rows, root / "second.parquet", seed=5), "first")
    assert api.graph_analyse(workspace, "first").fresh is False
    assert api.graph_analyse(workspace, "first").fresh is True


def test_a_model_that_the_graph_lacks_is_named_with_the_way_out(shop):
    workspace, _, _ = shop
    with pytest.raises(UsageError, match=r"no predictions of 'other'.*It has those of: first"):
        api.graph_analyse(workspace, "other")


def test_without_networkit_the_extra_is_named(shop, monkeypatch):
    monkeypatch.setitem(sys.modules, "networkit", None)
    with pytest.raises(MissingExtraError, match=r"shelfcheck\[graph\]"):
        api.graph_analyse(shop[0], "first", force=True)


def test_the_report_takes_the_analysis_of_these_reviews_alone(shop):
    from shelfcheck.pipeline import GRAPH_ANALYSIS_MANIFEST
    from shelfcheck.pipeline.adapters import graph_analysis_of
    from shelfcheck.stages import Context

    workspace, _, _ = shop
    api.graph_analyse(workspace, "first")
    watched = {GRAPH_ANALYSIS_MANIFEST: workspace / GRAPH_ANALYSIS_MANIFEST}
    context = Context(watched, (), None, None, None, None, None, Workspace(workspace))
    assert (graph_analysis_of(context) / "summary.json").is_file()
    manifest = workspace / "prepared" / "manifest.json"
    before = manifest.read_text(encoding="utf-8")
    manifest.write_text(before.replace('"fingerprint": "', '"fingerprint": "0'), encoding="utf-8")
    try:
        assert graph_analysis_of(context) is None
    finally:
        manifest.write_text(before, encoding="utf-8")
    assert graph_analysis_of(Context({}, (), None, None, None, None, None, Workspace(workspace))) is None
