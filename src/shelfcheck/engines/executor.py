"""What a task on an executor does first: sees that it reaches the driver's folder, and takes one thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa

from shelfcheck.errors import WorkspaceError

if TYPE_CHECKING:
    from pathlib import Path

_MARKER: Final = "here"


def mark(folder: Path) -> None:
    """Make a folder that executors are to reach, and leave in it what tells them that they do."""
    folder.mkdir(parents=True)
    (folder / _MARKER).touch()


def begin(folder: Path) -> None:
    """Begin a task: an executor runs as many as it has processors, so that Arrow needs no threads beside.

    Args:
        folder: one that the driver marked.

    Raises:
        WorkspaceError: this machine does not reach it.
    """
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    if not (folder / _MARKER).exists():
        raise WorkspaceError(
            f"{folder}: this executor does not reach it. On a cluster, the workspace and what is written "
            "must be on storage that all machines share; see docs/how-to/run-on-spark.md."
        )
