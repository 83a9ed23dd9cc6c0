"""How n-grams are chosen and weighed before a model is fitted: what `linear` and `embedding` share."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shelfcheck.models.count_kernels import count_classes, count_documents, relevance
from shelfcheck.models.ngram_kernels import MAX_COUNT

if TYPE_CHECKING:
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float32]

LEAST_RELEVANCE: Final = 0.05  # nats; what is added, so that no n-gram is without any weight
_COUNT_THREADS: Final = 4  # each counts into its own table
_COUNTS: Final = 2  # such tables of n-grams by class: no more than learning needs after


def count_weights() -> Floats:
    """The weight of an n-gram that stands 1, 2, … times in a review: 1 + ln(count). (MAX_COUNT,)."""
    return (1 + np.log(np.arange(1, MAX_COUNT + 1))).astype(np.float32)


def document_frequency(
    indptr: Ints, ids: npt.NDArray[np.uint32], rows: npt.NDArray[np.uint32], buckets: int, threads: int
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
    indptr: Ints,
    ids: npt.NDArray[np.uint32],
    position: npt.NDArray[np.int32],
    rows: npt.NDArray[np.uint32],
    labels: npt.NDArray[np.int16],
    *,
    frequency: npt.NDArray[np.int32],
    shares: npt.NDArray[np.floating[Any]],
    threads: int,
) -> npt.NDArray[np.float64]:
    """How much each n-gram tells about the category, in nats; the same for any number of threads.

    Memory: with one thread 4 bytes for each class of an n-gram, with more 8.

    Args:
        indptr: int64 (n + 1).
        ids: uint32 (nnz), buckets with counts.
        position: int32 (buckets), number of each n-gram, -1 where a bucket is none, as `positions` gives it.
        rows: uint32 (m), the chosen rows.
        labels: int16 (m), classes of the rows.
        frequency: int32 (n-grams), rows that hold each, falling.
        shares: (classes,), share of each class among the rows.
        threads: worker threads.
    """
    told = np.empty(len(frequency))
    parts = min(threads, _COUNTS)
    upto = np.cumsum(frequency, dtype=np.int64)
    # The frequent come first: cut where the reviews to count, not the n-grams, are shared evenly.
    inner = np.searchsorted(upto, np.linspace(0, upto[-1], threads // parts + 1)[1:-1])
    ranges = list(itertools.pairwise([0, *inner.tolist(), len(told)]))
    counts = [np.zeros((len(told), len(shares)), np.int32) for _ in range(parts)]
    shared = zip(np.array_split(rows, parts), np.array_split(labels, parts), counts, strict=True)
    with ThreadPoolExecutor(threads) as pool:
        counting = [
            pool.submit(count_classes, indptr, ids, position, some, classes, first, last, table)
            for some, classes, table in shared
            for first, last in ranges
        ]
        for one in counting:
            one.result()
        for table in counts[1:]:
            counts[0] += table
        places = np.linspace(0, len(told), threads + 1).astype(np.int64).tolist()
        telling = [
            pool.submit(relevance, counts[0], shares, first, last, told)
            for first, last in itertools.pairwise(places)
        ]
        for one in telling:
            one.result()
    return told


def positions(buckets: npt.NDArray[np.uint32], n_buckets: int) -> npt.NDArray[np.int32]:
    """The place of each hash bucket among the known ones, -1 where it is unknown. (n_buckets,)."""
    position = np.full(n_buckets, -1, np.int32)
    position[buckets] = np.arange(len(buckets), dtype=np.int32)
    return position


def rounded(weights: Floats) -> Floats:
    """Round to bfloat16 (the upper half of a float32), to nearest, ties to even; still float32."""
    bits = weights.view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    found: Floats = ((bits + np.uint32(0x7FFF) + odd) & np.uint32(0xFFFF0000)).view(np.float32)
    return found
