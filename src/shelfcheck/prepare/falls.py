"""Which staged rows fall, streamed from the engine beside the staged batches."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from shelfcheck.engines.duckdb import DuckDB
    from shelfcheck.prepare.staging import StagedBatch


class Falls(NamedTuple):
    """What becomes of one staged batch."""

    rows: NDArray[np.int64]  # rows of the batch that fall, ascending
    counts: Counter[str]  # rule -> rows
    suffixes: dict[int, int]  # row of the batch -> occurrence of its content, from 2


class FallStream:
    """Reads `falls` and `occurrences` (see `find_falls`) in the order of the rows, in bounded memory."""

    def __init__(self, engine: DuckDB) -> None:
        self._engine = engine

    def batches(self, staged: Sequence[StagedBatch]) -> Iterator[tuple[StagedBatch, Falls]]:
        """Yield each staged batch with what becomes of it."""
        # One query for both, since a connection streams one result at a time.
        stream = self._engine.stream(
            """
            SELECT ordinal, rule, CAST(NULL AS BIGINT) AS occurrence FROM falls
            UNION ALL
            SELECT ordinal, NULL, occurrence FROM occurrences
            ORDER BY ordinal
            """
        )
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
