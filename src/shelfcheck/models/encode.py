"""Prepared reviews to hashed n-grams on disk, shuffled, ready to learn from.

The folder holds `indptr.i64`, `ids.u32`, `label.i16` and `bucket.i16` (raw little-endian arrays, opened
memory-mapped), `rows.parquet` (ROW_SCHEMA, in the same order) and `meta.json`.

Rows are ordered by a hash of the review id, never by date or file: a model that is fed in the order of
the files forgets what came first. Rows are scattered over parts by the hash while they are read, and
each part is sorted alone, so that memory does not grow with the input: a batch, one part of about
`_PART_ROWS` rows, and 12 bytes a row for label, bucket and offset.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shelfcheck.config import TextSettings
from shelfcheck.errors import NotEnoughDataError, WorkspaceError
from shelfcheck.models import split
from shelfcheck.models.ngrams import encode_tokens, field_tokens, row_keys, thread_count
from shelfcheck.prepare.read import count_prepared, iter_prepared
from shelfcheck.progress import NullProgress
from shelfcheck.schema import (
    PRODUCT_CATEGORY,
    PRODUCT_ID,
    REVIEW_BODY,
    REVIEW_DATE,
    REVIEW_HEADLINE,
    REVIEW_ID,
    REVIEW_TOKENS,
    STAR_RATING,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from shelfcheck.config import EncodingSettings, Settings
    from shelfcheck.progress import Progress

FORMAT: Final = 3
ROW_SCHEMA: Final = pa.schema(
    [
        (REVIEW_ID, pa.string()),
        (PRODUCT_ID, pa.string()),
        (PRODUCT_CATEGORY, pa.string()),
        (STAR_RATING, pa.int32()),
        (REVIEW_DATE, pa.date32()),
    ]
)
_KEY: Final = "key"
_IDS: Final = "ids"
_BUCKET: Final = "bucket"
_PART_SCHEMA: Final = pa.schema(
    [*ROW_SCHEMA, (_KEY, pa.uint64()), (_BUCKET, pa.int16()), (_IDS, pa.large_list(pa.uint32()))]
)
_PART_ROWS: Final = 1 << 18
_BATCH_ROWS: Final = 1 << 16


@dataclass(frozen=True)
class Encoded:
    """Encoded reviews, memory-mapped or in memory.

    Attributes:
        folder: where they lie; nowhere when `table` is set.
        indptr: int64 (n + 1), where each review's n-grams begin in `ids`.
        ids: uint32 (nnz), bucket in the low 26 bits, count - 1 in the high 6.
        label: int16 (n), index into `categories`; -1 where the category is null.
        bucket: int16 (n), bucket of the product, 0..999; see `split`.
        categories: every class, sorted; `labels` makes others than the categories.
        fields: the texts that were read.
        hash_bits: log2 of the number of n-gram buckets.
        text: how tokens were made.
        word_ngrams: most words in an n-gram.
        prefixes: letters of the prefixes that count as terms, too.
        table: rows of ROW_SCHEMA, when they are not on disk.
    """

    folder: Path
    indptr: npt.NDArray[np.int64]
    ids: npt.NDArray[np.uint32]
    label: npt.NDArray[np.int16]
    bucket: npt.NDArray[np.int16]
    categories: tuple[str, ...]
    fields: tuple[str, ...]
    hash_bits: int
    text: TextSettings
    word_ngrams: int = 2
    prefixes: tuple[int, ...] = ()
    table: pa.Table | None = None

    @classmethod
    def open(cls, folder: str | Path) -> Encoded:
        """Open what `encode` wrote.

        Raises:
            WorkspaceError: it is missing, incomplete or of another version.
        """
        home = Path(folder)
        try:
            meta = json.loads((home / "meta.json").read_text(encoding="utf-8"))
            if meta["format"] != FORMAT:
                raise WorkspaceError(
                    f"{home}: encoded reviews of format {meta['format']}, this version reads {FORMAT}. "
                    "Encode again with: shelfcheck train"
                )
            n = meta["rows"]
            return cls(
                folder=home,
                indptr=_mapped(home / "indptr.i64", np.int64, n + 1),
                ids=_mapped(home / "ids.u32", np.uint32, meta["ids"]),
                label=_mapped(home / "label.i16", np.int16, n),
                bucket=_mapped(home / "bucket.i16", np.int16, n),
                categories=tuple(meta["categories"]),
                fields=tuple(meta["fields"]),
                hash_bits=meta["hash_bits"],
                text=TextSettings.model_validate(meta["text"]),
                word_ngrams=meta["word_ngrams"],
                prefixes=tuple(meta["prefixes"]),
            )
        except (OSError, KeyError, ValueError) as error:
            raise WorkspaceError(
                f"{home}: no encoded reviews that can be read ({error}). Make them with: shelfcheck train"
            ) from error

    @property
    def n_rows(self) -> int:
        """Number of reviews."""
        return len(self.label)

    @property
    def n_ids(self) -> int:
        """Number of distinct n-grams, summed over the reviews."""
        return len(self.ids)

    def rows(self) -> pa.Table:
        """Rows of ROW_SCHEMA, in order."""
        if self.table is not None:
            return self.table
        return pq.read_table(self.folder / "rows.parquet", schema=ROW_SCHEMA)

    def category_counts(self) -> dict[str, int]:
        """Number of reviews of each category."""
        counts = np.bincount(self.label[self.label >= 0], minlength=len(self.categories))
        return dict(zip(self.categories, counts.tolist(), strict=True))


def encode(
    prepared_dir: str | Path,
    out_dir: str | Path,
    settings: Settings,
    progress: Progress | None = None,
    *,
    spec: EncodingSettings | None = None,
) -> Encoded:
    """Encode prepared reviews.

    Args:
        prepared_dir: output of `prepare`.
        out_dir: folder to fill; made if it is not there.
        settings: `text` and `run.threads` are read.
        progress: told the rows done.
        spec: fields and n-grams; those of `train.linear` when None.

    Raises:
        NotEnoughDataError: there is no review.
        WorkspaceError: the prepared reviews cannot be read.
    """
    progress = progress or NullProgress()
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    scratch = out / ".parts"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    total = count_prepared(prepared_dir)
    if total == 0:
        raise NotEnoughDataError(
            f"{prepared_dir}: no reviews to learn from. Prepare some that pass the filters."
        )
    spec = spec or settings.train.linear
    parts = -(-total // _PART_ROWS)
    progress.start("Encoding", total)
    try:
        writers = [pa.OSFile(str(scratch / f"{part}.arrow"), "wb") for part in range(parts)]
        streams = [pa.ipc.new_stream(writer, _PART_SCHEMA) for writer in writers]
        for batch in _encoded_batches(prepared_dir, settings, spec):
            _scatter(batch, streams)
            progress.advance(batch.num_rows)
        for stream, writer in zip(streams, writers, strict=True):
            stream.close()
            writer.close()
        meta = _gather(scratch, parts, out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        progress.finish()
    meta |= {
        "format": FORMAT,
        "fields": list(spec.fields),
        "hash_bits": spec.hash_bits,
        "word_ngrams": spec.word_ngrams,
        "prefixes": list(spec.prefixes),
        "text": settings.text.model_dump(mode="json"),
    }
    (out / "meta.json").write_text(json.dumps(meta, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return Encoded.open(out)


def encode_table(table: pa.Table, spec: EncodingSettings, text: TextSettings, threads: int = 0) -> Encoded:
    """Encode reviews in memory, in the order of the table, which should be shuffled.

    Args:
        table: prepared or canonical reviews.
        spec: fields and n-grams.
        text: how tokens are made.
        threads: worker threads; 0 takes all processors.
    """
    workers = thread_count(threads)
    n = table.num_rows
    arrays = [
        table.column(field.name).cast(field.type)
        if field.name in table.schema.names
        else pa.chunked_array([pa.nulls(n, field.type)])
        for field in ROW_SCHEMA
    ]
    rows = pa.table(arrays, schema=ROW_SCHEMA)
    columns = field_tokens(table, spec.fields, text, workers)
    indptr, ids = encode_tokens(
        columns,
        spec.fields,
        spec.hash_bits,
        workers,
        word_ngrams=spec.word_ngrams,
        prefixes=spec.prefixes,
    )
    codes: dict[str, int] = {}
    labels = _labels(rows.column(PRODUCT_CATEGORY), codes)
    return Encoded(
        folder=Path(),
        indptr=indptr,
        ids=ids,
        label=_by_name(codes)[labels],
        bucket=split.buckets(
            rows.column(PRODUCT_ID),
            rows.column(REVIEW_ID),
            texts=columns[spec.fields.index(REVIEW_BODY)]
            if REVIEW_BODY in spec.fields
            else field_tokens(table, [REVIEW_BODY], text, workers)[0],
        ),
        categories=tuple(sorted(codes)),
        fields=tuple(spec.fields),
        hash_bits=spec.hash_bits,
        text=text,
        word_ngrams=spec.word_ngrams,
        prefixes=spec.prefixes,
        table=rows,
    )


def _encoded_batches(
    prepared_dir: str | Path, settings: Settings, spec: EncodingSettings
) -> Iterator[pa.Table]:
    threads = thread_count(settings.run.threads)
    columns = [*ROW_SCHEMA.names, REVIEW_TOKENS]
    if REVIEW_HEADLINE in spec.fields:
        columns.append(REVIEW_HEADLINE)
    for batch in iter_prepared(prepared_dir, columns, _BATCH_ROWS):
        texts = field_tokens(batch, spec.fields, settings.text, threads)
        indptr, ids = encode_tokens(
            texts,
            spec.fields,
            spec.hash_bits,
            threads,
            word_ngrams=spec.word_ngrams,
            prefixes=spec.prefixes,
        )
        arrays = batch.columns[: len(ROW_SCHEMA.names)]
        arrays += [
            pa.array(row_keys(arrays[0])),
            pa.array(
                split.buckets(
                    batch.column(PRODUCT_ID),
                    batch.column(REVIEW_ID),
                    texts=batch.column(REVIEW_TOKENS),
                )
            ),
            pa.LargeListArray.from_arrays(pa.array(indptr), pa.array(ids)),
        ]
        yield pa.table(arrays, schema=_PART_SCHEMA)


def _scatter(batch: pa.Table, streams: Sequence[pa.ipc.RecordBatchStreamWriter]) -> None:
    """Send each row to the part of its key; parts are equal ranges of keys."""
    if len(streams) == 1:
        streams[0].write_table(batch)
        return
    high = batch.column(_KEY).to_numpy() >> np.uint64(32)
    part = (high * np.uint64(len(streams))) >> np.uint64(32)
    order = np.argsort(part, kind="stable")
    ends = np.searchsorted(part[order], np.arange(len(streams) + 1, dtype=np.uint64))
    for i, stream in enumerate(streams):
        if ends[i + 1] > ends[i]:
            stream.write_table(batch.take(pa.array(order[ends[i] : ends[i + 1]])))


def _gather(scratch: Path, parts: int, out: Path) -> dict[str, object]:
    """Sort each part by key and append it to the final files."""
    n_ids = 0
    rows_seen = 0
    codes: dict[str, int] = {}
    label_pieces = []
    with (
        (out / "indptr.i64").open("wb") as indptr_file,
        (out / "ids.u32").open("wb") as ids_file,
        (out / "bucket.i16").open("wb") as bucket_file,
        pq.ParquetWriter(out / "rows.parquet", ROW_SCHEMA, compression="zstd") as rows_file,
    ):
        indptr_file.write(np.zeros(1, "<i8").tobytes())
        for part in range(parts):
            with (
                pa.memory_map(str(scratch / f"{part}.arrow")) as source,
                pa.ipc.open_stream(source) as stream,
            ):
                table = stream.read_all()
                order = np.argsort(table.column(_KEY).to_numpy(), kind="stable")
                table = table.take(pa.array(order)).combine_chunks()
            lists = table.column(_IDS).combine_chunks()
            lists = lists.chunk(0) if isinstance(lists, pa.ChunkedArray) else lists
            sizes = np.diff(lists.offsets.to_numpy())
            indptr_file.write((np.cumsum(sizes) + n_ids).astype("<i8", copy=False).data)
            ids = lists.flatten().to_numpy()
            ids_file.write(ids.astype("<u4", copy=False).data)
            n_ids += len(ids)
            rows_seen += table.num_rows
            bucket = table.column(_BUCKET).to_numpy()
            bucket_file.write(bucket.astype("<i2", copy=False).data)
            label_pieces.append(_labels(table.column(PRODUCT_CATEGORY), codes))
            rows_file.write_table(table.select(ROW_SCHEMA.names))
    _by_name(codes)[np.concatenate(label_pieces)].astype("<i2").tofile(out / "label.i16")
    return {"rows": rows_seen, "ids": n_ids, "categories": sorted(codes)}


def _by_name(codes: dict[str, int]) -> npt.NDArray[np.int16]:
    """Place of each code among the sorted names; the last stands for null."""
    rank = np.full(len(codes) + 1, -1, np.int16)
    for place, name in enumerate(sorted(codes)):
        rank[codes[name]] = place
    return rank


def _labels(column: pa.ChunkedArray, codes: dict[str, int]) -> npt.NDArray[np.int16]:
    """Code categories by order of appearance over all parts; null is -1."""
    coded = pc.dictionary_encode(column).combine_chunks()
    coded = coded.chunk(0) if isinstance(coded, pa.ChunkedArray) else coded
    own = np.array(
        [codes.setdefault(name, len(codes)) for name in coded.dictionary.to_pylist()] + [-1], np.int16
    )
    labels: npt.NDArray[np.int16] = own[coded.indices.fill_null(len(own) - 1).to_numpy()]
    return labels


def _mapped(path: Path, dtype: type, n: int) -> Any:
    if path.stat().st_size != n * np.dtype(dtype).itemsize:
        raise ValueError(f"{path.name} has {path.stat().st_size} bytes")
    if n == 0:
        return np.zeros(0, dtype)
    return np.memmap(path, np.dtype(dtype).newbyteorder("<"), "r", shape=(n,))
