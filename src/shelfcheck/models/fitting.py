"""Learning a `linear` model: choose the n-grams, weigh them, AdaGrad epochs."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shelfcheck.errors import NotEnoughDataError
from shelfcheck.models.kernels import BLOCK, learn
from shelfcheck.models.ngram_weights import (
    LEAST_RELEVANCE,
    compacted,
    count_weights,
    document_frequency,
    relevances,
    rounded,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from shelfcheck.config import LinearSettings
    from shelfcheck.progress import Progress

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float32]

_FIRST_SQUARE: Final = 1.0  # AdaGrad's first accumulator: keeps the first steps of a rare n-gram small
_CHUNK_BLOCKS: Final = 16  # blocks that a thread takes at a time
_LANE: Final = 8  # rows of the matrix are padded to whole vectors of 8 float32


@dataclass(frozen=True)
class Fitted:
    """What was learned.

    Attributes:
        arrays: buckets, idf, weights, bias, prior, as `LinearModel` has them.
        facts: reviews, n-grams, loss by epoch, seconds by step.
    """

    arrays: tuple[npt.NDArray[np.uint32], Floats, Floats, Floats, Floats]
    facts: dict[str, Any]


def fit_linear(
    indptr: Ints,
    ids: npt.NDArray[np.uint32],
    rows: Ints,
    labels: npt.NDArray[np.int16],
    *,
    n_classes: int,
    hash_bits: int,
    settings: LinearSettings,
    threads: int,
    seed: int,
    progress: Progress,
) -> Fitted:
    """Learn weights from the chosen rows.

    Args:
        indptr: int64 (n + 1).
        ids: uint32 (nnz), buckets with counts.
        rows: int64 (m), reviews to learn from.
        labels: int16 (m), their classes, 0..n_classes-1.
        n_classes: number of classes.
        hash_bits: log2 of the number of buckets.
        settings: epochs, rate, document frequency, idf, relevance, rare classes.
        threads: worker threads.
        seed: of the order of the reviews.
        progress: told the reviews met.

    Raises:
        NotEnoughDataError: no n-gram stands in enough reviews.
    """
    started = time.perf_counter()
    m = len(rows)
    frequency = document_frequency(indptr, ids, rows, 1 << hash_bits, threads)
    used = np.flatnonzero(frequency >= settings.min_document_frequency)
    if len(used) == 0:
        raise NotEnoughDataError(
            f"no word stands in {settings.min_document_frequency} of the {m} training reviews. "
            "Add reviews, or lower train.linear.min_document_frequency."
        )
    buckets: npt.NDArray[np.uint32] = used[np.argsort(-frequency[used], kind="stable")].astype(np.uint32)
    starts, stops, own_ids = compacted(indptr, ids, rows, buckets, n_buckets=1 << hash_bits, threads=threads)
    shares = (np.bincount(labels, minlength=n_classes) + 0.5) / (m + 0.5 * n_classes)
    prior = np.log(shares).astype(np.float32)
    # One factor of an n-gram is all that predicting and explaining know: its relevance is part of it.
    factor = (np.log((1 + m) / (1 + frequency[buckets])) + 1) ** settings.idf_power
    if settings.relevance_power > 0:
        told = relevances(starts, stops, own_ids, labels, frequency[buckets], shares=shares, threads=threads)
        factor *= (LEAST_RELEVANCE + told) ** settings.relevance_power
    idf = factor.astype(np.float32)
    counted = time.perf_counter()

    width = -(-n_classes // _LANE) * _LANE
    weights = np.zeros((len(buckets), width), np.float32)
    squares = np.full(len(buckets), _FIRST_SQUARE, np.float32)
    bias = np.zeros(width, np.float32)
    bias[:n_classes] = prior
    bias_squares = np.full(width, _FIRST_SQUARE, np.float32)
    tf = count_weights()
    class_weights = _class_weights(labels, n_classes, settings.rare_class_reviews)
    random = np.random.default_rng(seed)
    losses: list[float] = []
    steps = settings.epochs * m

    def rate(done: int) -> float:
        return settings.learning_rate * max(0.0, 1 - done / steps)

    progress.start("Training", steps)
    with ThreadPoolExecutor(threads) as pool:
        for epoch in range(settings.epochs):
            order = random.permutation(-(-m // BLOCK))
            chunks = [order[i : i + _CHUNK_BLOCKS] for i in range(0, len(order), _CHUNK_BLOCKS)]

            def work(place: int, chunks: list[Ints] = chunks, epoch: int = epoch) -> float:
                done = epoch * m + place * _CHUNK_BLOCKS * BLOCK
                rates = rate(done), rate(done + len(chunks[place]) * BLOCK)
                turn = 1 + (seed * settings.epochs + epoch) * len(chunks) + place
                loss: float = learn(
                    starts, stops, own_ids, labels, chunks[place], idf, tf, weights, squares, bias,
                    bias_squares, class_weights, n_classes, *rates, settings.dropout, turn,
                )  # fmt: skip
                return loss

            total = 0.0
            for place, loss in enumerate(pool.map(work, range(len(chunks)))):
                total += loss
                progress.advance(min(m, (place + 1) * _CHUNK_BLOCKS * BLOCK) - place * _CHUNK_BLOCKS * BLOCK)
            losses.append(total / m)
    progress.finish()
    # Rounded now, so that a model that was stored as bfloat16 predicts what the fresh one does.
    kept = rounded(np.ascontiguousarray(weights[:, :n_classes]))
    facts = {
        "training_reviews": m,
        "training_ngrams": int((stops - starts).sum()),
        "loss_by_epoch": [round(loss, 6) for loss in losses],
        "seed": seed,
        "threads": threads,
        "seconds": {
            "count": round(counted - started, 3),
            "learn": round(time.perf_counter() - counted, 3),
        },
    }
    return Fitted((buckets, idf, kept, bias[:n_classes].copy(), prior), facts)


def _class_weights(labels: npt.NDArray[np.int16], n_classes: int, enough: int) -> Floats:
    """What a review of each class counts: (enough / reviews of the class)^½, 1 from `enough` on. (classes,).

    In few reviews no class is rare merely because all are small: the mean of the classes is enough.
    """
    counts = np.bincount(labels, minlength=n_classes)
    bound = min(enough, len(labels) / n_classes)
    return np.sqrt(np.maximum(1, bound / np.maximum(1, counts))).astype(np.float32)
