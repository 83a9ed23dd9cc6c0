"""Models that go on learning when reviews are added: from where, over what, and when they begin anew."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file, save_file

from shelfcheck import api
from shelfcheck.checkpoints import Checkpoint
from shelfcheck.config import validate
from shelfcheck.errors import WorkspaceError
from shelfcheck.models.continuing import STATE, Start
from shelfcheck.models.encoded import Encoded
from shelfcheck.models.linear import LinearModel
from shelfcheck.pipeline import EVALUATION, MODEL, OUT_OF_FOLD, run_stages
from shelfcheck.progress import NullProgress
from shelfcheck.sources import find_sources
from shelfcheck.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from shelfcheck.pipeline import RunResult

REVIEWS = 2000
LEARNED = (MODEL, OUT_OF_FOLD)


def run(
    workspace: Path, *sources: Path, progress: NullProgress | None = None, full: bool = False, **train: object
) -> RunResult:
    learning = {"linear": {"epochs": 3, "hash_bits": 16}, "update": "continue", "max_growth": 0.2, **train}
    settings = validate({"run": {"threads": 1}, "audit": {"folds": 2}, "train": learning})
    return run_stages(
        Workspace(workspace),
        settings,
        progress or NullProgress(),
        [EVALUATION, OUT_OF_FOLD],
        sources=find_sources(sources, settings.source),
        full=full,
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[Path]:
    """Reviews in three files, ascending by date: most of them, 5 % and 10 %."""
    folder = tmp_path_factory.mktemp("files")
    api.generate(folder / "all", reviews=REVIEWS, seed=5)
    table = pq.read_table(folder / "all" / "reviews-00000.parquet")
    table = table.take(pc.sort_indices(table, [("review_date", "ascending")]))
    cuts = [0, REVIEWS * 85 // 100, REVIEWS * 90 // 100, REVIEWS]
    named = [folder / f"{name}.parquet" for name in "abc"]
    for file, first, end in zip(named, cuts, cuts[1:], strict=False):
        pq.write_table(table.slice(first, end - first), file)
    return named


@pytest.fixture(scope="module")
def first(files, tmp_path_factory) -> Path:
    workspace = tmp_path_factory.mktemp("first")
    run(workspace, files[0])
    return workspace


@pytest.fixture
def before(first, tmp_path) -> Path:
    return shutil.copytree(first, tmp_path / "w")


@pytest.fixture(scope="module")
def continued(files, first, tmp_path_factory) -> tuple[Path, RunResult]:
    workspace = shutil.copytree(first, tmp_path_factory.mktemp("continued") / "w")
    return workspace, run(workspace, *files[:2])


def stale(result: RunResult) -> set[str]:
    return {stage.stage for stage in result.stages if not stage.fresh}


def went_on(result: RunResult) -> list[bool]:
    return ["continued_while_reviews_grew" in result.stage(name).counts for name in LEARNED]


def content(folder: Path) -> dict[str, bytes]:
    """Every file's bytes; a card's but for seconds."""
    found = {}
    for file in folder.rglob("*"):
        if file.name == "card.json":
            card = json.loads(file.read_text())
            del card["seconds"]
            found[str(file.relative_to(folder))] = json.dumps(card).encode()
        elif file.is_file():
            found[str(file.relative_to(folder))] = file.read_bytes()
    return found


def test_it_goes_on_over_all_reviews_and_learns_new_n_grams(first, continued):
    workspace, result = continued
    assert went_on(result) == [True, True]
    old, new = (Workspace(place).path(MODEL, made_by="run") for place in (first, workspace))
    cards = [json.loads((folder / "card.json").read_text()) for folder in (old, new)]
    assert cards[1]["training_reviews"] > cards[0]["training_reviews"]
    assert len(cards[1]["loss_by_epoch"]) == 2 < len(cards[0]["loss_by_epoch"])
    assert cards[1]["loss_by_epoch"][0] < cards[0]["loss_by_epoch"][1]  # not from nothing
    assert cards[1]["features"] - cards[0]["features"] == cards[1]["continued"]["new_ngrams"] > 0
    assert cards[1]["settings"] == cards[0]["settings"]
    assert cards[1]["calibration"] != cards[0]["calibration"]
    for folder in ("fold-0", "fold-1"):
        home = result.stage(OUT_OF_FOLD).folder / folder
        assert json.loads((home / "card.json").read_text())["continued"]["times"] == 1
        grown = load_file(home / STATE)["squares"].sum()
        assert (
            grown
            > load_file(Workspace(first).path(OUT_OF_FOLD, made_by="run") / folder / STATE)["squares"].sum()
        )


def test_not_worse_than_models_that_stand(files, before, continued):
    kept = run(before, *files[:2], update="keep")
    _, result = continued
    for stage in (EVALUATION, OUT_OF_FOLD):
        assert result.stage(stage).counts["accuracy"] >= kept.stage(stage).counts["accuracy"] - 0.002


def test_a_second_run_does_nothing_and_a_full_one_is_that_of_an_empty_workspace(files, continued, tmp_path):
    workspace = shutil.copytree(continued[0], tmp_path / "w")
    assert not stale(run(workspace, *files[:2]))
    result = run(workspace, *files[:2], full=True)
    assert stale(result) == {*LEARNED, EVALUATION}
    full = run(tmp_path / "full", *files[:2])
    for stage in LEARNED:
        folders = [one.stage(stage).folder for one in (result, full)]
        assert folders[0].name == folders[1].name != continued[1].stage(stage).folder.name
        assert content(folders[0]) == content(folders[1])


def test_the_first_model_is_that_of_retrain_with_its_state_beside_it(files, first, tmp_path):
    result = run(tmp_path, files[0], update="retrain")
    for stage in LEARNED:
        folder = Workspace(first).path(stage, made_by="run")
        assert folder.name == result.stage(stage).folder.name
        found = content(folder)
        states = [name for name in found if name.endswith(STATE)]
        assert len(states) == (1 if stage == MODEL else 2)
        assert content(result.stage(stage).folder) == {k: v for k, v in found.items() if k not in states}
    assert went_on(run(tmp_path, *files[:2])) == [False, False]  # no state to go on from


def test_settings_that_change_between_runs(files, continued, tmp_path):
    def again(name: str) -> Path:
        return shutil.copytree(continued[0], tmp_path / name)

    learned = {*LEARNED, EVALUATION}
    assert stale(run(again("retrain"), *files[:2], update="retrain")) == learned
    assert not stale(run(again("keep"), *files[:2], update="keep"))
    assert went_on(run(again("epochs"), *files[:2], linear={"epochs": 2, "hash_bits": 16})) == [False, False]

    workspace = again("kept")
    kept = run(workspace, *files, update="keep")
    assert all("kept_while_reviews_grew" in kept.stage(stage).counts for stage in LEARNED)
    manifest = Workspace(workspace).manifest(MODEL)
    assert {"carried.learned_from", "carried.continued_from"} <= set(manifest.inputs)
    result = run(workspace, *files)  # what stood while reviews came has not learned from them yet
    assert went_on(result) == [True, True]
    card = json.loads((result.stage(MODEL).folder / "card.json").read_text())
    assert card["continued"]["times"] == 2


def test_growth_adds_up_until_it_begins_anew(files, continued, tmp_path):
    workspace = shutil.copytree(continued[0], tmp_path / "w")
    assert went_on(run(workspace, *files, max_growth=0.1)) == [False, False]
    workspace = shutil.copytree(continued[0], tmp_path / "v")
    assert went_on(run(workspace, *files, max_growth=0.3)) == [True, True]


def test_another_model_learns_anew_and_the_folds_go_on(files, tmp_path):
    run(tmp_path, files[0], model="tfidf_svm")
    assert went_on(run(tmp_path, *files[:2], model="tfidf_svm")) == [False, True]


class Stops(NullProgress):
    """Stops the work, as Ctrl-C would, at one of the times that a step tells how far it is."""

    def __init__(self, step: str, after: int) -> None:
        self._step, self._left, self._here = step, after, False

    def start(self, label: str, total: int | None = None, unit: str = "rows") -> None:
        self._here = label.startswith(self._step)

    def advance(self, n: int, **counters: int) -> None:
        self._left -= self._here
        if self._left < 0:
            raise KeyboardInterrupt


def test_stopped_it_goes_on_to_the_same_files(files, before, continued, monkeypatch):
    import shelfcheck.stages

    made = shelfcheck.stages.checkpoint_of
    monkeypatch.setattr(
        shelfcheck.stages, "checkpoint_of", lambda *given: Checkpoint(made(*given).folder, seconds=0)
    )
    stops, kept = 0, []
    for after in (1, 2, 1, 3):
        try:
            run(before, *files[:2], progress=Stops("Training", after))
        except KeyboardInterrupt:
            stops += 1
            kept += before.glob(".partial/*/continued-*/**/epoch.json")
    assert stops >= 2
    assert kept
    result = run(before, *files[:2])
    for stage in LEARNED:
        assert content(result.stage(stage).folder) == content(continued[1].stage(stage).folder)
    assert not list((before / ".partial").iterdir())


def test_the_function_is_unchanged_by_new_factors_until_it_learns(files, first, continued):
    """Weights times factors are what they were; n-grams that are new count nothing."""
    old = Workspace(first).path(MODEL, made_by="run")
    encoded = Encoded.open(continued[1].stage(MODEL).workspace.path("encoded", made_by="run"))
    model = LinearModel.load(old)
    rows = np.arange(0, encoded.n_rows, 2)
    start = Start(old, 1)
    still = LinearModel.fit(
        encoded, rows, model.categories, model.settings.model_copy(update={"learning_rate": 1e-12}),
        threads=1, start=start,
    )  # fmt: skip
    known = still.position[model.buckets]
    here = known >= 0
    product = still.weights[known[here]] * still.idf[known[here], None]
    assert np.allclose(product, model.weights[here] * model.idf[here, None], rtol=0.01, atol=1e-6)
    unknown = np.setdiff1d(np.arange(len(still.buckets)), known)
    assert len(unknown)
    assert np.allclose(still.weights[unknown], 0, atol=1e-9)
    assert np.allclose(still.bias, model.bias, atol=1e-6)


def test_a_broken_state_is_told(files, before):
    folder = Workspace(before).path(MODEL, made_by="run")
    save_file({"squares": np.zeros(3, np.float32)}, folder / STATE)
    with pytest.raises(WorkspaceError, match="no state of learning that can be read"):
        run(before, *files[:2])
    assert went_on(run(before, *files[:2], full=True)) == [False, False]
