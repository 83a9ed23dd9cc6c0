"""What the out-of-fold models said of every review, opened for an audit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shelfcheck.errors import WorkspaceError
from shelfcheck.predict.out_of_fold import open_log_probabilities
from shelfcheck.schema import FOLD, PRODUCT_CATEGORY, PRODUCT_ID

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

FLOOR: Final = -16.0  # nats; no text is surer than that, and float16 has little below it
CHUNK_ROWS: Final = 1 << 16
NO_CATEGORY_LEARNED: Final = "category_not_learned"
NO_PRODUCT: Final = "no_product_id"


@dataclass(frozen=True)
class Judged:
    """Out-of-fold judgements, in the order of `predictions.parquet`.

    Memory: 4 + 2 + 1 bytes a review and the product ids; log probabilities stay on disk.

    Attributes:
        folder: where `out_of_fold` wrote.
        log_p: float16 (n, K), memory-mapped, calibrated log probabilities.
        categories: names of the K columns.
        assigned: int16 (n), column of the assigned category; -1 where it was not learned.
        product: int32 (n), code of the product; -1 where the review has none.
        fold: int8 (n), product fold.
        product_ids: string (P), id of each product code.
    """

    folder: Path
    log_p: npt.NDArray[np.float16]
    categories: tuple[str, ...]
    assigned: npt.NDArray[np.int16]
    product: npt.NDArray[np.int32]
    fold: npt.NDArray[np.int8]
    product_ids: pa.Array

    @classmethod
    def open(cls, folder: str | Path) -> Judged:
        """Open what `out_of_fold` wrote.

        Raises:
            WorkspaceError: it is missing or incomplete.
        """
        home = Path(folder)
        try:
            log_p, categories = open_log_probabilities(home)
            table = pq.read_table(
                home / "predictions.parquet",
                columns=[PRODUCT_ID, PRODUCT_CATEGORY, FOLD],
                read_dictionary=[PRODUCT_ID, PRODUCT_CATEGORY],
            )
        except (OSError, KeyError, ValueError, pa.ArrowException) as error:
            raise WorkspaceError(
                f"{home}: no out-of-fold predictions that can be read ({error}). "
                "Make them with: shelfcheck audit"
            ) from error
        if table.num_rows != len(log_p):
            raise WorkspaceError(
                f"{home}: {table.num_rows} predictions, but log probabilities of {len(log_p)} reviews. "
                "Make them again with: shelfcheck audit"
            )
        product, product_ids = _coded(table[PRODUCT_ID])
        given, names = _coded(table[PRODUCT_CATEGORY])
        column = pc.index_in(names, value_set=pa.array(categories, pa.string())).fill_null(-1)
        column = np.append(column.to_numpy(zero_copy_only=False), -1).astype(np.int16)
        return cls(
            folder=home,
            log_p=log_p,
            categories=categories,
            assigned=column[given],
            product=product,
            fold=table[FOLD].fill_null(0).to_numpy().astype(np.int8),
            product_ids=product_ids,
        )

    @property
    def n_reviews(self) -> int:
        """Number of reviews."""
        return len(self.assigned)

    @property
    def n_products(self) -> int:
        """Number of products that have a review."""
        return len(self.product_ids)

    def rows_of(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Log probabilities of some reviews, float32 (rows, K), not below FLOOR."""
        return np.maximum(self.log_p[rows].astype(np.float32), np.float32(FLOOR))

    def chunks(self, rows: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
        """Parts of `rows` that are small enough to work on at once."""
        for at in range(0, len(rows), CHUNK_ROWS):
            yield rows[at : at + CHUNK_ROWS]


def _coded(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.int32], pa.Array]:
    """Codes of a string column (-1 for null), and its distinct values in order of value."""
    values = pa.array([], pa.string())
    merged = column.unify_dictionaries()
    if merged.num_chunks:
        values = merged.chunk(0).dictionary.cast(pa.string())
    codes = [np.asarray(one.indices.fill_null(-1)) for one in merged.chunks]
    found = np.concatenate(codes).astype(np.int32) if codes else np.empty(0, np.int32)
    # Ordered by value, so that a code does not depend on the order of the rows.
    order = np.asarray(pc.array_sort_indices(values)).astype(np.int64)
    rank = np.full(len(values) + 1, -1, np.int32)
    rank[order] = np.arange(len(values), dtype=np.int32)
    return rank[found], values.take(pa.array(order))
