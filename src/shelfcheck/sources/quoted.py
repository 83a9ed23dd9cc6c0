"""Splits blocks of CSV with quotes: fields in quotes may hold delimiters, doubled quotes and line feeds.

Blocks whose quotes are all where they belong go through pyarrow, others through the csv module,
and what that refuses is read record by record, so that a stray quote costs the lines it spoils
and no more.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelfcheck.sources.delimited import Fields

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shelfcheck.sources.checks import Rejects
    from shelfcheck.sources.files import Block

_MOST_LINES: Final = 200  # of one record, where quotes are broken
_MOST_BYTES: Final = 1 << 18
_MOST_CARRY: Final = 4 << 20  # a record that is open for longer is broken

_QUOTE: Final = ord('"')
_FEED: Final = ord("\n")
_RETURN: Final = ord("\r")

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
        fast = _read_fast(data, first, layout)
        if fast is not None:
            found, end, line = fast
            carry, carry_line = data[end:], line
            yield found
            continue
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


def _read_fast(data: bytes, first: int, layout: Layout) -> tuple[Fields, int, int] | None:
    """Columns, where the last record ends, and the line after it; None unless all is well-formed.

    Well-formed: each quote that opens stands after a delimiter, a line feed or a quote, each that
    closes before one; then pyarrow and the csv module read the same. No blank lines, no header.
    """
    import pyarrow.csv as pc_csv  # noqa: PLC0415 - only for CSV

    octets = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(octets == _QUOTE)
    feeds = np.flatnonzero(octets == _FEED)
    ends = feeds[np.searchsorted(quotes, feeds) % 2 == 0]  # line feeds outside of quotes
    if not len(ends):
        return None
    end = int(ends[-1]) + 1
    octets, quotes = octets[:end], quotes[: np.searchsorted(quotes, end)]
    starts = np.concatenate(([0], ends[:-1] + 1))
    returns = np.flatnonzero(octets == _RETURN)
    returns = returns[np.searchsorted(quotes, returns) % 2 == 0]
    fence = np.zeros(256, bool)
    fence[[_QUOTE, _FEED, layout.delimiter[0]]] = True
    before = octets[quotes[::2] - 1] if len(quotes) and quotes[0] else octets[quotes[2::2] - 1]
    after = octets[quotes[1::2] + 1]  # there is always a line feed behind
    if (
        (ends == starts).any()
        or (octets[returns + 1] != _FEED).any()
        or (octets[starts] == _RETURN).any()
        or not fence[before].all()
        or not (fence[after] | (after == _RETURN)).all()
    ):
        return None
    names = [str(k) for k in range(layout.width)]
    try:
        table = pc_csv.read_csv(
            pa.py_buffer(data[:end]),
            pc_csv.ReadOptions(column_names=names, use_threads=False, block_size=end + 1),
            pc_csv.ParseOptions(
                delimiter=layout.delimiter.decode(), newlines_in_values=True, ignore_empty_lines=False
            ),
            pc_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.binary()),
                include_columns=[str(k) for k in layout.wanted],
                strings_can_be_null=False,
            ),
        )
    except (pa.ArrowException, ValueError):  # a record with too many or too few fields, for one
        return None
    columns = [column.combine_chunks() for column in table.columns]
    if table.num_rows != len(ends):
        return None
    name = layout.header[layout.wanted[0]].encode()
    if pc.any(pc.equal(columns[0], name)).as_py():
        return None  # perhaps the header once more
    lines = first + np.searchsorted(feeds, starts)
    return Fields(columns, lines), end, first + int(np.searchsorted(feeds, end))


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
