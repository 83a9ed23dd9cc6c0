"""The files of an export, one after another: where each ends follows from the rows alone."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from shelfcheck.graph import csv_forms
from shelfcheck.graph.export_journal import DATA, ExportedFile
from shelfcheck.graph.property_graph import BATCH_ROWS
from shelfcheck.gzipped import written
from shelfcheck.ordered import ordered_map
from shelfcheck.stores.transfer import sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from shelfcheck.graph.csv_forms import Form
    from shelfcheck.graph.folder import Folder
    from shelfcheck.graph.property_graph import Table

_AHEAD: Final = 4  # batches under way for each thread that makes lines of them


@dataclass(frozen=True)
class Files:
    """What the files of an export are.

    Attributes:
        form: of the lines; None copies the Parquet files.
        compress: whether CSV files are gzipped.
        max_bytes: at which a CSV file is closed, before gzip.
    """

    form: Form | None
    compress: bool
    max_bytes: int

    def full(self, size: int, rows: int) -> bool:
        """Whether a file takes no more batches: it holds so many bytes, and a row."""
        return size >= self.max_bytes and rows > 0

    def head(self, table: Table) -> bytes:
        """What a file of lines begins with: the header, unless that has a file of its own."""
        return b"" if self.form is None or self.form == "neo4j" else header(table, self.form)

    def lines(self, table: Table, batch: pa.RecordBatch) -> bytes:
        """The lines of a batch."""
        return csv_forms.rows(table.kind, cast("Form", self.form), batch)

    def name(self, table: Table, number: int) -> str:
        """Name of a table's file of lines, counted from 0."""
        return f"{table.name}-{number:05d}.csv{'.gz' if self.compress else ''}"


@dataclass(frozen=True)
class Made:
    """A file that is written, with the name that it shall have below `data/`."""

    path: Path
    name: str
    rows: int


def put(made: Made, table: Table, folder: Folder) -> ExportedFile:
    """Move a file to its place, and describe it."""
    digest, size = sha256_of(made.path), made.path.stat().st_size
    name = f"{DATA}/{made.name}"
    folder.put(made.path, name)
    return ExportedFile(name, table.name, made.rows, size, digest)


def copied(table: Table, path: Path) -> Made:
    """The table's Parquet file as it is."""
    with table.opened() as source, path.open("wb") as copy:
        shutil.copyfileobj(source, copy)
    return Made(path, f"{table.name}.parquet", table.rows)


def header_file(table: Table, path: Path) -> Made:
    """The header by itself, as neo4j-admin takes it."""
    path.write_bytes(header(table, "neo4j"))
    return Made(path, f"{table.name}-header.csv", 0)


def header(table: Table, form: Form) -> bytes:
    """The header line."""
    return f"{csv_forms.header(table.kind, form)}\r\n".encode()


def remaining(done: Sequence[ExportedFile]) -> tuple[int, int]:
    """Of the files of a table that are there: how many batches they hold, and how many of them hold rows."""
    return -(-sum(one.rows for one in done) // BATCH_ROWS), sum(1 for one in done if one.rows)


def missing(
    table: Table, files: Files, path: Path, done: Sequence[ExportedFile], threads: int
) -> Iterator[Made]:
    """Write the files of a table that are missing, one after another to the same path.

    Args:
        table: whose.
        files: what they are.
        path: each file must be moved from here before the next is asked for.
        done: those that are there.
        threads: that make lines.
    """
    if files.form is None:
        if not done:
            yield copied(table, path)
        return
    if files.form == "neo4j" and not done:  # neo4j-admin takes the header from a file of its own
        yield header_file(table, path)
    skip, number = remaining(done)
    with ThreadPoolExecutor(threads) as pool:
        ready = ordered_map(pool, partial(files.lines, table), table.batches(skip), _AHEAD * threads)
        one = next(ready, None)
        while one is not None:
            rows = size = 0
            with written(path, compress=files.compress) as file:
                size += file.write(files.head(table))
                while one is not None and not files.full(size, rows):
                    rows += one[0].num_rows
                    size += file.write(one[1])
                    one = next(ready, None)
            yield Made(path, files.name(table, number), rows)
            number += 1
