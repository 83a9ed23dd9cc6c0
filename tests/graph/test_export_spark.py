"""Exports on Spark: the bytes of one machine."""

from __future__ import annotations

import pytest
from exchange_support import files_of, small_graph

from shelfcheck.config import validate
from shelfcheck.errors import WorkspaceError
from shelfcheck.graph.export import MANIFEST, PARTIAL, export_graph
from shelfcheck.graph.export_journal import Journal
from shelfcheck.progress import NullProgress


@pytest.fixture(scope="module")
def settings(spark_settings):
    return validate({"run": {"engine": "spark"}, "spark": spark_settings.model_dump()})


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """Tables of three batches and of one, and an empty one."""
    return small_graph(tmp_path_factory.mktemp("graph"), 40_000)


def written(graph, output, target, settings=None, **options):
    return export_graph(graph, output, target, NullProgress(), settings, **options)


@pytest.mark.parametrize(
    ("target", "options"),
    [
        ("neptune", {"max_bytes": 1_500_000, "compress": True}),
        ("neptune", {"max_bytes": 1}),
        ("neo4j", {"max_bytes": 1_500_000}),
        ("gremlin", {}),
        ("parquet", {}),
    ],
)
def test_spark_writes_the_files_of_one_machine(graph, tmp_path, settings, target, options):
    here = written(graph, tmp_path / "here", target, **options)
    there = written(graph, tmp_path / "there", target, settings, **options)
    assert there.files == here.files
    assert files_of(tmp_path / "there") == files_of(tmp_path / "here")
    if "max_bytes" in options:
        assert sum(file.table == "nodes-reviews" and file.rows > 0 for file in here.files) > 1
    assert written(graph, tmp_path / "there", target, settings, **options).fresh


def test_either_engine_goes_on_with_what_the_other_was_killed_at(graph, tmp_path, settings, monkeypatch):
    expected = tmp_path / "whole"
    whole = written(graph, expected, "neptune", max_bytes=1)
    add = Journal.add
    for number, (first, second) in enumerate([(settings, None), (None, settings)]):
        out = tmp_path / f"killed-{number}"

        def killed(journal, files):
            add(journal, files)
            if len(journal.ordered()) >= 8:
                raise KeyboardInterrupt

        monkeypatch.setattr(Journal, "add", killed)
        with pytest.raises(KeyboardInterrupt):
            written(graph, out, "neptune", first, max_bytes=1)
        monkeypatch.setattr(Journal, "add", add)
        left = files_of(out)
        assert PARTIAL in left
        assert MANIFEST not in left
        again = written(graph, out, "neptune", second, max_bytes=1)
        assert 8 <= again.reused < len(whole.files)
        assert files_of(out) == files_of(expected)


def test_an_executor_that_does_not_reach_the_graph_says_so(tmp_path, settings):
    graph = small_graph(tmp_path / "graph")

    def gone(journal):
        graph.edges("wrote").unlink()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "begin", gone)
        with pytest.raises(WorkspaceError, match=r"edges/wrote.parquet: this executor does not reach it"):
            written(graph, tmp_path / "out", "neptune", settings)
