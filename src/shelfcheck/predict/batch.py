"""Predict the categories of any file or folder of reviews."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from shelfcheck.models.encode import review_batches, review_files
from shelfcheck.predict.writer import predictions
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

if TYPE_CHECKING:
    from shelfcheck.models.base import Model
    from shelfcheck.progress import Progress


def predict(
    model: Model,
    reviews: str | Path,
    out: str | Path,
    progress: Progress | None = None,
    *,
    threads: int = 0,
) -> int:
    """Predict reviews with a trained model, batch by batch: memory does not grow with the input.

    Args:
        model: a trained model.
        reviews: output of `prepare`, or a Parquet file or folder of prepared or canonical reviews. Tokens are
            made where `review_tokens` is missing.
        out: Parquet file to write (PREDICTION_SCHEMA; `fold` is null: the model may have seen a product).
        progress: told the rows done.
        threads: worker threads; 0 takes all processors.

    Returns:
        The number of reviews predicted.

    Raises:
        WorkspaceError: there are no reviews.
    """
    progress = progress or NullProgress()
    files = review_files(reviews)
    target = Path(out)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.tmp")
    columns = [REVIEW_ID, PRODUCT_ID, PRODUCT_CATEGORY, REVIEW_TOKENS, REVIEW_BODY, REVIEW_HEADLINE]
    progress.start("Predicting", sum(pq.read_metadata(file).num_rows for file in files))
    done = 0
    try:
        with pq.ParquetWriter(temporary, PREDICTION_SCHEMA, compression="zstd") as writer:
            for batch in review_batches(files, columns):
                logs = model.predict_batch(batch, threads)
                writer.write_table(predictions(batch, logs, model.categories))
                done += batch.num_rows
                progress.advance(batch.num_rows)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
        progress.finish()
    return done
