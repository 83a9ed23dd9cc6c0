"""Second pass, as an executor does it: a range of rows of a month, or some small months, to Parquet."""

from __future__ import annotations

import json
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import numpy as np
import pyarrow as pa

from shelfcheck import schema
from shelfcheck.prepare.months import ROW_GROUP_ROWS, month_file
from shelfcheck.prepare.spark.staging import Files
from shelfcheck.prepare.work import BATCH_ROWS, counted, second

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from shelfcheck.config import Settings
    from shelfcheck.engines.exchange import Exchange
    from shelfcheck.prepare.spark.staging import Report

FALLS_SCHEMA: Final = pa.schema(
    [("task", pa.int64()), ("ordinal", pa.int64()), ("rule", pa.string()), ("occurrence", pa.int64())]
)
LARGEST: Final = 1_000_000
"""Rows of a file and of a task: some 250 MB of Parquet, a minute of work."""
SMALLEST: Final = 65_536


class Place(NamedTuple):
    """Where rows of a part lie: batches of a piece's file."""

    piece: int
    token: str
    batches: tuple[int, ...]


class Part(NamedTuple):
    """One file to write: consecutive rows of one month."""

    month: int  # months since January 1970
    number: int  # of the file in the month
    first: int  # ordinals: from this one
    end: int  # to before this one
    places: tuple[Place, ...]


def plan_parts(reports: Sequence[Report], slots: int) -> list[list[Part]]:
    """Cut months into files and files into tasks, each of about as many rows, however large a month is.

    Args:
        reports: of each piece, in order.
        slots: tasks that run at a time.

    Returns:
        Tasks, in the order of the months.
    """
    total = sum(batch.rows for report in reports for batch in report.batches)
    size = min(LARGEST, max(SMALLEST, total // (2 * slots)))
    months: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)  # (piece, batch), in order
    for piece, report in enumerate(reports):
        for i, batch in enumerate(report.batches):
            months[batch.month].append((piece, i))
    tasks: list[list[Part]] = []
    held = size
    for month in sorted(months):
        number = 0
        rows = 0
        waiting: list[tuple[int, int]] = []
        lying = months[month]
        for at, (piece, i) in enumerate(lying):
            waiting.append((piece, i))
            rows += reports[piece].batches[i].rows
            if rows < size and at + 1 < len(lying):
                continue
            if held + rows > size:
                tasks.append([])
                held = 0
            tasks[-1].append(_part(month, number, waiting, reports))
            held += rows
            number, rows, waiting = number + 1, 0, []
    return tasks


def _part(month: int, number: int, lying: Sequence[tuple[int, int]], reports: Sequence[Report]) -> Part:
    by_piece: defaultdict[int, list[int]] = defaultdict(list)
    for piece, i in lying:
        by_piece[piece].append(i)
    (first_piece, first_batch), (last_piece, last_batch) = lying[0], lying[-1]
    return Part(
        month,
        number,
        reports[first_piece].batches[first_batch].first,
        reports[last_piece].batches[last_batch].last + 1,
        tuple(Place(piece, reports[piece].token, tuple(found)) for piece, found in by_piece.items()),
    )


@dataclass
class Written:
    """What a task tells the driver: the files that count, and what became of the rows."""

    token: str
    rows: list[int] = field(default_factory=list)  # of each part's file; one without any is left out
    kept: dict[int, int] = field(default_factory=dict)  # item -> rows
    fallen: dict[int, dict[str, int]] = field(default_factory=dict)  # item -> rule -> rows
    categories: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> str:
        """As text, for the way to the driver."""
        return json.dumps(vars(self))

    @classmethod
    def from_json(cls, text: str) -> Written:
        """Read what `to_json` wrote."""
        values = json.loads(text)
        for name in ("kept", "fallen"):
            values[name] = {int(item): n for item, n in values[name].items()}
        return cls(**values)


def part_name(task: int, at: int, token: str) -> str:
    """Name in the exchange of a part's file, before it is published."""
    return f"part-{task:06d}-{at:04d}-{token}.parquet"


class Falls:
    """Which rows of a task's parts fall, and which get a number behind their made-up id."""

    def __init__(self, rows: pa.Table) -> None:
        rows = rows.filter(rows["ordinal"].is_valid()).sort_by("ordinal")
        self._ordinals: NDArray[np.int64] = rows["ordinal"].to_numpy()
        self._rules = rows["rule"].to_pylist()
        self._occurrences = rows["occurrence"].to_pylist()

    def of(self, ordinals: NDArray[np.int64]) -> tuple[list[tuple[int, str]], dict[int, int]]:
        """Of rows with these ordinals, ascending: (row, rule) of those that fall; row -> occurrence."""
        begin, end = np.searchsorted(self._ordinals, [ordinals[0], ordinals[-1] + 1])
        rows = np.searchsorted(ordinals, self._ordinals[begin:end])
        ours = ordinals[rows] == self._ordinals[begin:end]  # others between are of other months
        fallen, suffixes = [], {}
        for row, at in zip(rows[ours].tolist(), (begin + np.flatnonzero(ours)).tolist(), strict=True):
            rule, occurrence = self._rules[at], self._occurrences[at]
            if rule is not None:
                fallen.append((row, rule))
            else:
                suffixes[row] = occurrence
        return fallen, suffixes


def write_parts(
    task: int,
    parts: Sequence[Part],
    falls: Falls,
    *,
    starts: Sequence[int],
    exchange: Exchange,
    settings: Settings,
) -> Written:
    """Write the files of a task.

    Args:
        task: its number.
        parts: what to write.
        falls: of these parts.
        starts: ordinal of each item's first row, ascending.
        exchange: where rows lie and files go.
        settings: the section `text` holds.
    """
    written = Written(uuid.uuid4().hex[:8])
    kept: Counter[int] = Counter()
    fallen: defaultdict[int, Counter[str]] = defaultdict(Counter)
    categories: Counter[str] = Counter()
    items = np.array(starts, np.int64)
    for at, part in enumerate(parts):
        with exchange.writing(part_name(task, at, written.token)) as path, _PartWriter(path) as writer:
            for staged in _batches(part, exchange):
                ordinals = staged.column(staged.num_columns - 1).to_numpy()
                item_of = np.searchsorted(items, ordinals, "right") - 1
                reviews = pa.RecordBatch.from_arrays(staged.columns[:-1], schema=schema.REVIEW_SCHEMA)
                falling, suffixes = falls.of(ordinals)
                rows = second(reviews, suffixes, settings)
                standing = np.ones(rows.num_rows, np.bool_)
                for row, rule in falling:
                    standing[row] = False
                    fallen[int(item_of[row])][rule] += 1
                if falling:
                    rows = rows.filter(pa.array(standing))
                for item, n in zip(*np.unique(item_of[standing], return_counts=True), strict=True):
                    kept[int(item)] += int(n)
                categories.update(counted(rows.column(schema.PRODUCT_CATEGORY)))
                writer.write(rows)
        written.rows.append(writer.rows)
    written.kept = dict(kept)
    written.fallen = {item: dict(counts) for item, counts in fallen.items()}
    written.categories = dict(categories)
    return written


def _batches(part: Part, exchange: Exchange) -> Iterator[pa.RecordBatch]:
    """Staged rows of a part in the order of the input, small batches together."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for place in part.places:
        with exchange.reading(Files.of(place.piece, place.token).reviews) as file:
            reader = pa.ipc.open_file(file, options=pa.ipc.IpcReadOptions(use_threads=False))
            for i in place.batches:
                waiting.append(reader.get_batch(i))
                rows += waiting[-1].num_rows
                if rows >= BATCH_ROWS:
                    yield pa.concat_batches(waiting)
                    waiting, rows = [], 0
    if waiting:
        yield pa.concat_batches(waiting)


class _PartWriter:
    """A Parquet file of whole row groups."""

    def __init__(self, path: Path) -> None:
        self._writer = month_file(path)
        self._waiting: list[pa.RecordBatch] = []
        self._n_waiting = 0
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and self._n_waiting:
            self._flush(self._n_waiting)
        self._writer.close()

    def write(self, rows: pa.RecordBatch) -> None:
        """Append rows."""
        if rows.num_rows:
            self._waiting.append(rows)
            self._n_waiting += rows.num_rows
            self.rows += rows.num_rows
        while self._n_waiting >= ROW_GROUP_ROWS:
            self._flush(ROW_GROUP_ROWS)

    def _flush(self, rows: int) -> None:
        whole = pa.Table.from_batches(self._waiting)
        self._writer.write_table(whole.slice(0, rows), row_group_size=rows)
        self._waiting = whole.slice(rows).to_batches()
        self._n_waiting -= rows
