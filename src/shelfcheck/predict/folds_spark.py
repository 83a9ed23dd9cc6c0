"""Out-of-fold predictions with the scoring on Spark: the driver learns, executors score, the driver writes.

A model of a fold travels to the executors as the bytes of its files; the encoded reviews are read where they
lie. Every task writes the logits of a range of reviews into one file, at the place that is theirs: a task
that runs twice writes the same bytes twice.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from shelfcheck.engines.executor import begin, mark
from shelfcheck.interrupts import deferred
from shelfcheck.models import split
from shelfcheck.models.base import read_card
from shelfcheck.models.blocks import blocks
from shelfcheck.models.encoded import Encoded
from shelfcheck.models.linear import LinearModel
from shelfcheck.models.shipping import loaded, read_files
from shelfcheck.predict.out_of_fold import CARD, WEIGHTS, out_of_fold

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from shelfcheck.checkpoints import Checkpoint
    from shelfcheck.config import Settings
    from shelfcheck.engines.spark import Spark
    from shelfcheck.models.continuing import Start
    from shelfcheck.progress import Progress

_MOST_ROWS: Final = 1 << 18  # of a task
_WAVES: Final = 4  # tasks for each slot, so that all slots end at about the same time
_ROWS: Final = pa.schema([("rows", pa.int64())])


class _Range(NamedTuple):
    """What a task scores: a fold's reviews among these, and how many of the fold's come before them."""

    first: int
    end: int
    before: int


def out_of_fold_on_spark(
    encoded_dir: str | Path,
    out_dir: str | Path,
    settings: Settings,
    progress: Progress,
    *,
    checkpoint: Checkpoint | None = None,
    start: Start | None = None,
) -> dict[str, Any]:
    """Do what `out_of_fold` does, with the scoring on Spark: the same predictions by the same models.

    Args:
        encoded_dir: output of `encode`; all executors must reach it.
        out_dir: folder to fill; all executors must reach it, and the checkpoint.
        settings: what `out_of_fold` reads, and `spark`.
        progress: told how far it is.
        checkpoint: where folds and epochs that are done are kept.
        start: as for `out_of_fold`.

    Raises:
        NotEnoughDataError: there are fewer than two categories to learn, in all or in a fold.
        SparkError: Spark does not start, or a task failed for good.
        WorkspaceError: executors do not reach the workspace.
    """
    with deferred():
        from shelfcheck.engines.spark import Spark  # noqa: PLC0415 - loads PySpark
    encoded, out = Path(encoded_dir).resolve(), Path(out_dir).resolve()
    out.mkdir(parents=True, exist_ok=True)
    staging = out / ".spark"
    shutil.rmtree(staging, ignore_errors=True)
    mark(staging)
    try:
        with Spark(settings.spark, progress) as spark:

            def scoring(model_dir: Path, fold: int, fold_of: npt.NDArray[np.int16], file: Path) -> None:
                _score(spark, encoded, model_dir, fold, fold_of, file, settings.audit.folds, staging)

            return out_of_fold(
                encoded, out, settings, progress, checkpoint=checkpoint, scoring=scoring, start=start
            )
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _score(  # noqa: PLR0917 - one call
    spark: Spark,
    encoded_dir: Path,
    model_dir: Path,
    fold: int,
    fold_of: npt.NDArray[np.int16],
    file: Path,
    folds: int,
    staging: Path,
) -> None:
    """Write the logits of a fold's reviews; see `out_of_fold.Scoring`."""
    own = fold_of == fold
    ranges = _ranges(own, spark.slots)
    row_bytes = 4 * len(read_card(model_dir)["categories"])
    file = file.resolve()
    with file.open("wb") as empty:
        empty.truncate(row_bytes * int(np.count_nonzero(own)))
    sent = spark.broadcast(read_files(model_dir, only=(CARD, WEIGHTS)))

    def work(number: int) -> Iterator[pa.RecordBatch]:
        begin(staging)
        first, end, before = ranges[number]
        encoded = Encoded.open(encoded_dir)
        model = loaded(sent.value)
        assert isinstance(model, LinearModel)  # noqa: S101 - the only one that folds are learned with
        rows = first + np.flatnonzero(split.fold(encoded.bucket[first:end], folds) == fold)
        logits = model.logits(encoded.indptr, encoded.ids, rows, 1)
        with file.open("r+b") as shared:
            shared.seek(before * row_bytes)
            shared.write(logits.astype("<f4", copy=False).data)
        yield pa.record_batch([pa.array([len(rows)])], schema=_ROWS)

    spark.collect(spark.each(len(ranges), work, _ROWS), "Predicting", len(ranges))


def _ranges(own: npt.NDArray[np.bool_], slots: int) -> list[_Range]:
    """Cut all reviews into ranges, about as many of them for every slot."""
    n = len(own)
    size = max(1, min(_MOST_ROWS, -(-n // (_WAVES * slots))))
    found, before = [], 0
    for block in blocks(n, size):
        found.append(_Range(block.start, block.stop, before))
        before += int(np.count_nonzero(own[block]))
    return found
