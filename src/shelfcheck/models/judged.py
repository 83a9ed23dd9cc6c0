"""Reviews as a model judged them: what intervals, slices and comparisons are computed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck.errors import WorkspaceError
from shelfcheck.schema import REVIEW_ID

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

HELD_OUT: Final = "held_out.parquet"
HELD_OUT_SCHEMA: Final = pa.schema(
    [
        (REVIEW_ID, pa.string()),
        ("product", pa.int64()),
        ("label", pa.string()),
        ("predicted", pa.string()),
        ("confidence", pa.float32()),
        ("p_label", pa.float32()),
    ]
)
"""A held-out review as judged: `product` is a code that is the same for the reviews of a product."""


@dataclass(frozen=True)
class Judged:
    """Reviews as judged, all arrays (n).

    Attributes:
        categories: every class that is assigned or predicted.
        label: int64, place of the assigned class among `categories`.
        predicted: int64, place of the predicted one.
        confidence: float32, calibrated probability of the predicted class, 0..1.
        product: int64, the same for the reviews of a product; a review with -1 counts as a product of
            its own.
    """

    categories: tuple[str, ...]
    label: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float32]
    product: npt.NDArray[np.int64]

    @classmethod
    def of_table(cls, table: pa.Table) -> Judged:
        """From rows of HELD_OUT_SCHEMA."""
        both = pa.chunked_array([*table.column("label").chunks, *table.column("predicted").chunks])
        coded = both.combine_chunks().dictionary_encode()
        found = coded.dictionary.to_pylist()
        order = sorted(range(len(found)), key=found.__getitem__)
        place = np.empty(len(found), np.int64)
        place[order] = np.arange(len(found))
        codes = place[coded.indices.to_numpy(zero_copy_only=False)]
        n = table.num_rows
        return cls(
            tuple(found[at] for at in order),
            codes[:n],
            codes[n:],
            table.column("confidence").to_numpy(),
            table.column("product").to_numpy(),
        )

    @property
    def hit(self) -> npt.NDArray[np.bool_]:
        """Whether the assigned class was predicted."""
        right: npt.NDArray[np.bool_] = self.label == self.predicted
        return right

    def clusters(self, most: int) -> tuple[npt.NDArray[np.int64], int, int]:
        """The product of each review as a number from 0 on, how many numbers there are, how many products.

        More than `most` products are put together into `most` groups: groups of independent products are
        themselves independent, so what is resampled by group has the same variance.
        """
        own = self.product < 0
        codes, product = np.unique(np.where(own, -1, self.product), return_inverse=True)
        if own.any():
            first = len(codes) - 1
            product = np.where(own, first + np.cumsum(own) - 1, product - 1)
            products = first + int(own.sum())
        else:
            products = len(codes)
        return product % most, min(products, most), products


def read_held_out(folder: Path) -> pa.Table:
    """The held-out reviews that an evaluation's folder holds.

    Raises:
        WorkspaceError: there are none that can be read.
    """
    path = folder / HELD_OUT
    try:
        return pq.read_table(path, schema=HELD_OUT_SCHEMA)
    except (OSError, pa.ArrowException) as error:
        raise WorkspaceError(
            f"{path}: no judged reviews that can be read ({error}). Make them with: shelfcheck evaluate"
        ) from error
