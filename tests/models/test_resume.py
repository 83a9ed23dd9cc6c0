"""Encoding and training that are stopped anywhere go on, and end with the same files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from review_corpus import reviews, write_prepared
from shelfcheck.checkpoints import FOLDER, Checkpoint
from shelfcheck.config import validate
from shelfcheck.models import encode as module
from shelfcheck.models.encode import encode
from shelfcheck.models.train import train
from shelfcheck.predict.out_of_fold import out_of_fold
from shelfcheck.progress import NullProgress

if TYPE_CHECKING:
    from pathlib import Path

TOLD = {
    "run": {"threads": 1},
    "audit": {"folds": 3},
    "train": {
        "linear": {"hash_bits": 14, "epochs": 4},
        "embedding": {"hash_bits": 14, "vector_dim": 8, "epochs": 6, "min_epochs": 6},
    },
}
LINEAR = validate(TOLD)
EMBEDDING = validate(TOLD | {"train": TOLD["train"] | {"model": "embedding"}})


class Stops(NullProgress):
    """Stops the work, as Ctrl-C would, at one of the times that it tells how far it is."""

    def __init__(self, after: int) -> None:
        self._left = after

    def advance(self, n: int, **counters: int) -> None:
        """Count down."""
        self._left -= 1
        if self._left < 0:
            raise KeyboardInterrupt


def content(folder):
    """Every file's bytes; but for the seconds that a card tells."""
    found = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            text = file.read_bytes()
            if file.name == "card.json":
                text = b"\n".join(
                    line for line in text.splitlines() if b'"count":' not in line and b'"learn":' not in line
                )
            found[str(file.relative_to(folder))] = text
    return found


def to_the_end(work, folder, stops):
    """Run until it is not stopped any more, with the checkpoint of the run before; how often it was."""
    for stopped, after in enumerate([*stops, 10**9]):
        out = folder / f"out-{stopped}"
        try:
            work(out, Stops(after), Checkpoint(folder / "kept", seconds=0))
        except KeyboardInterrupt:
            continue
        return out, stopped
    raise AssertionError


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return write_prepared(reviews(1200), tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="module")
def encoded(prepared, tmp_path_factory):
    return encode(prepared, tmp_path_factory.mktemp("encoded"), LINEAR).folder


def test_encoding(prepared, encoded, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_PART_ROWS", 200)
    monkeypatch.setattr(module, "_SEGMENT_ROWS", 170)
    whole = encode(prepared, tmp_path / "whole", LINEAR).folder

    def work(out, progress, kept):
        encode(prepared, out, LINEAR, progress, checkpoint=kept)

    out, stopped = to_the_end(work, tmp_path, [3, 2, 7, 3, 4])
    assert stopped == 5
    assert content(out) == content(whole)
    arrays = {name: data for name, data in content(out).items() if "." in name and "rows" not in name}
    del arrays["meta.json"]
    assert arrays == {name: content(encoded)[name] for name in arrays}  # however it is cut


@pytest.mark.parametrize("settings", [LINEAR, EMBEDDING], ids=["linear", "embedding"])
def test_training(prepared, encoded, tmp_path, settings):
    train(encoded, tmp_path / "whole", settings, prepared_dir=prepared)

    def work(out, progress, kept):
        train(encoded, out, settings, progress, prepared_dir=prepared, checkpoint=kept)

    out, stopped = to_the_end(work, tmp_path, [2, 3])
    assert stopped == 2
    assert content(out) == content(tmp_path / "whole")


def test_epochs_that_were_kept_are_not_learned_again(encoded, tmp_path):
    kept = Checkpoint(tmp_path / "kept", seconds=0)
    train(encoded, tmp_path / "one", LINEAR, checkpoint=kept)
    arrays, told = kept.saved("epoch")
    assert len(told["losses"]) == 4
    kept.save("epoch", arrays | {"bias": arrays["bias"] + np.float32(1)}, told)
    train(encoded, tmp_path / "two", LINEAR, checkpoint=kept)
    assert content(tmp_path / "one")["model.safetensors"] != content(tmp_path / "two")["model.safetensors"]


def test_folds(encoded, tmp_path):
    out_of_fold(encoded, tmp_path / "whole", LINEAR)

    def work(out, progress, kept):
        out_of_fold(encoded, out, LINEAR, progress, checkpoint=kept)

    out, stopped = to_the_end(work, tmp_path, [3, 4, 5, 6])
    assert stopped == 4
    assert content(out) == content(tmp_path / "whole")


def test_killed(prepared, tmp_path):
    """`kill -9` of the command as soon as some work is kept, and again when more is."""
    for name in ("whole", "killed"):
        folder = tmp_path / name / "prepared"
        folder.mkdir(parents=True)
        (folder / "x").symlink_to(prepared)
        text = '{"artefact": "prepared", "fingerprint": "x", "folder": "x", "format": 1}'
        (folder / "manifest.json").write_text(text, encoding="utf-8")
    _audit(tmp_path / "whole")
    seen = [
        _audit(tmp_path / "killed", piece)
        for piece in ("encoded-*/segment-00000.arrow", "*/fold-1/epoch.json")
    ]
    assert any(seen)  # a piece may come and go between two looks
    _audit(tmp_path / "killed")
    for artefact in ("encoded", "out_of_fold"):
        one, other = (next((tmp_path / name / artefact).glob("*/")) for name in ("whole", "killed"))
        assert content(other) == content(one)
    assert not list((tmp_path / "killed" / FOLDER).iterdir())


def _audit(workspace: Path, piece: str | None = None) -> bool:
    """Audit for misplaced reviews; whether a piece was kept, upon which it is killed."""
    sets = ["run.threads=1", "audit.folds=3", "train.linear.hash_bits=14", "train.linear.epochs=4"]
    sets += ["train.min_category_reviews=5"]
    program = (
        "from shelfcheck import checkpoints, stages; "
        "made = checkpoints.checkpoint_of; "
        "stages.checkpoint_of = lambda *given: checkpoints.Checkpoint(made(*given).folder, seconds=0); "
        "from shelfcheck.cli.main import main; main()"
    )
    arguments = ["audit", "misplaced_reviews", "--workspace", str(workspace), "--quiet"]
    arguments += [part for one in sets for part in ("--set", one)]
    with (workspace / "told").open("w+b") as told:
        process = subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=told, stderr=told)
        while process.poll() is None:
            if piece is not None and any((workspace / FOLDER).glob(piece)):
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                return True
            time.sleep(0.002)
        told.seek(0)
        assert process.returncode == 0, told.read().decode()
    return False
