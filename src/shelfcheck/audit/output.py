"""Findings on disk: Parquet, CSV beside it, and a summary."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TERMS: Final = pa.list_(pa.struct([("term", pa.string()), ("weight", pa.float32())]))
SAMPLES: Final = pa.list_(
    pa.struct(
        [
            ("review_id", pa.string()),
            ("headline", pa.string()),
            ("body", pa.string()),
            ("p_suggested", pa.float32()),
        ]
    )
)
_FORMULA: Final = r"^[=+\-@\t\r]"  # what a spreadsheet takes for a formula


def write_findings(table: pa.Table, summary: Mapping[str, Any], out: Path) -> None:
    """Write `findings.parquet`, `findings.csv` and `summary.json` into a folder.

    In the CSV, lists are one text (`; ` between words, ` | ` between reviews), and a text that a
    spreadsheet would run as a formula begins with an apostrophe.
    """
    out.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, out / "findings.parquet", compression="zstd")
    pcsv.write_csv(as_csv(table), out / "findings.csv")
    (out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")


def as_csv(table: pa.Table) -> pa.Table:
    """The same rows with text and numbers only."""
    columns = {}
    for field in table.schema:
        column = table[field.name].combine_chunks()
        if field.type == TERMS:
            column = _joined(column, "term", "; ")
        elif field.type == SAMPLES:
            column = _joined(column, "body", " | ")
        columns[field.name] = harmless(column) if pa.types.is_string(column.type) else column
    return pa.table(columns)


def harmless(column: pa.Array) -> pa.Array:
    """Texts with an apostrophe before what a spreadsheet would run."""
    quoted = pc.binary_join_element_wise(pa.scalar("'"), column, "")
    return pc.if_else(pc.match_substring_regex(column, _FORMULA), quoted, column)


def _joined(column: pa.ListArray, name: str, between: str) -> pa.Array:
    flat = column.flatten()
    values = pc.fill_null(pc.struct_field(flat, name), "") if len(flat) else pa.array([], pa.string())
    lengths = np.asarray(pc.fill_null(pc.list_value_length(column), 0)).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), values), between)
