"""Prepared reviews said in a line each, for tests of language."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from shelfcheck.language.sparse import Reviews
from shelfcheck.schema import PREPARED_SCHEMA

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence


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


def made_up(
    rng: np.random.Generator,
    products: Sequence[int],
    group: Sequence[int],
    *,
    own: float = 0.0,
    words: int = 12,
) -> Reviews:
    """Reviews of 40 terms, of which each product has favourites: `own` of its words, 0..1, are these."""
    n, terms = len(products), 40
    favourites = rng.dirichlet(np.full(terms, 0.1), max(products) + 1)
    common = np.full(terms, 1 / terms)
    counts = np.array([rng.multinomial(words, own * favourites[p] + (1 - own) * common) for p in products])
    row, ids = np.nonzero(counts)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=n))]).astype(np.int64)
    return Reviews(
        indptr,
        ids.astype(np.int32),
        counts[row, ids].astype(np.int32),
        terms,
        np.asarray(group, np.int64),
        np.asarray(products, np.int64),
        rng.integers(0, 1 << 60, n).astype(np.uint64),
        np.full(n, words, np.int64),
    )
