"""Writes reviews to one Parquet partition a month, from an input that is in no order.

Rows wait in memory by month. When they pass a budget, the largest months are written, as
row groups, until half of it is free: large months get large row groups, small ones wait
and do too. What is written when depends on the rows alone, so the files are the same for
any number of threads.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck import schema
from shelfcheck.prepare.read import NO_MONTH

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Executor, Future
    from pathlib import Path

    from numpy.typing import NDArray

STORED_SCHEMA: Final = pa.schema(
    [field for field in schema.PREPARED_SCHEMA if field.name != schema.REVIEW_MONTH]
)
"""What stands in a file; `review_month` stands in its path."""

# Columns whose values come again within a month; for the others a dictionary is built in vain.
_REPEATING: Final = [
    schema.MARKETPLACE,
    schema.PRODUCT_CATEGORY,
    schema.STAR_RATING,
    schema.HELPFUL_VOTES,
    schema.TOTAL_VOTES,
    schema.REVIEW_DATE,
]
ROW_GROUP_ROWS: Final = 131_072
_OPEN_FILES: Final = 256  # below the usual limit of 1,024 open files
_OPEN_ROW_GROUPS: Final = 2_048  # an open file keeps some 13 KB for each until its footer is written
_NO_MONTH_CODE: Final = np.iinfo(np.int64).max  # sorts last


class MonthSlice(NamedTuple):
    """Rows of one month in their order."""

    month: str | None  # 'YYYY-MM'
    rows: pa.RecordBatch  # STORED_SCHEMA


def split_by_month(rows: pa.RecordBatch, standing: NDArray[np.bool_]) -> list[MonthSlice]:
    """Cut the standing rows of a batch into their months, each in the order of the rows."""
    chosen = np.flatnonzero(standing)
    if not chosen.size:
        return []
    codes = month_codes(rows.column(schema.REVIEW_DATE))[chosen]
    order = np.argsort(codes, kind="stable")
    found, starts = np.unique(codes[order], return_index=True)
    rows = rows.take(pa.array(chosen[order]))  # the one copy of a row between staging and Parquet
    ends = [*starts[1:].tolist(), len(codes)]
    return [
        MonthSlice(month_name(code), rows.slice(start, end - start))
        for code, start, end in zip(found.tolist(), starts.tolist(), ends, strict=True)
    ]


def month_codes(dates: pa.Array) -> NDArray[np.int64]:
    """Months since January 1970 of a date32 array; the largest number for null."""
    days = dates.cast(pa.int32()).fill_null(0).to_numpy().astype("datetime64[D]")
    codes: NDArray[np.int64] = days.astype("datetime64[M]").astype(np.int64)
    if dates.null_count:
        codes[dates.is_null().to_numpy(zero_copy_only=False)] = _NO_MONTH_CODE
    return codes


def month_name(code: int) -> str | None:
    """'YYYY-MM' of a code of `month_codes`; None for that of null."""
    return None if code == _NO_MONTH_CODE else f"{1970 + code // 12:04d}-{code % 12 + 1:02d}"


class _Partition:
    """One month's rows that wait, and its files."""

    def __init__(self, folder: Path, parts: int) -> None:
        self.folder = folder
        self.waiting: list[pa.RecordBatch] = []
        self.bytes = 0
        self.parts = parts  # files that are there
        self.row_groups = 0  # of the open file
        self.writer: pq.ParquetWriter | None = None
        self.last: Future[None] | None = None  # the write under way, which the next one waits for


class MonthWriter:
    """Buffers slices by month and writes them on a pool.

    Args:
        root: folder of the partitions.
        pool: where Parquet is encoded; its tasks must start in the order of submission.
        budget: bytes of rows that may wait; as many again may be in writing.
        following: month -> number of its next file, where there are some already.
    """

    def __init__(
        self, root: Path, pool: Executor, budget: int, following: Mapping[str | None, int] | None = None
    ) -> None:
        self._following = following or {}
        self._root = root
        self._pool = pool
        self._budget = budget
        self._bytes = 0
        self._partitions: dict[str | None, _Partition] = {}
        self._open: OrderedDict[str | None, None] = OrderedDict()  # least recently written first
        self._row_groups = 0  # of all open files
        self._writing: list[Future[None]] = []
        self.rows: defaultdict[str | None, int] = defaultdict(int)

    def add(self, slices: list[MonthSlice]) -> None:
        """Take rows; write some when the budget is passed."""
        for month, rows in slices:
            partition = self._partitions.get(month)
            if partition is None:
                name = NO_MONTH if month is None else month
                partition = _Partition(
                    self._root / f"{schema.REVIEW_MONTH}={name}", self._following.get(month, 0)
                )
                self._partitions[month] = partition
            size = rows.nbytes
            partition.waiting.append(rows)
            partition.bytes += size
            self._bytes += size
            self.rows[month] += rows.num_rows
        if self._bytes > self._budget:
            self._make_room()

    def close(self) -> None:
        """Write all that waits and close the files."""
        for month in self._by_size():
            self._write(month)
        self._wait()
        for month in list(self._open):
            self._close(month)

    def _by_size(self) -> list[str | None]:
        waiting = [month for month, partition in self._partitions.items() if partition.waiting]
        # Ties by name: the order must not depend on anything but the rows.
        return sorted(waiting, key=lambda month: (-self._partitions[month].bytes, month or NO_MONTH))

    def _make_room(self) -> None:
        self._wait()  # or what is in writing would pile up
        pa.default_memory_pool().release_unused()  # Arrow's allocator keeps freed pages of every thread
        while self._row_groups > _OPEN_ROW_GROUPS:
            self._close(
                max(self._open, key=lambda month: (self._partitions[month].row_groups, month or NO_MONTH))
            )
        for month in self._by_size():
            if self._bytes <= self._budget // 2:
                # Slices hold on to the whole batch they were cut from: copy the few that stay.
                partition = self._partitions[month]
                partition.waiting = [_copy(partition.waiting)]
            else:
                self._write(month)

    def _write(self, month: str | None) -> None:
        partition = self._partitions[month]
        rows, partition.waiting = partition.waiting, []
        self._bytes -= partition.bytes
        partition.bytes = 0
        if partition.writer is None:
            if len(self._open) >= _OPEN_FILES:
                self._close(next(iter(self._open)))
            partition.folder.mkdir(parents=True, exist_ok=True)
            partition.writer = month_file(partition.folder / f"part-{partition.parts:05d}.parquet")
            partition.parts += 1
        self._open[month] = None
        self._open.move_to_end(month)
        groups = -(-sum(batch.num_rows for batch in rows) // ROW_GROUP_ROWS)
        partition.row_groups += groups
        self._row_groups += groups
        partition.last = self._pool.submit(_write_rows, partition.writer, rows, partition.last)
        self._writing.append(partition.last)

    def _close(self, month: str | None) -> None:
        partition = self._partitions[month]
        if partition.last is not None:
            partition.last.result()
            partition.last = None
        if partition.writer is not None:
            partition.writer.close()
            partition.writer = None
        self._row_groups -= partition.row_groups
        partition.row_groups = 0
        self._open.pop(month, None)

    def _wait(self) -> None:
        for future in self._writing:
            future.result()
        self._writing.clear()


def month_file(path: Path) -> pq.ParquetWriter:
    """A new file for reviews of one month."""
    return pq.ParquetWriter(
        path,
        STORED_SCHEMA,
        compression="zstd",
        use_dictionary=_REPEATING,
        write_statistics=[schema.REVIEW_DATE],  # ranges of ids and texts would prune nothing
    )


def _copy(slices: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(slices) == 1:  # which concat_batches would hand back as it is
        return slices[0].take(pa.array(np.arange(slices[0].num_rows)))
    return pa.concat_batches(slices)


def _write_rows(writer: pq.ParquetWriter, rows: list[pa.RecordBatch], before: Future[None] | None) -> None:
    if before is not None:
        before.result()  # rows of a month stay in order
    writer.write_table(pa.Table.from_batches(rows), row_group_size=ROW_GROUP_ROWS)
