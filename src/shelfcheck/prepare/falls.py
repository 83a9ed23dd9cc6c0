"""Which staged rows fall, streamed from disk beside the staged batches."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from shelfcheck.prepare.staging import StagedBatch

_READ_ROWS: Final = 65_536


class Falls(NamedTuple):
    """What becomes of one staged batch."""

    rows: NDArray[np.int64]  # rows of the batch that fall, ascending
    counts: Counter[str]  # rule -> rows
    suffixes: dict[int, int]  # row of the batch -> occurrence of its content, from 2


class FallStream:
    """Reads the file that `write_falls` wrote, in bounded memory."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def batches(self, staged: Sequence[StagedBatch]) -> Iterator[tuple[StagedBatch, Falls]]:
        """Yield each staged batch with what becomes of it."""
        with pq.ParquetFile(self._path) as file:
            yield from _join(file.iter_batches(_READ_ROWS, use_threads=False), staged)


def _join(
    stream: Iterator[pa.RecordBatch], staged: Sequence[StagedBatch]
) -> Iterator[tuple[StagedBatch, Falls]]:
    pending: list[tuple[int, str | None, int | None]] = []
    position = 0
    for batch in staged:
        end = batch.ordinal + batch.rows
        while not pending or pending[-1][0] < end:
            read = next(stream, None)
            if read is None:
                break
            pending = pending[position:] + list(
                zip(*(column.to_pylist() for column in read.columns), strict=True)
            )
            position = 0
        start = position
        while position < len(pending) and pending[position][0] < end:
            position += 1
        yield batch, _falls(pending[start:position], batch.ordinal)


def _falls(rows: list[tuple[int, str | None, int | None]], first: int) -> Falls:
    fallen = np.array([ordinal for ordinal, rule, _ in rows if rule is not None], np.int64)
    counts = Counter(rule for _, rule, _ in rows if rule is not None)
    suffixes = {ordinal - first: occurrence for ordinal, _, occurrence in rows if occurrence is not None}
    return Falls(fallen - first, counts, suffixes)
