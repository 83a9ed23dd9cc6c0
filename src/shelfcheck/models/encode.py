"""Prepared reviews to hashed n-grams on disk, shuffled, ready to learn from; `encoded` says what is written.

Rows are ordered by a hash of the review id, never by date or file: a model that is fed in the order of
the files forgets what came first. Rows are scattered over parts by the hash while they are read, and
each part is sorted, encoded and appended alone (`encode_parts`), so that memory does not grow with the input.
At the end products get their codes (`product_codes`).

A killed run goes on where it was: segments that were scattered and parts that were appended are kept in the
checkpoint until all is done.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelfcheck.checkpoints import Checkpoint
from shelfcheck.errors import NotEnoughDataError
from shelfcheck.models import split
from shelfcheck.models.encode_added import SameKeyError, count_added
from shelfcheck.models.encode_parts import (
    Layout,
    category_codes,
    customer_keys,
    day_of,
    gather,
    rank_by_name,
    scatter,
    stars_of,
)
from shelfcheck.models.encoded import ARRAYS, FORMAT, META, NO_PRODUCT, PRODUCTS, ROW_SCHEMA, ROWS, Encoded
from shelfcheck.models.ngrams import encode_tokens, field_tokens, thread_count
from shelfcheck.models.product_codes import code_products
from shelfcheck.prepare.read import count_prepared
from shelfcheck.progress import NullProgress
from shelfcheck.schema import (
    CUSTOMER_ID,
    PRODUCT_CATEGORY,
    PRODUCT_ID,
    REVIEW_BODY,
    REVIEW_DATE,
    REVIEW_ID,
    STAR_RATING,
)

if TYPE_CHECKING:
    from shelfcheck.config import EncodingSettings, Settings, TextSettings
    from shelfcheck.models.encode_added import Before
    from shelfcheck.progress import Progress

__all__ = ["ROW_SCHEMA", "Encoded", "encode", "encode_table"]

_PART_ROWS: Final = 1 << 18
_SEGMENT_ROWS: Final = 1 << 18
_OUT: Final = "encoded"


def encode(
    prepared_dir: str | Path,
    out_dir: str | Path,
    settings: Settings,
    progress: Progress | None = None,
    *,
    spec: EncodingSettings | None = None,
    checkpoint: Checkpoint | None = None,
    before: Before | None = None,
) -> Encoded:
    """Encode prepared reviews.

    Memory: about 400 MB, and some 40 bytes a product while their ids are sorted.

    Args:
        prepared_dir: output of `prepare`.
        out_dir: folder to fill; made if it is not there.
        settings: `text` and `run.threads` are read.
        progress: told the rows done.
        spec: fields and n-grams; those of `train.linear` when None.
        checkpoint: where unfinished work is kept; it must be of the same reviews and settings. In `out_dir`,
            and lost with a killed run, when None.
        before: encoded reviews to which others were added; these alone are then read and hashed, where
            that gives the same to the byte.

    Raises:
        NotEnoughDataError: there is no review.
        WorkspaceError: the prepared reviews cannot be read.
    """
    progress = progress or NullProgress()
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    total = count_prepared(prepared_dir)
    if total == 0:
        raise NotEnoughDataError(
            f"{prepared_dir}: no reviews to learn from. Prepare some that pass the filters."
        )
    spec = spec or settings.train.linear
    layout = Layout(spec, settings.text, thread_count(settings.run.threads), total, _PART_ROWS, _SEGMENT_ROWS)
    kept = checkpoint or Checkpoint(out / ".parts")
    if checkpoint is None:
        kept.clear()
    adding = None if before is None else _adding(layout, before, Path(prepared_dir))
    try:
        try:
            own, gathered = _encoded(prepared_dir, kept, adding or layout, progress)
        except SameKeyError:
            own, gathered = _encoded(prepared_dir, kept, layout, progress)
        home = own.folder / _OUT
        code_products(home, total, own.folder / "products")
    finally:
        progress.finish()
    meta = {
        **gathered,
        "format": FORMAT,
        "fields": list(spec.fields),
        "hash_bits": spec.hash_bits,
        "word_ngrams": spec.word_ngrams,
        "prefixes": list(spec.prefixes),
        "text": settings.text.model_dump(mode="json"),
    }
    for name in (ROWS, PRODUCTS, *(file for file, _ in ARRAYS.values())):
        (home / name).replace(out / name)
    (out / META).write_text(json.dumps(meta, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if checkpoint is None:
        kept.clear()
    return Encoded.open(out)


def _adding(layout: Layout, before: Before, prepared_dir: Path) -> Layout | None:
    """How new reviews are added; None where they and those before are not all there are."""
    new, old = count_added(prepared_dir, before.added), Encoded.open(before.folder).n_rows
    return replace(layout, rows=new, earlier=old, before=before) if new + old == layout.rows else None


def _encoded(
    prepared_dir: str | Path, kept: Checkpoint, layout: Layout, progress: Progress
) -> tuple[Checkpoint, dict[str, Any]]:
    """Scatter and gather; where the result lies, and what is to be told of it."""
    own = kept if layout.before is None else kept.part(f"added-{layout.before.folder.name}")
    home = own.folder / _OUT
    (home / ROWS).mkdir(parents=True, exist_ok=True)
    scatter(prepared_dir, own, layout, progress)
    return own, gather(own, home, layout, progress)


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
    labels = category_codes(rows.column(PRODUCT_CATEGORY), codes)
    products = rows.column(PRODUCT_ID).combine_chunks()
    known = products.drop_null().unique()
    known = known.take(pc.array_sort_indices(known))
    place = pc.index_in(products, value_set=known).cast(pa.int64()).fill_null(NO_PRODUCT)
    return Encoded(
        folder=Path(),
        indptr=indptr,
        ids=ids,
        label=rank_by_name(codes)[labels],
        bucket=split.buckets(
            rows.column(PRODUCT_ID),
            rows.column(REVIEW_ID),
            texts=columns[spec.fields.index(REVIEW_BODY)]
            if REVIEW_BODY in spec.fields
            else field_tokens(table, [REVIEW_BODY], text, workers)[0],
        ),
        stars=stars_of(rows.column(STAR_RATING)),
        day=day_of(rows.column(REVIEW_DATE)),
        product=place.to_numpy().astype(np.uint32),
        customer=customer_keys(
            table.column(CUSTOMER_ID).cast(pa.string()).combine_chunks()
            if CUSTOMER_ID in table.schema.names
            else pa.nulls(n, pa.string())
        ),
        categories=tuple(sorted(codes)),
        fields=tuple(spec.fields),
        hash_bits=spec.hash_bits,
        text=text,
        word_ngrams=spec.word_ngrams,
        prefixes=spec.prefixes,
        table=rows,
    )
