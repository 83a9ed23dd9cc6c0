"""The dated, starred reviews of each product that has enough of them, in order of time."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from shelfcheck.audit.room import Room
from shelfcheck.models.blocks import blocks
from shelfcheck.models.encoded import NO_DAY
from shelfcheck.models.encoded import NO_PRODUCT as NO_PRODUCT_CODE
from shelfcheck.models.ngrams import row_keys
from shelfcheck.schema import REVIEW_ID

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from shelfcheck.models.encoded import Encoded

NO_PRODUCT: Final = "reviews_without_a_product_id"
NO_DATE: Final = "reviews_without_a_date"
NO_STARS: Final = "reviews_without_stars"
REPEATED: Final = "reviews_of_a_customer_who_wrote_before"
TOO_FEW: Final = "products_with_too_few_reviews"
SPAN: Final = 1 << 20  # reviews of products that are worked on at a time


@dataclass(frozen=True)
class Histories:
    """Reviews by product, in order of time; of one day, in the order of a hash of their ids.

    Memory: 8 bytes a product; 17 bytes a review of the products with enough reviews and 4 of every review, in
    files where that is much.

    Attributes:
        row: uint32 (n), row of the encoded reviews.
        starts: int64 (m + 1), where each product begins.
        category: int16 (m), the category that most of its reviews carry; -1 for none.
        day: int32 (n), days since 1970.
        stars: int8 (n), 1..5.
        u: float32 (n), uniform on (0, 1) by a hash of the review's id: breaks ties.
        product_ids: string (m).
        skipped: rows that could not be used and products with too few, by reason.
    """

    row: npt.NDArray[np.integer[Any]]
    starts: npt.NDArray[np.int64]
    category: npt.NDArray[np.int16]
    day: npt.NDArray[np.int32]
    stars: npt.NDArray[np.int8]
    u: npt.NDArray[np.float32]
    product_ids: pa.Array
    skipped: dict[str, int] = field(default_factory=dict)

    @property
    def n_products(self) -> int:
        """Number of products."""
        return len(self.starts) - 1

    @property
    def product(self) -> npt.NDArray[np.int32]:
        """int32 (n), place of each review's product; 4 bytes a review, in memory."""
        return np.repeat(np.arange(self.n_products, dtype=np.int32), np.diff(self.starts))

    def product_of(self, places: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """The product of each place."""
        return np.searchsorted(self.starts, places, side="right") - 1

    def spans(self, reviews: int = SPAN) -> Iterator[tuple[int, int]]:
        """Cut the products into runs of about so many reviews each: first, and the one after the last."""
        first = 0
        while first < self.n_products:
            last = int(np.searchsorted(self.starts, self.starts[first] + reviews, side="right")) - 1
            last = min(max(last, first + 1), self.n_products)
            yield first, last
            first = last

    @classmethod
    def gather(
        cls, encoded: Encoded, min_reviews: int, *, threads: int = 1, room: Room | None = None
    ) -> Histories:
        """Collect them.

        Args:
            encoded: the reviews; their rows stand in the order of a hash of their ids.
            min_reviews: reviews that are enough.
            threads: worker threads.
            room: for what is held of every review.
        """
        from shelfcheck.audit.declining_products.history_kernels import (  # noqa: PLC0415 - loads Numba
            close_up,
            deal,
            in_time,
        )

        room = room or Room()
        skipped, counts = _usable(encoded)
        wanted = counts >= min_reviews
        ends = np.concatenate([[0], np.cumsum(np.where(wanted, counts, 0), dtype=np.int64)])
        dealt = room.array(int(ends[-1]), np.uint32)
        deal(encoded.product, encoded.day, encoded.stars, wanted, ends[:-1].copy(), dealt)
        sizes = np.zeros(len(counts), np.int64)
        cuts = np.searchsorted(ends, np.linspace(0, ends[-1], 4 * threads + 1))
        cuts[-1] = len(counts)

        def order(span: tuple[int, int]) -> None:
            first, last = span
            in_time(ends, first, last, encoded.day, encoded.customer, dealt, sizes)

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(order, itertools.pairwise(cuts.tolist())))
        skipped[REPEATED] = int(counts[wanted].sum() - sizes.sum())
        enough = sizes >= min_reviews
        skipped[TOO_FEW] = int(((counts > 0) & ~enough).sum())
        kept = np.flatnonzero(enough)
        starts = np.concatenate([[0], np.cumsum(sizes[kept])]).astype(np.int64)
        n = int(starts[-1])
        row = room.array(n, np.uint32)
        close_up(ends, kept, sizes, dealt, row)
        u_of_all = room.array(encoded.n_rows, np.float32)
        done = 0
        for batch in encoded.batches([REVIEW_ID]):
            u_of_all[done : done + len(batch)] = uniform(batch.column(0).combine_chunks())
            done += len(batch)
        day, stars, u = room.array(n, np.int32), room.array(n, np.int8), room.array(n, np.float32)
        for block in blocks(n):
            rows = row[block]
            day[block], stars[block], u[block] = encoded.day[rows], encoded.stars[rows], u_of_all[rows]
        made = cls(
            row=row,
            starts=starts,
            category=np.empty(len(kept), np.int16),
            day=day,
            stars=stars,
            u=u,
            product_ids=encoded.product_ids.take(pa.array(kept)),
            skipped=skipped,
        )
        for first, last in made.spans():
            own = made.starts[first : last + 1]
            label = np.asarray(encoded.label[row[own[0] : own[-1]]])
            made.category[first:last] = _most(label, own - own[0])
        return made


def _usable(encoded: Encoded) -> tuple[dict[str, int], npt.NDArray[np.int32]]:
    """Reviews that cannot be used, by reason, and the number of those of each product that can."""
    skipped = {NO_PRODUCT: 0, NO_DATE: 0, NO_STARS: 0}
    counts = np.zeros(len(encoded.product_ids), np.int32)
    for block in blocks(encoded.n_rows):
        product = np.asarray(encoded.product[block])
        known, dated = product != NO_PRODUCT_CODE, encoded.day[block] != NO_DAY
        starred = encoded.stars[block] > 0
        skipped[NO_PRODUCT] += int((~known).sum())
        skipped[NO_DATE] += int((known & ~dated).sum())
        skipped[NO_STARS] += int((known & dated & ~starred).sum())
        codes, times = np.unique(product[known & dated & starred], return_counts=True)
        counts[codes] += times.astype(np.int32)
    return skipped, counts


def uniform(ids: pa.Array) -> npt.NDArray[np.float32]:
    """A number in (0, 1) for each id, float32 (n); not the hash that rows are ordered by."""
    key = row_keys(ids) * np.uint64(0x9E3779B97F4A7C15)
    key ^= key >> np.uint64(29)
    key *= np.uint64(0xBF58476D1CE4E5B9)
    found: npt.NDArray[np.float32] = (((key >> np.uint64(40)).astype(np.float64) + 0.5) / (1 << 24)).astype(
        np.float32
    )
    return found


def _most(label: npt.NDArray[np.int16], starts: npt.NDArray[np.int64]) -> npt.NDArray[np.int16]:
    """The most frequent label of each product, the smallest where several are."""
    if len(starts) == 1:
        return np.empty(0, np.int16)
    product = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    width = int(label.max()) + 2
    keys, counts = np.unique(product * width + label + 1, return_counts=True)
    order = np.lexsort((keys, -counts, keys // width))
    _, first = np.unique(keys[order] // width, return_index=True)
    found: npt.NDArray[np.int16] = (keys[order][first] % width - 1).astype(np.int16)
    return found
