"""What is kept of unfinished work is had back whole or not at all."""

from __future__ import annotations

import numpy as np
import pytest

from shelfcheck.checkpoints import FOLDER, Checkpoint, checkpoint_of
from shelfcheck.config import Settings
from shelfcheck.progress import NullProgress
from shelfcheck.stages import Stage, run_stage
from shelfcheck.workspace import Workspace

ARRAYS = {"a": np.arange(5), "b": np.ones((2, 3), np.float32)}


def test_arrays_and_what_is_told_come_back(tmp_path):
    kept = Checkpoint(tmp_path / "c")
    assert kept.saved("epoch") is None
    kept.save("epoch", ARRAYS, {"done": 3})
    arrays, told = Checkpoint(tmp_path / "c").saved("epoch")
    assert told == {"done": 3}
    assert all(np.array_equal(arrays[name], values) for name, values in ARRAYS.items())
    kept.save("epoch", {"a": np.zeros(2)}, {"done": 4})
    assert kept.saved("epoch")[1] == {"done": 4}
    assert len(list((tmp_path / "c").glob("*.npy"))) == 1  # the earlier ones are gone
    kept.drop("epoch")
    assert kept.saved("epoch") is None
    assert not list((tmp_path / "c").iterdir())


@pytest.mark.parametrize("damage", ["short", "changed", "gone", "record"])
def test_a_damaged_piece_is_not_there(tmp_path, damage):
    kept = Checkpoint(tmp_path)
    kept.save("epoch", ARRAYS)
    file = next(tmp_path.glob("epoch-*-a.npy"))
    if damage == "short":
        file.write_bytes(file.read_bytes()[:-1])
    elif damage == "changed":
        file.write_bytes(file.read_bytes()[:-1] + b"\x07")
    elif damage == "gone":
        file.unlink()
    else:
        (tmp_path / "epoch.json").write_text("{", encoding="utf-8")
    assert kept.saved("epoch") is None


def test_due_after_some_time(tmp_path):
    assert not Checkpoint(tmp_path).due
    assert Checkpoint(tmp_path, seconds=0).due
    assert Checkpoint(tmp_path, seconds=0).part("fold-1").due


def test_a_stage_goes_on_and_leaves_nothing(tmp_path):
    workspace = Workspace(tmp_path)
    met = []

    def work(context):
        met.append(context.checkpoint.kept("half"))
        context.checkpoint.folder.mkdir(parents=True, exist_ok=True)
        context.checkpoint.keep("half", [], {"run": len(met)})
        if len(met) == 1:
            raise KeyboardInterrupt
        (context.out / "out").write_text("done", encoding="utf-8")
        return {}

    stage = Stage("first", "first", "shelfcheck first", (), (), work)
    with pytest.raises(KeyboardInterrupt), workspace.locked():
        run_stage(stage, workspace, Settings(), NullProgress())
    with workspace.locked():
        run_stage(stage, workspace, Settings(), NullProgress())
    assert met == [None, {"run": 1}]
    assert not list((tmp_path / FOLDER).iterdir())


def test_work_of_another_fingerprint_is_removed(tmp_path):
    old = checkpoint_of(tmp_path, "model", "a" * 64)
    old.keep("epoch", [])
    other = checkpoint_of(tmp_path, "encoded", "a" * 64)
    other.keep("epoch", [])
    new = checkpoint_of(tmp_path, "model", "b" * 64)
    assert not old.folder.exists()
    assert other.folder.exists()
    assert new.folder.name == "model-" + "b" * 12
