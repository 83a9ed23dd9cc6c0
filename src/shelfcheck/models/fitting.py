"""Learning a `linear` model: document frequencies, compaction, relevance, AdaGrad epochs."""

from __future__ import annotations

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shelfcheck.errors import NotEnoughDataError
from shelfcheck.models.kernels import BLOCK, MAX_COUNT, compact, count_documents, learn, relevance

if TYPE_CHECKING:
    import numpy.typing as npt

    from shelfcheck.config import LinearSettings
    from shelfcheck.progress import Progress

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float32]

_FIRST_SQUARE: Final = 1.0  # AdaGrad's first accumulator: keeps the first steps of a rare n-gram small
_CHUNK_BLOCKS: Final = 16  # blocks that a thread takes at a time
_LEAST_RELEVANCE: Final = 0.05  # nats; what is added, so that no n-gram is without any weight
_LANE: Final = 8  # rows of the matrix are padded to whole vectors of 8 float32
_COUNT_THREADS: Final = 4  # each counts into its own table


@dataclass(frozen=True)
class Fitted:
    """What was learned.

    Attributes:
        arrays: buckets, idf, weights, bias, prior, as `LinearModel` has them.
        facts: reviews, n-grams, loss by epoch, seconds by step.
    """

    arrays: tuple[npt.NDArray[np.uint32], Floats, Floats, Floats, Floats]
    facts: dict[str, Any]


def count_weights() -> Floats:
    """The weight of an n-gram that stands 1, 2, … times in a review: 1 + ln(count). (MAX_COUNT,)."""
    return (1 + np.log(np.arange(1, MAX_COUNT + 1))).astype(np.float32)


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
    frequency = _document_frequency(indptr, ids, rows, 1 << hash_bits, threads)
    used = np.flatnonzero(frequency >= settings.min_document_frequency)
    if len(used) == 0:
        raise NotEnoughDataError(
            f"no word stands in {settings.min_document_frequency} of the {m} training reviews. "
            "Add reviews, or lower train.linear.min_document_frequency."
        )
    buckets: npt.NDArray[np.uint32] = used[np.argsort(-frequency[used], kind="stable")].astype(np.uint32)
    starts, stops, own_ids = _compacted(indptr, ids, rows, buckets, n_buckets=1 << hash_bits, threads=threads)
    shares = (np.bincount(labels, minlength=n_classes) + 0.5) / (m + 0.5 * n_classes)
    prior = np.log(shares).astype(np.float32)
    # One factor of an n-gram is all that predicting and explaining know: its relevance is part of it.
    factor = (np.log((1 + m) / (1 + frequency[buckets])) + 1) ** settings.idf_power
    if settings.relevance_power > 0:
        told = _relevance(starts, stops, own_ids, labels, frequency[buckets], shares=shares, threads=threads)
        factor *= (_LEAST_RELEVANCE + told) ** settings.relevance_power
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


def _document_frequency(
    indptr: Ints, ids: npt.NDArray[np.uint32], rows: Ints, buckets: int, threads: int
) -> npt.NDArray[np.int32]:
    workers = min(threads, _COUNT_THREADS)
    parts = np.array_split(rows, workers)
    counts = [np.zeros(buckets, np.int32) for _ in parts]
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda part, count: count_documents(indptr, ids, part, count), parts, counts))
    for count in counts[1:]:
        counts[0] += count
    return counts[0]


def _relevance(
    starts: Ints,
    stops: Ints,
    ids: npt.NDArray[np.uint32],
    labels: npt.NDArray[np.int16],
    frequency: npt.NDArray[np.int32],
    *,
    shares: npt.NDArray[np.floating[Any]],
    threads: int,
) -> npt.NDArray[np.float64]:
    """How much each n-gram tells about the category, in nats; each thread does some of the n-grams."""
    told = np.empty(len(frequency))
    upto = np.cumsum(frequency, dtype=np.int64)
    # The frequent come first: cut where the reviews to count, not the n-grams, are shared evenly.
    inner = np.searchsorted(upto, np.linspace(0, upto[-1], threads + 1)[1:-1])
    with ThreadPoolExecutor(threads) as pool:
        work = [
            pool.submit(relevance, starts, stops, ids, labels, first, last, shares, told)
            for first, last in itertools.pairwise([0, *inner.tolist(), len(told)])
        ]
        for one in work:
            one.result()
    return told


def _compacted(
    indptr: Ints,
    ids: npt.NDArray[np.uint32],
    rows: Ints,
    buckets: npt.NDArray[np.uint32],
    *,
    n_buckets: int,
    threads: int,
) -> tuple[Ints, Ints, npt.NDArray[np.uint32]]:
    """The chosen rows with known n-grams only, renumbered: where each starts and stops, and the ids."""
    position = np.full(n_buckets, -1, np.int32)
    position[buckets] = np.arange(len(buckets), dtype=np.int32)
    ends = np.cumsum(indptr[rows + 1] - indptr[rows])
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
    stops = np.empty(len(rows), np.int64)
    out = np.empty(int(ends[-1]), np.uint32)
    cuts = np.linspace(0, len(rows), threads + 1).astype(np.int64)
    with ThreadPoolExecutor(threads) as pool:
        work = [
            pool.submit(compact, indptr, ids, rows, first, last, position, starts, stops, out)
            for first, last in itertools.pairwise(cuts.tolist())
        ]
        for one in work:
            one.result()
    return starts, stops, out


def rounded(weights: Floats) -> Floats:
    """Round to bfloat16 (the upper half of a float32), to nearest, ties to even; still float32."""
    bits = weights.view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    found: Floats = ((bits + np.uint32(0x7FFF) + odd) & np.uint32(0xFFFF0000)).view(np.float32)
    return found
