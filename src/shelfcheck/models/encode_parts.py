"""The two passes of `encode`: scatter rows over parts by their key, then sort, encode and append each part.

Scattering writes a file a segment of the input, `segment-00000.arrow` (Arrow IPC, LZ4), with a batch for each
part in it: the rows' token strings, which take less room than their n-grams. A segment's file appears under
its name when it is whole. Parts are equal ranges of keys; what was appended of them is recorded by the
lengths of the files, so that a killed run cuts off what came after and goes on.
"""

from __future__ import annotations

import itertools
import json
import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shelfcheck.models import split
from shelfcheck.models.blocks import blocks
from shelfcheck.models.encode_added import Earlier, iter_added, part_of
from shelfcheck.models.encoded import ARRAYS, NO_DAY, ROW_SCHEMA, part_file
from shelfcheck.models.ngrams import encode_tokens, field_tokens, row_keys
from shelfcheck.prepare.read import iter_prepared
from shelfcheck.schema import (
    CUSTOMER_ID,
    PRODUCT_CATEGORY,
    PRODUCT_ID,
    REVIEW_DATE,
    REVIEW_HEADLINE,
    REVIEW_ID,
    REVIEW_TOKENS,
    STAR_RATING,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from shelfcheck.checkpoints import Checkpoint
    from shelfcheck.config import EncodingSettings, TextSettings
    from shelfcheck.models.encode_added import Before
    from shelfcheck.progress import Progress

_KEY: Final = "key"
_BUCKET: Final = "bucket"
_CUSTOMER: Final = "customer"
_GATHERED: Final = "gathered"
_CODES: Final = "codes.i16"  # categories by order of appearance; `label.i16` is made of them at the end
_APPENDED: Final = ("indptr", "ids", "bucket", "stars", "day", "customer")


@dataclass(frozen=True)
class Layout:
    """How reviews are encoded and cut.

    Attributes:
        spec: fields and n-grams.
        text: how tokens are made.
        threads: worker threads.
        rows: number of reviews that are read.
        part_rows: rows of a part, about.
        segment_rows: rows of a segment.
        earlier: reviews that are encoded already, and not read.
        before: what was encoded, to which they are added; None where all are read.
    """

    spec: EncodingSettings
    text: TextSettings
    threads: int
    rows: int
    part_rows: int
    segment_rows: int
    before: Before | None = None
    earlier: int = 0

    @property
    def all_rows(self) -> int:
        """Number of reviews of the result."""
        return self.rows + self.earlier

    @property
    def parts(self) -> int:
        """Number of parts."""
        return -(-self.all_rows // self.part_rows)

    @property
    def segments(self) -> int:
        """Number of segments."""
        return -(-self.rows // self.segment_rows)

    @property
    def schema(self) -> pa.Schema:
        """Columns of a segment: the rows, their keys and buckets, and the token string of each field."""
        texts = [(f"text{place}", pa.string()) for place in range(len(self.spec.fields))]
        made = [(_KEY, pa.uint64()), (_BUCKET, pa.int16()), (_CUSTOMER, pa.uint64())]
        return pa.schema([*ROW_SCHEMA, *made, *texts])


def scatter(prepared_dir: str | Path, checkpoint: Checkpoint, layout: Layout, progress: Progress) -> None:
    """Write the segments that are not there yet."""
    progress.start("Shuffling reviews", layout.rows)
    done = 0
    while done < layout.segments and _whole(_segment(checkpoint, done), layout, done):
        done += 1
    first = min(layout.rows, done * layout.segment_rows)
    progress.advance(first)
    if done == layout.segments:
        return
    columns = [*ROW_SCHEMA.names, CUSTOMER_ID, REVIEW_TOKENS]
    if REVIEW_HEADLINE in layout.spec.fields:
        columns.append(REVIEW_HEADLINE)
    checkpoint.folder.mkdir(parents=True, exist_ok=True)
    if layout.before is None:
        reviews = iter_prepared(prepared_dir, columns, layout.segment_rows, first)
    else:
        added = iter_added(Path(prepared_dir), layout.before.added, columns, layout.segment_rows)
        reviews = itertools.islice(added, done, None)
    for place, batch in enumerate(reviews, start=done):
        _write_segment(_with_tokens(batch, layout), _segment(checkpoint, place), layout)
        progress.advance(batch.num_rows)


def _segment(checkpoint: Checkpoint, place: int) -> Path:
    return checkpoint.folder / f"segment-{place:05d}.arrow"


def _whole(path: Path, layout: Layout, place: int) -> bool:
    """Whether a segment is there with all of its rows."""
    try:
        with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
            told = json.loads(reader.schema.metadata[b"segment"])
            whole: bool = reader.num_record_batches == layout.parts and told == _described(layout, place)
    except (OSError, KeyError, TypeError, ValueError, pa.ArrowException):
        return False
    return whole


def _described(layout: Layout, place: int) -> list[int]:
    rows = min(layout.segment_rows, layout.rows - place * layout.segment_rows)
    return [place, rows, layout.parts, layout.part_rows]


def _with_tokens(batch: pa.RecordBatch, layout: Layout) -> pa.Table:
    texts = field_tokens(batch, layout.spec.fields, layout.text, layout.threads)
    arrays = batch.columns[: len(ROW_SCHEMA.names)]
    bucket = split.buckets(
        batch.column(PRODUCT_ID), batch.column(REVIEW_ID), texts=batch.column(REVIEW_TOKENS)
    )
    customer = customer_keys(batch.column(CUSTOMER_ID))
    arrays += [pa.array(row_keys(arrays[0])), pa.array(bucket), pa.array(customer), *texts]
    return pa.table(arrays, schema=layout.schema)


def _write_segment(rows: pa.Table, path: Path, layout: Layout) -> None:
    """One batch for each part, an empty one where no row falls into it."""
    part = part_of(rows.column(_KEY).to_numpy(), layout.parts)
    order = np.argsort(part, kind="stable")
    ends = np.searchsorted(part[order], np.arange(layout.parts + 1)).tolist()
    place = int(path.stem.rpartition("-")[2])
    schema = layout.schema.with_metadata({"segment": json.dumps(_described(layout, place))})
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    aside = path.with_suffix(".part")
    with pa.OSFile(str(aside), "wb") as sink, pa.ipc.new_file(sink, schema, options=options) as writer:
        for i in range(layout.parts):
            own = rows.take(pa.array(order[ends[i] : ends[i + 1]])).combine_chunks()
            batch = own.to_batches()[0] if own.num_rows else pa.RecordBatch.from_pylist([], layout.schema)
            writer.write_batch(batch)
    with aside.open("rb+") as file:
        os.fsync(file.fileno())
    aside.replace(path)


def gather(checkpoint: Checkpoint, home: Path, layout: Layout, progress: Progress) -> dict[str, Any]:
    """Sort and encode each part and append it to the arrays; returns rows, ids, parts and categories.

    Raises:
        SameKeyError: reviews cannot be added to those that are encoded.
    """
    earlier = None if layout.before is None else Earlier.of(layout.before.folder, layout.parts)
    state = _state(checkpoint, home)
    progress.start("Encoding", layout.all_rows)
    progress.advance(sum(state["parts"]))
    codes: dict[str, int] = {name: place for place, name in enumerate(state["names"])}
    parts, n_ids = list(state["parts"]), int(state["ids"])
    with ExitStack() as stack:
        files = {name: stack.enter_context((home / ARRAYS[name][0]).open("ab")) for name in _APPENDED}
        files["codes"] = stack.enter_context((home / _CODES).open("ab"))
        if not parts:
            files["indptr"].write(np.zeros(1, "<i8").tobytes())
        for part in range(len(parts), layout.parts):
            rows = _sorted_part(checkpoint, layout, part)
            texts = [rows.column(f"text{i}").combine_chunks() for i in range(len(layout.spec.fields))]
            spec = layout.spec
            indptr, ids = encode_tokens(
                texts,
                spec.fields,
                spec.hash_bits,
                layout.threads,
                word_ngrams=spec.word_ngrams,
                prefixes=spec.prefixes,
            )
            if earlier is not None:
                rows, indptr, ids = earlier.merged(part, rows, rows.column(_KEY).to_numpy(), indptr, ids)
            files["indptr"].write((indptr[1:] + n_ids).astype("<i8", copy=False).data)
            files["ids"].write(ids.astype("<u4", copy=False).data)
            files["bucket"].write(rows.column(_BUCKET).to_numpy().astype("<i2").data)
            files["stars"].write(stars_of(rows.column(STAR_RATING)).data)
            files["day"].write(day_of(rows.column(REVIEW_DATE)).astype("<i4", copy=False).data)
            files["customer"].write(rows.column(_CUSTOMER).to_numpy().astype("<u8", copy=False).data)
            files["codes"].write(category_codes(rows.column(PRODUCT_CATEGORY), codes).astype("<i2").data)
            pq.write_table(rows.select(ROW_SCHEMA.names), part_file(home, part), compression="zstd")
            n_ids += len(ids)
            parts.append(rows.num_rows)
            progress.advance(rows.num_rows)
            del rows, texts, indptr, ids
            if checkpoint.due or part == layout.parts - 1:
                for file in files.values():
                    file.flush()
                    os.fsync(file.fileno())
                sizes = {name: file.tell() for name, file in files.items()}
                told = {"parts": parts, "ids": n_ids, "names": list(codes), "sizes": sizes}
                checkpoint.keep(_GATHERED, [], told)
    _write_labels(home, codes)
    return {"rows": sum(parts), "ids": n_ids, "parts": parts, "categories": sorted(codes)}


def _state(checkpoint: Checkpoint, home: Path) -> dict[str, Any]:
    """What was appended so far; what the files hold beyond is cut off."""
    paths = {name: home / ARRAYS[name][0] for name in _APPENDED} | {"codes": home / _CODES}
    state = checkpoint.kept(_GATHERED)
    if state is not None and all(
        path.exists() and path.stat().st_size >= state["sizes"][name] for name, path in paths.items()
    ):
        for name, path in paths.items():
            os.truncate(path, state["sizes"][name])
        return state
    for path in paths.values():
        path.unlink(missing_ok=True)
    return {"parts": [], "ids": 0, "names": []}


def _sorted_part(checkpoint: Checkpoint, layout: Layout, part: int) -> pa.Table:
    pieces = list(_pieces(checkpoint, layout, part))
    rows = pa.Table.from_batches(pieces, schema=layout.schema)
    order = np.argsort(rows.column(_KEY).to_numpy(), kind="stable")
    return rows.take(pa.array(order)).combine_chunks()


def _pieces(checkpoint: Checkpoint, layout: Layout, part: int) -> Iterator[pa.RecordBatch]:
    for place in range(layout.segments):
        with pa.memory_map(str(_segment(checkpoint, place))) as source, pa.ipc.open_file(source) as reader:
            yield reader.get_batch(part).replace_schema_metadata(None)


def _write_labels(home: Path, codes: dict[str, int]) -> None:
    """`label.i16`: the place of each category among the sorted names."""
    rank = rank_by_name(codes)
    given = np.fromfile(home / _CODES, "<i2")
    with (home / ARRAYS["label"][0]).open("wb") as file:
        for block in blocks(len(given)):
            file.write(rank[given[block]].astype("<i2", copy=False).data)


def category_codes(column: pa.ChunkedArray, codes: dict[str, int]) -> npt.NDArray[np.int16]:
    """Code categories by order of appearance; null is -1.

    Args:
        column: names, (n).
        codes: name -> code, added to.
    """
    coded = pc.dictionary_encode(column).combine_chunks()
    coded = coded.chunk(0) if isinstance(coded, pa.ChunkedArray) else coded
    own = np.array(
        [codes.setdefault(name, len(codes)) for name in coded.dictionary.to_pylist()] + [-1], np.int16
    )
    labels: npt.NDArray[np.int16] = own[coded.indices.fill_null(len(own) - 1).to_numpy()]
    return labels


def rank_by_name(codes: dict[str, int]) -> npt.NDArray[np.int16]:
    """Place of each code among the sorted names; the last stands for null."""
    rank = np.full(len(codes) + 1, -1, np.int16)
    for place, name in enumerate(sorted(codes)):
        rank[codes[name]] = place
    return rank


def customer_keys(column: pa.Array) -> npt.NDArray[np.uint64]:
    """A hash of each customer's id, 0 where it is null. (n)."""
    keys = row_keys(column)
    if column.null_count:
        keys[column.is_null().to_numpy(zero_copy_only=False)] = 0
    return keys


def stars_of(column: pa.ChunkedArray) -> npt.NDArray[np.int8]:
    """Stars, 0 where they are null. (n)."""
    stars: npt.NDArray[np.int8] = column.fill_null(0).cast(pa.int8()).to_numpy()
    return stars


def day_of(column: pa.ChunkedArray) -> npt.NDArray[np.int32]:
    """Days since 1970, NO_DAY where the date is null. (n)."""
    days: npt.NDArray[np.int32] = column.cast(pa.int32()).fill_null(NO_DAY).to_numpy()
    return days
