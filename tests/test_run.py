"""The main job from end to end: what it leaves, what it skips, and what a kill does to it."""

from __future__ import annotations

import hashlib
import json
import random
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from shelfcheck import api
from shelfcheck.pipeline import MAIN_JOB
from shelfcheck.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

REVIEWS = 4000
SETTINGS = {"run.threads": 1, "audit.folds": 3, "train.linear.epochs": 2}
KILLS = 4


@pytest.fixture(scope="module")
def reviews(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("reviews")
    api.generate(folder, reviews=REVIEWS, seed=3)
    return folder


@pytest.fixture(scope="module")
def finished(reviews, tmp_path_factory):
    workspace = tmp_path_factory.mktemp("finished")
    return api.run(reviews, workspace, overrides=SETTINGS)


def digest(file: Path) -> str:
    content = file.read_bytes()
    if file.name == "card.json":
        content = json.dumps({k: v for k, v in json.loads(content).items() if k != "seconds"}).encode()
    if file.name == "report.html":  # it tells when it was made, and how long learning took
        content = re.sub(rb"<time.*?</time>|<code>seconds\..*?</tr>", b"", content)
    return hashlib.sha256(content).hexdigest()


def digests(workspace: Path) -> dict[str, str]:
    """A hash of every file of every artefact, and of what stands at the top; times aside."""
    found = {}
    for stage in MAIN_JOB:
        folder = Workspace(workspace).path(stage, made_by="run")
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                found[f"{stage}/{file.relative_to(folder)}"] = digest(file)
    for file in workspace.glob("*.*"):
        if not file.name.startswith("."):
            found[file.name] = digest(file)
    return found


def test_it_leaves_findings_and_a_report_at_the_top(finished):
    names = {path.name for path in finished.workspace.iterdir()}
    assert {
        "report.html",
        "misplaced_reviews.csv",
        "miscategorised_products.parquet",
        "settings.toml",
    } <= names
    assert [stage.stage for stage in finished.stages] == list(MAIN_JOB)
    assert not any(stage.fresh for stage in finished.stages)


def test_rows_add_up(finished):
    counts = finished.stage("prepared").counts
    assert counts["rows_read"] == counts["rows_kept"] + counts["rows_filtered"] + counts["rows_rejected"]
    assert counts["rows_read"] >= REVIEWS


def test_every_review_is_judged_once_by_a_model_that_saw_nothing_of_its_product(finished):
    folder = finished.stage("out_of_fold").folder
    table = pq.read_table(folder / "predictions.parquet", columns=["review_id", "product_id", "fold"])
    assert table.num_rows == finished.stage("prepared").counts["rows_kept"]
    assert len(table["review_id"].unique()) == table.num_rows
    folds = (
        table.filter(table["product_id"].is_valid())
        .group_by("product_id")
        .aggregate([("fold", "count_distinct")])
    )
    assert folds["fold_count_distinct"].unique().to_pylist() == [1]


def test_a_second_run_does_nothing(finished, reviews):
    before = digests(finished.workspace)
    again = api.run(reviews, finished.workspace, overrides=SETTINGS)
    assert all(stage.fresh for stage in again.stages)
    assert digests(finished.workspace) == before


def test_a_changed_setting_redoes_only_what_depends_on_it(finished, reviews):
    states = api.status(finished.workspace, reviews, overrides=SETTINGS | {"report.max_findings": 7})
    assert [name for name in MAIN_JOB if states[name] != "fresh"] == ["report"]


def test_one_thread_gives_the_same_files_again(finished, reviews, tmp_path):
    api.run(reviews, tmp_path, overrides=SETTINGS)
    assert digests(tmp_path) == digests(finished.workspace)


def test_killed_at_random_it_ends_with_the_same_artefacts(finished, reviews, tmp_path):
    arguments = [f"--set={key}={value}" for key, value in SETTINGS.items()]
    command = [
        sys.executable, "-m", "shelfcheck", "run", "--quiet", "--json",
        "--source", str(reviews), "--workspace", str(tmp_path), *arguments,
    ]  # fmt: skip
    whole = sum(stage.seconds for stage in finished.stages)
    chance = random.Random(11)  # noqa: S311 - the moments of the kills, not a secret
    killed = 0
    for _ in range(KILLS):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(chance.uniform(0.5, 2.0 + whole / 2))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
    assert killed > 0
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert digests(tmp_path) == digests(finished.workspace)
    assert not list((tmp_path / ".tmp").glob("*"))  # no folder at all where the last run found all fresh


def test_ctrl_c_is_told_and_leaves_nothing_half_written(reviews, tmp_path):
    command = [
        sys.executable,
        "-m",
        "shelfcheck",
        "run",
        "--source",
        str(reviews),
        "--workspace",
        str(tmp_path),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while not (tmp_path / ".tmp").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=300)
    # Python ends itself by the signal where Ctrl-C met an exec() of some library; a shell sees 130.
    assert process.returncode in (130, -signal.SIGINT), told
    assert "Interrupted" in told
    assert "Traceback" not in told
    assert not list((tmp_path / ".tmp").iterdir())


def test_reviews_of_one_category_give_a_report_that_says_what_could_not_be_learned(reviews, tmp_path):
    import pyarrow.compute as pc

    table = pq.read_table(next(reviews.glob("reviews-*.parquet")))
    one = table.filter(pc.field("product_category") == "Books")
    pq.write_table(one, tmp_path / "books.parquet")
    result = api.run(tmp_path / "books.parquet", tmp_path / "ws", overrides=SETTINGS)
    assert {"model", "evaluation", "misplaced_reviews"} <= set(result.skipped)
    assert "must be >= 2" in result.skipped["misplaced_reviews"]
    assert (tmp_path / "ws" / "report.html").exists()
    assert not (tmp_path / "ws" / "misplaced_reviews.csv").exists()
