"""Prepared reviews said in a line each, for tests of language."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from shelfcheck.schema import PREPARED_SCHEMA

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    import numpy as np


def prepared_table(
    categories: Sequence[str | None],
    tokens: Sequence[str | None],
    dates: Sequence[dt.date | None] | np.ndarray | None = None,
    stars: Sequence[int | None] | np.ndarray | None = None,
    products: Sequence[str | None] | None = None,
) -> pa.Table:
    """A table of PREPARED_SCHEMA from parallel columns; what is not given is null."""
    n = len(tokens)
    columns = {field.name: pa.nulls(n, field.type) for field in PREPARED_SCHEMA}
    columns["review_id"] = pa.array([f"R{i:06d}" for i in range(n)])
    columns["product_category"] = pa.array(categories, pa.string())
    columns["review_tokens"] = pa.array(tokens, pa.string())
    columns["review_body"] = columns["review_tokens"]
    if dates is not None:
        columns["review_date"] = pa.array(dates, pa.date32())
    if stars is not None:
        columns["star_rating"] = pa.array(stars, pa.int32())
    if products is not None:
        columns["product_id"] = pa.array(products, pa.string())
    return pa.table(columns, schema=PREPARED_SCHEMA)
