"""The two stages of the model: learn and calibrate, then evaluate on held-out products."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shelfcheck.errors import NotEnoughDataError
from shelfcheck.models import split
from shelfcheck.models.calibration import Calibration, product_weights
from shelfcheck.models.encode import Encoded
from shelfcheck.models.evaluation import Evaluation, evaluate
from shelfcheck.models.linear import LinearModel
from shelfcheck.progress import NullProgress
from shelfcheck.schema import PRODUCT_ID, REVIEW_ID

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from shelfcheck.config import Settings, TrainSettings
    from shelfcheck.progress import Progress


def train(
    encoded_dir: str | Path, out_dir: str | Path, settings: Settings, progress: Progress | None = None
) -> dict[str, Any]:
    """Learn the `linear` model, calibrate it on products of their own, and store it.

    Writes `model.safetensors` and `card.json`.

    Args:
        encoded_dir: output of `encode`.
        out_dir: folder to fill.
        settings: `train` and `run` are read.
        progress: told the reviews met.

    Returns:
        Counts for the manifest.

    Raises:
        NotEnoughDataError: there are fewer than two categories to learn.
    """
    encoded = Encoded.open(encoded_dir)
    model = fit_calibrated(encoded, settings, encoded.bucket, progress)
    model.save(out_dir)
    return {
        "training_reviews": model.facts["training_reviews"],
        "calibration_reviews": model.calibration.reviews,
        "categories_learned": len(model.categories),
        "categories_skipped": len(model.facts["categories_skipped"]),
        "features": len(model.buckets),
        "calibration_scale": round(model.calibration.scale, 4),
    }


def fit_calibrated(
    encoded: Encoded, settings: Settings, bucket: npt.NDArray[np.int16], progress: Progress | None = None
) -> LinearModel:
    """Learn on the training products and calibrate on the calibration products.

    Args:
        encoded: encoded reviews.
        settings: `train` and `run` are read.
        bucket: bucket of each review's product, (n); `encoded.bucket`, or a salted draw.
        progress: told the reviews met.
    """
    categories, skipped = learnable(encoded, settings.train)
    test = split.is_test(bucket, settings.train.test_share)
    held = split.is_calibration(bucket, settings.train.test_share, settings.train.calibration_share)
    model = LinearModel.fit(
        encoded,
        np.flatnonzero(~test & ~held),
        categories,
        settings.train.linear,
        threads=settings.run.threads,
        seed=settings.run.seed,
        progress=progress or NullProgress(),
    )
    rows = np.flatnonzero(held)
    labels = labels_for(encoded, model.categories)[rows]
    rows, labels = rows[labels >= 0], labels[labels >= 0]
    logits = model.logits(encoded.indptr, encoded.ids, rows, settings.run.threads)
    calibration = Calibration.fit(logits, labels, product_weights(product_codes(encoded)[rows]))
    facts = {
        **model.facts,
        "split": {
            "test_share": settings.train.test_share,
            "calibration_share": settings.train.calibration_share,
            "by": PRODUCT_ID,
        },
        "categories_skipped": skipped,
    }
    return replace(model, calibration=calibration, facts=facts)


def evaluate_held_out(
    encoded_dir: str | Path,
    model_dir: str | Path,
    out_dir: str | Path,
    settings: Settings,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Judge a model on the products that were held out from it; writes `evaluation.json` and `.txt`.

    Args:
        encoded_dir: output of `encode`.
        model_dir: output of `train`.
        out_dir: folder to fill.
        settings: `train.test_share` and `run.threads` are read.
        progress: told when it is done.

    Returns:
        Counts for the manifest.

    Raises:
        NotEnoughDataError: no held-out review has a category that the model knows.
    """
    progress = progress or NullProgress()
    encoded = Encoded.open(encoded_dir)
    model = LinearModel.load(model_dir)
    progress.start("Evaluating", None)
    found = evaluate_rows(
        model,
        encoded,
        np.flatnonzero(split.is_test(encoded.bucket, settings.train.test_share)),
        settings.run.threads,
    )
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    (out / "evaluation.json").write_text(found.to_json(), encoding="utf-8")
    (out / "evaluation.txt").write_text(found.text(), encoding="utf-8")
    progress.finish()
    return {
        "reviews": found.reviews,
        "accuracy": round(found.accuracy, 4),
        "macro_f1": round(found.macro.f1, 4),
        "ece": round(found.ece, 4),
    }


def evaluate_rows(
    model: LinearModel, encoded: Encoded, rows: npt.NDArray[np.int64], threads: int = 0
) -> Evaluation:
    """Judge a model on some encoded reviews; those of categories it does not know are only counted."""
    labels = labels_for(encoded, model.categories)[rows]
    known = labels >= 0
    if not known.any():
        raise NotEnoughDataError(
            f"none of the {len(rows)} held-out reviews has a category that the model knows. "
            "Raise train.test_share, or add reviews."
        )
    logits = model.logits(encoded.indptr, encoded.ids, rows[known], threads)
    products = product_codes(encoded, null=-1)[rows[known]]
    found = evaluate(
        labels[known],
        np.exp(model.calibration.log_probabilities(logits)),
        model.categories,
        uncalibrated=np.exp(Calibration().log_probabilities(logits)),
        products=products,
    )
    return replace(found, notes={"reviews_of_unknown_categories": int((~known).sum())})


def learnable(encoded: Encoded, settings: TrainSettings) -> tuple[list[str], dict[str, int]]:
    """The categories with enough reviews, and the others with their number of reviews.

    Raises:
        NotEnoughDataError: fewer than two have enough.
    """
    counts = encoded.category_counts()
    enough = [name for name, n in counts.items() if n >= settings.min_category_reviews]
    skipped = {name: n for name, n in counts.items() if n < settings.min_category_reviews}
    if len(enough) < 2:
        raise NotEnoughDataError(
            f"{len(enough)} of {len(counts)} categories has {settings.min_category_reviews} reviews or more, "
            "must be >= 2. Add reviews, or lower train.min_category_reviews."
        )
    return enough, skipped


def labels_for(encoded: Encoded, categories: Sequence[str]) -> npt.NDArray[np.int16]:
    """The label of each review among a model's categories, -1 where it does not know it. (n,)."""
    place = {name: i for i, name in enumerate(categories)}
    translation = np.array([place.get(name, -1) for name in encoded.categories] + [-1], np.int16)
    labels: npt.NDArray[np.int16] = translation[encoded.label]
    return labels


def product_codes(encoded: Encoded, null: int | None = None) -> npt.NDArray[np.int64]:
    """A number for each review's product, (n).

    Args:
        encoded: encoded reviews.
        null: number of a review without a product; each counts as a product of its own when None.
    """
    import pyarrow.compute as pc  # noqa: PLC0415

    table = encoded.rows()
    column = table.column(PRODUCT_ID)
    if null is None:
        column = pc.coalesce(column, table.column(REVIEW_ID))
    codes = column.combine_chunks().dictionary_encode().indices
    filled: npt.NDArray[np.int64] = codes.fill_null(-1 if null is None else null).to_numpy().astype(np.int64)
    return filled


def read_card(model_dir: str | Path) -> dict[str, Any]:
    """The card of a stored model."""
    card: dict[str, Any] = json.loads((Path(model_dir) / "card.json").read_text(encoding="utf-8"))
    return card
