"""Parquet footers: what a file says of its rows, read without its rows, from a disk or an object store.

A footer stands at the end of its file. Of a remote file one range is asked for, of all files at a time where
the file system can.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck.errors import SourceError
from shelfcheck.schema import REVIEW_DATE, REVIEW_MONTH
from shelfcheck.sources.files import open_files, read_errors, reason_of
from shelfcheck.urls import is_url, local_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TAIL: Final = 1 << 16  # bytes asked for first: most footers fit
_END: Final = 8  # footer's length and magic
_MAGIC: Final = b"PAR1"
_HIVE_NULL: Final = "__HIVE_DEFAULT_PARTITION__"
_HINT: Final = (
    "Only Parquet files tell their rows without being read. "
    "Other forms are counted after: shelfcheck prepare SOURCE... --workspace W"
)


@dataclass(frozen=True)
class Footer:
    """What a Parquet file tells of itself.

    Attributes:
        path: local path or URL.
        bytes: size of the file.
        rows: its rows.
        months: 'YYYY-MM', or None for rows without a date -> rows; None where the footer and the path do not
            tell months.
    """

    path: str
    bytes: int
    rows: int
    months: dict[str | None, int] | None


def find_footers(place: str | Path) -> tuple[list[Footer], int]:
    """Read the footers of a Parquet file, or of all below a folder.

    Args:
        place: a local path, or a URL of a file system that fsspec knows.

    Returns:
        The footers in the order of their paths, and how many files of other forms were left aside.

    Raises:
        SourceError: nothing is there, no file is Parquet, or one is damaged.
        MissingExtraError: the client of the object store is not installed.
    """
    found = _remote(str(place)) if is_url(str(place)) else _local(Path(local_path(str(place))))
    if not found[0]:
        raise SourceError(f"{place}: no Parquet file there. {_HINT}")
    return found


def _is_parquet(path: str) -> bool:
    return path.lower().endswith((".parquet", ".pq"))


def _is_hidden(path: str) -> bool:
    return any(part.startswith((".", "_")) for part in path.split("/"))


def _local(root: Path) -> tuple[list[Footer], int]:
    if not root.exists():
        raise SourceError(f"{root}: no such file or folder. Check the path.")
    if root.is_file():
        files, others = [root], 0
    else:
        every = [path for path in _below(root) if not _is_hidden(path.relative_to(root).as_posix())]
        files = sorted(path for path in every if _is_parquet(path.name))
        others = len(every) - len(files)
    footers = []
    for file in files:
        try:
            metadata = pq.read_metadata(file)
        except (OSError, pa.ArrowException) as error:
            raise SourceError(f"{file}: not a whole Parquet file ({error}). {_HINT}") from error
        footers.append(_footer(str(file), file.stat().st_size, metadata))
    return footers, others


def _below(root: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(root):
        yield from (Path(parent) / name for name in names)


def _remote(url: str) -> tuple[list[Footer], int]:
    fs, inner = open_files(url)
    try:
        if _is_parquet(inner):
            sizes = {inner: int(fs.info(inner)["size"])}
            others = 0
        else:
            every = {
                path: int(info["size"])
                for path, info in fs.find(inner, detail=True).items()
                if not _is_hidden(path.removeprefix(inner).lstrip("/"))
            }
            sizes = {path: every[path] for path in sorted(every) if _is_parquet(path)}
            others = len(every) - len(sizes)
        if not sizes:
            return [], others
        tails = _tails(fs, sizes)
    except read_errors() as error:
        raise SourceError(f"{url}: cannot be read: {reason_of(error)}") from error
    footers = []
    for path, tail in tails.items():
        name = fs.unstrip_protocol(path)
        try:
            metadata = pq.read_metadata(pa.BufferReader(tail))
        except (OSError, pa.ArrowException) as error:
            raise SourceError(f"{name}: not a whole Parquet file ({error}). {_HINT}") from error
        footers.append(_footer(name, sizes[path], metadata))
    return footers, others


def _tails(fs: Any, sizes: dict[str, int]) -> dict[str, bytes]:
    """The end of each file, long enough to hold its footer."""
    tails = _ends(fs, sizes, dict.fromkeys(sizes, _TAIL))
    longer = {}
    for path, tail in tails.items():
        if tail[-4:] == _MAGIC:
            footer = struct.unpack("<I", tail[-_END:-4])[0] + _END
            if len(tail) < footer <= sizes[path]:
                longer[path] = footer
    if longer:
        tails |= _ends(fs, sizes, longer)
    return tails


def _ends(fs: Any, sizes: dict[str, int], lengths: dict[str, int]) -> dict[str, bytes]:
    paths = list(lengths)
    starts = [max(0, sizes[path] - lengths[path]) for path in paths]
    found: Sequence[bytes] = fs.cat_ranges(paths, starts, [sizes[path] for path in paths], on_error="raise")
    return dict(zip(paths, found, strict=True))


def _footer(path: str, size: int, metadata: Any) -> Footer:
    return Footer(path, size, metadata.num_rows, _months(path, metadata))


def _months(path: str, metadata: Any) -> dict[str | None, int] | None:
    """Rows by month: from the partition in the path, else from row groups whose dates are of one month."""
    for part in path.split("/"):
        if part.startswith(f"{REVIEW_MONTH}="):
            month = part.removeprefix(f"{REVIEW_MONTH}=")
            return {None if month == _HIVE_NULL else month: metadata.num_rows}
    names = [metadata.schema.column(i).path for i in range(metadata.num_columns)]
    if REVIEW_DATE not in names:
        return None
    months: dict[str | None, int] = {}
    for group in (metadata.row_group(i) for i in range(metadata.num_row_groups)):
        told, of = _month(group.column(names.index(REVIEW_DATE)).statistics, group.num_rows)
        if not told:
            return None
        months[of] = months.get(of, 0) + group.num_rows
    return months


def _month(statistics: Any, rows: int) -> tuple[bool, str | None]:
    """Whether statistics of dates tell that all are of one month (or all missing), and which."""
    if statistics is None or not statistics.has_null_count:
        return False, None
    if statistics.null_count == rows:
        return True, None
    if statistics.null_count or not statistics.has_min_max:
        return False, None
    first, last = str(statistics.min)[:7], str(statistics.max)[:7]
    return first == last and len(first) == 7 and first[4] == "-", first
