"""Predict the categories of any reviews: prepared ones, Parquet files, raw sources."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyarrow.parquet as pq

from shelfcheck.errors import WorkspaceError
from shelfcheck.predict.writer import predictions
from shelfcheck.prepare.read import count_prepared, iter_prepared
from shelfcheck.progress import NullProgress
from shelfcheck.schema import (
    PREDICTION_SCHEMA,
    PRODUCT_CATEGORY,
    PRODUCT_ID,
    REVIEW_BODY,
    REVIEW_HEADLINE,
    REVIEW_ID,
    REVIEW_TOKENS,
)
from shelfcheck.stores.places import writing_to

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from shelfcheck.models.base import Model
    from shelfcheck.progress import Progress
    from shelfcheck.sources import Source

_COLUMNS = (REVIEW_ID, PRODUCT_ID, PRODUCT_CATEGORY, REVIEW_HEADLINE)
BATCH_ROWS = 1 << 16


class Predicted(NamedTuple):
    """Rows of input that were predicted, and rows that were broken."""

    reviews: int
    rejected: int


def predict(
    model: Model,
    reviews: str | Path | Sequence[Source],
    out: str | Path,
    progress: Progress | None = None,
    *,
    threads: int = 0,
) -> Predicted:
    """Predict reviews with a trained model, batch by batch: memory does not grow with the input.

    Args:
        model: a trained model.
        reviews: output of `prepare`; or a Parquet file or folder of prepared or canonical reviews; or raw
            sources. Tokens are made where `review_tokens` is missing.
        out: Parquet file or URL to write, whole or not at all (PREDICTION_SCHEMA; `fold` is null: the model
            may have seen the product).
        progress: told the rows done.
        threads: worker threads; 0 takes all processors.

    Raises:
        WorkspaceError: there are no reviews at that path.
        SourceError: a source cannot be read.
    """
    progress = progress or NullProgress()
    done = broken = 0
    with writing_to(out, progress) as written:
        try:
            if isinstance(reviews, str | Path):
                batches = _stored(Path(reviews), progress)
            else:
                batches = _raw(reviews, progress)
            with pq.ParquetWriter(written, PREDICTION_SCHEMA, compression="zstd") as writer:
                for batch, rejected in batches:
                    found = model.predict_batch(batch, threads)
                    writer.write_table(predictions(batch, found, model.categories))
                    done += batch.num_rows
                    broken += rejected
        finally:
            progress.finish()
    return Predicted(done, broken)


def _stored(path: Path, progress: Progress) -> Iterator[tuple[pa.RecordBatch, int]]:
    """Batches of prepared reviews, or of Parquet files that have the columns."""
    if (path / "reviews").is_dir():
        progress.start("Predicting", count_prepared(path))
        batches = iter_prepared(path, [*_COLUMNS, REVIEW_TOKENS], BATCH_ROWS)
    else:
        files = [path] if path.is_file() else sorted(path.rglob("*.parquet"))
        if not files:
            raise WorkspaceError(
                f"{path}: no reviews here. Give a prepared folder or Parquet files with {REVIEW_BODY}."
            )
        progress.start("Predicting", sum(pq.read_metadata(file).num_rows for file in files))
        batches = (batch for file in files for batch in _parquet(file))
    for batch in batches:
        yield batch, 0
        progress.advance(batch.num_rows)


def _parquet(file: Path) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(file) as parquet:
        names = parquet.schema_arrow.names
        text = REVIEW_TOKENS if REVIEW_TOKENS in names else REVIEW_BODY
        if text not in names:
            raise WorkspaceError(
                f"{file}: has no column {REVIEW_BODY}. Read it with a [source] columns mapping."
            )
        yield from parquet.iter_batches(
            BATCH_ROWS, columns=[name for name in (*_COLUMNS, text) if name in names]
        )


def _raw(sources: Sequence[Source], progress: Progress) -> Iterator[tuple[pa.RecordBatch, int]]:
    """Batches of raw sources, with how many of their rows were broken."""
    progress.start("Predicting", sum(source.size for source in sources), unit="bytes")
    for source in sources:
        for batch in source.batches(BATCH_ROWS):
            yield batch.reviews, batch.rejected.num_rows
            progress.advance(batch.bytes_read, rows=batch.reviews.num_rows)
