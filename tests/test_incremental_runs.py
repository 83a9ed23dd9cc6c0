"""New files come to those of an earlier run: what is read, what stands, and what a kill does to it."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from shelfcheck import api
from shelfcheck.cli.main import cli
from shelfcheck.config import Settings, validate
from shelfcheck.pipeline import ENCODED, run_stages
from shelfcheck.prepare import iter_prepared
from shelfcheck.prepare.record import read_record
from shelfcheck.progress import NullProgress
from shelfcheck.sources import find_sources
from shelfcheck.stages import Stage, run_stage
from shelfcheck.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

REVIEWS = 3000
KILLS = 4


@pytest.fixture(scope="module")
def cut(tmp_path_factory) -> tuple[Path, Path]:
    """Reviews in two files, the second of later months."""
    folder = tmp_path_factory.mktemp("cut")
    api.generate(folder / "all", reviews=REVIEWS, seed=5)
    table = pq.read_table(folder / "all" / "reviews-00000.parquet")
    table = table.take(pc.sort_indices(table, [("review_date", "ascending")]))
    pq.write_table(table.slice(0, REVIEWS * 9 // 10), folder / "2015-a.parquet")
    pq.write_table(table.slice(REVIEWS * 9 // 10), folder / "2015-b.parquet")
    return folder / "2015-a.parquet", folder / "2015-b.parquet"


def rows(workspace: Path) -> list[dict[str, Any]]:
    folder = Workspace(workspace).path("prepared", made_by="run")
    return [row for batch in iter_prepared(folder) for row in batch.to_pylist()]


def told(*arguments: str) -> Any:
    result = CliRunner().invoke(cli, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def encoded(workspace: Path, sources: list[Path]) -> dict[str, bytes]:
    """Every file of the encoded reviews, which all that comes after stands on."""
    settings = validate({"run": {"threads": 1}})
    found = find_sources(sources, settings.source)
    result = run_stages(Workspace(workspace), settings, NullProgress(), [ENCODED], sources=found)
    folder = result.stage(ENCODED).folder
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_new_files_alone_are_read_and_the_artefact_is_that_of_a_full_run(cut, tmp_path):
    old, new = cut
    api.prepare(old, tmp_path / "w")
    plan = api.source_plan(tmp_path / "w", [old, new])
    assert (plan.does, plan.changes.new) == ("add", (str(new),))
    size, known = new.stat().st_size, old.stat().st_size
    assert plan.changes.new_rows == round(size * (REVIEWS * 9 // 10) / known)
    done = api.prepare([old, new], tmp_path / "w")
    assert done.counts["files_added"] == 1
    assert 0 < done.counts["rows_added"] <= REVIEWS // 10
    full = api.prepare([old, new], tmp_path / "full")
    assert "files_added" not in full.counts
    assert rows(tmp_path / "w") == rows(tmp_path / "full")
    manifests = [Workspace(tmp_path / name).manifest("prepared") for name in ("w", "full")]
    assert manifests[0].fingerprint == manifests[1].fingerprint
    assert api.source_plan(tmp_path / "w", [old, new], full=True).does == "nothing"
    assert api.prepare([old, new], tmp_path / "w", full=True).fresh


def test_files_that_sort_before_have_an_order_of_their_own_until_a_full_run(cut, tmp_path):
    old, new = cut
    api.prepare(new, tmp_path / "w")
    api.prepare([old, new], tmp_path / "w")
    assert api.status(tmp_path / "w", [old, new])["prepared"] == "fresh"
    full = api.prepare([old, new], tmp_path / "full")
    added = Workspace(tmp_path / "w").manifest("prepared")
    assert added.fingerprint != Workspace(tmp_path / "full").manifest("prepared").fingerprint
    assert rows(tmp_path / "w") != rows(tmp_path / "full")
    by_id = [{row["review_id"]: row for row in rows(tmp_path / name)} for name in ("w", "full")]
    assert by_id[0] == by_id[1]
    assert encoded(tmp_path / "w", [old, new]) == encoded(tmp_path / "full", [old, new])
    assert api.status(tmp_path / "w", [old, new], full=True)["prepared"] == "stale"
    done = api.prepare([old, new], tmp_path / "w", full=True)
    assert not done.fresh
    assert done.folder.name == full.folder.name
    assert rows(tmp_path / "w") == rows(tmp_path / "full")


def test_other_settings_read_all_files(cut, tmp_path):
    old, new = cut
    api.prepare(old, tmp_path / "w")
    changed = {"prepare.min_characters": 20}
    plan = api.source_plan(tmp_path / "w", [old, new], overrides=changed)
    assert (plan.does, plan.why) == ("read all", "settings have changed, or the version")
    done = api.prepare([old, new], tmp_path / "w", overrides=changed)
    assert done.counts["read_all_because"] == plan.why
    api.prepare([old, new], tmp_path / "full", overrides=changed)
    assert rows(tmp_path / "w") == rows(tmp_path / "full")


WHYS = [
    ({"run.incremental": False}, False, "run.incremental is off"),
    ({"run.engine": "spark"}, False, "Spark reads all files"),
    ({}, True, "a full run is wanted"),
]


@pytest.mark.parametrize(("overrides", "full", "why"), WHYS)
def test_why_all_files_would_be_read(cut, tmp_path, overrides, full, why):
    old, new = cut
    api.prepare(old, tmp_path)
    plan = api.source_plan(tmp_path, [old, new], overrides=overrides, full=full)
    assert (plan.does, plan.why) == ("read all", why)


def test_force_reads_all_files(cut, tmp_path):
    old, new = cut
    api.prepare(old, tmp_path)
    done = api.prepare([old, new], tmp_path, force=True)
    assert "files_added" not in done.counts


def test_the_plan_is_told(cut, tmp_path):
    old, new = cut
    place = ["-w", str(tmp_path)]
    first = told("run", "--source", str(old), "--dry-run", *place)
    assert first["sources"] == {"does": "read all", "why": ""}
    assert first["stages"]["prepared"] == "missing"
    api.prepare(old, tmp_path)
    both = ["--source", str(old), "--source", str(new)]
    plan = told("run", *both, "--dry-run", *place)
    assert plan["sources"]["does"] == "add"
    assert plan["sources"]["new"] == [str(new)]
    assert plan["stages"]["prepared"] == "stale"
    assert told("status", *both, *place)["sources"] == plan["sources"]
    assert "sources" not in told("status", *place)
    shown = CliRunner().invoke(cli, ["run", *both, "--dry-run", *place]).stdout
    assert "Reads the new files only" in shown
    assert new.name in shown
    shown = CliRunner().invoke(cli, ["status", "--source", str(new), *place]).stdout
    assert f"Reads all files: a file is no longer there: {old.name}." in shown


def test_killed_at_random_the_old_reviews_stand_or_the_new(cut, tmp_path):
    old, new = cut
    workspace = tmp_path / "w"
    api.prepare(old, workspace)
    before = rows(workspace)
    api.prepare([old, new], tmp_path / "full")
    after = rows(tmp_path / "full")
    command = [
        sys.executable, "-m", "shelfcheck", "prepare", "--quiet", str(old), str(new), "-w", str(workspace),
    ]  # fmt: skip
    chance = random.Random(7)  # noqa: S311 - the moments of the kills, not a secret
    killed = 0
    for _ in range(KILLS):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not list(workspace.glob(".tmp/*")) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.8))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        assert rows(workspace) in (before, after)
    assert killed > 0
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    assert rows(workspace) == after
    record = read_record(Workspace(workspace).path("prepared", made_by="run"))
    assert record.new == 1
    assert [path.name for path in (workspace / "prepared").iterdir() if path.is_dir()] == [
        Workspace(workspace).manifest("prepared").folder
    ]


def test_a_stage_is_told_what_stands_unless_all_is_to_be_made(tmp_path):
    seen = []

    def work(context):
        seen.append(context.standing and (context.standing.same_work, context.standing.folder().name))
        (context.out / "out").touch()
        return {}

    def run(made_by: Stage, settings: Settings, **rest: Any) -> str:
        with workspace.locked():
            return run_stage(made_by, workspace, settings, NullProgress(), **rest).folder.name

    workspace = Workspace(tmp_path)
    stage = Stage("first", "first", "first", (), ("text",), work, extends=True)
    other = validate({"text": {"stemmer": "english"}})
    first = run(stage, Settings())
    second = run(stage, other)
    run(stage, other, force=True)
    run(stage, Settings(), full=True)
    assert seen == [None, (False, first), None, None]
    assert second != first


def test_what_stands_on_the_reviews_is_that_of_a_full_run(cut, tmp_path):
    old, new = cut
    encoded(tmp_path / "w", [old])
    added = encoded(tmp_path / "w", [old, new])
    assert Workspace(tmp_path / "w").manifest("prepared").counts["files_added"] == 1
    assert added == encoded(tmp_path / "full", [old, new])
    manifests = [Workspace(tmp_path / name).manifest(ENCODED) for name in ("w", "full")]
    assert manifests[0].fingerprint == manifests[1].fingerprint
