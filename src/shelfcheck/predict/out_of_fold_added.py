"""Out-of-fold predictions of reviews that came later: judged by the fold models that stand.

A product's fold follows from its id, so that the model of its fold has seen none of its reviews, the new ones
neither. What was predicted of the other reviews stands as it is.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shelfcheck.models import split
from shelfcheck.models.blocks import blocks, where
from shelfcheck.models.continuing import STATE
from shelfcheck.models.encoded import PRODUCTS, Encoded
from shelfcheck.models.linear import LinearModel
from shelfcheck.models.train import labels_for, learnable
from shelfcheck.predict.out_of_fold import (
    ASSIGNED,
    CARD,
    FOLDS,
    LOG_PROBABILITIES,
    META,
    PREDICTIONS,
    PRODUCT,
    WEIGHTS,
    open_log_probabilities,
)
from shelfcheck.predict.writer import predictions
from shelfcheck.prepare.earlier import link
from shelfcheck.progress import NullProgress
from shelfcheck.schema import PREDICTION_SCHEMA, PRODUCT_CATEGORY, PRODUCT_ID, REVIEW_ID

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from shelfcheck.config import Settings
    from shelfcheck.progress import Progress

_BATCH_ROWS: Final = 1 << 16
_ROWS: Final = (REVIEW_ID, PRODUCT_ID, PRODUCT_CATEGORY)


def add_out_of_fold(
    encoded_dir: str | Path,
    before_dir: str | Path,
    out_dir: str | Path,
    settings: Settings,
    progress: Progress | None = None,
) -> dict[str, Any] | None:
    """Predict the encoded reviews that were not predicted before, and take over the others' predictions.

    Writes what `out_of_fold` writes. Memory: one model at a time and 8 bytes a review.

    Args:
        encoded_dir: output of `encode`: all reviews, those predicted before among them unchanged.
        before_dir: what `out_of_fold` wrote, or this function, with the same settings.
        out_dir: folder to fill.
        settings: `train.min_category_reviews`, `audit.folds` and `run.threads` are read.
        progress: told the reviews met.

    Returns:
        Counts for the manifest. None where the models cannot judge the new reviews: another category has
        enough reviews to be learned now, or a review that was predicted is no longer there.
    """
    progress = progress or NullProgress()
    encoded = Encoded.open(encoded_dir)
    before, out = Path(before_dir), Path(out_dir)
    old, categories = open_log_probabilities(before)
    found, skipped = learnable(encoded, settings.train)
    known = _known(encoded, before)
    if tuple(found) != categories or known is None:
        return None
    out.mkdir(parents=True, exist_ok=True)
    folds = settings.audit.folds
    fold_of = split.fold(encoded.bucket, folds)
    scratch = out / ".added"
    scratch.mkdir()
    added = encoded.n_rows - len(old)
    progress.start("Predicting new reviews", added)
    rows = []
    for fold in range(folds):
        own = where(len(known), lambda block, fold=fold: ~known[block] & (fold_of[block] == fold))  # type: ignore[misc]
        rows.append(own)
        home = before / f"fold-{fold}"
        for name in (WEIGHTS, CARD, STATE):
            if name != STATE or (home / STATE).is_file():
                link(home / name, out / home.name / name)
        with (scratch / f"{fold}.f32").open("wb") as sink:
            _score(LinearModel.load(home), encoded, own, sink, settings.run.threads)
        progress.advance(len(own))
    progress.finish()
    hits = _write(encoded, before, known, fold_of, categories, out=out, progress=progress)
    shutil.rmtree(scratch)
    labels = labels_for(encoded, categories)
    (out / ASSIGNED).write_bytes(labels.astype("<i2", copy=False).data)
    (out / FOLDS).write_bytes(fold_of.astype(np.int8).data)
    for name in (PRODUCTS, PRODUCT):
        shutil.copyfile(encoded.folder / name, out / name)
    learned = int((labels >= 0).sum())
    counts = {
        "reviews": encoded.n_rows,
        "reviews_of_skipped_categories": encoded.n_rows - learned,
        "folds": folds,
        "accuracy": round(hits / max(learned, 1), 4),
        "reviews_added": added,
    }
    meta = json.loads((before / META).read_text(encoding="utf-8"))
    meta |= {**counts, "categories_skipped": skipped, "shape": [encoded.n_rows, len(categories)]}
    (out / META).write_text(json.dumps(meta, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return counts


def _known(encoded: Encoded, before: Path) -> npt.NDArray[np.bool_] | None:
    """Which reviews were predicted before, (n); None where these are not all there, in the same order.

    Both are ordered by a hash of the review's id, so that a walk beside each other finds them.
    """
    known = np.zeros(encoded.n_rows, np.bool_)
    at = 0
    with pq.ParquetFile(before / PREDICTIONS) as file:
        stream = _Pieces(file, [REVIEW_ID])
        for batch in encoded.batches((REVIEW_ID,), _BATCH_ROWS):
            ids = batch.column(REVIEW_ID).combine_chunks()
            waiting = stream.peek(len(ids)).column(REVIEW_ID).combine_chunks()
            here = pc.is_in(ids, value_set=waiting)
            n = pc.sum(here).as_py() or 0
            if not ids.filter(here).equals(waiting.slice(0, n)):
                return None
            stream.take(n)
            known[at : at + len(ids)] = here.to_numpy(zero_copy_only=False)
            at += len(ids)
        return None if stream.peek(1).num_rows else known


def _score(
    model: LinearModel,
    encoded: Encoded,
    rows: npt.NDArray[np.uint32],
    sink: BinaryIO,
    threads: int,
) -> None:
    """Write log probabilities of the true category of some reviews, little-endian float32."""
    for block in blocks(len(rows), _BATCH_ROWS):
        logits = model.logits(encoded.indptr, encoded.ids, rows[block], threads)
        sink.write(model.calibration.log_probabilities_of_truth(logits).astype("<f4").tobytes())


def _write(
    encoded: Encoded,
    before: Path,
    known: npt.NDArray[np.bool_],
    fold_of: npt.NDArray[np.int16],
    categories: tuple[str, ...],
    *,
    out: Path,
    progress: Progress,
) -> int:
    """Write old and new predictions, in the order of the encoded reviews; returns the hits."""
    old, _ = open_log_probabilities(before)
    folds = int(fold_of.max()) + 1 if len(fold_of) else 0
    new = [_scored(out / ".added" / f"{fold}.f32", len(categories)) for fold in range(folds)]
    calibrations = [LinearModel.load(before / f"fold-{fold}").calibration for fold in range(folds)]
    done = [0] * folds
    hits = at = past = 0
    progress.start("Writing predictions", encoded.n_rows)
    with (
        pq.ParquetFile(before / PREDICTIONS) as file,
        pq.ParquetWriter(out / PREDICTIONS, PREDICTION_SCHEMA, compression="zstd") as writer,
        (out / LOG_PROBABILITIES).open("wb") as dense,
    ):
        stream = _Pieces(file, PREDICTION_SCHEMA.names)
        for batch in encoded.batches(_ROWS, _BATCH_ROWS):
            n = batch.num_rows
            here = known[at : at + n]
            fresh = np.flatnonzero(~here)
            stood = n - len(fresh)
            true = np.empty((len(fresh), len(categories)), np.float32)
            assigned = np.empty_like(true)
            own_folds = fold_of[at : at + n][fresh]
            for fold, calibration in enumerate(calibrations):
                own = np.flatnonzero(own_folds == fold)
                true[own] = new[fold][done[fold] : done[fold] + len(own)]
                assigned[own] = calibration.as_assigned(true[own])
                done[fold] += len(own)
            made = predictions(batch.take(pa.array(fresh)), assigned, list(categories), own_folds)
            both = pa.concat_tables([stream.take(stood).cast(PREDICTION_SCHEMA), made])
            order = np.empty(n, np.int64)
            order[np.flatnonzero(here)] = np.arange(stood)
            order[fresh] = np.arange(stood, n)
            table = both.take(pa.array(order))
            writer.write_table(table)
            block = np.empty((n, len(categories)), "<f2")
            block[here] = old[past : past + stood]
            block[~here] = true.astype("<f2")
            dense.write(block.data)
            hits += pc.sum(pc.equal(table[PRODUCT_CATEGORY], table["predicted_category"])).as_py() or 0
            past += stood
            at += n
            progress.advance(n)
    progress.finish()
    return int(hits)


def _scored(file: Path, classes: int) -> npt.NDArray[np.float32]:
    if not file.stat().st_size:
        return np.zeros((0, classes), np.float32)
    return np.memmap(file, np.dtype("<f4"), "r").reshape(-1, classes)


class _Pieces:
    """Rows of a Parquet file in order, as many at a time as are asked for."""

    def __init__(self, file: pq.ParquetFile, columns: list[str]) -> None:
        self._batches: Iterator[pa.RecordBatch] = file.iter_batches(_BATCH_ROWS, columns=columns)
        schema = file.schema_arrow
        self._waiting = pa.schema([schema.field(name) for name in columns]).empty_table()

    def peek(self, n: int) -> pa.Table:
        """The next `n` rows; fewer at the end."""
        while self._waiting.num_rows < n:
            batch = next(self._batches, None)
            if batch is None:
                break
            self._waiting = pa.concat_tables([self._waiting, pa.Table.from_batches([batch])])
        return self._waiting.slice(0, n)

    def take(self, n: int) -> pa.Table:
        """The next `n` rows, which are then past."""
        taken = self.peek(n)
        self._waiting = self._waiting.slice(n)
        return taken
