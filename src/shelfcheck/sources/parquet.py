"""Reads Parquet files row group by row group."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shelfcheck.sources.base import Chunk
from shelfcheck.sources.files import UnreadableError, open_binary, read_errors
from shelfcheck.urls import is_url, local_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow.parquet as pq

    from shelfcheck.sources.checks import Rejects


def column_names(path: str) -> list[str]:
    """Names of a Parquet file's columns.

    Raises:
        UnreadableError: it is no Parquet file, or a broken one.
    """
    with _opened(path) as file:
        return list(file.schema_arrow.names)


def chunks(
    path: str,
    mapping: Mapping[str, str],
    rejects: Rejects,
    batch_rows: int,
    size: int,
    *,
    row_groups: tuple[int, int] | None = None,
) -> Iterator[Chunk]:
    """Rows of a Parquet file.

    A row group that cannot be decoded is rejected row by row (`corrupt_row_group`): its number
    of rows is known from the footer.

    Args:
        path: local path or URL.
        mapping: canonical name -> column of the file.
        rejects: takes rows that cannot be read.
        batch_rows: most rows of a chunk.
        size: bytes of what is read, to tell the position.
        row_groups: first and past-the-last one to read; rows keep their numbers in the file.
    """
    with _opened(path) as file:
        rows_of = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
        begin, stop = row_groups or (0, len(rows_of))
        before = sum(rows_of[:begin])
        total = sum(rows_of[begin:stop])
        row = before
        for group in range(begin, stop):
            end = row + rows_of[group]
            try:
                for batch in file.iter_batches(
                    batch_rows, row_groups=[group], columns=sorted(set(mapping.values())), use_threads=False
                ):
                    lines = np.arange(row + 1, row + 1 + batch.num_rows)
                    columns = {name: batch.column(column) for name, column in mapping.items()}
                    row += batch.num_rows
                    yield Chunk(columns, lines, size * (row - before) // max(total, 1))
            except read_errors() as error:
                while row < end:
                    for _ in range(min(batch_rows, end - row)):
                        row += 1
                        rejects.add(row, "corrupt_row_group", str(error))
                    yield Chunk({}, np.empty(0, np.int64), size * (row - before) // max(total, 1))
            row = end


class _opened:  # noqa: N801 - a context manager function in all but name
    """Opens a Parquet file, with what went wrong put into words."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> pq.ParquetFile:
        import pyarrow.parquet as pq  # noqa: PLC0415 - most inputs are text

        self._opening = open_binary(self._path) if is_url(self._path) else None
        source = self._opening.__enter__() if self._opening else local_path(self._path)
        try:
            self._file = pq.ParquetFile(source, pre_buffer=False, buffer_size=1 << 20)
        except read_errors() as error:
            if self._opening:
                self._opening.__exit__(None, None, None)
            raise UnreadableError(
                f"{self._path}: not a whole Parquet file: {error}. Fetch or write it again."
            ) from error
        return self._file

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if self._opening:
            self._opening.__exit__(None, None, None)


def group_bytes(path: str) -> list[int]:
    """Bytes of each row group of a Parquet file as it lies, from its footer.

    Raises:
        UnreadableError: it is no Parquet file, or a broken one.
    """
    with _opened(path) as file:
        groups = [file.metadata.row_group(group) for group in range(file.metadata.num_row_groups)]
        return [
            sum(group.column(i).total_compressed_size for i in range(group.num_columns)) for group in groups
        ]
