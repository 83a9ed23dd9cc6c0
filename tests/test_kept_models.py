"""Models that stand while reviews are added: who judges the new ones, and when all is learned anew."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from shelfcheck import api
from shelfcheck.config import validate
from shelfcheck.models.encoded import Encoded
from shelfcheck.models.linear import LinearModel
from shelfcheck.models.train import learnable
from shelfcheck.pipeline import MODEL, OUT_OF_FOLD, run_stages
from shelfcheck.predict.out_of_fold import open_log_probabilities
from shelfcheck.predict.out_of_fold_added import add_out_of_fold
from shelfcheck.progress import NullProgress
from shelfcheck.sources import find_sources
from shelfcheck.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from shelfcheck.pipeline import RunResult

REVIEWS = 3000


def run(workspace: Path, *sources: Path, full: bool = False, **train: object) -> RunResult:
    linear = {"epochs": 2, "hash_bits": 18}
    learning = {"linear": linear, "update": "keep", "max_growth": 0.1, **train}
    settings = validate({"run": {"threads": 1}, "audit": {"folds": 2}, "train": learning})
    return run_stages(
        Workspace(workspace),
        settings,
        NullProgress(),
        [MODEL, OUT_OF_FOLD],
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
    import shutil

    return shutil.copytree(first, tmp_path / "w")


def predictions(workspace: Path) -> dict[str, dict]:
    folder = Workspace(workspace).path(OUT_OF_FOLD, made_by="run")
    dense, _ = open_log_probabilities(folder)
    table = pq.read_table(folder / "predictions.parquet")
    return {
        row["review_id"]: row | {"dense": values.tobytes()}
        for row, values in zip(table.to_pylist(), dense, strict=True)
    }


def test_old_predictions_stand_and_fold_models_judge_the_new(files, before):
    old = predictions(before)
    weights = (Workspace(before).path(MODEL, made_by="run") / "model.safetensors").read_bytes()
    result = run(before, *files[:2])
    for stage in (MODEL, OUT_OF_FOLD):
        assert 0 < result.stage(stage).counts["kept_while_reviews_grew"] < 0.1
    assert (result.stage(MODEL).folder / "model.safetensors").read_bytes() == weights
    found = predictions(before)
    added = set(found) - set(old)
    assert len(added) == result.stage(OUT_OF_FOLD).counts["reviews_added"] > 50
    assert {name: found[name] for name in old} == old

    folder = result.stage(OUT_OF_FOLD).folder
    encoded = Encoded.open(Workspace(before).path("encoded", made_by="run"))
    ids = [name for batch in encoded.batches(["review_id"]) for name in batch["review_id"].to_pylist()]
    assert ids == list(found)
    folds = np.fromfile(folder / "fold.i8", np.int8)
    assert [found[name]["fold"] for name in ids] == folds.tolist()
    for fold in (0, 1):
        model = LinearModel.load(folder / f"fold-{fold}")
        rows = np.array([i for i, name in enumerate(ids) if name in added and folds[i] == fold])
        truth = model.calibration.log_probabilities_of_truth(
            model.logits(encoded.indptr, encoded.ids, rows.astype(np.uint32), 1)
        )
        assert len(rows) > 20
        for row, values in zip(rows.tolist(), truth, strict=True):
            assert found[ids[row]]["dense"] == values.astype("<f2").tobytes()
            assert found[ids[row]]["predicted_category"] == model.categories[int(values.argmax())]
    products = {}
    for name, row in found.items():  # no product stands in two folds: its model has seen none of its reviews
        if row["product_id"] is not None:
            assert products.setdefault(row["product_id"], row["fold"]) == row["fold"], name
    meta = json.loads((folder / "meta.json").read_text())
    assert meta["shape"] == [len(found), len(model.categories)]


def test_a_second_run_does_nothing_and_a_full_one_learns_anew(files, before, tmp_path):
    run(before, *files[:2])
    assert all(stage.fresh for stage in run(before, *files[:2]).stages)
    result = run(before, *files[:2], full=True)
    assert [stage.stage for stage in result.stages if not stage.fresh] == [MODEL, OUT_OF_FOLD]
    full = run(tmp_path / "full", *files[:2])
    for stage in (MODEL, OUT_OF_FOLD):
        folders = [one.stage(stage).folder for one in (result, full)]
        assert folders[0].name == folders[1].name
        for file in full.stage(stage).folder.rglob("*"):
            if file.is_file() and file.name != "card.json":
                assert (folders[0] / file.relative_to(folders[1])).read_bytes() == file.read_bytes(), file


def test_with_retrain_what_was_kept_is_stale(files, before):
    run(before, *files[:2])
    result = run(before, *files[:2], update="retrain")
    assert [stage.stage for stage in result.stages if not stage.fresh] == [MODEL, OUT_OF_FOLD]
    assert "kept_while_reviews_grew" not in result.stage(MODEL).counts


def test_growth_adds_up_until_all_is_learned_anew(files, before):
    assert "reviews_added" in run(before, *files[:2]).stage(OUT_OF_FOLD).counts
    result = run(before, *files)  # a tenth and a twentieth more than was learned from
    for stage in (MODEL, OUT_OF_FOLD):
        assert "kept_while_reviews_grew" not in result.stage(stage).counts
    result = run(before, *files, max_growth=0.5)
    assert all(stage.fresh for stage in result.stages)


def test_two_additions_one_after_the_other(files, before):
    old = predictions(before)
    run(before, *files[:2], max_growth=0.5)
    between = predictions(before)
    result = run(before, *files, max_growth=0.5)
    assert result.stage(OUT_OF_FOLD).counts["kept_while_reviews_grew"] > 0.1
    found = predictions(before)
    assert {name: found[name] for name in between} == between
    assert {name: between[name] for name in old} == old


def test_changed_reviews_are_not_taken_for_the_old_ones(files, before, tmp_path):
    table = pq.read_table(files[0])
    other = tmp_path / "a.parquet"
    pq.write_table(table.set_column(table.schema.get_field_index("review_body"), "review_body",
                                    pc.utf8_upper(table["review_body"])), other)  # fmt: skip
    result = run(before, other, files[1])
    assert "kept_while_reviews_grew" not in result.stage(OUT_OF_FOLD).counts


def test_a_category_that_can_be_learned_now_is_learned(files, before, tmp_path):
    table = pq.read_table(files[1])
    names = ["Bees"] * 40 + table["product_category"].to_pylist()[40:]
    column = pc.cast(names, table.schema.field("product_category").type)
    other = tmp_path / "b.parquet"
    place = table.schema.get_field_index("product_category")
    pq.write_table(table.set_column(place, "product_category", column), other)
    result = run(before, files[0], other)
    for stage in (MODEL, OUT_OF_FOLD):
        assert "kept_while_reviews_grew" not in result.stage(stage).counts
    assert "Bees" in json.loads((result.stage(MODEL).folder / "card.json").read_text())["categories"]


def test_a_prediction_whose_review_is_gone(files, first, tmp_path):
    fewer = tmp_path / "a.parquet"
    pq.write_table(pq.read_table(files[0]).slice(3), fewer)
    run(tmp_path / "w", fewer)
    encoded = Workspace(tmp_path / "w").path("encoded", made_by="run")
    standing = Workspace(first).path(OUT_OF_FOLD, made_by="run")
    settings = validate({"audit": {"folds": 2}})
    known = open_log_probabilities(standing)[1]
    assert tuple(learnable(Encoded.open(encoded), settings.train)[0]) == known
    assert add_out_of_fold(encoded, standing, tmp_path / "out", settings) is None
