"""Out-of-fold predictions: every review is judged by a model that never saw its product."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import pyarrow.parquet as pq

from shelfcheck.checkpoints import Checkpoint
from shelfcheck.models import split
from shelfcheck.models.base import read_card, write_card
from shelfcheck.models.blocks import blocks, counted, where
from shelfcheck.models.calibration import MOST_REVIEWS, Calibration
from shelfcheck.models.continuing import STATE, Start
from shelfcheck.models.encoded import NO_PRODUCT, PRODUCTS, Encoded
from shelfcheck.models.linear import LinearModel
from shelfcheck.models.train import labels_for, learnable
from shelfcheck.predict.writer import predictions
from shelfcheck.progress import NullProgress, PartOf
from shelfcheck.schema import PREDICTION_SCHEMA, PRODUCT_CATEGORY, PRODUCT_ID, REVIEW_ID

if TYPE_CHECKING:
    import numpy.typing as npt

    from shelfcheck.config import Settings
    from shelfcheck.progress import Progress

_BATCH_ROWS: Final = 1 << 16
_SCORED_ROWS: Final = 1 << 18
_ROWS: Final = (REVIEW_ID, PRODUCT_ID, PRODUCT_CATEGORY)
_FOLD: Final = "fold"  # the piece that is kept of a fold that is done
_LOGITS: Final = "logits.f32"
WEIGHTS: Final = "model.safetensors"
CARD: Final = "card.json"
ASSIGNED: Final = "assigned.i16"
FOLDS: Final = "fold.i8"
PRODUCT: Final = "product.u32"
PREDICTIONS: Final = "predictions.parquet"
LOG_PROBABILITIES: Final = "log_probabilities.f16"
META: Final = "meta.json"


class Scoring(Protocol):
    """Scores the reviews of a fold elsewhere than in this process."""

    def __call__(self, model_dir: Path, fold: int, fold_of: npt.NDArray[np.int16], file: Path) -> None:
        """Write logits before calibration, little-endian float32 (reviews of the fold, categories).

        Args:
            model_dir: has the fold's WEIGHTS and CARD.
            fold: whose reviews.
            fold_of: of each encoded review.
            file: to write.
        """


def out_of_fold(
    encoded_dir: str | Path,
    out_dir: str | Path,
    settings: Settings,
    progress: Progress | None = None,
    *,
    checkpoint: Checkpoint | None = None,
    scoring: Scoring | None = None,
    start: Start | None = None,
) -> dict[str, Any]:
    """Predict every encoded review by a model that was learned from other products.

    Products fall into `audit.folds` folds. For each fold a model is learned on the others, and
    calibrated on the out-of-fold logits of the others, so that neither the weights nor the
    calibration of a prediction have seen the product.

    Reviews whose category has too few reviews to be learned are predicted too; their `p_assigned`
    is null.

    Writes into `out_dir`: `predictions.parquet` (PREDICTION_SCHEMA, in the order of the encoded
    reviews), `log_probabilities.f16` (little-endian float16, reviews x categories, the same order: of the
    true category, without the allowance for wrong labels that the predictions make),
    `assigned.i16` (category of each review among these, -1 for others), `fold.i8`, `product.u32` and
    `products.parquet` (as `encode` has them), `meta.json` (its categories and shape) and the models
    `fold-0/`, `fold-1/`, …, with their `state.safetensors` where `train.update` is `continue`.

    Memory: one model at a time and 16 bytes a review; logits lie on disk until they are written, 4 bytes a
    review and category.

    Args:
        encoded_dir: output of `encode`.
        out_dir: folder to fill.
        settings: `train.linear`, `train.min_category_reviews`, `audit.folds` and `run` are read.
        progress: told the reviews met.
        checkpoint: where folds and epochs that are done are kept, of these very reviews and settings; lost
            with a killed run when None.
        scoring: scores the reviews of a fold; this process when None.
        start: what this function wrote of fewer reviews of the same categories; its models go on learning.

    Returns:
        Counts for the manifest.

    Raises:
        NotEnoughDataError: there are fewer than two categories to learn, in all or in a fold.
    """
    progress = progress or NullProgress()
    encoded = Encoded.open(encoded_dir)
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    kept = checkpoint or Checkpoint(out / ".folds")
    if checkpoint is None:
        kept.clear()
    folds = settings.audit.folds
    categories, skipped = learnable(encoded, settings.train)
    fold_of = split.fold(encoded.bucket, folds)
    for fold in range(folds):
        part = PartOf(progress, fold + 1, folds)
        _learn_fold(
            encoded, fold, fold_of, categories, kept.part(f"fold-{fold}"), settings, part, scoring, start
        )
    homes = [kept.folder / f"fold-{fold}" for fold in range(folds)]
    labels = labels_for(encoded, categories)
    calibrations = _calibrations(homes, encoded, fold_of, labels, len(categories))
    for fold, (home, calibration) in enumerate(zip(homes, calibrations, strict=True)):
        own = out / f"fold-{fold}"
        own.mkdir(exist_ok=True)
        for name in _stored(home):
            shutil.copyfile(home / name, own / name)
        write_card(own, read_card(home) | {"calibration": calibration.to_json()})
    hits = _write(encoded, homes, fold_of, calibrations, categories, out=out, progress=progress)
    known = int(counted(labels).sum())
    (out / ASSIGNED).write_bytes(labels.astype("<i2", copy=False).data)
    (out / FOLDS).write_bytes(fold_of.astype(np.int8).data)
    for name in (PRODUCTS, PRODUCT):
        shutil.copyfile(encoded.folder / name, out / name)
    if checkpoint is None:
        kept.clear()
    counts = {
        "reviews": encoded.n_rows,
        "reviews_of_skipped_categories": encoded.n_rows - known,
        "folds": folds,
        "accuracy": round(hits / max(known, 1), 4),
    }
    meta = {
        **counts,
        "categories": categories,
        "categories_skipped": skipped,
        "shape": [encoded.n_rows, len(categories)],
        "calibration": [one.to_json() for one in calibrations],
    }
    (out / META).write_text(json.dumps(meta, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return counts


def _learn_fold(  # noqa: PLR0917 - what a fold is made of
    encoded: Encoded,
    fold: int,
    fold_of: npt.NDArray[np.int16],
    categories: list[str],
    checkpoint: Checkpoint,
    settings: Settings,
    progress: Progress,
    scoring: Scoring | None,
    start: Start | None,
) -> None:
    """Learn on the other folds and score this one: a model and `logits.f32`, kept when both are whole."""
    if checkpoint.kept(_FOLD) is not None:
        return
    from shelfcheck.models.shards_spark import employed  # noqa: PLC0415 - loads Numba

    with employed(settings, encoded, checkpoint) as employer:
        model = LinearModel.fit(
            encoded,
            where(len(fold_of), lambda block: fold_of[block] != fold),
            categories,
            settings.train.linear,
            threads=settings.run.threads,
            seed=settings.run.seed + fold,
            progress=progress,
            checkpoint=checkpoint,
            start=None if start is None else replace(start, folder=start.folder / f"fold-{fold}"),
            keep_state=settings.train.update == "continue",
            employer=employer,
        )
    model.save(checkpoint.folder)
    if scoring is None:
        rows = where(len(fold_of), lambda block: fold_of[block] == fold)
        progress.start("Predicting", len(rows))
        with (checkpoint.folder / _LOGITS).open("wb") as file:
            for block in blocks(len(rows), _SCORED_ROWS):
                logits = model.logits(encoded.indptr, encoded.ids, rows[block], settings.run.threads)
                file.write(logits.astype("<f4", copy=False).data)
                progress.advance(len(logits))
        progress.finish()
    else:
        scoring(checkpoint.folder, fold, fold_of, checkpoint.folder / _LOGITS)
    checkpoint.keep(_FOLD, [*_stored(checkpoint.folder), CARD, _LOGITS])
    checkpoint.drop("epoch")


def _stored(home: Path) -> list[str]:
    """Files of a fold's model beside its card."""
    return [name for name in (WEIGHTS, STATE) if (home / name).is_file()]


def _logits(home: Path, classes: int) -> npt.NDArray[np.float32]:
    """Logits of a fold's reviews in their order, memory-mapped, float32 (reviews of the fold, classes)."""
    path = home / _LOGITS
    if not path.stat().st_size:
        return np.zeros((0, classes), np.float32)
    return np.memmap(path, np.dtype("<f4"), "r").reshape(-1, classes)


def open_log_probabilities(folder: str | Path) -> tuple[npt.NDArray[np.float16], tuple[str, ...]]:
    """The log probabilities that `out_of_fold` wrote, memory-mapped, and the categories of the columns."""
    home = Path(folder)
    meta = json.loads((home / META).read_text(encoding="utf-8"))
    found = np.memmap(home / LOG_PROBABILITIES, np.dtype("<f2"), "r", shape=tuple(meta["shape"]))
    return found, tuple(meta["categories"])


def _calibrations(
    homes: list[Path],
    encoded: Encoded,
    fold_of: npt.NDArray[np.int16],
    labels: npt.NDArray[np.int16],
    classes: int,
) -> list[Calibration]:
    """The calibration of each fold, from the logits of the others.

    A product stands in one fold, so that its reviews with a label are the same number whichever fold is left
    out, and are counted once.
    """
    n = len(labels)
    counts = np.zeros(len(encoded.product_ids) + 1, np.int64)
    place = np.empty(n, np.uint32)  # of a review among those of its fold
    seen = np.zeros(len(homes), np.int64)
    for block in blocks(n):
        own = np.asarray(encoded.product[block])
        known = (labels[block] >= 0) & (own != NO_PRODUCT)
        counts += np.bincount(own[known], minlength=len(counts))
        for fold in range(len(homes)):
            here = np.flatnonzero(fold_of[block] == fold)
            place[here + block.start] = seen[fold] + np.arange(len(here))
            seen[fold] += len(here)
    logits = [_logits(home, classes) for home in homes]
    found = []
    for fold in range(len(homes)):
        rows = where(n, lambda block, fold=fold: (fold_of[block] != fold) & (labels[block] >= 0))  # type: ignore[misc]
        few = rows[:: -(-len(rows) // MOST_REVIEWS)] if len(rows) else rows
        own = np.asarray(encoded.product[few])
        reviews = np.where(own == NO_PRODUCT, 1, counts[np.minimum(own, len(counts) - 1)])
        chosen = np.empty((len(few), classes), np.float32)
        for other, values in enumerate(logits):
            here = np.flatnonzero(fold_of[few] == other)
            chosen[here] = values[place[few[here]]]
        found.append(Calibration.fit(chosen, labels[few], 1.0 / np.sqrt(reviews)))
    return found


def _write(
    encoded: Encoded,
    homes: list[Path],
    fold_of: npt.NDArray[np.int16],
    calibrations: list[Calibration],
    categories: list[str],
    *,
    out: Path,
    progress: Progress,
) -> int:
    """Write predictions and log probabilities in batches; returns how many predictions are the assigned."""
    hits = at = 0
    logits = [_logits(home, len(categories)) for home in homes]
    done = [0] * len(homes)
    progress.start("Writing predictions", encoded.n_rows)
    with (
        pq.ParquetWriter(out / PREDICTIONS, PREDICTION_SCHEMA, compression="zstd") as writer,
        (out / LOG_PROBABILITIES).open("wb") as dense,
    ):
        for batch in encoded.batches(_ROWS, _BATCH_ROWS):
            n = batch.num_rows
            folds = fold_of[at : at + n]
            true = np.empty((n, len(categories)), np.float32)
            assigned = np.empty_like(true)
            for fold, calibration in enumerate(calibrations):
                here = np.flatnonzero(folds == fold)
                own = np.asarray(logits[fold][done[fold] : done[fold] + len(here)])
                true[here] = calibration.log_probabilities_of_truth(own)
                assigned[here] = calibration.as_assigned(true[here])
                done[fold] += len(here)
            table = predictions(batch, assigned, categories, folds)
            writer.write_table(table)
            dense.write(true.astype("<f2").data)
            hits += _hits(table)
            at += n
            progress.advance(n)
    progress.finish()
    return hits


def _hits(table: object) -> int:
    import pyarrow.compute as pc  # noqa: PLC0415

    return int(pc.sum(pc.equal(table["product_category"], table["predicted_category"])).as_py() or 0)  # type: ignore[index]
