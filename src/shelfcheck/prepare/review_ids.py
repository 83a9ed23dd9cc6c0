"""Ids for reviews that came without one: from their content, so that they are the same in every run."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from shelfcheck import schema
from shelfcheck.prepare.duplicates import CONTENT

if TYPE_CHECKING:
    from collections.abc import Mapping

_SEPARATOR: Final = "\x1f"
_NULL: Final = "\0"  # stands in no text: sources reject it


def fill_review_ids(reviews: pa.RecordBatch, suffixes: Mapping[int, int]) -> pa.RecordBatch:
    """Give every review an id.

    A review without one gets `H` and the first 16 upper-case hex digits of the md5 of its
    content: the columns `CONTENT`, as text, joined by U+001F, U+0000 for null. The second
    review with the same content, where such are kept, gets `-2` behind it, and so on.

    Args:
        reviews: REVIEW_SCHEMA, (n,).
        suffixes: row -> occurrence of its content, from 2.
    """
    ids = reviews.column(schema.REVIEW_ID)
    if ids.null_count == 0:
        return reviews
    rows = pc.indices_nonzero(ids.is_null())
    parts = [pc.take(reviews.column(name), rows).cast(pa.string()) for name in CONTENT]
    content = pc.binary_join_element_wise(
        *parts, _SEPARATOR, null_handling="replace", null_replacement=_NULL
    ).cast(pa.binary())
    filled = []
    for row, text in zip(rows.to_pylist(), content.to_pylist(), strict=True):
        digest = hashlib.md5(text, usedforsecurity=False).hexdigest()[:16].upper()
        filled.append(f"H{digest}-{suffixes[row]}" if row in suffixes else f"H{digest}")
    ids = pc.replace_with_mask(ids, ids.is_null(), pa.array(filled, pa.string()))
    return reviews.set_column(reviews.schema.get_field_index(schema.REVIEW_ID), schema.REVIEW_ID, ids)
