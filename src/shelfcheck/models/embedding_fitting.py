"""Learning an `embedding` model: choose the n-grams, weigh them, descend, watch the validation products."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from shelfcheck.errors import NotEnoughDataError
from shelfcheck.models.embedding_kernels import classify, learn, pool
from shelfcheck.models.kernels import BLOCK, MAX_COUNT
from shelfcheck.models.ngram_weights import (
    LEAST_RELEVANCE,
    compacted,
    count_weights,
    document_frequency,
    relevances,
    rounded,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from shelfcheck.config import EmbeddingSettings
    from shelfcheck.progress import Progress

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float32]

_FIRST_SQUARE: Final = 1.0  # AdaGrad's first accumulator: keeps the first steps of a rare n-gram small
_CHUNK_BLOCKS: Final = 16  # blocks that a thread takes at a time
LANE: Final = 8  # vectors are padded to whole vectors of 8 float32
_POOL_ROWS: Final = 4096  # reviews whose vectors are held at a time


@dataclass(frozen=True)
class Fitted:
    """What was learned.

    Attributes:
        arrays: buckets, factor, vectors, output, bias, prior, as `EmbeddingModel` has them.
        facts: reviews, n-grams, loss and accuracy by epoch, seconds by step.
    """

    arrays: tuple[npt.NDArray[np.uint32], Floats, Floats, Floats, Floats, Floats]
    facts: dict[str, Any]


@dataclass
class _State:
    """What descent changes; `squares` are AdaGrad's accumulators, one a vector."""

    vectors: Floats  # (features, width)
    squares: Floats  # (features)
    output: Floats  # (classes, width)
    output_squares: Floats  # (classes)
    bias: Floats  # (classes)

    def copy_learned(self) -> tuple[Floats, Floats, Floats]:
        return self.vectors.copy(), self.output.copy(), self.bias.copy()


def weights_of_counts(settings: EmbeddingSettings) -> Floats:
    """The weight of an n-gram that stands 1, 2, … times in a review. (MAX_COUNT,).

    A mean counts it as often as it stands there; a unit norm takes 1 + ln(count), as `linear` does.
    """
    if settings.pooling == "mean":
        return np.arange(1, MAX_COUNT + 1, dtype=np.float32)
    return count_weights()


def fit_embedding(
    indptr: Ints,
    ids: npt.NDArray[np.uint32],
    rows: Ints,
    labels: npt.NDArray[np.int16],
    *,
    held: tuple[Ints, npt.NDArray[np.int16]],
    n_classes: int,
    hash_bits: int,
    settings: EmbeddingSettings,
    threads: int,
    seed: int,
    progress: Progress,
) -> Fitted:
    """Learn vectors from the chosen rows.

    Memory: 4 bytes for each n-gram of the training reviews; 4 * width + 12 bytes for each vector (width is
    `vector_dim` rounded up to 8), 4 * width more with early stopping; 4 bytes for each of the hash buckets.

    Args:
        indptr: int64 (n + 1).
        ids: uint32 (nnz), buckets with counts.
        rows: int64 (m), reviews to learn from.
        labels: int16 (m), their classes, 0..n_classes-1.
        held: reviews to stop early by, int64 (v), and their classes, int16 (v).
        n_classes: number of classes.
        hash_bits: log2 of the number of buckets.
        settings: dimension, epochs, rate and so on.
        threads: worker threads.
        seed: of the first vectors and the order of the reviews.
        progress: told the reviews met.

    Raises:
        NotEnoughDataError: no n-gram stands in enough reviews.
    """
    started = time.perf_counter()
    m = len(rows)
    frequency = document_frequency(indptr, ids, rows, 1 << hash_bits, threads)
    used = np.flatnonzero(frequency >= settings.min_count)
    if len(used) == 0:
        raise NotEnoughDataError(
            f"no word stands in {settings.min_count} of the {m} training reviews. "
            "Add reviews, or lower train.embedding.min_count."
        )
    order = np.argsort(-frequency[used], kind="stable")[: settings.buckets]
    buckets: npt.NDArray[np.uint32] = used[order].astype(np.uint32)
    starts, stops, own_ids = compacted(indptr, ids, rows, buckets, n_buckets=1 << hash_bits, threads=threads)
    shares = (np.bincount(labels, minlength=n_classes) + 0.5) / (m + 0.5 * n_classes)
    prior = np.log(shares).astype(np.float32)
    factor = np.ones(len(buckets) + 1, np.float32)  # the last is the end of a text
    if settings.relevance_power > 0:
        told = relevances(starts, stops, own_ids, labels, frequency[buckets], shares=shares, threads=threads)
        factor[:-1] = (LEAST_RELEVANCE + told) ** settings.relevance_power
    counted = time.perf_counter()

    random = np.random.default_rng(seed)
    state = _first_state(len(factor), n_classes, prior, settings, random)
    watch = _Watch(settings, held[1])
    losses: list[float] = []
    steps = settings.epochs * m
    adaptive = settings.optimizer == "adagrad"
    tf, unit_norm = weights_of_counts(settings), settings.pooling == "norm"
    pooling = Pooling(positions(buckets, hash_bits), factor, tf, unit_norm, state.vectors)
    top = Top(state.output, state.bias, prior)

    def rate(done: int) -> float:
        return settings.learning_rate * max(0.0, 1 - done / steps)

    progress.start("Training", steps)
    with ThreadPoolExecutor(threads) as pool_of_threads:
        for epoch in range(settings.epochs):
            shuffled = random.permutation(-(-m // BLOCK))
            chunks = [shuffled[i : i + _CHUNK_BLOCKS] for i in range(0, len(shuffled), _CHUNK_BLOCKS)]

            def work(place: int, chunks: list[Ints] = chunks, epoch: int = epoch) -> float:
                done = epoch * m + place * _CHUNK_BLOCKS * BLOCK
                rates = rate(done), rate(done + len(chunks[place]) * BLOCK)
                turn = 1 + (seed * settings.epochs + epoch) * len(chunks) + place
                loss: float = learn(
                    starts, stops, own_ids, labels, chunks[place], factor, tf, unit_norm, state.vectors,
                    state.squares, state.output, state.output_squares, state.bias, adaptive, *rates,
                    settings.dropout, turn,
                )  # fmt: skip
                return loss

            total = 0.0
            for place, loss in enumerate(pool_of_threads.map(work, range(len(chunks)))):
                total += loss
                progress.advance(min(m, (place + 1) * _CHUNK_BLOCKS * BLOCK) - place * _CHUNK_BLOCKS * BLOCK)
            losses.append(total / m)
            if watch.wanted:
                logits = score(indptr, ids, held[0], pooling, top, threads=threads)
                if watch.stops(logits, state):
                    break
    progress.finish()
    vectors, output, bias = watch.best or (state.vectors, state.output, state.bias)
    facts = {
        "training_reviews": m,
        "training_ngrams": int((stops - starts).sum()),
        "loss_by_epoch": [round(loss, 6) for loss in losses],
        **watch.facts(),
        "seed": seed,
        "threads": threads,
        "seconds": {
            "count": round(counted - started, 3),
            "learn": round(time.perf_counter() - counted, 3),
        },
    }
    # Rounded now, so that a model that was stored as bfloat16 predicts what the fresh one does.
    kept = rounded(vectors)
    return Fitted((buckets, factor, kept, output, bias, prior), facts)


class _Watch:
    """Early stopping: remembers the best epoch on the validation products."""

    def __init__(self, settings: EmbeddingSettings, labels: npt.NDArray[np.int16]) -> None:
        self.wanted = settings.early_stopping and len(labels) > 0
        self.best: tuple[Floats, Floats, Floats] | None = None
        self._settings = settings
        self._labels = labels
        self._accuracies: list[float] = []

    def stops(self, logits: Floats, state: _State) -> bool:
        """Judge the epoch that is done; whether it was the last."""
        accuracy = float((logits.argmax(axis=1) == self._labels).mean())
        if accuracy > max(self._accuracies, default=-1.0):
            self.best = state.copy_learned()
        self._accuracies.append(accuracy)
        done = len(self._accuracies)
        waited = done - 1 - int(np.argmax(self._accuracies))
        return done >= self._settings.min_epochs and waited >= self._settings.patience

    def facts(self) -> dict[str, Any]:
        """For the card: accuracies, and the epoch that was kept, from 1."""
        if not self._accuracies:
            return {}
        return {
            "validation_accuracy_by_epoch": [round(one, 6) for one in self._accuracies],
            "best_epoch": int(np.argmax(self._accuracies)) + 1,
        }


def _first_state(
    features: int, classes: int, prior: Floats, settings: EmbeddingSettings, random: np.random.Generator
) -> _State:
    """Vectors uniform in ±1/dim, output zero, bias the log prior."""
    dim = settings.vector_dim
    width = -(-dim // LANE) * LANE
    vectors = np.empty((features, width), np.float32)
    random.random(out=vectors, dtype=np.float32)
    vectors -= np.float32(0.5)
    vectors *= np.float32(2 / dim)
    vectors[:, dim:] = 0
    return _State(
        vectors,
        np.full(features, _FIRST_SQUARE, np.float32),
        np.zeros((classes, width), np.float32),
        np.full(classes, _FIRST_SQUARE, np.float32),
        prior.copy(),
    )


def positions(buckets: npt.NDArray[np.uint32], hash_bits: int) -> npt.NDArray[np.int32]:
    """Row of the vectors by bucket, -1 where unknown. (2 ** hash_bits,)."""
    position = np.full(1 << hash_bits, -1, np.int32)
    position[buckets] = np.arange(len(buckets), dtype=np.int32)
    return position


class Pooling(NamedTuple):
    """How the vectors of a review's n-grams become one: the arguments of `embedding_kernels.pool`."""

    position: npt.NDArray[np.int32]
    factor: Floats
    tf: Floats
    unit_norm: bool
    vectors: Floats


class Top(NamedTuple):
    """How a review's vector becomes logits: the arguments of `embedding_kernels.classify`."""

    output: Floats
    bias: Floats
    empty: Floats


def score(
    indptr: Ints, ids: npt.NDArray[np.uint32], rows: Ints, pooling: Pooling, top: Top, *, threads: int
) -> Floats:
    """Logits of encoded rows, float32 (len(rows), classes)."""
    logits = np.empty((len(rows), len(top.bias)), np.float32)

    def work(first: int, pooled: Floats, known: npt.NDArray[np.int32]) -> None:
        classify(pooled, known, *top, logits[first : first + len(pooled)])

    each_pooled(indptr, ids, rows, pooling, work, threads=threads)
    return logits


def each_pooled(
    indptr: Ints,
    ids: npt.NDArray[np.uint32],
    rows: Ints,
    pooling: Pooling,
    work: Callable[[int, Floats, npt.NDArray[np.int32]], None],
    *,
    threads: int,
) -> None:
    """Pool rows chunk by chunk and hand each chunk on: its first place, vectors, numbers of known n-grams.

    With several threads chunks come in any order and at the same time.
    """
    n, width = len(rows), pooling.vectors.shape[1]

    def one(first: int) -> None:
        last = min(n, first + _POOL_ROWS)
        pooled = np.empty((last - first, width), np.float32)
        known = np.empty(last - first, np.int32)
        pool(indptr, ids, first, last, rows, *pooling, pooled, known)
        work(first, pooled, known)

    chunks = range(0, n, _POOL_ROWS)
    if threads == 1 or len(chunks) < 2:
        for first in chunks:
            one(first)
        return
    with ThreadPoolExecutor(threads) as workers:
        list(workers.map(one, chunks))
