"""First pass, as an executor does it: read a piece, screen it, lay its rows down by month."""

from __future__ import annotations

import json
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck import schema
from shelfcheck.prepare.limits import EXAMPLES
from shelfcheck.prepare.months import month_codes
from shelfcheck.prepare.spark.keys import KEYS_SCHEMA, KeyFile
from shelfcheck.prepare.spark.pieces import ORDINAL_BITS
from shelfcheck.prepare.work import BATCH_ROWS, counted, first

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from shelfcheck.config import Settings
    from shelfcheck.engines.exchange import Exchange
    from shelfcheck.prepare.rules import LengthBounds
    from shelfcheck.prepare.spark.pieces import Piece

ORDINAL: Final = "ordinal"
STAGED_SCHEMA: Final = schema.REVIEW_SCHEMA.append(pa.field(ORDINAL, pa.int64()))
REPORT_SCHEMA: Final = pa.schema([("report", pa.string())])


class Staged(NamedTuple):
    """Rows of one month that lie together in a piece's file, in the order of the input."""

    month: int  # months since January 1970
    rows: int
    first: int  # ordinal of the first
    last: int


@dataclass
class Report:
    """What a task tells the driver of its piece: counts, and which of the files that tasks wrote count.

    A task that fails is run again, and may run twice at a time; each run writes files of its own, and its
    report, where Spark takes it, names them.
    """

    token: str
    starts: list[int] = field(default_factory=list)  # ordinal of each item's first row
    read: list[int] = field(default_factory=list)  # rows of each item
    filtered: list[dict[str, int]] = field(default_factory=list)  # of each item, by rule
    rejected: list[dict[str, int]] = field(default_factory=list)  # of each item, by reason
    examples: list[dict[str, Any]] = field(default_factory=list)  # the first rejected rows
    lengths: dict[int, int] = field(default_factory=dict)
    batches: list[Staged] = field(default_factory=list)  # in the order of the file

    def to_json(self) -> str:
        """As text, for the way to the driver."""
        return json.dumps(vars(self))

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Read what `to_json` wrote."""
        values = json.loads(text)
        values["lengths"] = {int(length): n for length, n in values["lengths"].items()}
        values["batches"] = [Staged(*batch) for batch in values["batches"]]
        return cls(**values)


class Files(NamedTuple):
    """Names of a piece's files in the exchange."""

    reviews: str  # Arrow IPC, STAGED_SCHEMA, each batch of one month
    ids: str  # Arrow IPC, KEYS_SCHEMA, cut by id
    contents: str  # likewise, by content
    rejected: str  # Parquet, REJECTED_SCHEMA

    @classmethod
    def of(cls, number: int, token: str) -> Files:
        """The files of one run of a task."""
        name = f"{number:06d}-{token}"
        return cls(
            f"reviews-{name}.arrow",
            f"ids-{name}.arrow",
            f"contents-{name}.arrow",
            f"rejected-{name}.parquet",
        )


def stage(
    piece: Piece,
    number: int,
    exchange: Exchange,
    settings: Settings,
    *,
    bounds: LengthBounds | None,
    budget: int,
    cuts: int,
) -> Report:
    """Read a piece and stage its rows.

    Args:
        piece: what to read.
        number: of the piece.
        exchange: where its rows go.
        settings: the section `prepare` holds.
        bounds: lengths to keep; None where they will come from the data.
        budget: bytes of rows that may wait for others of their month.
        cuts: into how many to cut its keys.
    """
    report = Report(uuid.uuid4().hex[:8])
    files = Files.of(number, report.token)
    ordinal = number << ORDINAL_BITS
    with (
        exchange.writing(files.reviews) as reviews_path,
        exchange.writing(files.ids) as ids_path,
        exchange.writing(files.contents) as contents_path,
        exchange.writing(files.rejected) as rejected_path,
        _MonthFile(reviews_path, budget) as reviews,
        KeyFile(ids_path, "id", cuts) as ids,
        KeyFile(contents_path, "content", cuts) as contents,
        pq.ParquetWriter(rejected_path, schema.REJECTED_SCHEMA, compression="zstd") as rejected,
    ):
        lengths: Counter[int] = Counter()
        for item in piece:
            report.starts.append(ordinal)
            filtered: Counter[str] = Counter()
            reasons: Counter[str] = Counter()
            read = 0
            for batch in item.reader.batches(BATCH_ROWS):
                read += batch.reviews.num_rows + batch.rejected.num_rows
                done = first(batch.reviews, settings, bounds)
                filtered.update(done.screened.filtered)
                lengths.update(done.lengths or {})
                if batch.rejected.num_rows:
                    rejected.write_batch(batch.rejected)
                    reasons.update(counted(batch.rejected.column(schema.REASON)))
                    report.examples += batch.rejected.slice(0, EXAMPLES - len(report.examples)).to_pylist()
                standing = done.keys.column(0).to_numpy()
                if len(standing):
                    months = month_codes(done.screened.reviews.column(schema.REVIEW_DATE))[standing]
                    keys = _keys(done.keys, standing + ordinal, months)
                    ids.write(keys)
                    contents.write(keys)
                    reviews.add(done.screened.reviews, standing, months, ordinal)
                ordinal += batch.reviews.num_rows
            report.read.append(read)
            report.filtered.append({rule: n for rule, n in filtered.items() if n})
            report.rejected.append(dict(reasons))
        report.lengths = dict(lengths)
    report.batches = reviews.batches
    return report


def _keys(keys: pa.RecordBatch, ordinals: NDArray[np.int64], months: NDArray[np.int64]) -> pa.RecordBatch:
    signed = [column.view(pa.int64()) for column in keys.columns[2:]]
    return pa.RecordBatch.from_arrays(
        [pa.array(ordinals), keys.column(1), pa.array(months), *signed], schema=KEYS_SCHEMA
    )


class _MonthFile:
    """An Arrow IPC file whose batches are of one month each.

    Rows wait in memory by month; past the budget, the largest months are written until half of it is free. So
    batches are as large as the memory allows, and who reads a month reads few of them.
    """

    def __init__(self, path: Path, budget: int) -> None:
        self._sink = pa.OSFile(str(path), "wb")
        # Uncompressed, for the reason that `StageWriter` gives.
        self._writer = pa.ipc.new_file(
            self._sink, STAGED_SCHEMA, options=pa.ipc.IpcWriteOptions(use_threads=False)
        )
        self._budget = budget
        self._waiting: defaultdict[int, list[pa.RecordBatch]] = defaultdict(list)
        self._bytes: Counter[int] = Counter()
        self.batches: list[Staged] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            for month in sorted(self._waiting):
                self._write(month)
        self._writer.close()
        self._sink.close()

    def add(
        self, rows: pa.RecordBatch, standing: NDArray[np.int64], months: NDArray[np.int64], first: int
    ) -> None:
        """Take the standing ones of some rows, in input order; `first` is the first row's ordinal."""
        order = np.argsort(months, kind="stable")
        found, starts = np.unique(months[order], return_index=True)
        places = standing[order]
        columns = [*rows.take(pa.array(places)).columns, pa.array(places + first)]
        sorted_rows = pa.RecordBatch.from_arrays(columns, schema=STAGED_SCHEMA)
        ends = [*starts[1:].tolist(), len(months)]
        for month, start, end in zip(found.tolist(), starts.tolist(), ends, strict=True):
            part = sorted_rows.slice(start, end - start)
            self._waiting[month].append(part)
            self._bytes[month] += part.nbytes
        if self._bytes.total() > self._budget:
            for month, _ in self._bytes.most_common():
                self._write(month)
                if self._bytes.total() <= self._budget // 2:
                    break
            for month, waiting in self._waiting.items():  # slices hold on to what they were cut from
                self._waiting[month] = [
                    pa.concat_batches([part.take(pa.array(range(part.num_rows))) for part in waiting])
                ]

    def _write(self, month: int) -> None:
        rows = pa.concat_batches(self._waiting.pop(month))
        del self._bytes[month]
        self._writer.write_batch(rows)
        ordinals = rows.column(rows.num_columns - 1)
        self.batches.append(Staged(month, rows.num_rows, ordinals[0].as_py(), ordinals[-1].as_py()))
