"""Tables on disk: Parquet, and CSV beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from shelfcheck.text.spreadsheet import harmless

if TYPE_CHECKING:
    from pathlib import Path

TABLES: Final = "tables"
"""Folder of the tables in the artefact."""
FIGURES_FILE: Final = "figures.json"


def write_table(table: pa.Table, out: Path, name: str) -> None:
    """Write `tables/NAME.parquet` and `tables/NAME.csv`."""
    folder = out / TABLES
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
    columns = {
        field.name: harmless(table[field.name]) if pa.types.is_string(field.type) else table[field.name]
        for field in table.schema
    }
    pcsv.write_csv(pa.table(columns), folder / f"{name}.csv")
