"""What an export is made of: texts, labels and sides of the split, shuffled on disk by the md5 of the review.

Rows are scattered over parts by their md5 while they are read, and each part is sorted alone: memory is that
of one part of about `PART_ROWS` rows, whatever the number of reviews.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelfcheck import schema
from shelfcheck.models import split
from shelfcheck.models.encode_parts import day_of
from shelfcheck.models.labels import label_values
from shelfcheck.models.ngrams import field_tokens, thread_count
from shelfcheck.prepare.read import iter_prepared

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from shelfcheck.config import Settings
    from shelfcheck.progress import Progress

SIDES: Final = ("train", "validation", "test")
"""Sides of the split, as BlazingText calls its channels."""
PART_ROWS: Final = 1 << 17
MOST_PARTS: Final = 256  # files that are open at a time
_BATCH_ROWS: Final = 1 << 16
_KEY: Final = "key"
_SIDE: Final = "side"
_LABEL: Final = "label"
_TEXT: Final = "text"
_NEEDED: Final = (
    schema.REVIEW_ID,
    schema.PRODUCT_ID,
    schema.PRODUCT_CATEGORY,
    schema.STAR_RATING,
    schema.REVIEW_DATE,
    schema.REVIEW_TOKENS,
)


@dataclass
class Counts:
    """What was met.

    Attributes:
        labelled: reviews of each class, whatever became of them: what decides whether it is learned.
        usable: reviews that can be written, of each class and side.
        left_out: reviews that cannot, by reason: `no_label`, `no_text`, `no_side` (a split by time, no date).
    """

    labelled: Counter[str] = field(default_factory=Counter)
    usable: Counter[tuple[str, int]] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Reader:
    """Reads prepared reviews as texts with labels.

    Attributes:
        prepared: the folder of prepared reviews.
        settings: `train` (label and split), `text` and `run.threads` are read.
        fields: texts of a review, in the order in which they are joined.
        columns: further columns to carry along.
    """

    prepared: Path
    settings: Settings
    fields: tuple[str, ...]
    columns: tuple[str, ...] = ()

    @property
    def schema(self) -> pa.Schema:
        """Columns of a batch."""
        own = [(_KEY, pa.uint64()), (_SIDE, pa.int8()), (_LABEL, pa.string()), (_TEXT, pa.string())]
        return pa.schema([*own, *(schema.PREPARED_SCHEMA.field(name) for name in self.columns)])

    def batches(self, counts: Counts, progress: Progress) -> Iterator[pa.Table]:
        """Rows that can be written, in the order of the prepared reviews; `counts` is added to."""
        headline = [schema.REVIEW_HEADLINE] if schema.REVIEW_HEADLINE in self.fields else []
        wanted = list(dict.fromkeys([*_NEEDED, *headline, *self.columns]))
        for batch in iter_prepared(self.prepared, wanted, _BATCH_ROWS):
            yield self._rows(pa.Table.from_batches([batch]), counts)
            progress.advance(batch.num_rows)

    def _rows(self, reviews: pa.Table, counts: Counts) -> pa.Table:
        labels = label_values(reviews, self.settings.train.label).combine_chunks()
        texts = self._texts(reviews)
        side = self._sides(reviews)
        counts.labelled.update(_counted(labels))
        known = labels.is_valid().to_numpy(zero_copy_only=False)
        said = pc.greater(pc.binary_length(texts), 0).to_numpy(zero_copy_only=False)
        counts.left_out["no_label"] += int((~known).sum())
        counts.left_out["no_side"] += int((known & (side < 0)).sum())
        counts.left_out["no_text"] += int((known & (side >= 0) & ~said).sum())
        good = known & (side >= 0) & said
        for place in range(len(SIDES)):
            own = _counted(labels.filter(pa.array(good & (side == place))))
            counts.usable.update({(name, place): n for name, n in own.items()})
        ids = reviews.column(schema.REVIEW_ID).combine_chunks()
        carried = [reviews.column(name) for name in self.columns]
        table = pa.table([pa.array(md5_keys(ids)), pa.array(side), labels, texts, *carried], self.schema)
        return table if good.all() else table.filter(pa.array(good))

    def _texts(self, reviews: pa.Table) -> pa.Array:
        threads = thread_count(self.settings.run.threads)
        tokens = field_tokens(reviews, self.fields, self.settings.text, threads)
        if len(tokens) == 1:
            return tokens[0].fill_null("")
        joined = pc.binary_join_element_wise(*tokens, " ", null_handling="skip")
        return pc.ascii_trim_whitespace(joined)  # of a field without a token

    def _sides(self, reviews: pa.Table) -> npt.NDArray[np.int8]:
        """Place of each review's side among SIDES, -1 for none. (n)."""
        ids = reviews.column(schema.REVIEW_ID)
        parts = split.assign(
            self.settings.train,
            split.buckets(reviews.column(schema.PRODUCT_ID), ids, texts=reviews.column(schema.REVIEW_TOKENS)),
            days=lambda: day_of(reviews.column(schema.REVIEW_DATE)),
            review_ids=lambda: ids,
        )
        sides = np.full(reviews.num_rows, -1, np.int8)
        for place, side in enumerate((parts.train, parts.held, parts.test)):
            sides[side] = place
        return sides


def md5_keys(identifiers: pa.Array) -> npt.NDArray[np.uint64]:
    """The first 64 bits of the md5 of each id. (n)."""
    digests = [
        hashlib.md5(one.encode(), usedforsecurity=False).digest()[:8] for one in identifiers.to_pylist()
    ]
    return np.frombuffer(b"".join(digests), ">u8").astype(np.uint64)


def parts_of(rows: int) -> int:
    """Number of parts for so many rows."""
    return max(1, min(MOST_PARTS, -(-rows // PART_ROWS)))


def scatter(batches: Iterator[pa.Table], folder: Path, parts: int, columns: pa.Schema) -> None:
    """Write each row to the part of its key, `<part>.arrow`; parts are equal ranges of keys."""
    folder.mkdir(parents=True)
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with ExitStack() as stack:
        streams = []
        for part in range(parts):
            sink = stack.enter_context(pa.OSFile(str(folder / f"{part}.arrow"), "wb"))
            streams.append(stack.enter_context(pa.ipc.new_stream(sink, columns, options=options)))
        for rows in batches:
            high = rows.column(_KEY).to_numpy() >> np.uint64(32)
            part_of = (high * np.uint64(parts)) >> np.uint64(32)
            order = np.argsort(part_of, kind="stable")
            ends = np.searchsorted(part_of[order], np.arange(parts + 1, dtype=np.uint64)).tolist()
            for part, stream in enumerate(streams):
                if ends[part + 1] > ends[part]:
                    stream.write_table(rows.take(pa.array(order[ends[part] : ends[part + 1]])))


@dataclass(frozen=True)
class Shuffled:
    """Rows of one side, in the order of their md5."""

    side: str
    texts: pa.Array
    labels: pa.Array
    columns: tuple[pa.Array, ...]


def gather(folder: Path, parts: int, names: Sequence[str], classes: Sequence[str]) -> Iterator[Shuffled]:
    """Read scattered rows back, those of the classes alone: each side of each part, in the md5's order."""
    known = pa.array(classes, pa.string())
    for part in range(parts):
        path = folder / f"{part}.arrow"
        with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as stream:
            rows = stream.read_all()
        rows = rows.filter(pc.is_in(rows.column(_LABEL), value_set=known))
        keys, side = rows.column(_KEY).to_numpy(), rows.column(_SIDE).to_numpy()
        order = np.argsort(keys, kind="stable")
        for place, name in enumerate(SIDES):
            own = rows.take(pa.array(order[side[order] == place]))
            columns = tuple(own.column(one).combine_chunks() for one in (_TEXT, _LABEL, *names))
            yield Shuffled(name, columns[0], columns[1], columns[2:])


def _counted(labels: pa.Array) -> dict[str, int]:
    found = pc.value_counts(labels.drop_null())
    pairs = zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True)
    return dict(pairs)
