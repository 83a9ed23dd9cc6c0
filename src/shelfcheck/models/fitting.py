"""Learning a `linear` model: choose the n-grams, weigh them, AdaGrad epochs."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shelfcheck.errors import NotEnoughDataError
from shelfcheck.models.averaging import Parameters
from shelfcheck.models.continuing import Accumulators
from shelfcheck.models.kernels import BLOCK, learn
from shelfcheck.models.ngram_weights import (
    LEAST_RELEVANCE,
    count_weights,
    document_frequency,
    positions,
    relevances,
    rounded,
)
from shelfcheck.models.shards import CHUNK_BLOCKS, Plan, Reviews, Threads, Vocabulary, learn_epoch

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from shelfcheck.checkpoints import Checkpoint
    from shelfcheck.config import LinearSettings
    from shelfcheck.models.continuing import Start
    from shelfcheck.models.shards import Employer, Workers
    from shelfcheck.progress import Progress

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float32]
    Order = Callable[[int], Ints]  # epoch -> places of the rows, in the order in which it meets them

_FIRST_SQUARE: Final = 1.0  # AdaGrad's first accumulator: keeps the first steps of a rare n-gram small
_EPOCH: Final = "epoch"  # the piece that is kept
_LANE: Final = 8  # rows of the matrix are padded to whole vectors of 8 float32


@dataclass(frozen=True)
class Fitted:
    """What was learned.

    Attributes:
        arrays: buckets, idf, weights, bias, prior, as `LinearModel` has them.
        facts: reviews, n-grams, loss by epoch, seconds by step.
        accumulators: from which learning may go on when reviews are added.
    """

    arrays: tuple[npt.NDArray[np.uint32], Floats, Floats, Floats, Floats]
    facts: dict[str, Any]
    accumulators: Accumulators


@dataclass(frozen=True)
class _State:
    """What is known after some epochs; the arrays are changed as reviews are met.

    Attributes:
        buckets: uint32 (features), most frequent first.
        factor: float32 (features), weight of each n-gram.
        ngrams: int64 (1), n-grams in all training reviews.
        weights: float32 (features, padded classes).
        squares: float32 (features), AdaGrad's accumulators.
        bias: float32 (padded classes).
        bias_squares: float32 (padded classes).
    """

    buckets: npt.NDArray[np.uint32]
    factor: Floats
    ngrams: Ints
    weights: Floats
    squares: Floats
    bias: Floats
    bias_squares: Floats

    @property
    def parameters(self) -> Parameters:
        """What learning changes."""
        return Parameters(self.weights, self.squares, self.bias, self.bias_squares)


def met_in(
    epoch: int,
    rows: npt.NDArray[np.uint32],
    labels: npt.NDArray[np.int16],
    random: np.random.Generator,
    order: Order | None,
) -> tuple[Ints, npt.NDArray[np.uint32], npt.NDArray[np.int16]]:
    """How an epoch meets reviews: their blocks, shuffled, and the rows and labels that these are blocks of.

    Args:
        epoch: from 0.
        rows: uint32 (m), shuffled once and for all.
        labels: int16 (m).
        random: draws the order of the blocks.
        order: gives the places of an epoch's reviews in `rows`; they are then copied, 6 bytes a review.
    """
    blocks = random.permutation(-(-len(rows) // BLOCK))
    if order is None:
        return blocks, rows, labels
    places = order(epoch)
    return np.arange(len(blocks)), rows[places], labels[places]


def fit_linear(  # noqa: PLR0915 - one course of events
    indptr: Ints,
    ids: npt.NDArray[np.uint32],
    rows: npt.NDArray[np.uint32],
    labels: npt.NDArray[np.int16],
    *,
    n_classes: int,
    hash_bits: int,
    settings: LinearSettings,
    threads: int,
    seed: int,
    progress: Progress,
    checkpoint: Checkpoint | None = None,
    order: Order | None = None,
    start: Start | None = None,
    employer: Employer | None = None,
) -> Fitted:
    """Learn weights from the chosen rows.

    Memory: 4 bytes a class and 20 bytes for each n-gram that is learned, as much again for an n-gram's
    classes while it is weighed, 12 bytes for each hash bucket. Encoded reviews are read where they lie.

    Args:
        indptr: int64 (n + 1).
        ids: uint32 (nnz), buckets with counts.
        rows: uint32 (m), reviews to learn from.
        labels: int16 (m), their classes, 0..n_classes-1.
        n_classes: number of classes.
        hash_bits: log2 of the number of buckets.
        settings: epochs, rate, document frequency, idf, relevance, rare classes.
        threads: worker threads.
        seed: of the order of the reviews.
        progress: told the reviews met.
        checkpoint: where the epochs that are done are kept, of these very reviews and settings.
        order: another order than the shuffled one, for experiments, with one shard.
        start: an earlier model to go on from; from nothing when None.
        employer: makes those who learn in shards; threads of this process when None.

    Raises:
        NotEnoughDataError: no n-gram stands in enough reviews.
    """
    started = time.perf_counter()
    m = len(rows)
    shares = (np.bincount(labels, minlength=n_classes) + 0.5) / (m + 0.5 * n_classes)
    prior = np.log(shares).astype(np.float32)
    kept = None if checkpoint is None else checkpoint.saved(_EPOCH)
    if kept is None:
        state = _begin(
            indptr, ids, rows, labels, shares, hash_bits=hash_bits, settings=settings, threads=threads
        )
        state.bias[:n_classes] = prior
        carried = {} if start is None else start.put_into(state, n_classes, hash_bits)
        losses: list[float] = []
        counting = time.perf_counter() - started
        learning = 0.0
    else:
        state = _State(**kept[0])
        losses, counting, learning = (kept[1][name] for name in ("losses", "counting", "learning"))
        carried = kept[1].get("carried", {})
    position = positions(state.buckets, 1 << hash_bits)
    tf = count_weights()
    class_weights = _class_weights(labels, n_classes, settings.rare_class_reviews)
    random = np.random.default_rng(seed)
    steps = settings.epochs * m
    workers = _workers(
        Reviews(indptr, ids, rows, labels), Vocabulary(state.buckets, state.factor, class_weights), employer,
        n_classes=n_classes, hash_bits=hash_bits, settings=settings, threads=threads, seed=seed,
    )  # fmt: skip

    def rate(done: int) -> float:
        return settings.learning_rate * max(0.0, 1 - done / steps)

    progress.start("Training", steps)
    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        for epoch in range(settings.epochs):
            visited, met, classes = met_in(epoch, rows, labels, random, order)
            if epoch < len(losses):  # done by the run that was stopped
                progress.advance(m)
                continue
            total = 0.0
            if workers is not None:  # they meet all reviews
                visited = visited[:0]
                total = learn_epoch(workers, epoch, state.parameters, progress)
            chunks = [visited[i : i + CHUNK_BLOCKS] for i in range(0, len(visited), CHUNK_BLOCKS)]

            def work(
                place: int,
                chunks: list[Ints] = chunks,
                epoch: int = epoch,
                met: npt.NDArray[np.uint32] = met,
                classes: npt.NDArray[np.int16] = classes,
            ) -> float:
                done = epoch * m + place * CHUNK_BLOCKS * BLOCK
                rates = rate(done), rate(done + len(chunks[place]) * BLOCK)
                turn = 1 + (seed * settings.epochs + epoch) * len(chunks) + place
                loss: float = learn(
                    indptr, ids, position, met, classes, chunks[place], state.factor, tf, state.weights,
                    state.squares, state.bias, state.bias_squares, class_weights, n_classes, *rates,
                    settings.dropout, turn,
                )  # fmt: skip
                return loss

            for place, loss in enumerate(pool.map(work, range(len(chunks)))):
                total += loss
                progress.advance(min(m, (place + 1) * CHUNK_BLOCKS * BLOCK) - place * CHUNK_BLOCKS * BLOCK)
            losses.append(total / m)
            if checkpoint is not None and checkpoint.due:
                spent = learning + time.perf_counter() - began
                told = {"losses": losses, "counting": counting, "learning": spent, "carried": carried}
                checkpoint.save(_EPOCH, {one.name: getattr(state, one.name) for one in fields(state)}, told)
    progress.finish()
    # Rounded now, so that a model that was stored as bfloat16 predicts what the fresh one does.
    weights = rounded(np.ascontiguousarray(state.weights[:, :n_classes]))
    facts = {
        **carried,
        "training_reviews": m,
        "training_ngrams": int(state.ngrams[0]),
        "loss_by_epoch": [round(loss, 6) for loss in losses],
        "seed": seed,
        "threads": threads,
        "seconds": {
            "count": round(counting, 3),
            "learn": round(learning + time.perf_counter() - began, 3),
        },
    }
    return Fitted(
        (state.buckets, state.factor, weights, state.bias[:n_classes].copy(), prior),
        facts,
        Accumulators(state.squares, state.bias_squares[:n_classes].copy()),
    )


def _workers(
    reviews: Reviews,
    words: Vocabulary,
    employer: Employer | None,
    *,
    n_classes: int,
    hash_bits: int,
    settings: LinearSettings,
    threads: int,
    seed: int,
) -> Workers | None:
    """Who learns in shards; None where all is learned at once."""
    if employer is None and settings.shards == 1:
        return None
    plan = Plan.of(
        settings.shards,
        len(reviews.rows),
        n_classes=n_classes,
        hash_bits=hash_bits,
        epochs=settings.epochs,
        averages=settings.averages,
        learning_rate=settings.learning_rate,
        dropout=settings.dropout,
        seed=seed,
    )
    return Threads(plan, reviews, words, threads) if employer is None else employer(plan, reviews, words)


def _begin(
    indptr: Ints,
    ids: npt.NDArray[np.uint32],
    rows: npt.NDArray[np.uint32],
    labels: npt.NDArray[np.int16],
    shares: npt.NDArray[np.floating[Any]],
    *,
    hash_bits: int,
    settings: LinearSettings,
    threads: int,
) -> _State:
    """Choose the n-grams and weigh them; nothing is learned yet."""
    m = len(rows)
    frequency = document_frequency(indptr, ids, rows, 1 << hash_bits, threads)
    used = np.flatnonzero(frequency >= settings.min_document_frequency)
    if len(used) == 0:
        raise NotEnoughDataError(
            f"no word stands in {settings.min_document_frequency} of the {m} training reviews. "
            "Add reviews, or lower train.linear.min_document_frequency."
        )
    buckets: npt.NDArray[np.uint32] = used[np.argsort(-frequency[used], kind="stable")].astype(np.uint32)
    frequency = frequency[buckets]
    # One factor of an n-gram is all that predicting and explaining know: its relevance is part of it.
    factor = (np.log((1 + m) / (1 + frequency)) + 1) ** settings.idf_power
    if settings.relevance_power > 0:
        position = positions(buckets, 1 << hash_bits)
        told = relevances(
            indptr, ids, position, rows, labels, frequency=frequency, shares=shares, threads=threads
        )
        factor *= (LEAST_RELEVANCE + told) ** settings.relevance_power
    width = -(-len(shares) // _LANE) * _LANE
    return _State(
        buckets=buckets,
        factor=factor.astype(np.float32),
        ngrams=np.array([frequency.sum(dtype=np.int64)]),
        weights=np.zeros((len(buckets), width), np.float32),
        squares=np.full(len(buckets), _FIRST_SQUARE, np.float32),
        bias=np.zeros(width, np.float32),
        bias_squares=np.full(width, _FIRST_SQUARE, np.float32),
    )


def _class_weights(labels: npt.NDArray[np.int16], n_classes: int, enough: int) -> Floats:
    """What a review of each class counts: (enough / reviews of the class)^½, 1 from `enough` on. (classes,).

    In few reviews no class is rare merely because all are small: the mean of the classes is enough.
    """
    counts = np.bincount(labels, minlength=n_classes)
    bound = min(enough, len(labels) / n_classes)
    return np.sqrt(np.maximum(1, bound / np.maximum(1, counts))).astype(np.float32)
