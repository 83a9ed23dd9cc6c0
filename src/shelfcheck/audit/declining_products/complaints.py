"""How much a review reads like a complaint, by a model that saw no review of its product.

One logistic regression of the stars on the hashed n-grams of headline and body, a product fold at a time:
1 star counts as 1, 5 stars as 0, those between in equal steps. It is small on purpose (one weight an n-gram,
two passes): what is asked of it is a change within a product, not the stars of a review.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import numpy as np

from shelfcheck.audit.room import Room
from shelfcheck.models import split
from shelfcheck.models.blocks import blocks
from shelfcheck.models.ngrams import thread_count
from shelfcheck.progress import NullProgress

if TYPE_CHECKING:
    import numpy.typing as npt

    from shelfcheck.models.encoded import Encoded
    from shelfcheck.progress import Progress

FOLDS: Final = 2
_EPOCHS: Final = 2
_RATE: Final = 1.0
_MOST_ROWS: Final = 1_000_000  # to learn from; rows are in random order, so the first are a sample


def complaint_scores(
    encoded: Encoded, threads: int = 0, progress: Progress | None = None, room: Room | None = None
) -> npt.NDArray[np.float32]:
    """Log odds that a review's text complains, out of fold by product.

    The result does not depend on the number of threads.

    Args:
        encoded: hashed n-grams of the reviews.
        threads: worker threads, of which each learns a fold; 0 takes all processors.
        progress: told the folds done.
        room: for the scores.

    Returns:
        float32 (n), in the order of `encoded`.
    """
    from shelfcheck.audit.declining_products.kernels import learn, score  # noqa: PLC0415 - loads Numba

    progress, room = progress or NullProgress(), room or Room()
    target = room.array(encoded.n_rows, np.float32)
    for block in blocks(encoded.n_rows):
        target[block] = ((5 - encoded.stars[block].astype(np.int64)) / 4).astype(np.float32)
    fold = split.fold(encoded.bucket, FOLDS)
    found: npt.NDArray[np.float32] = room.array(encoded.n_rows, np.float32)

    def work(one: int) -> None:
        rows = np.zeros(0, np.int64)
        for block in blocks(encoded.n_rows):
            own = np.flatnonzero((fold[block] != one) & (encoded.stars[block] > 0)) + block.start
            rows = np.concatenate([rows, own])[:_MOST_ROWS]
            if len(rows) == _MOST_ROWS:
                break
        weight = np.zeros((1 << encoded.hash_bits, 2), np.float32)
        bias = np.zeros(len(encoded.categories) + 1, np.float32)
        learn(encoded.indptr, encoded.ids, rows, target, encoded.label, _EPOCHS, _RATE, weight, bias)
        for block in blocks(encoded.n_rows):
            own = np.flatnonzero(fold[block] == one) + block.start
            score(encoded.indptr, encoded.ids, own, encoded.label, weight, bias, found)

    progress.start("Learning what complaints read like", FOLDS, "folds")
    with ThreadPoolExecutor(thread_count(threads)) as pool:
        for _ in pool.map(work, range(FOLDS)):
            progress.advance(1)
    progress.finish()
    return found
