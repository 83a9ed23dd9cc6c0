"""Learning `linear` in shards: each learns from reviews of its own; a few times an epoch they are averaged.

A shard is a range of the reviews, which lie shuffled, so that each is a sample of all. What a shard does in
a step, from one average to the next, by one thread, depends on the parameters, its reviews and the seed
alone: whoever does it, in whatever order, here or on another machine, however often, does the same to the
bit. `Workers` do it: threads of this process, or those of `shards_spark`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import numpy as np

from shelfcheck.models.averaging import Average, Change, Parameters
from shelfcheck.models.blocks import blocks
from shelfcheck.models.kernels import BLOCK, learn
from shelfcheck.models.ngram_weights import count_weights, document_frequency, positions

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from shelfcheck.progress import Progress

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float32]
    Ids = npt.NDArray[np.uint32]

CHUNK_BLOCKS: Final = 16  # blocks that are learned from in one call
_COMPARED: Final = 1 << 16  # rows of weights at a time


class Reviews(NamedTuple):
    """Reviews to learn from, in shuffled order.

    Attributes:
        indptr: int64 (n + 1).
        ids: uint32 (nnz), buckets with counts.
        rows: uint32 (m), which of the n.
        labels: int16 (m), their classes, 0..n_classes-1.
    """

    indptr: Ints
    ids: Ids
    rows: Ids
    labels: npt.NDArray[np.int16]


@dataclass(frozen=True)
class Plan:
    """How reviews are cut into shards and learned from; plain values, the same for every shard.

    Attributes:
        cuts: first block of each shard, and the block after the last.
        reviews: in all shards.
        n_classes: number of classes.
        hash_bits: log2 of the number of buckets.
        epochs: passes over the reviews.
        averages: steps of an epoch, after each of which the shards are averaged.
        learning_rate: the first; falls to 0 linearly.
        dropout: share of n-grams left out.
        seed: of the order of the reviews, and of what is left out.
    """

    cuts: tuple[int, ...]
    reviews: int
    n_classes: int
    hash_bits: int
    epochs: int
    averages: int
    learning_rate: float
    dropout: float
    seed: int

    @classmethod
    def of(cls, shards: int, reviews: int, **told: float) -> Plan:
        """Cut reviews into as many shards, or fewer where there are fewer blocks; `told` is the rest."""
        every = -(-reviews // BLOCK)
        n = max(1, min(shards, every))
        return cls(tuple(every * i // n for i in range(n + 1)), reviews, **told)  # type: ignore[arg-type]

    @property
    def shards(self) -> int:
        """Number of shards."""
        return len(self.cuts) - 1

    def rows_of(self, shard: int) -> slice:
        """The reviews of a shard."""
        return slice(self.cuts[shard] * BLOCK, min(self.reviews, self.cuts[shard + 1] * BLOCK))

    def visited(self, shard: int, epoch: int) -> Ints:
        """The shard's own blocks, numbered from 0, in the order in which it meets them.

        All shards' together are what one learner would meet: one shard meets all in the very same order.
        """
        random = np.random.default_rng(self.seed)
        for _ in range(epoch + 1):
            order = random.permutation(self.cuts[-1])
        first, end = self.cuts[shard], self.cuts[shard + 1]
        return order[(order >= first) & (order < end)] - first

    def chunks(self, shard: int) -> int:
        """In how many calls a shard's epoch is learned."""
        return -(-(self.cuts[shard + 1] - self.cuts[shard]) // CHUNK_BLOCKS)

    def places(self, shard: int, step: int) -> range:
        """Which of an epoch's calls a shard does in a step, counted from 0 in each epoch."""
        calls, part = self.chunks(shard), step % self.averages
        return range(calls * part // self.averages, calls * (part + 1) // self.averages)

    def met(self, shard: int, step: int) -> int:
        """How many reviews a shard meets in a step."""
        rows, places = self.rows_of(shard), self.places(shard, step)
        most, size = rows.stop - rows.start, CHUNK_BLOCKS * BLOCK
        return int(min(most, places.stop * size) - min(most, places.start * size))

    def rate(self, done: float) -> float:
        """The learning rate after so many reviews, of all epochs."""
        return self.learning_rate * max(0.0, 1 - done / (self.epochs * self.reviews))


class Vocabulary(NamedTuple):
    """What is known before anything is learned.

    Attributes:
        buckets: uint32 (features), most frequent first.
        factor: float32 (features), weight of each n-gram.
        class_weights: float32 (classes), what a review of each class counts.
    """

    buckets: Ids
    factor: Floats
    class_weights: Floats


def learn_shard(  # noqa: PLR0917 - what a step of a shard depends on
    own: Reviews, plan: Plan, shard: int, step: int, words: Vocabulary, start: Parameters
) -> tuple[Change, float]:
    """A step of one shard; a pure function.

    Only the n-grams that stand in the reviews of the step are copied and learned, so that its memory is that
    of its own vocabulary, and parameters may lie memory-mapped.

    Args:
        own: the shard's reviews alone.
        plan: how all are cut.
        shard: its number.
        step: from 0, of all epochs.
        words: what is known beforehand.
        start: what every shard starts from; only read.

    Returns:
        What it changed, and its summed loss in nats.
    """
    buckets = 1 << plan.hash_bits
    epoch, places = step // plan.averages, plan.places(shard, step)
    visited = plan.visited(shard, epoch)
    chunks = {i: visited[i * CHUNK_BLOCKS : (i + 1) * CHUNK_BLOCKS] for i in places}
    met = np.sort(visited[places.start * CHUNK_BLOCKS : places.stop * CHUNK_BLOCKS])
    rows = (met[:, None] * BLOCK + np.arange(BLOCK)).reshape(-1)
    frequency = document_frequency(own.indptr, own.ids, own.rows[rows[rows < len(own.rows)]], buckets, 1)
    features = np.flatnonzero(frequency[words.buckets])
    position = positions(words.buckets[features], buckets)
    weights, squares = start.weights[features], start.squares[features]
    bias, bias_squares = start.bias.copy(), start.bias_squares.copy()
    factor, counts = words.factor[features], count_weights()
    earlier = sum(plan.chunks(other) for other in range(shard))
    every = sum(plan.chunks(other) for other in range(plan.shards))
    scale = plan.reviews / max(1, len(own.rows))  # the rate falls for each shard as it does for all
    loss = 0.0
    for place, chunk in chunks.items():
        done = place * CHUNK_BLOCKS * BLOCK
        before, after = (epoch * plan.reviews + scale * n for n in (done, done + len(chunk) * BLOCK))
        rates = plan.rate(before), plan.rate(after)
        turn = 1 + (plan.seed * plan.epochs + epoch) * every + earlier + place
        loss += learn(
            own.indptr, own.ids, position, own.rows, own.labels, chunk, factor, counts, weights, squares,
            bias, bias_squares, words.class_weights, plan.n_classes, *rates, plan.dropout, turn,
        )  # fmt: skip
    # Not by the accumulators: growth too small for a float32 still moves weights.
    changed = np.empty(len(features), np.bool_)
    for block in blocks(len(features), _COMPARED):
        changed[block] = (weights[block] != start.weights[features[block]]).any(axis=1)
    changed |= squares != start.squares[features]
    change = Change(features[changed], weights[changed], squares[changed], bias, bias_squares)
    return change, loss


class Learned(NamedTuple):
    """What a shard brings back from a step.

    Attributes:
        change: what it learned.
        loss: summed over its reviews, in nats.
    """

    change: Change
    loss: float


class Workers(Protocol):
    """Whoever does the shards' steps.

    Attributes:
        plan: how reviews are cut.
    """

    @property
    def plan(self) -> Plan:
        """How reviews are cut."""

    def step(self, number: int, start: Parameters, progress: Progress) -> Iterator[Learned]:
        """Do a step in every shard, and give what each brings back, in the order of the shards.

        Args:
            number: of the step, from 0, of all epochs.
            start: what every shard starts from; changed by nobody before the last has been given.
            progress: told the reviews met.
        """


class Employer(Protocol):
    """Makes workers for the reviews that a model is learned from."""

    def __call__(self, plan: Plan, reviews: Reviews, words: Vocabulary) -> Workers:
        """Workers for all shards of a plan."""


class Threads:
    """Workers in this process: shards side by side, each by a thread.

    Memory: for each thread the parameters of its shard's n-grams.
    """

    def __init__(self, plan: Plan, reviews: Reviews, words: Vocabulary, threads: int = 1) -> None:
        self.plan, self._reviews, self._words = plan, reviews, words
        self._threads = max(1, min(threads, plan.shards))

    def step(self, number: int, start: Parameters, progress: Progress) -> Iterator[Learned]:
        """See `Workers`; no more shards are begun than threads are free and results were taken."""
        plan, given = self.plan, self._reviews

        def work(shard: int) -> Learned:
            rows = plan.rows_of(shard)
            own = given._replace(rows=given.rows[rows], labels=given.labels[rows])
            return Learned(*learn_shard(own, plan, shard, number, self._words, start))

        with ThreadPoolExecutor(self._threads) as pool:
            for first in range(0, plan.shards, self._threads):
                together = range(first, min(plan.shards, first + self._threads))
                for shard, learned in zip(together, pool.map(work, together), strict=True):
                    progress.advance(plan.met(shard, number))
                    yield learned


def learn_epoch(workers: Workers, epoch: int, start: Parameters, progress: Progress) -> float:
    """One epoch in all shards; `start` becomes their average. The summed loss as met on the way, in nats."""
    plan, loss = workers.plan, 0.0
    for step in range(epoch * plan.averages, (epoch + 1) * plan.averages):
        average = Average(start)
        for learned in workers.step(step, start, progress):
            average.add(learned.change)
            loss += learned.loss
        average.finish()
    return loss
