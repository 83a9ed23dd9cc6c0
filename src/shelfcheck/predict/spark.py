"""Predict the categories of any reviews on Spark: each executor reads pieces of the input and scores them.

Texts go from the files into the kernels without passing through Java. The model travels once to each executor
as the bytes of its files; every Python worker opens them once and keeps what it opened.
"""

from __future__ import annotations

import json
import shutil
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck.engines.executor import begin, mark
from shelfcheck.errors import UsageError
from shelfcheck.interrupts import deferred
from shelfcheck.models.shipping import loaded, read_files
from shelfcheck.predict.batch import BATCH_ROWS, Predicted
from shelfcheck.predict.writer import predictions
from shelfcheck.prepare.spark.pieces import cut
from shelfcheck.progress import NullProgress
from shelfcheck.schema import PREDICTION_SCHEMA
from shelfcheck.stores.places import folder_to
from shelfcheck.urls import is_url, local_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shelfcheck.config import Settings
    from shelfcheck.models.base import Model
    from shelfcheck.prepare.spark.pieces import Piece
    from shelfcheck.progress import Progress
    from shelfcheck.sources import Source

_REPORT_SCHEMA: Final = pa.schema([("task", pa.int64()), ("report", pa.string())])
_PARTS: Final = "part-*.parquet"


class _Written(NamedTuple):
    """What a task tells: the file that counts, and its rows."""

    token: str
    reviews: int
    rejected: int


def predict_on_spark(
    model_dir: str | Path,
    sources: Sequence[Source],
    out: str | Path,
    settings: Settings,
    progress: Progress | None = None,
) -> Predicted:
    """Do what `predict` does with raw sources, on Spark: the same rows in the same order.

    Probabilities of `linear` are those of one machine, bit for bit. Those of other models may differ in the
    last digits where batches are cut elsewhere.

    Args:
        model_dir: a stored model.
        sources: what to read, in order; all executors must reach it.
        out: folder or URL to fill with files `part-00000.parquet`, …, whole or not at all; what stands there
            of an earlier prediction is replaced. All executors must reach a local one.
        settings: the section `spark` holds.
        progress: told how far it is.

    Raises:
        SourceError: a source cannot be read.
        SparkError: Spark does not start, or a task failed for good.
        UsageError: something else than predictions stands at `out`.
        WorkspaceError: the model cannot be read, or executors do not reach `out`.
    """
    progress = progress or NullProgress()
    with deferred():
        from shelfcheck.engines.spark import Spark  # noqa: PLC0415 - loads PySpark
    model = read_files(model_dir)
    with _filling(out, progress) as (folder, staging), Spark(settings.spark, progress) as spark:
        pieces = cut(sources, spark.slots)
        sent_model, sent_pieces = spark.broadcast(model), spark.broadcast(pieces)

        def work(number: int) -> Iterator[pa.RecordBatch]:
            begin(staging)
            done = _score(loaded(sent_model.value), sent_pieces.value[number], number, staging)
            yield pa.record_batch([pa.array([number]), pa.array([json.dumps(done)])], schema=_REPORT_SCHEMA)

        frame = spark.each(len(pieces), work, _REPORT_SCHEMA)
        told = spark.collect(frame, "Predicting", len(pieces)) if pieces else _REPORT_SCHEMA.empty_table()
        written = [_Written(*json.loads(report)) for report in told.sort_by("task")["report"].to_pylist()]
        _publish(written, staging, folder)
    return Predicted(sum(one.reviews for one in written), sum(one.rejected for one in written))


def _score(model: Model, piece: Piece, number: int, staging: Path) -> _Written:
    """Score the reviews of a piece into a file of this run of the task."""
    token = uuid.uuid4().hex[:8]
    reviews = rejected = 0
    with pq.ParquetWriter(_file(staging, number, token), PREDICTION_SCHEMA, compression="zstd") as writer:
        for item in piece:
            for batch in item.reader.batches(BATCH_ROWS):
                found = model.predict_batch(batch.reviews, 1)
                writer.write_table(predictions(batch.reviews, found, model.categories))
                reviews += batch.reviews.num_rows
                rejected += batch.rejected.num_rows
    return _Written(token, reviews, rejected)


def _publish(written: Sequence[_Written], staging: Path, folder: Path) -> None:
    """Move the files that count; an empty one where there is no review at all."""
    filled = [(task, one) for task, one in enumerate(written) if one.reviews]
    for number, (task, one) in enumerate(filled):
        _file(staging, task, one.token).rename(folder / f"part-{number:05d}.parquet")
    if not filled:
        pq.write_table(PREDICTION_SCHEMA.empty_table(), folder / "part-00000.parquet")


def _file(staging: Path, number: int, token: str) -> Path:
    return staging / f"{number:06d}-{token}.parquet"


@contextmanager
def _filling(out: str | Path, progress: Progress) -> Iterator[tuple[Path, Path]]:
    """A folder to fill, which becomes `out` when the block ends well; and one for tasks, which goes away."""
    if is_url(str(out)):
        with folder_to(out, progress) as made:
            staging = made.with_name(f"{made.name}.staging")
            try:
                mark(staging)
                yield made, staging
                shutil.rmtree(staging)  # before the upload
            finally:
                shutil.rmtree(staging, ignore_errors=True)
        return
    target = Path(local_path(str(out))).resolve()
    if target.exists() and not _predictions_only(target):
        raise UsageError(
            f"{target}: there is something else than predictions of Spark, which fill a folder. "
            "Name another place for the output, or remove what stands there."
        )
    aside = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    made, staging, before = aside / "parts", aside / "staging", aside / "before"
    try:
        mark(staging)
        made.mkdir()
        yield made, staging
        if target.exists():
            target.rename(before)
        made.rename(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _predictions_only(target: Path) -> bool:
    return target.is_dir() and all(path.match(_PARTS) and path.is_file() for path in target.iterdir())
