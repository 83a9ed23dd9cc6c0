"""Splits blocks of CSV with quotes: fields in quotes may hold delimiters, doubled quotes and line feeds.

Whole blocks go through the csv module at once. A block that it refuses is read record by
record, so that a stray quote costs the lines it spoils and no more.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa

from shelfcheck.sources.delimited import Fields

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shelfcheck.sources.checks import Rejects
    from shelfcheck.sources.files import Block

_MOST_LINES: Final = 200  # of one record, where quotes are broken
_MOST_BYTES: Final = 1 << 18
_MOST_CARRY: Final = 4 << 20  # a record that is open for longer is broken

Record = tuple[int, list[str]]  # 1-based line it starts at, fields


class Layout(NamedTuple):
    """How a file's records look."""

    delimiter: bytes
    width: int  # fields of a record
    wanted: Sequence[int]  # indices of the fields to return
    header: Sequence[str]  # the header's fields


def fields(blocks: Iterator[Block], layout: Layout, rejects: Rejects) -> Iterator[Fields]:
    """Columns of the records of all blocks, block by block.

    Args:
        blocks: whole lines, each ending with a line feed; a record may go on in the next block.
        layout: delimiter and fields.
        rejects: takes what is no record: `bad_csv`, `too_few_fields`, `too_many_fields`,
            `repeated_header`, `blank_line`.
    """
    carry, carry_line = b"", 0
    for block in blocks:
        first = carry_line if carry else block.first_line
        data = carry + block.data
        utf8 = _is_utf8(data)
        records, carry, carry_line = _parse(data, first, layout, rejects, utf8=utf8, last=False)
        yield _columns(records, layout, rejects, utf8=utf8)
    if carry:
        utf8 = _is_utf8(carry)
        records, _, _ = _parse(carry, carry_line, layout, rejects, utf8=utf8, last=True)
        yield _columns(records, layout, rejects, utf8=utf8)


def parse_line(line: str, delimiter: str) -> list[str] | None:
    """The fields of text that is exactly one record; None for anything else."""
    try:
        rows = list(csv.reader(_split_lines(line), delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None


def _parse(
    data: bytes, first: int, layout: Layout, rejects: Rejects, *, utf8: bool, last: bool
) -> tuple[list[Record], bytes, int]:
    """Records of a block, and the open record at its end with its line."""
    encoding = "utf-8" if utf8 else "latin-1"  # one character a byte, which `_array` undoes
    end = len(data) if last else _last_record_end(data)
    if len(data) - end > _MOST_CARRY:
        end = len(data)
    lines = _split_lines(data[:end].decode(encoding))
    whole = _read_all(lines, first, layout)
    if whole is not None:
        return whole, data[end:], first + len(lines)
    records, rest = _read_carefully(lines, first, layout, rejects, last=last)
    return records, "".join(lines[rest:]).encode(encoding) + data[end:], first + rest


def _last_record_end(data: bytes) -> int:
    """After the last line feed with an even number of quotes before it: outside of quotes."""
    octets = np.frombuffer(data, np.uint8)
    inside = np.flatnonzero(octets == ord('"'))
    stops = np.flatnonzero(octets == 10)
    outside = np.searchsorted(inside, stops) % 2 == 0
    found = np.flatnonzero(outside)
    return int(stops[found[-1]]) + 1 if len(found) else 0


def _split_lines(text: str) -> list[str]:
    """Lines with their line feeds; `str.splitlines` would cut at other characters too."""
    lines = text.split("\n")
    return [line + "\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def _read_all(lines: list[str], first: int, layout: Layout) -> list[Record] | None:
    """All records at once; None where one is broken."""
    reader = csv.reader(lines, delimiter=layout.delimiter.decode(), strict=True)
    records = []
    start = 0
    try:
        for row in reader:
            if len(row) != layout.width and reader.line_num > start + 1:
                return None  # a stray quote may have swallowed rows
            records.append((first + start, row))
            start = reader.line_num
    except csv.Error:
        return None
    return records


def _read_carefully(
    lines: list[str], first: int, layout: Layout, rejects: Rejects, *, last: bool
) -> tuple[list[Record], int]:
    """Record by record; and the index of the line from which a record is still open."""
    records = []
    delimiter = layout.delimiter.decode()
    i = 0
    while i < len(lines):
        text, quotes, row = "", 0, None
        j = i
        while j < len(lines) and j - i < _MOST_LINES and len(text) < _MOST_BYTES:
            text += lines[j]
            quotes += lines[j].count('"')
            j += 1
            if quotes % 2 == 0 or j == i + 1:
                row = parse_line(text, delimiter)
                if row is not None and (j == i + 1 or len(row) == layout.width):
                    break
                row = None
        if row is not None:
            records.append((first + i, row))
            i = j
        elif j == len(lines) and not last and j - i < _MOST_LINES and len(text) < _MOST_BYTES:
            break
        else:
            rejects.add(first + i, "bad_csv", lines[i])
            i += 1
    return records, i


def _columns(records: list[Record], layout: Layout, rejects: Rejects, *, utf8: bool) -> Fields:
    header = list(layout.header)
    if any(len(row) != layout.width or row == header for _, row in records):
        records = [record for record in records if _is_good(record, header, layout, rejects)]
    columns = list(zip(*(row for _, row in records), strict=True)) or [()] * layout.width
    return Fields(
        [_array(columns[k], utf8=utf8) for k in layout.wanted],
        np.array([line for line, _ in records], np.int64),
    )


def _is_good(record: Record, header: list[str], layout: Layout, rejects: Rejects) -> bool:
    line, row = record
    if len(row) == layout.width and row != header:
        return True
    if not row:
        reason = "blank_line"
    elif row == header:
        reason = "repeated_header"
    else:
        reason = "too_few_fields" if len(row) < layout.width else "too_many_fields"
    rejects.add(line, reason, layout.delimiter.decode().join(row))
    return False


def _array(values: Sequence[str], *, utf8: bool) -> pa.Array:
    if utf8:
        return pa.array(values, pa.string())
    return pa.array([value.encode("latin-1") for value in values], pa.binary())


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
