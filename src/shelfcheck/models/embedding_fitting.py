"""Learning an `embedding` model: choose the n-grams, weigh them, descend, watch the validation products."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from shelfcheck.errors import NotEnoughDataError
from shelfcheck.models.blocks import blocks
from shelfcheck.models.embedding_kernels import classify, learn, pool
from shelfcheck.models.fitting import met_in
from shelfcheck.models.kernels import BLOCK
from shelfcheck.models.ngram_kernels import MAX_COUNT
from shelfcheck.models.ngram_weights import (
    LEAST_RELEVANCE,
    count_weights,
    document_frequency,
    positions,
    relevances,
    rounded,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from shelfcheck.checkpoints import Checkpoint
    from shelfcheck.config import EmbeddingSettings
    from shelfcheck.models.fitting import Order
    from shelfcheck.progress import Progress

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float32]

_FIRST_SQUARE: Final = 1.0  # AdaGrad's first accumulator: keeps the first steps of a rare n-gram small
_CHUNK_BLOCKS: Final = 16  # blocks that a thread takes at a time
_EPOCH: Final = "epoch"  # the piece that is kept
_BEST: Final = ("best_vectors", "best_output", "best_bias")
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
    """The n-grams, and what descent changes; `squares` are AdaGrad's accumulators, one a vector."""

    buckets: npt.NDArray[np.uint32]  # (features - 1), most frequent first
    factor: Floats  # (features), weight of each n-gram and of the end
    ngrams: Ints  # (1), n-grams in all training reviews
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
    rows: npt.NDArray[np.uint32],
    labels: npt.NDArray[np.int16],
    *,
    held: tuple[npt.NDArray[np.uint32], npt.NDArray[np.int16]],
    n_classes: int,
    hash_bits: int,
    settings: EmbeddingSettings,
    threads: int,
    seed: int,
    progress: Progress,
    checkpoint: Checkpoint | None = None,
    order: Order | None = None,
) -> Fitted:
    """Learn vectors from the chosen rows.

    Memory: 4 * width + 12 bytes for each vector (width is `vector_dim` rounded up to 8), 4 * width more with
    early stopping; 12 bytes for each of the hash buckets. The encoded reviews are read where they lie.

    Args:
        indptr: int64 (n + 1).
        ids: uint32 (nnz), buckets with counts.
        rows: uint32 (m), reviews to learn from.
        labels: int16 (m), their classes, 0..n_classes-1.
        held: reviews to stop early by, uint32 (v), and their classes, int16 (v).
        n_classes: number of classes.
        hash_bits: log2 of the number of buckets.
        settings: dimension, epochs, rate and so on.
        threads: worker threads.
        seed: of the first vectors and the order of the reviews.
        progress: told the reviews met.
        checkpoint: where the epochs that are done are kept, of these very reviews and settings.
        order: another order than the shuffled one, for experiments.

    Raises:
        NotEnoughDataError: no n-gram stands in enough reviews.
    """
    started = time.perf_counter()
    m = len(rows)
    shares = (np.bincount(labels, minlength=n_classes) + 0.5) / (m + 0.5 * n_classes)
    prior = np.log(shares).astype(np.float32)
    random = np.random.default_rng(seed)
    watch = _Watch(settings, held[1])
    kept = None if checkpoint is None else checkpoint.saved(_EPOCH)
    if kept is None:
        state = _begin(
            indptr,
            ids,
            rows,
            labels,
            shares,
            hash_bits=hash_bits,
            settings=settings,
            threads=threads,
            random=random,
        )
        told: dict[str, Any] = {"losses": [], "counting": time.perf_counter() - started, "learning": 0.0}
    else:
        state, told = _restored(*kept, random, watch)
    losses: list[float] = told["losses"]
    began = time.perf_counter()
    factor = state.factor
    steps = settings.epochs * m
    adaptive = settings.optimizer == "adagrad"
    tf, unit_norm = weights_of_counts(settings), settings.pooling == "norm"
    position = positions(state.buckets, 1 << hash_bits)
    pooling = Pooling(position, factor, tf, unit_norm, state.vectors)
    top = Top(state.output, state.bias, prior)

    def rate(done: int) -> float:
        return settings.learning_rate * max(0.0, 1 - done / steps)

    progress.start("Training", steps)
    with ThreadPoolExecutor(threads) as pool_of_threads:
        progress.advance(len(losses) * m)  # done by the run that was stopped
        for epoch in range(len(losses), settings.epochs):
            if watch.done:
                break
            visited, met, classes = met_in(epoch, rows, labels, random, order)
            chunks = [visited[i : i + _CHUNK_BLOCKS] for i in range(0, len(visited), _CHUNK_BLOCKS)]

            def work(
                place: int,
                chunks: list[Ints] = chunks,
                epoch: int = epoch,
                met: npt.NDArray[np.uint32] = met,
                classes: npt.NDArray[np.int16] = classes,
            ) -> float:
                done = epoch * m + place * _CHUNK_BLOCKS * BLOCK
                rates = rate(done), rate(done + len(chunks[place]) * BLOCK)
                turn = 1 + (seed * settings.epochs + epoch) * len(chunks) + place
                loss: float = learn(
                    indptr, ids, position, met, classes, chunks[place], factor, tf, unit_norm,
                    state.vectors, state.squares, state.output, state.output_squares, state.bias, adaptive,
                    *rates, settings.dropout, turn,
                )  # fmt: skip
                return loss

            total = 0.0
            for place, loss in enumerate(pool_of_threads.map(work, range(len(chunks)))):
                total += loss
                progress.advance(min(m, (place + 1) * _CHUNK_BLOCKS * BLOCK) - place * _CHUNK_BLOCKS * BLOCK)
            losses.append(total / m)
            if watch.wanted:
                watch.judge(_right(indptr, ids, held, pooling, top, threads=threads), state)
            if checkpoint is not None and checkpoint.due:
                arrays = {one.name: getattr(state, one.name) for one in fields(state)} | watch.arrays()
                spent = told["learning"] + time.perf_counter() - began
                now = {"accuracies": watch.accuracies, "random": random.bit_generator.state}
                checkpoint.save(_EPOCH, arrays, told | now | {"learning": spent})
    progress.finish()
    vectors, output, bias = watch.best or (state.vectors, state.output, state.bias)
    facts = {
        "training_reviews": m,
        "training_ngrams": int(state.ngrams[0]),
        "loss_by_epoch": [round(loss, 6) for loss in losses],
        **watch.facts(),
        "seed": seed,
        "threads": threads,
        "seconds": {
            "count": round(told["counting"], 3),
            "learn": round(told["learning"] + time.perf_counter() - began, 3),
        },
    }
    # Rounded now, so that a model that was stored as bfloat16 predicts what the fresh one does.
    return Fitted((state.buckets, factor, rounded(vectors), output, bias, prior), facts)


def _restored(
    arrays: Mapping[str, npt.NDArray[Any]], told: dict[str, Any], random: np.random.Generator, watch: _Watch
) -> tuple[_State, dict[str, Any]]:
    """The state that a stopped run had kept; what draws and what watches take up there."""
    random.bit_generator.state = told["random"]
    watch.restore(arrays, told["accuracies"])
    return _State(**{one.name: arrays[one.name] for one in fields(_State)}), told


class _Watch:
    """Early stopping: remembers the best epoch on the validation products."""

    def __init__(self, settings: EmbeddingSettings, labels: npt.NDArray[np.int16]) -> None:
        self.wanted = settings.early_stopping and len(labels) > 0
        self.best: tuple[Floats, Floats, Floats] | None = None
        self.accuracies: list[float] = []
        self._settings = settings

    def judge(self, accuracy: float, state: _State) -> None:
        """Take in the accuracy of the epoch that is done."""
        if accuracy > max(self.accuracies, default=-1.0):
            self.best = state.copy_learned()
        self.accuracies.append(accuracy)

    @property
    def done(self) -> bool:
        """Whether the last epoch was the last."""
        done = len(self.accuracies)
        if not done:
            return False
        waited = done - 1 - int(np.argmax(self.accuracies))
        return done >= self._settings.min_epochs and waited >= self._settings.patience

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The best epoch's vectors, output and bias, to keep."""
        return {} if self.best is None else dict(zip(_BEST, self.best, strict=True))

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]], accuracies: Sequence[float]) -> None:
        """Take up where a stopped run was."""
        self.accuracies = list(accuracies)
        if all(name in arrays for name in _BEST):
            self.best = (arrays[_BEST[0]], arrays[_BEST[1]], arrays[_BEST[2]])

    def facts(self) -> dict[str, Any]:
        """For the card: accuracies, and the epoch that was kept, from 1."""
        if not self.accuracies:
            return {}
        return {
            "validation_accuracy_by_epoch": [round(one, 6) for one in self.accuracies],
            "best_epoch": int(np.argmax(self.accuracies)) + 1,
        }


def _right(
    indptr: Ints,
    ids: npt.NDArray[np.uint32],
    held: tuple[npt.NDArray[np.uint32], npt.NDArray[np.int16]],
    pooling: Pooling,
    top: Top,
    *,
    threads: int,
) -> float:
    """Accuracy on the held reviews."""
    hits = 0
    for block in blocks(len(held[0])):
        logits = score(indptr, ids, held[0][block], pooling, top, threads=threads)
        hits += int((logits.argmax(axis=1) == held[1][block]).sum())
    return hits / len(held[0])


def _begin(
    indptr: Ints,
    ids: npt.NDArray[np.uint32],
    rows: npt.NDArray[np.uint32],
    labels: npt.NDArray[np.int16],
    shares: npt.NDArray[np.floating[Any]],
    *,
    hash_bits: int,
    settings: EmbeddingSettings,
    threads: int,
    random: np.random.Generator,
) -> _State:
    """Choose the n-grams and weigh them; nothing is learned yet."""
    frequency = document_frequency(indptr, ids, rows, 1 << hash_bits, threads)
    used = np.flatnonzero(frequency >= settings.min_count)
    if len(used) == 0:
        raise NotEnoughDataError(
            f"no word stands in {settings.min_count} of the {len(rows)} training reviews. "
            "Add reviews, or lower train.embedding.min_count."
        )
    order = np.argsort(-frequency[used], kind="stable")[: settings.buckets]
    buckets: npt.NDArray[np.uint32] = used[order].astype(np.uint32)
    frequency = frequency[buckets]
    factor = np.ones(len(buckets) + 1, np.float32)  # the last is the end of a text
    if settings.relevance_power > 0:
        position = positions(buckets, 1 << hash_bits)
        told = relevances(
            indptr, ids, position, rows, labels, frequency=frequency, shares=shares, threads=threads
        )
        factor[:-1] = (LEAST_RELEVANCE + told) ** settings.relevance_power
    vectors, squares, output, output_squares, bias = _first_state(
        len(factor), len(shares), np.log(shares).astype(np.float32), settings, random
    )
    ngrams = np.array([frequency.sum(dtype=np.int64)])
    return _State(buckets, factor, ngrams, vectors, squares, output, output_squares, bias)


def _first_state(
    features: int, classes: int, prior: Floats, settings: EmbeddingSettings, random: np.random.Generator
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Vectors uniform in ±1/dim, output zero, bias the log prior; and AdaGrad's accumulators."""
    dim = settings.vector_dim
    width = -(-dim // LANE) * LANE
    vectors = np.empty((features, width), np.float32)
    random.random(out=vectors, dtype=np.float32)
    vectors -= np.float32(0.5)
    vectors *= np.float32(2 / dim)
    vectors[:, dim:] = 0
    return (
        vectors,
        np.full(features, _FIRST_SQUARE, np.float32),
        np.zeros((classes, width), np.float32),
        np.full(classes, _FIRST_SQUARE, np.float32),
        prior.copy(),
    )


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
    indptr: Ints,
    ids: npt.NDArray[np.uint32],
    rows: npt.NDArray[np.uint32],
    pooling: Pooling,
    top: Top,
    *,
    threads: int,
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
    rows: npt.NDArray[np.uint32],
    pooling: Pooling,
    work: Callable[[int, Floats, npt.NDArray[np.int32]], None],
    *,
    threads: int,
) -> None:
    """Pool rows chunk by chunk and hand each chunk on: its first place, vectors, numbers of known n-grams.

    With several threads chunks come in any order and at the same time.
    """
    n, width = len(rows), pooling.vectors.shape[1]
    rows = rows.astype(np.uint32, copy=False)

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
