"""The chapter that compares registered models."""

from __future__ import annotations

import report_factory as factory

from shelfcheck import pipeline
from shelfcheck.config import Settings
from shelfcheck.models.registry import Registry
from shelfcheck.report import ReportInputs
from shelfcheck.report.models import COLUMNS, rankings
from shelfcheck.report.page import render
from shelfcheck.stages import plan
from shelfcheck.workspace import Manifest, Workspace


def test_each_group_has_its_table_and_groups_of_several_models_their_charts(tmp_path):
    found, charts = rankings(factory.write_registry(tmp_path / "shop"))
    assert [ranking.title for ranking in found] == [
        "Product category, product split",
        "Product category, row split",
    ]
    assert [line.version for line in found[0].lines] == ["linear-1", "linear-2", "linear-3"]
    assert found[0].lines[0].aliases == "champion"
    assert all(len(line.cells) == len(COLUMNS) for ranking in found for line in ranking.lines)
    assert "which flatters" in found[1].told
    assert set(charts) == {"models-0", "behind-0"}
    assert len(charts["models-0"].rows) == 3
    assert len(charts["behind-0"].rows) == 2


def test_a_page_without_models_says_so():
    assert "No registered models in this workspace" in render(ReportInputs(), Settings())


def test_the_report_is_stale_when_the_registry_has_changed(tmp_path):
    workspace = Workspace(factory.write_registry(tmp_path / "shop"))
    with workspace.locked(), workspace.writing(pipeline.PREPARED) as out:
        workspace.publish(out, Manifest(pipeline.PREPARED, "0" * 64))
    stage = next(stage for stage in pipeline.STAGES if stage.name == pipeline.REPORT)
    before = plan(stage, workspace, Settings())
    assert plan(stage, workspace, Settings()) == before
    Registry(workspace.root).promote("linear-2")
    assert plan(stage, workspace, Settings()) != before
