"""Batches of Arrow, cut anew: a span of their rows, and as many rows in each as a reader wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def span(batches: Iterable[pa.RecordBatch], skip: int, rows: int | None = None) -> Iterator[pa.RecordBatch]:
    """The rows after the first `skip`, at most so many; no batch after them is asked for."""
    for batch in batches:
        own = batch.slice(skip, rows)
        skip = max(0, skip - batch.num_rows)
        if own.num_rows:
            yield own
        if rows is not None:
            rows -= own.num_rows
            if rows == 0:
                return


def filled(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """The same rows, so many in each batch; only the last may have fewer, and none is empty."""
    pending: list[pa.RecordBatch] = []
    held = 0
    for given in batches:
        batch = given
        while held + batch.num_rows >= rows:
            taken = rows - held
            yield pa.concat_batches([*pending, batch.slice(0, taken)])
            batch, pending, held = batch.slice(taken), [], 0
        if batch.num_rows:
            pending.append(batch)
            held += batch.num_rows
    if pending:
        yield pa.concat_batches(pending)
