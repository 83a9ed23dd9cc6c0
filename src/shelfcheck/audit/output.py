"""Findings on disk: Parquet, CSV beside it, and a summary."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from shelfcheck.text.spreadsheet import harmless

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
        names = _names(field.type)
        if names and not {"term", "body"} & names:  # a series of numbers is for programs
            continue
        if names:
            column = _joined(column, "term", "; ") if "term" in names else _joined(column, "body", " | ")
        columns[field.name] = harmless(column) if pa.types.is_string(column.type) else column
    return pa.table(columns)


def _names(kind: pa.DataType) -> set[str]:
    """Names of the fields of a list of structures; none of anything else."""
    inner = kind.value_type if pa.types.is_list(kind) else None
    return {inner.field(i).name for i in range(inner.num_fields)} if inner is not None else set()


def _joined(column: pa.ListArray, name: str, between: str) -> pa.Array:
    flat = column.flatten()
    values = pc.fill_null(pc.struct_field(flat, name), "") if len(flat) else pa.array([], pa.string())
    lengths = np.asarray(pc.fill_null(pc.list_value_length(column), 0)).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), values), between)
