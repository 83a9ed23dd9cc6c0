"""Rows that stand after the first pass, on disk until the second."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

import pyarrow as pa

from shelfcheck.schema import REVIEW_SCHEMA

if TYPE_CHECKING:
    from pathlib import Path


class StagedBatch(NamedTuple):
    """Where one batch of staged rows is."""

    number: int  # of the batch in the file
    ordinal: int  # of its first row
    rows: int
    source: int  # index of the source its rows came from


class StageWriter:
    """Writes an Arrow IPC file, uncompressed.

    LZ4 makes review text smaller by a third only, and costs more than all other work on the
    staged rows but tokens and Parquet.
    """

    def __init__(self, path: Path) -> None:
        self._writer = pa.ipc.new_file(path, REVIEW_SCHEMA, options=pa.ipc.IpcWriteOptions(use_threads=False))
        self.batches: list[StagedBatch] = []
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def write(self, reviews: pa.RecordBatch, source: int) -> None:
        """Append rows of one source."""
        self._writer.write_batch(reviews)
        self.batches.append(StagedBatch(len(self.batches), self.rows, reviews.num_rows, source))
        self.rows += reviews.num_rows


class StageReader:
    """Reads staged batches in any order; each thread opens its own."""

    def __init__(self, path: Path) -> None:
        self._file = pa.OSFile(str(path))
        self._reader = pa.ipc.open_file(self._file, options=pa.ipc.IpcReadOptions(use_threads=False))

    def read(self, batch: StagedBatch) -> pa.RecordBatch:
        """The rows of a batch, REVIEW_SCHEMA."""
        return self._reader.get_batch(batch.number)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
