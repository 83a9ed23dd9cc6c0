"""How n-grams are chosen and weighed before a model is fitted: what `linear` and `embedding` share."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shelfcheck.models.kernels import MAX_COUNT, compact, count_documents, relevance

if TYPE_CHECKING:
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float32]

LEAST_RELEVANCE: Final = 0.05  # nats; what is added, so that no n-gram is without any weight
_COUNT_THREADS: Final = 4  # each counts into its own table


def count_weights() -> Floats:
    """The weight of an n-gram that stands 1, 2, … times in a review: 1 + ln(count). (MAX_COUNT,)."""
    return (1 + np.log(np.arange(1, MAX_COUNT + 1))).astype(np.float32)


def document_frequency(
    indptr: Ints, ids: npt.NDArray[np.uint32], rows: Ints, buckets: int, threads: int
) -> npt.NDArray[np.int32]:
    """In how many of the chosen rows each hash bucket stands. (buckets,)."""
    workers = min(threads, _COUNT_THREADS)
    parts = np.array_split(rows, workers)
    counts = [np.zeros(buckets, np.int32) for _ in parts]
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda part, count: count_documents(indptr, ids, part, count), parts, counts))
    for count in counts[1:]:
        counts[0] += count
    return counts[0]


def relevances(
    starts: Ints,
    stops: Ints,
    ids: npt.NDArray[np.uint32],
    labels: npt.NDArray[np.int16],
    frequency: npt.NDArray[np.int32],
    *,
    shares: npt.NDArray[np.floating[Any]],
    threads: int,
) -> npt.NDArray[np.float64]:
    """How much each n-gram tells about the category, in nats; each thread does some of the n-grams.

    Args:
        starts: int64 (m), where each row's n-grams start in `ids`, as `compacted` gives them.
        stops: int64 (m), where they stop.
        ids: uint32 (nnz), n-grams with counts, numbered from the most frequent down.
        labels: int16 (m), classes of the rows.
        frequency: int32 (n-grams), rows that hold each.
        shares: (classes,), share of each class among the rows.
        threads: worker threads.
    """
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


def compacted(
    indptr: Ints,
    ids: npt.NDArray[np.uint32],
    rows: Ints,
    buckets: npt.NDArray[np.uint32],
    *,
    n_buckets: int,
    threads: int,
) -> tuple[Ints, Ints, npt.NDArray[np.uint32]]:
    """The chosen rows with known n-grams only, renumbered: where each starts and stops, and the ids.

    Args:
        indptr: int64 (n + 1).
        ids: uint32 (nnz), buckets with counts.
        rows: int64 (m), the chosen rows.
        buckets: uint32 (n-grams), the known ones; an n-gram's number is its place here.
        n_buckets: number of hash buckets.
        threads: worker threads.
    """
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
