from __future__ import annotations

import contextlib
import os
import signal

import pytest

from shelfcheck import interrupts
from shelfcheck.config import Settings
from shelfcheck.progress import NullProgress
from shelfcheck.stages import Stage, run_stage
from shelfcheck.workspace import Workspace


@pytest.fixture(autouse=True)
def own_handler():
    before = signal.getsignal(signal.SIGINT)
    interrupts.watch()
    yield
    interrupts.watch()  # forgets what came
    signal.signal(signal.SIGINT, before)


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_interrupts():
    interrupts.check()
    with pytest.raises(KeyboardInterrupt):
        press()
    with pytest.raises(KeyboardInterrupt):
        interrupts.check()


def test_it_waits_for_the_end_of_the_block():
    done = []

    def work():
        with interrupts.deferred():
            press()
            done.append("the block")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["the block"]


def test_a_stage_in_which_a_library_swallowed_it_is_not_published(tmp_path):
    def swallow(context):
        with contextlib.suppress(BaseException):
            press()
        return {}

    workspace = Workspace(tmp_path)
    stage = Stage("made", "Making", "shelfcheck make", needs=(), settings=(), run=swallow)
    with workspace.locked(), pytest.raises(KeyboardInterrupt):
        run_stage(stage, workspace, Settings(), NullProgress())
    assert workspace.manifest("made") is None
    assert list((tmp_path / ".tmp").iterdir()) == []
