"""What the out-of-fold models said of every review, opened for an audit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck.errors import WorkspaceError
from shelfcheck.models.blocks import where
from shelfcheck.models.encoded import PRODUCTS
from shelfcheck.predict.out_of_fold import ASSIGNED, FOLDS, PREDICTIONS, PRODUCT, open_log_probabilities
from shelfcheck.schema import PRODUCT_ID, REVIEW_ID

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

FLOOR: Final = -16.0  # nats; no text is surer than that, and float16 has little below it
CHUNK_ROWS: Final = 1 << 16
NO_CATEGORY_LEARNED: Final = "category_not_learned"
NO_PRODUCT: Final = "no_product_id"


@dataclass(frozen=True)
class Judged:
    """Out-of-fold judgements, in the order of `predictions.parquet`; all arrays are memory-mapped.

    Attributes:
        folder: where `out_of_fold` wrote.
        log_p: float16 (n, K), calibrated log probabilities.
        categories: names of the K columns.
        assigned: int16 (n), column of the assigned category; -1 where it was not learned.
        product: int32 (n), code of the product, in the order of the ids; -1 where the review has none.
        fold: int8 (n), product fold.
        n_products: number of products that have a review.
    """

    folder: Path
    log_p: npt.NDArray[np.float16]
    categories: tuple[str, ...]
    assigned: npt.NDArray[np.int16]
    product: npt.NDArray[np.int32]
    fold: npt.NDArray[np.int8]
    n_products: int

    @classmethod
    def open(cls, folder: str | Path) -> Judged:
        """Open what `out_of_fold` wrote.

        Raises:
            WorkspaceError: it is missing or incomplete.
        """
        home = Path(folder)
        try:
            log_p, categories = open_log_probabilities(home)
            n = len(log_p)
            with pq.ParquetFile(home / PREDICTIONS) as predictions:
                rows = predictions.metadata.num_rows
            arrays = {
                "assigned": _mapped(home / ASSIGNED, "<i2"),
                "product": _mapped(home / PRODUCT, "<i4"),  # the code of none is -1 as a signed number
                "fold": _mapped(home / FOLDS, "<i1"),
            }
            products = pq.read_metadata(home / PRODUCTS).num_rows
        except (OSError, KeyError, ValueError, pa.ArrowException) as error:
            raise WorkspaceError(
                f"{home}: no out-of-fold predictions that can be read ({error}). "
                "Make them with: shelfcheck audit"
            ) from error
        for name, length in (("predictions", rows), *((name, len(one)) for name, one in arrays.items())):
            if length != n:
                raise WorkspaceError(
                    f"{home}: {length} {name}, but log probabilities of {n} reviews. "
                    "Make them again with: shelfcheck audit"
                )
        return cls(folder=home, log_p=log_p, categories=categories, n_products=products, **arrays)

    @property
    def n_reviews(self) -> int:
        """Number of reviews."""
        return len(self.assigned)

    @cached_property
    def product_ids(self) -> pa.Array:
        """Id of each product code, sorted; string (products)."""
        return pq.read_table(self.folder / PRODUCTS).column(PRODUCT_ID).combine_chunks()

    def review_ids(self, rows: npt.NDArray[Any]) -> pa.Array:
        """Ids of some reviews, in the order of `rows`. string (rows)."""
        order = np.argsort(rows, kind="stable")
        ascending = np.asarray(rows)[order].astype(np.int64)
        pieces = [pa.array([], pa.string())]
        first = 0
        with pq.ParquetFile(self.folder / PREDICTIONS) as predictions:
            for group in range(predictions.num_row_groups):
                last = first + predictions.metadata.row_group(group).num_rows
                here = ascending[np.searchsorted(ascending, first) : np.searchsorted(ascending, last)]
                if len(here):
                    ids = predictions.read_row_group(group, [REVIEW_ID]).column(0).combine_chunks()
                    pieces.append(ids.take(pa.array(here - first)).cast(pa.string()))
                first = last
        back = np.empty(len(order), np.int64)
        back[order] = np.arange(len(order))
        return pa.concat_arrays(pieces).take(pa.array(back))

    def learned(self, *, with_product: bool = False) -> npt.NDArray[np.uint32]:
        """The reviews whose category was learned, ascending; of these, those of a product if told so."""

        def test(block: slice) -> npt.NDArray[np.bool_]:
            known = self.assigned[block] >= 0
            return known & (self.product[block] >= 0) if with_product else known

        return where(self.n_reviews, test)

    def rows_of(self, rows: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Log probabilities of some reviews, float32 (rows, K), not below FLOOR."""
        found: npt.NDArray[np.float32] = np.maximum(self.log_p[rows].astype(np.float32), np.float32(FLOOR))
        return found

    def chunks(self, rows: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
        """Parts of `rows` that are small enough to work on at once."""
        for at in range(0, len(rows), CHUNK_ROWS):
            yield rows[at : at + CHUNK_ROWS]


def _mapped(path: Path, dtype: str) -> Any:
    return np.memmap(path, np.dtype(dtype), "r") if path.stat().st_size else np.zeros(0, dtype)
