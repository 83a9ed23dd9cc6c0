"""The two stages of the model: learn and calibrate, then evaluate on what was held out."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck.errors import NotEnoughDataError
from shelfcheck.models import split
from shelfcheck.models.blocks import blocks, numbered, taken, where
from shelfcheck.models.breakdown import prepared_groups, with_details
from shelfcheck.models.calibration import Calibration, product_weights
from shelfcheck.models.encoded import Encoded
from shelfcheck.models.evaluation import Evaluation, summarise
from shelfcheck.models.examples import Examples
from shelfcheck.models.judged import HELD_OUT, HELD_OUT_SCHEMA, Judged, held_out_batches, judged_rows
from shelfcheck.models.kinds import load_model, model_class
from shelfcheck.models.labels import labelled
from shelfcheck.models.ngrams import row_keys
from shelfcheck.models.slices import YEAR, grouping, kept, needed
from shelfcheck.models.speed import reviews_per_second, sample_texts
from shelfcheck.models.tally import Tally
from shelfcheck.progress import NullProgress
from shelfcheck.schema import REVIEW_ID, STAR_RATING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from shelfcheck.checkpoints import Checkpoint
    from shelfcheck.config import Settings, TrainSettings
    from shelfcheck.models.base import Model
    from shelfcheck.models.continuing import Start
    from shelfcheck.models.slices import Grouping
    from shelfcheck.progress import Progress

# Probabilities that are held at a time. Sums of many are made block by block: with more held-out reviews the
# last digits of a sum are those of another order.
_JUDGED_ROWS: Final = 1 << 16


def train(
    encoded_dir: str | Path,
    out_dir: str | Path,
    settings: Settings,
    progress: Progress | None = None,
    *,
    prepared_dir: str | Path | None = None,
    cache: str | Path | None = None,
    checkpoint: Checkpoint | None = None,
    start: Start | None = None,
) -> dict[str, Any]:
    """Learn the model that `train.model` names, calibrate it on products of their own, and store it.

    Writes `model.safetensors`, `card.json` and, where `train.update` is `continue`, `state.safetensors`.

    Args:
        encoded_dir: output of `encode`.
        out_dir: folder to fill.
        settings: `train` and `run` are read.
        progress: told the reviews met.
        prepared_dir: the prepared reviews; models that read texts, or other n-grams than `linear`, need it.
        cache: folder for such other n-grams.
        checkpoint: where unfinished learning is kept, of these very reviews, settings and `start`.
        start: a `linear` model of the same classes to go on from.

    Returns:
        Counts for the manifest.

    Raises:
        NotEnoughDataError: there are fewer than two classes to learn.
    """
    started = time.perf_counter()
    examples = open_examples(encoded_dir, prepared_dir, cache)
    model = fit_calibrated(examples, settings, examples.encoded.bucket, progress, checkpoint, start)
    # What it cost is told by the manifest, not by the card: the same model has the same files.
    seconds = time.perf_counter() - started
    model.save(out_dir)
    return {
        "model": model.name,
        "label": settings.train.label,
        "training_reviews": model.facts["training_reviews"],
        "calibration_reviews": model.calibration.reviews,
        "categories_learned": len(model.categories),
        "categories_skipped": len(model.facts["categories_skipped"]),
        "calibration_scale": round(model.calibration.scale, 4),
        "train_seconds": round(seconds, 3),
        "peak_memory_mb": peak_memory_mb(),
    }


def open_examples(
    encoded_dir: str | Path, prepared_dir: str | Path | None = None, cache: str | Path | None = None
) -> Examples:
    """Encoded reviews and, where it is given, the folder with their texts."""
    return Examples(
        Encoded.open(encoded_dir),
        None if prepared_dir is None else Path(prepared_dir),
        None if cache is None else Path(cache),
    )


def fit_calibrated(  # noqa: PLR0917 - what a model is made of
    examples: Examples,
    settings: Settings,
    bucket: npt.NDArray[np.int16] | None = None,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
    start: Start | None = None,
) -> Model:
    """Learn on the training reviews and calibrate on the held ones.

    Memory beside the model's: 12 bytes a review.

    Args:
        examples: encoded reviews, their classes not chosen yet.
        settings: `train` and `run` are read.
        bucket: bucket of each review's product, (n); a salted draw, or those of `examples` when None.
        progress: told the reviews met.
        checkpoint: where unfinished learning is kept.
        start: a `linear` model to go on from.
    """
    given = labelled(examples.encoded, settings.train)
    examples = replace(examples, encoded=given.encoded)
    parts = split.split(given.encoded, settings.train, bucket)
    label = examples.label
    rows = where(len(label), lambda block: parts.train[block] & (label[block] >= 0))
    held = where(len(label), lambda block: parts.held[block] & (label[block] >= 0))
    learn = model_class(settings.train.model).learn if start is None else _going_on(start)
    model = learn(examples, rows, held, settings, progress or NullProgress(), checkpoint=checkpoint)
    position = np.array([examples.categories.index(name) for name in model.categories])
    place = np.full(len(examples.categories), -1, np.int16)  # a class may have no training review
    place[position] = np.arange(len(position))
    labels = place[examples.label[held]]
    held, labels = held[labels >= 0], labels[labels >= 0]
    weights = product_weights(product_codes(given.encoded, held))
    step = max(1, -(-len(held) // model.most_held))  # shuffled, so any stride is a fair sample
    held, labels, weights = held[::step], labels[::step], weights[::step]
    logits = model.logits_of(examples, held, settings.run.threads, progress)
    calibration = Calibration.fit(logits, labels, weights)
    facts = {
        **model.facts,
        "label": settings.train.label,
        "split": {
            "by": settings.train.split,
            "date": None if settings.train.split_date is None else settings.train.split_date.isoformat(),
            "test_share": settings.train.test_share,
            "calibration_share": settings.train.calibration_share,
        },
        "categories_skipped": given.dropped,
        "reviews_without_label": given.unlabelled,
        "training_reviews": len(rows),
    }
    return replace(model, calibration=calibration, facts=facts)  # type: ignore[type-var] # all are dataclasses


def _going_on(start: Start) -> Callable[..., Model]:
    from shelfcheck.models.linear import LinearModel  # noqa: PLC0415 - other models do without

    return partial(LinearModel.learn, start=start)


def peak_memory_mb() -> int:
    """The most memory that this process has held so far, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit // 1_000_000


def evaluate_held_out(
    encoded_dir: str | Path,
    model_dir: str | Path,
    out_dir: str | Path,
    settings: Settings,
    progress: Progress | None = None,
    *,
    prepared_dir: str | Path | None = None,
    cache: str | Path | None = None,
) -> dict[str, Any]:
    """Judge a model on what was held out from it; writes `evaluation.json`, `.txt` and `held_out.parquet`.

    Args:
        encoded_dir: output of `encode`.
        model_dir: output of `train`.
        out_dir: folder to fill.
        settings: `train` (label and split) and `run.threads` are read.
        progress: told when it is done.
        prepared_dir: as for `train`.
        cache: as for `train`.

    Returns:
        Counts for the manifest.

    Raises:
        NotEnoughDataError: no held-out review has a class that the model knows.
    """
    progress = progress or NullProgress()
    examples = open_examples(encoded_dir, prepared_dir, cache)
    model = load_model(model_dir)
    progress.start("Evaluating", None)
    given = labelled(examples.encoded, settings.train)
    examples = replace(examples, encoded=given.encoded)
    parts = split.split(given.encoded, settings.train)
    started = time.perf_counter()
    rows = where(len(parts.test), lambda block: parts.test[block])
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=out) as scratch,
        pq.ParquetWriter(out / HELD_OUT, HELD_OUT_SCHEMA, compression="zstd") as writer,
    ):
        found = judge(
            model,
            examples,
            rows,
            settings.run.threads,
            progress,
            each=writer.write_batch,
            folder=Path(scratch),
        )
    del rows
    speed = round(found.reviews / max(time.perf_counter() - started, 1e-9))
    if prepared_dir is not None:
        speed = reviews_per_second(model, sample_texts(prepared_dir), settings.run.threads)
    date = settings.train.split_date if parts.kind == "time" else None
    notes = {"split": parts.kind, "split_date": date and date.isoformat(), "label": settings.train.label}
    found = replace(found, notes=found.notes | notes)
    groups = _groups(examples, out, prepared_dir)
    found = with_details(found, Judged.open(out), groups, settings.run.seed)
    (out / "evaluation.json").write_text(found.to_json(), encoding="utf-8")
    (out / "evaluation.txt").write_text(found.text(), encoding="utf-8")
    progress.finish()
    return {
        "model": model.name,
        "split": parts.kind,
        "reviews": found.reviews,
        "accuracy": round(found.accuracy, 4),
        "macro_f1": round(found.macro.f1, 4),
        "ece": round(found.ece, 4),
        "reviews_per_second": speed,
    }


def _groups(examples: Examples, out: Path, prepared_dir: str | Path | None) -> dict[str, Grouping]:
    """Judged reviews by what they are sliced by; without the prepared reviews, year and stars alone."""
    ids = (batch.column(0) for batch in held_out_batches(out, [REVIEW_ID]))
    if prepared_dir is not None:
        return prepared_groups(prepared_dir, np.concatenate([row_keys(some) for some in ids]))
    import pyarrow.compute as pc  # noqa: PLC0415

    wanted = pa.concat_arrays(list(ids))
    pieces = [
        rows.filter(pc.is_in(rows.column(REVIEW_ID), value_set=wanted)) for rows in examples.encoded.batches()
    ]
    rows = pa.concat_tables(pieces).combine_chunks()
    own = rows.take(pc.index_in(wanted, value_set=rows.column(REVIEW_ID).combine_chunks()))
    return {name: grouping(name, kept(name, own.column(needed(name)))) for name in (YEAR, STAR_RATING)}


def judge(
    model: Model,
    examples: Examples,
    rows: npt.NDArray[Any],
    threads: int = 0,
    progress: Progress | None = None,
    *,
    each: Callable[[pa.RecordBatch], None] = lambda _: None,
    folder: Path | None = None,
) -> Evaluation:
    """Judge a model on some reviews; those of classes it does not know are only counted.

    Memory: 25 bytes a review that is judged, and 16 for each of its product's classes, unless these lie
    in a folder.

    Args:
        model: what is judged.
        examples: encoded reviews.
        rows: which reviews.
        threads: worker threads.
        progress: told the reviews judged.
        each: given rows of HELD_OUT_SCHEMA, batch by batch.
        folder: for sums by product; in memory when None.

    Raises:
        NotEnoughDataError: no review has a class that the model knows.
    """
    labels = labels_for(examples.encoded, model.categories, rows)
    known = labels >= 0
    if not known.any():
        raise NotEnoughDataError(
            f"none of the {len(rows)} held-out reviews has a category that the model knows. "
            "Raise train.test_share, or add reviews."
        )
    unknown = int((~known).sum())
    rows, labels = rows[known], labels[known]
    del known
    codes = product_codes(examples.encoded, rows)
    product, products = numbered(examples.encoded.product_codes(rows, null=-1))
    tally = Tally(len(model.categories), folder)
    tally.reserve(products)
    for block in blocks(len(rows), _JUDGED_ROWS):
        own = rows[block]
        logits = model.logits_of(examples, own, threads, progress)
        probabilities = np.exp(model.calibration.log_probabilities(logits))
        before = np.exp(Calibration().log_probabilities(logits))
        tally.add(labels[block], probabilities, before, product[block])
        ids = examples.encoded.review_ids(own)
        each(judged_rows(ids, codes[block], labels[block], probabilities, model.categories))
    found = summarise(tally, model.categories)
    return replace(found, notes={"reviews_of_unknown_categories": unknown})


def evaluate_rows(
    model: Model, encoded: Encoded, rows: npt.NDArray[np.integer[Any]], threads: int = 0
) -> Evaluation:
    """Judge a model on some encoded reviews by their assigned categories."""
    return judge(model, Examples(encoded), rows, threads)


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


def labels_for(
    encoded: Encoded, categories: Sequence[str], rows: npt.NDArray[Any] | None = None
) -> npt.NDArray[np.int16]:
    """The label of reviews among a model's categories, -1 where it does not know it. (rows,).

    Args:
        encoded: encoded reviews.
        categories: the model's, in order.
        rows: which reviews; all when None.
    """
    place = {name: i for i, name in enumerate(categories)}
    translation = np.array([place.get(name, -1) for name in encoded.categories] + [-1], np.int16)
    return taken(translation, encoded.label if rows is None else taken(encoded.label, rows))


def product_codes(encoded: Encoded, rows: npt.NDArray[Any] | None = None) -> npt.NDArray[np.int64]:
    """A number for the product of reviews, (rows); one without a product counts as a product of its own."""
    return encoded.product_codes(rows)
