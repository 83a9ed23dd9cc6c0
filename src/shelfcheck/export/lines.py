"""Texts with labels as lines of a file: JSON lines as SageMaker reads them, or fastText's.

A text is tokens joined by spaces, so it has no line end; a category has letters, digits and `_` alone.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Sequence

_ESCAPED: Final = r'["\\\x00-\x1f]'  # what JSON does not take as it is


def manifest_lines(
    texts: pa.Array, labels: pa.Array, names: Sequence[str] = (), columns: Sequence[pa.Array] = ()
) -> pa.Array:
    """`{"source":"…","label":…}` a row, with further columns behind.

    Args:
        texts: strings, (n,).
        labels: whole numbers or strings, (n,).
        names: what the further columns are called.
        columns: strings, numbers, flags or days, nulls allowed, (n,) each.

    Returns:
        Strings that end with a line feed, (n,).
    """
    pieces: list[pa.Array | pa.Scalar] = [pa.scalar('{"source":'), _json(texts)]
    for name, column in zip(("label", *names), (labels, *columns), strict=True):
        pieces += [pa.scalar(f',"{name}":'), _json(column)]
    return pc.binary_join_element_wise(*pieces, pa.scalar("}\n"), "")


def fasttext_lines(texts: pa.Array, labels: pa.Array) -> pa.Array:
    """`__label__X the words` a row. Strings that end with a line feed, (n,)."""
    own = labels if labels.type == pa.string() else labels.cast(pa.string())
    return pc.binary_join_element_wise(
        pa.scalar("__label__"), own, pa.scalar(" "), texts, pa.scalar("\n"), ""
    )


def _json(column: pa.Array) -> pa.Array:
    """A column's values as JSON. Strings, (n,)."""
    if pa.types.is_date(column.type):
        column = column.cast(pa.string())
    if column.type != pa.string():
        return column.cast(pa.string()).fill_null("null")  # numbers, and Arrow's true and false are JSON's
    quoted = pc.binary_join_element_wise(pa.scalar('"'), column, pa.scalar('"'), "")
    odd = pc.match_substring_regex(column, _ESCAPED).fill_null(False)  # noqa: FBT003 - Arrow's signature
    if pc.any(odd).as_py():
        values = [json.dumps(value, ensure_ascii=False) for value in column.filter(odd).to_pylist()]
        quoted = pc.replace_with_mask(quoted, odd, pa.array(values, pa.string()))
    return quoted.fill_null("null")
