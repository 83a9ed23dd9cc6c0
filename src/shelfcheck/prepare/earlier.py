"""What a run takes over from prepared reviews that it adds to: files as they are, and their counts."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck.prepare.months import ROW_GROUP_ROWS, STORED_SCHEMA, month_file
from shelfcheck.prepare.read import prepared_files
from shelfcheck.prepare.record import RECORD_FILE, Record, compare, in_order_of_arrival, read_record
from shelfcheck.prepare.summary import NO_MONTH_NAME, PrepareSummary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from shelfcheck.sources import Source

MOST_PARTS: Final = 16
"""Files of a month; a run that adds one more writes all of them as one."""


READ_FIRST: Final = (RECORD_FILE, "summary.json")
"""Files of prepared reviews that tell whether they can be added to."""


class NotUsableError(Exception):
    """Prepared reviews cannot be added to after all; the message says why."""


class Previous(NamedTuple):
    """Prepared reviews that stand.

    Attributes:
        folder: what `prepare` wrote.
        fingerprint: of these reviews.
        valid: whether they were made with the settings and by the version that hold now.
        fetch: brings all files of the folder to this disk; called when they are needed.
    """

    folder: Path
    fingerprint: str
    valid: bool
    fetch: Callable[[], object] | None = None


@dataclass(frozen=True)
class Earlier:
    """Prepared reviews that new sources can be added to."""

    folder: Path
    fingerprint: str
    record: Record
    summary: PrepareSummary

    @property
    def key_files(self) -> list[Path]:
        """Keys of all rows."""
        return [self.folder / "keys" / name for name in self.record.keys]

    @property
    def fall_files(self) -> list[Path]:
        """Fates of all rows that fell or got a number."""
        return [self.folder / "falls" / name for name in self.record.keys]

    def check(self) -> None:
        """Look whether all that is needed is there.

        Raises:
            NotUsableError: someone removed keys.
        """
        missing = [file.name for file in (*self.key_files, *self.fall_files) if not file.is_file()]
        if missing:
            raise NotUsableError(f"keys of the earlier run are missing ({missing[0]})")

    @property
    def categories(self) -> Counter[str]:
        """Reviews kept, by category."""
        return Counter(self.summary.categories)

    @property
    def months(self) -> Counter[str | None]:
        """Reviews kept, by month."""
        return Counter(
            {None if name == NO_MONTH_NAME else name: n for name, n in self.summary.months.items()}
        )

    def rejected(self) -> Iterator[pa.RecordBatch]:
        """Rejected rows, in their order."""
        with pq.ParquetFile(self.folder / "rejected" / "rejected.parquet") as file:
            yield from file.iter_batches()


def usable(previous: Previous, sources: Sequence[Source]) -> Earlier | str:
    """What can be taken over of reviews prepared before, or why nothing can, in one sentence."""
    if not (previous.folder / RECORD_FILE).is_file():
        return "the earlier run was that of another version, or on Spark, and kept no keys"
    record = read_record(previous.folder)
    if record is None or not record.keys:
        return "the earlier run kept no keys (run.incremental was off)"
    changes = compare(record, sources)
    if not changes.only_new:
        return changes.why_anew()
    if not previous.valid:
        return "settings have changed, or the version"
    paths = {source.path for source in sources}
    if len(paths) < len(sources) or len({source.path for source in record.sources}) < len(record.sources):
        return "a file is named twice"
    summary = PrepareSummary.from_json((previous.folder / "summary.json").read_text(encoding="utf-8"))
    return Earlier(previous.folder, previous.fingerprint, record, summary)


def link_files(earlier: Earlier, out: Path) -> dict[str | None, int]:
    """Put files of reviews, keys and falls where they belong in `out`, without a copy where that can be.

    They are never written to again, so that two artefacts can share them.

    Returns:
        Month -> number of the next file.
    """
    following: dict[str | None, int] = {}
    for file, month in prepared_files(earlier.folder):
        link(file, out / file.relative_to(earlier.folder))
        following[month] = following.get(month, 0) + 1
    for file in (*earlier.key_files, *earlier.fall_files):
        link(file, out / file.relative_to(earlier.folder))
    return following


def link(file: Path, target: Path) -> None:
    """A hard link, or a copy where the file system has none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, target)
    except OSError:  # another file system, one without links, one that forbids those to others' files
        shutil.copyfile(file, target)


def merge_parts(out: Path, following: Mapping[str | None, int], scratch: Path) -> dict[str, int]:
    """Write each month that rows were added to, and that has too many files now, as one file.

    Args:
        out: prepared reviews that are being written.
        following: month -> number of the first file that was added.
        scratch: a folder on the same file system.

    Returns:
        Each file that holds rows that were added -> the first of them in it.
    """
    added: dict[str, int] = {}
    months: dict[str | None, list[Path]] = {}
    for file, month in prepared_files(out):
        months.setdefault(month, []).append(file)
    for month, files in months.items():
        first = following.get(month, 0)
        if first == len(files):
            continue
        if first == 0 or len(files) <= MOST_PARTS:
            added |= {file.relative_to(out).as_posix(): 0 for file in files[first:]}
            continue
        whole = scratch / "whole.parquet"
        _write_as_one(files, whole)
        added[files[0].relative_to(out).as_posix()] = sum(
            pq.read_metadata(file).num_rows for file in files[:first]
        )
        for file in files:
            file.unlink()  # this name of it
        whole.rename(files[0])
    return added


def _write_as_one(files: Sequence[Path], target: Path) -> None:
    with month_file(target) as writer:
        waiting: list[pa.RecordBatch] = []
        for file in files:
            with pq.ParquetFile(file) as part:
                for batch in part.iter_batches(ROW_GROUP_ROWS):
                    if sum(held.num_rows for held in waiting) + batch.num_rows > ROW_GROUP_ROWS:
                        writer.write_table(pa.Table.from_batches(waiting))
                        waiting = []
                    waiting.append(batch)
        writer.write_table(pa.Table.from_batches(waiting, STORED_SCHEMA))


def told_of(out: Path, sources: Sequence[Source]) -> tuple[list[Source], dict[str, Any]]:
    """The order in which prepared reviews hold their sources, and what is worth telling of the run.

    Args:
        out: what `prepare` wrote.
        sources: what it was given.
    """
    record = read_record(out)
    if record is None:
        return list(sources), {}
    told: dict[str, Any] = {}
    if record.anew:
        told["read_all_because"] = record.anew
    if record.extends:
        new = record.sources[len(record.sources) - record.new :]
        told = {"files_added": record.new, "rows_added": sum(source.kept for source in new)}
    return in_order_of_arrival(record, sources), told
