"""Log probabilities to rows of predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from shelfcheck.schema import PREDICTION_SCHEMA, PRODUCT_CATEGORY, PRODUCT_ID, REVIEW_ID

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

TOP: Final = 5  # categories that a prediction names


def predictions(
    reviews: pa.Table,
    log_probabilities: npt.NDArray[np.float32],
    categories: Sequence[str],
    folds: npt.NDArray[np.integer] | None = None,
) -> pa.Table:
    """Rows of PREDICTION_SCHEMA.

    Args:
        reviews: review id, product id and category, (n); columns that lack are null.
        log_probabilities: calibrated, float32 (n, categories).
        categories: the model's, in the order of the columns.
        folds: the fold of each review, (n); null when None.

    Returns:
        (n) rows; `p_assigned` is null where the model does not know the assigned category.
    """
    n, k = log_probabilities.shape
    top = min(TOP, k)
    best = np.argsort(-log_probabilities, axis=1, kind="stable")[:, :top]
    chances = np.exp(np.take_along_axis(log_probabilities, best, axis=1)).astype(np.float32)
    names = pa.array(list(categories), pa.string())
    offsets = pa.array(np.arange(0, (n + 1) * top, top, dtype=np.int32))
    given = _column(reviews, PRODUCT_CATEGORY)
    place = _places(given, names)
    own = np.exp(log_probabilities[np.arange(n), np.maximum(place, 0)]).astype(np.float32)
    arrays = [
        _column(reviews, REVIEW_ID),
        _column(reviews, PRODUCT_ID),
        given,
        names.take(pa.array(best[:, 0])),
        pa.array(chances[:, 0]),
        pa.array(own, mask=place < 0),
        pa.ListArray.from_arrays(offsets, names.take(pa.array(best.ravel()))),
        pa.ListArray.from_arrays(offsets, pa.array(chances.ravel())),
        pa.nulls(n, pa.int8()) if folds is None else pa.array(folds.astype(np.int8)),
    ]
    return pa.Table.from_arrays(arrays, schema=PREDICTION_SCHEMA)


def _places(given: pa.Array, names: pa.Array) -> npt.NDArray[np.int64]:
    """Index of each category among the names, -1 where it is unknown or null."""
    import pyarrow.compute as pc  # noqa: PLC0415

    places: npt.NDArray[np.int64] = (
        pc.index_in(given, value_set=names).fill_null(-1).to_numpy().astype(np.int64)
    )
    return places


def _column(table: pa.Table, name: str) -> pa.Array:
    if name not in table.schema.names:
        return pa.nulls(table.num_rows, pa.string())
    column = table.column(name)
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return column.cast(pa.string()) if column.type != pa.string() else column
