"""Splits blocks of delimited lines without quoting into Arrow columns.

A field is what stands between two separators; bytes are not interpreted otherwise. numpy finds
the separators, the bytes are packed without them, and one `take` a column gathers its fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from shelfcheck.sources.checks import int64

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from shelfcheck.sources.checks import Rejects
    from shelfcheck.sources.files import Block

_NEWLINE = 10


class Fields(NamedTuple):
    """Columns of a block's good lines."""

    columns: list[pa.Array]  # string arrays, valid UTF-8
    lines: npt.NDArray[np.int64]  # 1-based


def split(  # noqa: PLR0917 - all of them are plain facts of one call
    block: Block, delimiter: bytes, width: int, wanted: Sequence[int], rejects: Rejects, header: bytes = b""
) -> Fields:
    """Cut a block into fields.

    Args:
        block: whole lines, each ending with a line feed alone.
        delimiter: one byte.
        width: fields that a line must have.
        wanted: indices of the fields to return.
        rejects: takes lines with another number of fields, NUL bytes, invalid UTF-8, no
            characters at all, or equal to `header`.
        header: the file's header line with its line feed; b"" for none.
    """
    data = block.data
    octets = np.frombuffer(data, np.uint8)
    separators = np.flatnonzero((octets == delimiter[0]) | (octets == _NEWLINE))
    line_ends = np.flatnonzero(octets[separators] == _NEWLINE)  # indices into separators
    counts = np.diff(line_ends, prepend=-1)
    good = counts == width
    stops = separators[line_ends]  # where each line's line feed stands

    def reject(lines: npt.NDArray[np.int64], reason: str) -> None:
        for i in lines.tolist():
            start = int(stops[i - 1]) + 1 if i else 0
            rejects.add(block.first_line + i, reason, data[start : min(int(stops[i]), start + 2000)])
        good[lines] = False

    if not good.all():
        blank = np.diff(stops, prepend=-1) == 1
        reject(np.flatnonzero(blank & ~good), "blank_line")
        reject(np.flatnonzero((counts < width) & ~blank), "too_few_fields")
        reject(np.flatnonzero(counts > width), "too_many_fields")
    if header and data.find(header) >= 0:
        reject(_lines_equal(data, stops, header, good), "repeated_header")
    if data.find(b"\0") >= 0:
        nul = np.unique(np.searchsorted(stops, np.flatnonzero(octets == 0)))
        reject(nul[good[nul]], "nul_bytes")
    if not data.isascii():
        _check_utf8(data, stops, good, reject)

    offsets = np.empty(len(separators) + 1, np.int32)
    offsets[0] = 0
    offsets[1:] = separators - np.arange(len(separators))
    packed = pa.py_buffer(data.translate(None, delimiter + b"\n"))
    fields = pa.StringArray.from_buffers(len(separators), pa.py_buffer(offsets), packed)
    rows = np.flatnonzero(good)
    first = line_ends[rows] - (width - 1)
    n = len(rows)
    gathered = fields.take(int64((first + np.array(wanted)[:, None]).reshape(-1)))  # column by column
    return Fields([gathered[k * n : (k + 1) * n] for k in range(len(wanted))], block.first_line + rows)


def _lines_equal(
    data: bytes, stops: npt.NDArray[np.int64], line: bytes, good: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    found = []
    at = data.find(line)
    while at >= 0:
        i = int(np.searchsorted(stops, at))
        if (at == 0 or data[at - 1] == _NEWLINE) and good[i]:
            found.append(i)
        at = data.find(line, at + 1)
    return np.array(found, np.int64)


def _check_utf8(
    data: bytes, stops: npt.NDArray[np.int64], good: npt.NDArray[np.bool_], reject: object
) -> None:
    starts = np.concatenate(([0], stops + 1)).astype(np.int32)
    lines = pa.StringArray.from_buffers(len(stops), pa.py_buffer(starts), pa.py_buffer(data))
    try:
        lines.validate(full=True)
    except pa.ArrowInvalid:
        wrong = []
        for i in np.flatnonzero(good).tolist():
            try:
                data[int(starts[i]) : int(starts[i + 1])].decode("utf-8")
            except UnicodeDecodeError:
                wrong.append(i)
        reject(np.array(wrong, np.int64), "invalid_utf8")  # type: ignore[operator]
