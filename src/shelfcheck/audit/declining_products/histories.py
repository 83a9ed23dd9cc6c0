"""The dated, starred reviews of each product that has enough of them, in order of time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelfcheck.models.ngrams import row_keys
from shelfcheck.prepare.read import count_prepared, iter_prepared
from shelfcheck.progress import NullProgress
from shelfcheck.schema import CUSTOMER_ID, PRODUCT_ID, REVIEW_DATE, REVIEW_ID, STAR_RATING

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from shelfcheck.models.encode import Encoded
    from shelfcheck.progress import Progress

NO_PRODUCT: Final = "reviews_without_a_product_id"
NO_DATE: Final = "reviews_without_a_date"
NO_STARS: Final = "reviews_without_stars"
REPEATED: Final = "reviews_of_a_customer_who_wrote_before"
TOO_FEW: Final = "products_with_too_few_reviews"


@dataclass(frozen=True)
class Histories:
    """Reviews by product, in order of time; of one day, in the order of a hash of their ids.

    Memory: about 25 bytes a review of the products with enough reviews.

    Attributes:
        row: int64 (n), row of the encoded reviews.
        starts: int64 (m + 1), where each product begins.
        category: int16 (m), the category that most of its reviews carry; -1 for none.
        day: int32 (n), days since 1970.
        stars: int8 (n), 1..5.
        u: float32 (n), uniform on (0, 1) by a hash of the review's id: breaks ties.
        product_ids: string (m).
        skipped: rows that could not be used and products with too few, by reason.
    """

    row: npt.NDArray[np.int64]
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
        """int32 (n), place of each review's product."""
        return np.repeat(np.arange(self.n_products, dtype=np.int32), np.diff(self.starts))

    @classmethod
    def gather(
        cls,
        encoded: Encoded,
        prepared_dir: str | Path,
        min_reviews: int,
        progress: Progress | None = None,
    ) -> Histories:
        """Collect them.

        Args:
            encoded: the reviews; their rows stand in the order of a hash of their ids.
            prepared_dir: output of `prepare`, which knows the customers.
            min_reviews: reviews that are enough.
            progress: told the reviews read.
        """
        table = encoded.rows()
        stars = table[STAR_RATING].fill_null(0).to_numpy().astype(np.int8)
        dated = table[REVIEW_DATE].is_valid().to_numpy()
        known = table[PRODUCT_ID].is_valid().to_numpy()
        usable = known & dated & (stars > 0)
        skipped = {
            NO_PRODUCT: int((~known).sum()),
            NO_DATE: int((known & ~dated).sum()),
            NO_STARS: int((known & dated & (stars == 0)).sum()),
        }
        coded = table[PRODUCT_ID].combine_chunks().dictionary_encode()
        coded = coded.chunk(0) if isinstance(coded, pa.ChunkedArray) else coded
        code = coded.indices.fill_null(0).to_numpy().astype(np.int64)
        counts = np.bincount(code[usable], minlength=len(coded.dictionary))
        rows = (
            np.flatnonzero(usable & (counts[code] >= min_reviews)) if len(counts) else np.empty(0, np.int64)
        )
        days = table[REVIEW_DATE].cast(pa.int32()).fill_null(0).to_numpy()
        rows = rows[np.lexsort((rows, days[rows], code[rows]))]
        ids = table[REVIEW_ID].take(pa.array(rows)).combine_chunks()
        first = _first_of_customer(ids, code[rows], prepared_dir, progress or NullProgress())
        skipped[REPEATED] = int((~first).sum())
        rows, ids = rows[first], ids.filter(pa.array(first))
        enough = np.bincount(code[rows], minlength=len(counts)) >= min_reviews
        skipped[TOO_FEW] = int(((counts > 0) & ~enough).sum())
        kept = enough[code[rows]] if len(rows) else np.zeros(0, np.bool_)
        rows, ids = rows[kept], ids.filter(pa.array(kept))
        # By the product's id, so that nothing depends on the order of the rows.
        names = coded.dictionary.cast(pa.string())
        place = np.empty(len(names), np.int64)
        place[np.asarray(pc.array_sort_indices(names)).astype(np.int64)] = np.arange(len(names))
        order = np.argsort(place[code[rows]], kind="stable")
        rows, ids = rows[order], ids.take(pa.array(order))
        own = code[rows]
        begins = np.flatnonzero(np.append(True, own[1:] != own[:-1])) if len(own) else np.empty(0, np.int64)
        starts = np.append(begins, len(own)).astype(np.int64)
        return cls(
            row=rows,
            starts=starts,
            category=_most(encoded.label[rows], starts),
            day=days[rows].astype(np.int32),
            stars=stars[rows],
            u=uniform(ids),
            product_ids=names.take(pa.array(own[begins])),
            skipped=skipped,
        )


def uniform(ids: pa.Array) -> npt.NDArray[np.float32]:
    """A number in (0, 1) for each id, float32 (n); not the hash that rows are ordered by."""
    key = row_keys(ids) * np.uint64(0x9E3779B97F4A7C15)
    key ^= key >> np.uint64(29)
    key *= np.uint64(0xBF58476D1CE4E5B9)
    found: npt.NDArray[np.float32] = (((key >> np.uint64(40)).astype(np.float64) + 0.5) / (1 << 24)).astype(
        np.float32
    )
    return found


def _first_of_customer(
    ids: pa.Array, code: npt.NDArray[np.int64], prepared_dir: str | Path, progress: Progress
) -> npt.NDArray[np.bool_]:
    """Whether each review is the first that its customer wrote of the product; unknown customers are many."""
    if not len(ids):
        return np.zeros(0, np.bool_)
    progress.start("Reading customers", count_prepared(prepared_dir))
    kept = []
    for batch in iter_prepared(prepared_dir, [REVIEW_ID, CUSTOMER_ID]):
        progress.advance(batch.num_rows)
        known = batch.filter(batch[CUSTOMER_ID].is_valid())
        kept.append(known.filter(pc.is_in(known[REVIEW_ID], value_set=ids)))
    progress.finish()
    table = pa.Table.from_batches(kept) if kept else None
    if table is None or not table.num_rows:
        return np.ones(len(ids), np.bool_)
    at = pc.index_in(ids, value_set=table[REVIEW_ID].combine_chunks())
    coded = table[CUSTOMER_ID].combine_chunks().dictionary_encode()
    coded = coded.chunk(0) if isinstance(coded, pa.ChunkedArray) else coded
    customer = coded.indices.take(at)
    known = customer.is_valid().to_numpy(zero_copy_only=False)
    found = np.ones(len(ids), np.bool_)
    rows = np.flatnonzero(known)
    both = code[rows] * (len(coded.dictionary) + 1) + customer.fill_null(0).to_numpy()[rows]
    _, first = np.unique(both, return_index=True)
    found[rows] = False
    found[rows[first]] = True
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
