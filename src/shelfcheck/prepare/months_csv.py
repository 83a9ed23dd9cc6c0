"""Prepared reviews as gzip CSV, one file a month, for tools that read nothing better."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv as pc_csv

from shelfcheck import schema
from shelfcheck.prepare.read import prepared_files, read_file
from shelfcheck.prepare.summary import NO_MONTH_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor
    from pathlib import Path

    from shelfcheck.progress import Progress


def write_csv(prepared_dir: Path, pool: Executor, progress: Progress) -> None:
    """Write `csv/YYYY-MM.csv.gz` beside the prepared reviews: PREPARED_SCHEMA, UTF-8, RFC 4180.

    A month whose file is there already is passed over.
    """
    folder = prepared_dir / "csv"
    folder.mkdir(parents=True, exist_ok=True)
    months: dict[str | None, list[Path]] = {}
    for file, month in prepared_files(prepared_dir):
        if not month_csv(folder, month).exists():
            months.setdefault(month, []).append(file)

    def write(month: str | None) -> None:
        write_month(months[month], month, folder)

    progress.start("Writing CSV", len(months), "months")
    for _ in pool.map(write, months):
        progress.advance(1)
    progress.finish()


def write_month(files: Sequence[Path], month: str | None, folder: Path) -> None:
    """Write one month's files of prepared reviews as `YYYY-MM.csv.gz` into a folder."""
    with (
        pa.CompressedOutputStream(str(month_csv(folder, month)), "gzip") as stream,
        pc_csv.CSVWriter(stream, schema.PREPARED_SCHEMA) as writer,
    ):
        for file in files:
            for batch in read_file(file, month, schema.PREPARED_SCHEMA.names, 16_384):
                writer.write_batch(batch)


def month_csv(folder: Path, month: str | None) -> Path:
    """The CSV file of a month, 'YYYY-MM' or None."""
    return folder / f"{NO_MONTH_NAME if month is None else month}.csv.gz"
