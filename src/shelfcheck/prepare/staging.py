"""Rows after the first pass, on disk until the second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Self

import pyarrow as pa

from shelfcheck.schema import REVIEW_SCHEMA

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from shelfcheck.prepare.rules import Screened


_STAGED_SCHEMA: Final = REVIEW_SCHEMA.append(pa.field("standing", pa.bool_()))


class StagedBatch(NamedTuple):
    """Where one batch of staged rows is."""

    number: int  # of the batch in the file
    ordinal: int  # of its first row, in the whole input
    rows: int
    source: int  # index of the source its rows came from


class StageWriter:
    """Writes an Arrow IPC file, uncompressed.

    LZ4 makes review text smaller by a third only, and costs more than all other work on the
    staged rows but tokens and Parquet.
    """

    def __init__(self, path: Path) -> None:
        self._writer = pa.ipc.new_file(
            path, _STAGED_SCHEMA, options=pa.ipc.IpcWriteOptions(use_threads=False)
        )
        self.batches: list[StagedBatch] = []
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def write(self, screened: Screened, source: int, before: int = 0) -> StagedBatch:
        """Append rows of one source; `before` rows that come earlier in the input are not staged."""
        reviews = screened.reviews
        self._writer.write_batch(
            pa.RecordBatch.from_arrays([*reviews.columns, pa.array(screened.standing)], schema=_STAGED_SCHEMA)
        )
        batch = StagedBatch(len(self.batches), before + self.rows, reviews.num_rows, source)
        self.batches.append(batch)
        self.rows += reviews.num_rows
        return batch


class StageReader:
    """Reads staged batches in any order; each thread opens its own."""

    def __init__(self, path: Path) -> None:
        self._file = pa.OSFile(str(path))
        self._reader = pa.ipc.open_file(self._file, options=pa.ipc.IpcReadOptions(use_threads=False))

    def read(self, batch: StagedBatch) -> tuple[pa.RecordBatch, NDArray[np.bool_]]:
        """The rows of a batch, REVIEW_SCHEMA, and which of them stand."""
        staged = self._reader.get_batch(batch.number)
        reviews = pa.RecordBatch.from_arrays(staged.columns[:-1], schema=REVIEW_SCHEMA)
        return reviews, staged.column(staged.num_columns - 1).to_numpy(zero_copy_only=False)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
