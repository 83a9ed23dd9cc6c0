"""Encoded reviews that stand, to which others are added: only these are tokenised and hashed.

Both are ordered by the hash of the review's id, so that a part of the result is made of a range of the old
rows and the new ones that fall between them. What comes out is, byte for byte, what encoding all gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck.batches import filled, span
from shelfcheck.models.encoded import ROW_SCHEMA, Encoded, part_file
from shelfcheck.models.ngrams import row_keys
from shelfcheck.prepare.read import prepared_files, read_file
from shelfcheck.schema import REVIEW_ID

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Ids = npt.NDArray[np.uint32]


class SameKeyError(Exception):
    """An old and a new review have the same key: their order follows from all reviews alone."""


class Before(NamedTuple):
    """Reviews that were encoded before others were added to them.

    Attributes:
        folder: what `encode` wrote of them, with the same settings.
        added: files of the prepared reviews that hold the others, and the first of them in each.
    """

    folder: Path
    added: Mapping[str, int]


@dataclass(frozen=True)
class Earlier:
    """Encoded reviews, in the parts that the result is cut into.

    Attributes:
        encoded: the reviews.
        ends: int64 (parts + 1), the first of them in each part.
    """

    encoded: Encoded
    ends: Ints

    @classmethod
    def of(cls, folder: Path, parts: int) -> Earlier:
        """Look where the parts begin. Memory: a batch of ids."""
        encoded = Encoded.open(folder)
        counts = np.zeros(parts, np.int64)
        for batch in encoded.batches((REVIEW_ID,)):
            keys = row_keys(batch.column(REVIEW_ID).combine_chunks())
            counts += np.bincount(part_of(keys, parts), minlength=parts)
        return cls(encoded, np.concatenate([[0], np.cumsum(counts)]))

    def rows(self, part: int) -> pa.Table:
        """Rows of ROW_SCHEMA of a part, in order."""
        first, end = int(self.ends[part]), int(self.ends[part + 1])
        pieces = [ROW_SCHEMA.empty_table()]
        begin = 0
        for place, n in enumerate(self.encoded.parts):
            low, high = max(first, begin), min(end, begin + n)
            if low < high:
                table = pq.read_table(part_file(self.encoded.folder, place), schema=ROW_SCHEMA)
                pieces.append(table.slice(low - begin, high - low))
            begin += n
        return pa.concat_tables(pieces)

    def merged(
        self, part: int, rows: pa.Table, keys: npt.NDArray[np.uint64], indptr: Ints, ids: Ids
    ) -> tuple[pa.Table, Ints, Ids]:
        """A part's new rows and the old ones among them.

        Args:
            part: its number.
            rows: new rows, by key: ROW_SCHEMA, `bucket` and `customer`.
            keys: their keys.
            indptr: int64 (new + 1), where their n-grams begin.
            ids: their n-grams.

        Returns:
            Rows with the columns of `rows`, their `indptr` and `ids`.

        Raises:
            SameKeyError: an old row has the key of a new one.
        """
        first, end = int(self.ends[part]), int(self.ends[part + 1])
        old = self.rows(part)
        old_keys = row_keys(old.column(REVIEW_ID).combine_chunks())
        if np.isin(keys, old_keys).any():
            raise SameKeyError
        place = np.searchsorted(old_keys, keys)  # old rows before each new one
        order = np.empty(end - first + len(keys), np.int64)
        new = place + np.arange(len(keys))
        is_old = np.ones(len(order), np.bool_)
        is_old[new] = False
        order[is_old] = np.arange(end - first)
        order[new] = np.arange(end - first, len(order))
        made = {
            "bucket": pa.array(np.asarray(self.encoded.bucket[first:end])),
            "customer": pa.array(np.asarray(self.encoded.customer[first:end])),
        }
        for name, values in made.items():
            old = old.append_column(name, values)
        table = pa.concat_tables([old, rows.select(old.column_names)]).take(pa.array(order)).combine_chunks()
        bounds = np.asarray(self.encoded.indptr[first : end + 1])
        lengths = np.concatenate([np.diff(bounds), np.diff(indptr)])[order]
        return table, np.concatenate([[0], np.cumsum(lengths)]), self._ids(bounds, place, indptr, ids)

    def _ids(self, bounds: Ints, place: Ints, indptr: Ints, ids: Ids) -> Ids:
        """N-grams of old and new rows in order; the old ones between two new rows are copied at once."""
        out = np.empty(int(bounds[-1] - bounds[0]) + len(ids), np.uint32)
        done = 0
        at = int(bounds[0])
        for upto, begin, end in zip(
            bounds[place].tolist(), indptr[:-1].tolist(), indptr[1:].tolist(), strict=True
        ):
            out[done : done + upto - at] = self.encoded.ids[at:upto]
            done += upto - at
            at = upto
            out[done : done + end - begin] = ids[begin:end]
            done += end - begin
        out[done:] = self.encoded.ids[at : int(bounds[-1])]
        return out


def part_of(keys: npt.NDArray[np.uint64], parts: int) -> Ints:
    """The part that each key falls into: equal ranges of keys. (n)."""
    found: Ints = (((keys >> np.uint64(32)) * np.uint64(parts)) >> np.uint64(32)).astype(np.int64)
    return found


def count_added(prepared_dir: Path, added: Mapping[str, int]) -> int:
    """How many reviews were added."""
    return sum(pq.read_metadata(prepared_dir / name).num_rows - first for name, first in added.items())


def iter_added(
    prepared_dir: Path, added: Mapping[str, int], columns: Sequence[str], batch_rows: int
) -> Iterator[pa.RecordBatch]:
    """Yield the reviews that were added, in the order of all; only the last batch may have fewer rows."""

    def read() -> Iterator[pa.RecordBatch]:
        for file, month in prepared_files(prepared_dir):
            first = added.get(file.relative_to(prepared_dir).as_posix())
            if first is not None:
                yield from span(read_file(file, month, columns, batch_rows), first)

    return filled(read(), batch_rows)
