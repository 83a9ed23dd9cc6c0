"""Out-of-fold predictions: every review is judged by a model that never saw its product."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow.parquet as pq

from shelfcheck.models import split
from shelfcheck.models.base import write_card
from shelfcheck.models.calibration import MOST_REVIEWS, Calibration, product_weights
from shelfcheck.models.encode import Encoded
from shelfcheck.models.linear import LinearModel
from shelfcheck.models.train import labels_for, learnable, product_codes
from shelfcheck.predict.writer import predictions
from shelfcheck.progress import NullProgress, PartOf
from shelfcheck.schema import PREDICTION_SCHEMA

if TYPE_CHECKING:
    import numpy.typing as npt

    from shelfcheck.config import Settings
    from shelfcheck.progress import Progress

_BATCH_ROWS: Final = 1 << 16
LOG_PROBABILITIES: Final = "log_probabilities.f16"
META: Final = "meta.json"


def out_of_fold(
    encoded_dir: str | Path, out_dir: str | Path, settings: Settings, progress: Progress | None = None
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
    `meta.json` (its categories and shape) and the models `fold-0/`, `fold-1/`, …

    Args:
        encoded_dir: output of `encode`.
        out_dir: folder to fill.
        settings: `train.linear`, `train.min_category_reviews`, `audit.folds` and `run` are read.
        progress: told the reviews met.

    Returns:
        Counts for the manifest.

    Raises:
        NotEnoughDataError: there are fewer than two categories to learn, in all or in a fold.
    """
    progress = progress or NullProgress()
    encoded = Encoded.open(encoded_dir)
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    folds = settings.audit.folds
    categories, skipped = learnable(encoded, settings.train)
    fold_of = split.fold(encoded.bucket, folds)
    scratch = out / ".logits.f32"
    logits = np.memmap(scratch, np.float32, "w+", shape=(encoded.n_rows, len(categories)))
    cards = []
    for fold in range(folds):
        model = LinearModel.fit(
            encoded,
            np.flatnonzero(fold_of != fold),
            categories,
            settings.train.linear,
            threads=settings.run.threads,
            seed=settings.run.seed + fold,
            progress=PartOf(progress, fold + 1, folds),
        )
        rows = np.flatnonzero(fold_of == fold)
        logits[rows] = model.logits(encoded.indptr, encoded.ids, rows, settings.run.threads)
        model.save(out / f"fold-{fold}")
        cards.append(model.card())
        del model  # one at a time in memory
    labels = labels_for(encoded, categories)
    products = product_codes(encoded)
    calibrations = [
        _calibrated_on(np.flatnonzero((fold_of != fold) & (labels >= 0)), logits, labels, products)
        for fold in range(folds)
    ]
    for fold, (card, calibration) in enumerate(zip(cards, calibrations, strict=True)):
        write_card(out / f"fold-{fold}", card | {"calibration": calibration.to_json()})
    hits = _write(encoded, logits, fold_of, calibrations, categories, out=out, progress=progress)
    del logits
    scratch.unlink()
    known = int((labels >= 0).sum())
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


def open_log_probabilities(folder: str | Path) -> tuple[npt.NDArray[np.float16], tuple[str, ...]]:
    """The log probabilities that `out_of_fold` wrote, memory-mapped, and the categories of the columns."""
    home = Path(folder)
    meta = json.loads((home / META).read_text(encoding="utf-8"))
    found = np.memmap(home / LOG_PROBABILITIES, np.dtype("<f2"), "r", shape=tuple(meta["shape"]))
    return found, tuple(meta["categories"])


def _calibrated_on(
    rows: npt.NDArray[np.int64],
    logits: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int16],
    products: npt.NDArray[np.int64],
) -> Calibration:
    weights = product_weights(products[rows])
    step = -(-len(rows) // MOST_REVIEWS)
    few = rows[::step]
    return Calibration.fit(logits[few], labels[few], weights[::step])


def _write(
    encoded: Encoded,
    logits: npt.NDArray[np.float32],
    fold_of: npt.NDArray[np.int16],
    calibrations: list[Calibration],
    categories: list[str],
    *,
    out: Path,
    progress: Progress,
) -> int:
    """Write predictions and log probabilities in batches; returns how many predictions are the assigned."""
    hits = 0
    at = 0
    progress.start("Writing predictions", encoded.n_rows)
    with (
        pq.ParquetWriter(out / "predictions.parquet", PREDICTION_SCHEMA, compression="zstd") as writer,
        (out / LOG_PROBABILITIES).open("wb") as dense,
        pq.ParquetFile(encoded.folder / "rows.parquet") as reader,
    ):
        for batch in reader.iter_batches(_BATCH_ROWS):
            n = batch.num_rows
            folds = fold_of[at : at + n]
            true = np.empty((n, len(categories)), np.float32)
            assigned = np.empty_like(true)
            for fold, calibration in enumerate(calibrations):
                here = folds == fold
                true[here] = calibration.log_probabilities_of_truth(np.asarray(logits[at : at + n])[here])
                assigned[here] = calibration.as_assigned(true[here])
            table = predictions(batch, assigned, categories, folds)
            writer.write_table(table)
            dense.write(true.astype("<f2").tobytes())
            hits += _hits(table)
            at += n
            progress.advance(n)
    progress.finish()
    return hits


def _hits(table: object) -> int:
    import pyarrow.compute as pc  # noqa: PLC0415

    return int(pc.sum(pc.equal(table["product_category"], table["predicted_category"])).as_py() or 0)  # type: ignore[index]
