"""Keys of rows, cut by what they hash to: a task meets all rows that share an id, or a content.

Spark's own shuffle would do that too. It took three quarters of the time of `prepare` on Spark, for rows of
which hardly any share anything: what is left of them is small, and goes the common way.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from shelfcheck.engines.exchange import Exchange
    from shelfcheck.prepare.rules import LengthBounds

KEYS_SCHEMA: Final = pa.schema(
    [
        ("ordinal", pa.int64()),
        ("length", pa.int32()),
        ("month", pa.int64()),  # months since January 1970
        ("category", pa.int64()),  # the bits of KEY_SCHEMA's numbers: Spark has no unsigned ones
        ("id_low", pa.int64()),
        ("id_high", pa.int64()),
        ("content_low", pa.int64()),
        ("content_high", pa.int64()),
    ]
)
"""Keys as Spark gets them: KEY_SCHEMA, and the month that a row will stand in."""
LARGEST: Final = 256
"""Cuts at most: of 150 million reviews each has 600,000, 35 MB."""
_RUN_ROWS: Final = 1 << 18


class KeyFile:
    """Writes keys to an Arrow IPC file in runs; each run is as many batches as there are cuts.

    Args:
        path: of the file.
        key: `id` or `content`, whose number says which cut a row is in; rows without one are left out.
        cuts: at most LARGEST.
    """

    def __init__(self, path: Path, key: str, cuts: int) -> None:
        self._sink = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_file(self._sink, KEYS_SCHEMA)
        self._key = KEYS_SCHEMA.get_field_index(f"{key}_low")
        self._cuts = cuts
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and self._rows:
            self._write()
        self._writer.close()
        self._sink.close()

    def write(self, keys: pa.RecordBatch) -> None:
        """Append keys, KEYS_SCHEMA."""
        self._waiting.append(keys)
        self._rows += keys.num_rows
        if self._rows >= _RUN_ROWS:
            self._write()

    def _write(self) -> None:
        keys = pa.concat_batches(self._waiting)
        self._waiting, self._rows = [], 0
        if keys.column(self._key).null_count:
            keys = keys.filter(keys.column(self._key).is_valid())
        cut = _cut_of(keys.column(self._key), self._cuts)
        keys = keys.take(pa.array(np.argsort(cut, kind="stable")))
        begin = 0
        for rows in np.bincount(cut, minlength=self._cuts).tolist():
            self._writer.write_batch(keys.slice(begin, rows))
            begin += rows


class CutKeys(NamedTuple):
    """Where the keys of all pieces are; goes to executors."""

    exchange: Exchange
    names: Mapping[str, Sequence[str]]  # `id`, `content` -> files that are cut by it, in order of the pieces
    cuts: int
    rows: int

    def of_piece(self, piece: int) -> Iterator[pa.RecordBatch]:
        """All keys of a piece, a run a batch."""
        with self.exchange.reading(self.names["content"][piece]) as file:
            reader = pa.ipc.open_file(file)
            for first in range(0, reader.num_record_batches, self.cuts):
                yield pa.concat_batches([reader.get_batch(first + i) for i in range(self.cuts)])

    def of_cut(self, key: str, cut: int, bounds: LengthBounds | None) -> Iterator[pa.RecordBatch]:
        """The keys of a cut, of all pieces, whose lengths are within bounds."""
        for name in self.names[key]:
            with self.exchange.reading(name) as file:
                reader = pa.ipc.open_file(file)
                for i in range(cut, reader.num_record_batches, self.cuts):
                    rows = reader.get_batch(i)
                    if bounds is not None:
                        length = rows.column(1).to_numpy()
                        rows = rows.filter(pa.array((length >= bounds.least) & (length <= bounds.most)))
                    yield rows


class Alike(NamedTuple):
    """What a task tells of the rows of its cut that share an id, or a content, with another one."""

    token: str
    rows: int

    def to_json(self) -> str:
        """As text, for the way to the driver."""
        return json.dumps(self)

    @classmethod
    def from_json(cls, text: str) -> Alike:
        """Read what `to_json` wrote."""
        return cls(*json.loads(text))

    def file(self, key: str, cut: int) -> str:
        """Name in the exchange of the Arrow IPC file of these rows, KEYS_SCHEMA, if there are any."""
        return f"alike-{key}-{cut:04d}-{self.token}.arrow"


def find_alike(keys: CutKeys, key: str, cut: int, bounds: LengthBounds | None) -> Alike:
    """Write the rows of a cut that share half of their key with another: all that may be equal, few others.

    Args:
        keys: where they are.
        key: `id` or `content`.
        cut: which of the cuts to look at.
        bounds: lengths to look at; all where it is None.
    """
    column = KEYS_SCHEMA.get_field_index(f"{key}_low")

    def numbers(rows: pa.RecordBatch) -> NDArray[np.int64]:
        found: NDArray[np.int64] = rows.column(column).to_numpy()
        return found

    shared = _repeated([numbers(rows) for rows in keys.of_cut(key, cut, bounds)])
    alike = Alike(uuid.uuid4().hex[:8], 0)
    if not len(shared):
        return alike
    n = 0
    with (
        keys.exchange.writing(alike.file(key, cut)) as path,
        pa.OSFile(str(path), "wb") as sink,
        pa.ipc.new_file(sink, KEYS_SCHEMA) as writer,
    ):
        for rows in keys.of_cut(key, cut, bounds):
            found = rows.filter(pa.array(np.isin(numbers(rows), shared)))
            if found.num_rows:
                writer.write_batch(found)
                n += found.num_rows
    return alike._replace(rows=n)


def alike_rows(exchange: Exchange, name: str) -> Iterator[pa.RecordBatch]:
    """The rows that `find_alike` wrote."""
    with exchange.reading(name) as file:
        reader = pa.ipc.open_file(file)
        for i in range(reader.num_record_batches):
            yield reader.get_batch(i)


def _cut_of(numbers: pa.Array, cuts: int) -> NDArray[np.uint8]:
    unsigned: NDArray[np.uint64] = numbers.view(pa.uint64()).to_numpy()
    return (unsigned % np.uint64(cuts)).astype(np.uint8)


def _repeated(numbers: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """The numbers that are there more than once, each once."""
    together = np.sort(np.concatenate([np.empty(0, np.int64), *numbers]))
    return np.unique(together[1:][together[1:] == together[:-1]])
