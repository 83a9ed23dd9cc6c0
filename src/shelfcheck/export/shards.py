"""Lines into the files of each side: closed at a size, named when whole."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Self

import numpy as np
import pyarrow.compute as pc

from shelfcheck.export.rows import SIDES
from shelfcheck.gzipped import written

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from shelfcheck.export.journal import Journal


@dataclass
class _Side:
    """The files of one side."""

    name: str
    path: Path  # of the file that is open
    skip: int  # rows that earlier files hold
    files: int  # finished ones
    rows: int = 0  # of the file that is open
    size: int = 0  # bytes of it, before gzip
    file: IO[bytes] | None = None
    opened: ExitStack | None = None


class Shards:
    """Writes the lines of all sides; a context manager that leaves unfinished files unnamed on an error.

    Args:
        journal: told each finished file; rows of those it has already are not written again.
        spool: a local folder for files that are not finished.
        ending: of the files' names.
        compress: gzip them.
        max_bytes: close a file once it holds as many bytes, before gzip; None never does.
    """

    def __init__(
        self, journal: Journal, spool: Path, ending: str, *, compress: bool, max_bytes: int | None
    ) -> None:
        self._journal = journal
        self._ending = ending
        self._compress = compress
        self._most = max_bytes
        self._sides = {}
        for name in SIDES:
            done = [one for one in journal.files if one.side == name]
            self._sides[name] = _Side(name, spool / name, sum(one.rows for one in done), len(done))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for side in self._sides.values():
            if kind is None:
                self._finish(side)
            elif side.opened is not None:
                side.opened.close()

    def write(self, name: str, lines: pa.Array) -> None:
        """Append lines, strings that end with a line feed, to a side."""
        side = self._sides[name]
        passed = min(side.skip, len(lines))
        side.skip -= passed
        lines = lines.slice(passed)
        ends = np.cumsum(pc.binary_length(lines).to_numpy(zero_copy_only=False), dtype=np.int64)
        at = before = 0
        while at < len(lines):
            last = len(lines)
            if self._most is not None:  # to the line that reaches the bound: each file has one, however long
                last = min(last, int(np.searchsorted(ends, before + self._most - side.size)) + 1)
            if side.file is None:
                side.opened = ExitStack()
                side.file = side.opened.enter_context(written(side.path, compress=self._compress))
            side.file.write(_bytes(lines.slice(at, last - at)))
            side.size += int(ends[last - 1]) - before
            side.rows += last - at
            at, before = last, int(ends[last - 1])
            if self._most is not None and side.size >= self._most:
                self._finish(side)

    def _finish(self, side: _Side) -> None:
        if side.opened is None:
            return
        side.opened.close()
        name = f"{side.name}/{side.name}-{side.files:05d}{self._ending}"
        self._journal.add(side.path, name, side.name, side.rows)
        side.files, side.rows, side.size, side.opened, side.file = side.files + 1, 0, 0, None, None


def _bytes(lines: pa.Array) -> memoryview:
    """The bytes of strings, end to end."""
    _, offsets, data = lines.buffers()
    bounds = np.frombuffer(offsets, np.int32, len(lines) + 1, 4 * lines.offset)
    return memoryview(data)[int(bounds[0]) : int(bounds[-1])]
