from __future__ import annotations

import pytest

from shelfcheck.config import Settings, validate
from shelfcheck.errors import WorkspaceError
from shelfcheck.progress import NullProgress
from shelfcheck.stages import Stage, run_stage
from shelfcheck.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path)


def counter(name: str, needs: tuple[str, ...] = (), settings: tuple[str, ...] = ()):
    """A stage that writes how often it ran, and the list of its runs."""
    runs = []

    def work(context):
        runs.append({key: (path / "out").read_text() for key, path in context.inputs.items()})
        (context.out / "out").write_text(f"{name} {len(runs)}")
        return {"runs": len(runs)}

    return Stage(name, name, f"shelfcheck {name}", needs, settings, work), runs


def run(stage, workspace, settings=None, **rest):
    with workspace.locked():
        return run_stage(stage, workspace, settings or Settings(), NullProgress(), **rest)


def test_a_fresh_stage_is_skipped(workspace):
    stage, runs = counter("first")
    assert not run(stage, workspace).fresh
    again = run(stage, workspace)
    assert again.fresh
    assert again.counts == {"runs": 1}
    assert len(runs) == 1


def test_force_runs_a_fresh_stage(workspace):
    stage, runs = counter("first")
    run(stage, workspace)
    assert not run(stage, workspace, force=True).fresh
    assert len(runs) == 2


def test_only_settings_that_count_make_a_stage_stale(workspace):
    stage, _ = counter("first", settings=("text", "train.linear.epochs"))
    run(stage, workspace)
    assert run(stage, workspace, validate({"run": {"threads": 1}})).fresh
    assert run(stage, workspace, validate({"train": {"linear": {"learning_rate": 1.0}}})).fresh
    assert not run(stage, workspace, validate({"train": {"linear": {"epochs": 1}}})).fresh
    assert not run(stage, workspace, validate({"text": {"stemmer": "english"}})).fresh


def test_a_changed_input_makes_what_stands_on_it_stale(workspace):
    first, _ = counter("first", settings=("text",))
    second, runs = counter("second", needs=("first",))
    run(first, workspace)
    run(second, workspace)
    run(first, workspace, validate({"text": {"stop_words": "none"}}))
    assert not run(second, workspace).fresh
    assert runs[-1] == {"first": "first 2"}


def test_a_new_version_of_a_stage_makes_it_stale(workspace):
    from dataclasses import replace

    stage, _ = counter("first")
    run(stage, workspace)
    assert not run(replace(stage, version=2), workspace).fresh


def test_changed_sources_make_a_stage_stale(workspace):
    class Source:
        def __init__(self, fingerprint):
            self.fingerprint = fingerprint

    stage, _ = counter("first")
    run(stage, workspace, sources=[Source("a")])
    assert run(stage, workspace, sources=[Source("a")]).fresh
    assert not run(stage, workspace, sources=[Source("a"), Source("b")]).fresh


def test_a_removed_folder_is_made_again(workspace):
    import shutil

    stage, _ = counter("first")
    shutil.rmtree(run(stage, workspace).folder)
    assert not run(stage, workspace).fresh


def test_a_missing_input_is_told(workspace):
    stage, _ = counter("second", needs=("first",))
    with pytest.raises(WorkspaceError, match="second needs first"):
        run(stage, workspace)
