"""Texts that a spreadsheet may open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from typing import TypeVar

    Texts = TypeVar("Texts", pa.Array, pa.ChunkedArray)

_FORMULA: Final = r"^[=+\-@\t\r]"  # what a spreadsheet takes for a formula


def harmless(column: Texts) -> Texts:
    """Texts with an apostrophe before what a spreadsheet would run."""
    quoted = pc.binary_join_element_wise(pa.scalar("'"), column, "")
    found: Texts = pc.if_else(pc.match_substring_regex(column, _FORMULA), quoted, column)
    return found
