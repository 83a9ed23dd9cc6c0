"""What a task on an executor does first: sees that it reaches the driver's folder, and takes one thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa

from shelfcheck.errors import WorkspaceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shelfcheck.engines.spark import Spark

_MARKER: Final = "here"


def mark(folder: Path) -> None:
    """Make a folder that executors are to reach, and leave in it what tells them that they do."""
    folder.mkdir(parents=True)
    (folder / _MARKER).touch()


def begin(folder: Path | None) -> None:
    """Begin a task: an executor runs as many as it has processors, so that Arrow needs no threads beside.

    Args:
        folder: one that the driver marked; None where files go to an object store.

    Raises:
        WorkspaceError: this machine does not reach it.
    """
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    if folder is not None and not (folder / _MARKER).exists():
        raise WorkspaceError(
            f"{folder}: this executor does not reach it. On a cluster, the workspace and what is written "
            "must be on storage that all machines share; see docs/how-to/run-on-spark.md."
        )


def check_reach(spark: Spark, folder: Path) -> None:
    """See whether executors reach a folder, before Spark itself writes into it.

    Args:
        spark: whose executors.
        folder: one that the driver marked.

    Raises:
        WorkspaceError: one does not.
    """
    schema = pa.schema([("reached", pa.bool_())])

    def look(_: int) -> Iterator[pa.RecordBatch]:
        begin(folder)
        yield pa.record_batch([pa.array([True])], schema=schema)

    spark.collect(spark.each(spark.slots, look, schema), "Looking for the workspace", spark.slots)
