"""Prepared reviews cut into pieces that are read at once: row groups of a file, or the files of small months.

A row's place is its unit's number * 2^32 + its number in the unit: ascending in the order of reading.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck.prepare.read import prepared_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

NO_DATE: Final = -1
"""Month of a review without a date; others are counted from the year 0."""
UNIT_ROWS: Final = 32_768
PLACE_BITS: Final = 32

_ROW_MASK: Final = (1 << PLACE_BITS) - 1
_WAVES: Final = 4  # tasks for each slot, so that all slots end at about the same time
_MOST_ROWS: Final = 1_000_000  # of a task


class Part(NamedTuple):
    """Row groups of a file of prepared reviews, all of one month."""

    file: Path
    metadata: pq.FileMetaData | None  # None: read it again
    row_groups: list[int]
    rows: int
    month: int


class Unit(NamedTuple):
    """Prepared reviews that are read at once: one part, or several small ones in the order of time."""

    number: int
    parts: list[Part]

    @property
    def rows(self) -> int:
        """Reviews of all parts."""
        return sum(part.rows for part in self.parts)

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Columns of all its reviews, in the order of reading."""
        return pa.concat_tables([read_part(part, columns) for part in self.parts])


def units(prepared_dir: Path) -> list[Unit]:
    """Prepared reviews in pieces, in the order of reading.

    Raises:
        WorkspaceError: there are no prepared reviews.
    """
    found: list[Unit] = []
    parts: list[Part] = []
    rows = 0
    for part in _parts(prepared_dir):
        if parts and rows + part.rows > UNIT_ROWS:
            found.append(Unit(len(found), parts))
            parts, rows = [], 0
        parts.append(part)
        rows += part.rows
    if parts:
        found.append(Unit(len(found), parts))
    return found


def _parts(prepared_dir: Path) -> Iterator[Part]:
    for file, month in prepared_files(prepared_dir):
        code = NO_DATE if month is None else int(month[:4]) * 12 + int(month[5:7]) - 1
        metadata = pq.read_metadata(file)
        groups: list[int] = []
        rows = 0
        for group in range(metadata.num_row_groups):
            groups.append(group)
            rows += metadata.row_group(group).num_rows
            if rows >= UNIT_ROWS or group + 1 == metadata.num_row_groups:
                yield Part(file, metadata, groups, rows, code)
                groups, rows = [], 0


def tasks_of(todo: Sequence[Unit], slots: int) -> list[list[Unit]]:
    """Units that follow each other, of about as many reviews a task, however large or small months are.

    Args:
        todo: all units.
        slots: tasks that run at a time.

    Returns:
        Tasks that can be sent: without footers, which are read again where they are used.
    """
    total = sum(unit.rows for unit in todo)
    size = min(_MOST_ROWS, -(-total // (_WAVES * slots)))
    tasks: list[list[Unit]] = []
    held = size
    for unit in todo:
        if held + unit.rows > size:
            tasks.append([])
            held = 0
        parts = [part._replace(metadata=None) for part in unit.parts]
        tasks[-1].append(Unit(unit.number, parts))
        held += unit.rows
    return tasks


def opened(part: Part) -> pq.ParquetFile:
    """The file of a part."""
    # Mapped and not buffered ahead: for the small files of most months, twice as fast.
    return pq.ParquetFile(part.file, metadata=part.metadata, memory_map=True, pre_buffer=False)


def read_part(part: Part, columns: Sequence[str]) -> pa.Table:
    """Columns of a part."""
    with opened(part) as file:
        return file.read_row_groups(part.row_groups, columns=list(columns), use_threads=False)


def places(unit: Unit, first: int, rows: int) -> NDArray[np.int64]:
    """Places of consecutive rows of a unit."""
    return np.arange(first, first + rows, dtype=np.int64) + (unit.number << PLACE_BITS)


def look_up(todo: Sequence[Unit], wanted: Iterable[int], columns: Sequence[str]) -> dict[int, dict[str, Any]]:
    """Columns of single reviews by their places, of which only the parts that hold them are read.

    Args:
        todo: units, any that hold the places.
        wanted: places.
        columns: of prepared reviews.
    """
    by_number = {unit.number: unit for unit in todo}
    own: defaultdict[tuple[int, int], list[int]] = defaultdict(list)  # unit, part -> places
    for place in wanted:
        number, row = place >> PLACE_BITS, place & _ROW_MASK
        ends = np.cumsum([part.rows for part in by_number[number].parts])
        own[number, int(np.searchsorted(ends, row, side="right"))].append(place)
    found: dict[int, dict[str, Any]] = {}
    for (number, at), here in own.items():
        parts = by_number[number].parts
        before = sum(part.rows for part in parts[:at])
        rows = [(place & _ROW_MASK) - before for place in here]
        found |= dict(zip(here, read_part(parts[at], columns).take(rows).to_pylist(), strict=True))
    return found
