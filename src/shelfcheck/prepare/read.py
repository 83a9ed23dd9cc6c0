"""Read prepared reviews back, in their one order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck.batches import filled, span
from shelfcheck.errors import WorkspaceError
from shelfcheck.listing import LISTING_FILE, UNKNOWN_MONTH, ListedFile, Listing
from shelfcheck.schema import PREPARED_SCHEMA, REVIEW_MONTH

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NO_MONTH: Final = "__HIVE_DEFAULT_PARTITION__"
"""Name of the partition of reviews without a date, as Hive, Spark and DuckDB have it."""


def prepared_files(prepared_dir: str | Path) -> list[tuple[Path, str | None]]:
    """The Parquet files of prepared reviews with their month, in the order of reading.

    Raises:
        WorkspaceError: there are no prepared reviews.
    """
    root = Path(prepared_dir) / "reviews"
    if not root.is_dir():
        raise WorkspaceError(f"{root}: no such folder. You can make it with: shelfcheck prepare")
    found: list[tuple[Path, str | None]] = []
    for folder in sorted(root.glob(f"{REVIEW_MONTH}=*")):
        month = folder.name.removeprefix(f"{REVIEW_MONTH}=")
        found += [(file, None if month == NO_MONTH else month) for file in sorted(folder.glob("*.parquet"))]
    return found


def count_prepared(prepared_dir: str | Path) -> int:
    """Number of prepared reviews, from the files' footers."""
    return sum(pq.read_metadata(file).num_rows for file, _ in prepared_files(prepared_dir))


def list_prepared(prepared_dir: str | Path) -> Listing:
    """Each month's files with their rows and bytes, from the files' footers.

    Raises:
        WorkspaceError: there are no prepared reviews.
    """
    months: dict[str, list[ListedFile]] = {}
    for file, month in prepared_files(prepared_dir):
        name = UNKNOWN_MONTH if month is None else month
        path = file.relative_to(prepared_dir).as_posix()
        listed = ListedFile(path, pq.read_metadata(file).num_rows, file.stat().st_size)
        months.setdefault(name, []).append(listed)
    return Listing({month: tuple(files) for month, files in months.items()})


def read_listing(prepared_dir: str | Path) -> Listing:
    """The listing that `prepare` left; made from the footers where an earlier version left none.

    Raises:
        WorkspaceError: there are no prepared reviews, or the file is no listing.
    """
    path = Path(prepared_dir) / LISTING_FILE
    if not path.is_file():
        return list_prepared(prepared_dir)
    return Listing.from_json(path.read_text(encoding="utf-8"), str(path))


def iter_prepared(
    prepared_dir: str | Path,
    columns: Sequence[str] | None = None,
    batch_rows: int = 65536,
    first_row: int = 0,
) -> Iterator[pa.RecordBatch]:
    """Yield prepared reviews by month, within a month in the order of the input.

    Args:
        prepared_dir: what `prepare` wrote.
        columns: columns of PREPARED_SCHEMA, in the order wanted; all when None.
            `review_month` is restored from the path.
        batch_rows: rows of each batch; only the last may have fewer.
        first_row: rows before this one are passed over; files of such rows alone are not read.

    Raises:
        WorkspaceError: there are no prepared reviews, or there is no such column.
    """
    names = PREPARED_SCHEMA.names if columns is None else list(columns)
    unknown = [name for name in names if name not in PREPARED_SCHEMA.names]
    if unknown:
        raise WorkspaceError(f"{unknown[0]}: prepared reviews have no such column")
    # Months may be tiny: readers get batches that are worth their while.
    yield from filled(_from(prepared_dir, names, batch_rows, first_row), batch_rows)


def _from(
    prepared_dir: str | Path, columns: Sequence[str], batch_rows: int, first_row: int
) -> Iterator[pa.RecordBatch]:
    for file, month in prepared_files(prepared_dir):
        if first_row and (held := pq.read_metadata(file).num_rows) <= first_row:
            first_row -= held
            continue
        yield from span(read_file(file, month, columns, batch_rows), first_row)
        first_row = 0


def read_file(
    file: Path, month: str | None, columns: Sequence[str], batch_rows: int
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of one file of prepared reviews in batches of at most `batch_rows`."""
    schema = pa.schema([PREPARED_SCHEMA.field(name) for name in columns])
    stored = [name for name in columns if name != REVIEW_MONTH]
    with pq.ParquetFile(file) as parquet:
        for read in parquet.iter_batches(batch_rows, columns=stored):
            arrays = [
                pa.repeat(pa.scalar(month, pa.string()), read.num_rows)
                if name == REVIEW_MONTH
                else read.column(name)
                for name in columns
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)
