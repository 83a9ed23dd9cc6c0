"""Cuts the input into pieces of about one size: large files by row groups, small ones together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from shelfcheck.errors import SourceError
from shelfcheck.sources.files import PARQUET_MAGIC, head
from shelfcheck.sources.parquet import group_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shelfcheck.sources import Source

LARGEST: Final = 128 << 20
"""Bytes of a piece, as they lie: some 400,000 compressed reviews, a minute of work."""
SMALLEST: Final = 4 << 20
_WAVES: Final = 4  # pieces for each slot, so that all slots end at about the same time
ORDINAL_BITS: Final = 40
"""A row's ordinal is its piece's number, shifted by so many bits, and its place in the piece."""


class Item(NamedTuple):
    """A source, or some row groups of one."""

    source: int  # index of the source
    reader: Source


Piece = tuple[Item, ...]
"""What one task reads, in the order of the input."""


def cut(sources: Sequence[Source], slots: int) -> list[Piece]:
    """Cut sources into pieces, in their order.

    Parquet files are cut between row groups. Text is not: where a line begins, and which line it is, is known
    only to who has read all before it, and gzip cannot even be entered in the middle.

    Args:
        sources: what to read, in order.
        slots: tasks that run at a time.
    """
    total = sum(source.size for source in sources)
    size = min(LARGEST, max(SMALLEST, total // (_WAVES * slots)))
    pieces: list[Piece] = []
    waiting: list[Item] = []
    waiting_bytes = 0
    for index, source in enumerate(sources):
        for part in _parts(source, size):
            if waiting and waiting_bytes + part.size > size:
                pieces.append(tuple(waiting))
                waiting, waiting_bytes = [], 0
            waiting.append(Item(index, part))
            waiting_bytes += part.size
    if waiting:
        pieces.append(tuple(waiting))
    return pieces


def _parts(source: Source, size: int) -> Iterator[Source]:
    groups = _groups(source) if source.size > size else []
    if len(groups) < 2:
        yield source
        return
    first, held = 0, 0
    for group, more in enumerate(groups):
        if held and held + more > size:
            yield _part(source, first, group, held)
            first, held = group, 0
        held += more
    yield _part(source, first, len(groups), held)


def _groups(source: Source) -> list[int]:
    """Bytes of each row group; none where the file is no Parquet, or cannot be read."""
    try:
        if source.problem is None and head(source.path, 4) == PARQUET_MAGIC:
            return group_bytes(source.path)
    except SourceError:  # who reads it says so
        pass
    return []


def _part(source: Source, begin: int, stop: int, size: int) -> Source:
    return replace(
        source,
        row_groups=(begin, stop),
        size=size,
        report_metadata=source.report_metadata if begin == 0 else (),
    )
