"""What every reader takes and gives: a `Source` yields `SourceBatch`es of canonical and rejected rows."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from shelfcheck import schema
from shelfcheck.config import SourceSettings
from shelfcheck.errors import SourceError
from shelfcheck.sources.checks import Rejects, canonical
from shelfcheck.sources.files import UnreadableError, read_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np
    import numpy.typing as npt

    Reader = Callable[["Source", Rejects, int], Iterator["Chunk"]]

BATCH_ROWS = 65536


class SourceBatch(NamedTuple):
    """Some rows of a source. Rows read = `reviews.num_rows + rejected.num_rows`."""

    reviews: pa.RecordBatch  # REVIEW_SCHEMA; review_id may be null, categories are normalised
    rejected: pa.RecordBatch  # REJECTED_SCHEMA
    bytes_read: int  # of the file as it lies (compressed), since the batch before; sums to its size


class Chunk(NamedTuple):
    """Raw rows, as a reader cut them out of a file."""

    columns: Mapping[str, pa.Array]  # canonical name -> array of any type, n rows
    lines: npt.NDArray[np.int64]  # 1-based lines or rows, length n
    position: int  # bytes of the file read so far
    clean: bool = False  # strings are known to be valid UTF-8 without NUL bytes


@dataclass(frozen=True)
class Source:
    """One file of reviews.

    Attributes:
        path: local path or URL, as rejected rows name it.
        format: one of `config.SourceFormat`; "" for a file that cannot be read.
        size: bytes, 0 where unknown.
        fingerprint: changes when the file (or its metadata files) changes.
        settings: column mapping, and category and marketplace of rows that name none.
        category: category that the path or name gives to rows that name none.
        metadata: product metadata files to join titles and categories from.
        label_map: path or URL of the file that names the labels of `augmented_manifest` and `fasttext`.
        named: whether the user named this very file; then a file that cannot be read is an
            error, and otherwise one rejected row.
        problem: (reason, message) when the file was found to be unreadable.
        row_groups: first and past-the-last row group of a Parquet file to read; all when None.
    """

    path: str
    format: str
    size: int
    fingerprint: str
    settings: SourceSettings = field(default_factory=SourceSettings)
    category: str | None = None
    marketplace: str | None = None
    metadata: tuple[str, ...] = ()
    report_metadata: tuple[str, ...] = ()  # those whose broken rows this source reports
    named: bool = True
    problem: tuple[str, str] | None = None
    label_map: str | None = None
    row_groups: tuple[int, int] | None = None

    def batches(self, batch_rows: int = BATCH_ROWS) -> Iterator[SourceBatch]:
        """Read the file in bounded memory: blocks of about 8 MB, batches of at most `batch_rows` rows.

        Every physical row is in exactly one batch, as a review or as a rejected row.

        Raises:
            SourceError: the file cannot be read at all and was named by the user.
        """
        spent = 0
        last: SourceBatch | None = None
        for batch in self._read(batch_rows):
            if last is not None:
                spent += last.bytes_read
                yield last
            last = batch
        if last is None:
            last = SourceBatch(_no_reviews(), Rejects(self.path).take(), 0)
        if self.size:
            last = last._replace(bytes_read=max(self.size - spent, 0))
        yield last

    def _read(self, batch_rows: int) -> Iterator[SourceBatch]:
        rejects = Rejects(self.path)
        if self.problem is not None:
            rejects.add(None, *self.problem)
            yield SourceBatch(_no_reviews(), rejects.take(), 0)
            return
        position = 0
        started = False
        try:
            for chunk in reader(self.format)(self, rejects, batch_rows):
                started = True
                yield from self._batches(chunk, rejects, batch_rows, chunk.position - position)
                position = chunk.position
        except read_errors(SourceError) as error:
            if self.named and not started:
                raise _as_source_error(self.path, error) from error
            logging.getLogger(__name__).warning("%s: %s", self.path, error)
            reason = error.reason if isinstance(error, UnreadableError) else "unreadable_file"
            rejects.add(None, reason, str(error))
        if len(rejects):
            yield SourceBatch(_no_reviews(), rejects.take(), 0)

    def _batches(
        self, chunk: Chunk, rejects: Rejects, batch_rows: int, bytes_read: int
    ) -> Iterator[SourceBatch]:
        for start in range(0, max(len(chunk.lines), 1), batch_rows):
            part = slice(start, start + batch_rows)
            reviews = canonical(
                {name: column[part] for name, column in chunk.columns.items()},
                chunk.lines[part],
                rejects,
                category=self.category,
                marketplace=self.marketplace or self.settings.marketplace,
                clean=chunk.clean,
            )
            yield SourceBatch(reviews, rejects.take(), bytes_read)
            bytes_read = 0


def reader(form: str) -> Reader:
    """The reader of a format."""
    # They import this module.
    from shelfcheck.sources import amazon2023, augmented_manifest, fasttext, pds, table, ucsd  # noqa: PLC0415

    readers: dict[str, Reader] = {
        "pds": pds.read,
        "ucsd": ucsd.read,
        "amazon2023": amazon2023.read,
        "augmented_manifest": augmented_manifest.read,
        "fasttext": fasttext.read,
        "table": table.read,
    }
    return readers[form]


def _no_reviews() -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=schema.REVIEW_SCHEMA)


def _as_source_error(path: str, error: Exception) -> SourceError:
    if isinstance(error, SourceError):
        return error
    return UnreadableError(f"{path}: cannot be read: {error}. Fetch the file again, or leave it out.")
