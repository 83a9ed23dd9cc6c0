"""Keys and fates of all rows that were read, as files: for the rules over all rows, now and later.

A row is named by its source's number, which never changes, and its place in that source; its ordinal, by
which the rules judge, follows from the order in which a full run reads the sources. So rows of files that
came later are judged as if all had been read at once, wherever their files stand in that order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck.prepare.duplicates import FALLS_BY_ORDINAL, KEY_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shelfcheck.engines.duckdb import DuckDB

KEYS_FOLDER: Final = "keys"
FALLS_FOLDER: Final = "falls"
_FOUND: Final = ("length", "category", "id_low", "id_high", "content_low", "content_high")
KEPT_SCHEMA: Final = pa.schema(
    [("source", pa.int32()), ("place", pa.int32()), *(KEY_SCHEMA.field(name) for name in _FOUND)]
)
_GROUP_ROWS: Final = 131_072

_CREATE_KEYS: Final = f"""
    CREATE VIEW keys AS
    SELECT base + place AS ordinal, {", ".join(_FOUND)} FROM {{files}} JOIN bases USING (source)
"""  # noqa: S608 - our own words
_LENGTHS: Final = "SELECT length, count(*) FROM keys GROUP BY length"
# Each row that falls, or whose made-up id gets a number, with the source that it came from.
_FATES: Final = f"""
    SELECT source, added, ordinal, ordinal - base AS place, rule, occurrence
    FROM ({FALLS_BY_ORDINAL}) ASOF JOIN (SELECT * FROM bases WHERE rows > 0) ON ordinal >= base
"""  # noqa: S608
_BEFORE: Final = "SELECT source, place, rule, occurrence FROM {files}"
_NOW: Final = "SELECT source, place, rule, occurrence FROM fates WHERE NOT added"
_OTHERWISE: Final = f"""
    SELECT coalesce(rule, 'numbered_id'), count(*)
    FROM (({_NOW} EXCEPT {_BEFORE}) UNION ALL ({_BEFORE} EXCEPT {_NOW}))
    GROUP BY ALL ORDER BY ALL
"""  # noqa: S608
_STREAM: Final = "SELECT ordinal, rule, occurrence FROM fates WHERE added ORDER BY ordinal"
_KEPT: Final = "SELECT source, place, rule, occurrence FROM fates WHERE added ORDER BY source, place"


class KeyWriter:
    """Writes keys to a Parquet file, in input order."""

    def __init__(self, path: Path) -> None:
        # Hashes are random numbers: neither compression nor dictionaries nor statistics would pay.
        dense = ("source", "place", "length", "category")
        self._writer = pq.ParquetWriter(
            path,
            KEPT_SCHEMA,
            compression={name: "zstd" if name in dense else "none" for name in KEPT_SCHEMA.names},
            use_dictionary=["source", "category", "length"],
            column_encoding={"place": "DELTA_BINARY_PACKED"},
            write_statistics=False,
        )
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._writer.close()

    def write(self, keys: pa.RecordBatch, source: int, first: int) -> None:
        """Append what `key_batch` made of a batch of the source whose first row has the place `first`."""
        places = pa.array(keys.column(0).to_numpy() + first, pa.int32())
        number = pa.array(np.full(keys.num_rows, source, np.int32))
        self._waiting.append(
            pa.RecordBatch.from_arrays([number, places, *keys.columns[1:]], schema=KEPT_SCHEMA)
        )
        self._rows += keys.num_rows
        if self._rows >= _GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_batches(self._waiting), row_group_size=self._rows)
        self._waiting, self._rows = [], 0


def base_table(numbers: Sequence[int], rows: Sequence[int], added: Sequence[bool]) -> pa.Table:
    """The ordinal of each source's first row.

    Args:
        numbers: of the sources, in the order in which a full run reads them.
        rows: that each has staged.
        added: whether it is read now.
    """
    bases = np.concatenate([[0], np.cumsum(rows)])[: len(rows)]
    return pa.table(
        {
            "source": pa.array(numbers, pa.int32()),
            "base": pa.array(bases, pa.int64()),
            "rows": pa.array(rows, pa.int64()),
            "added": pa.array(added, pa.bool_()),
        }
    )


def view_keys(engine: DuckDB, files: Sequence[Path], bases: pa.Table) -> None:
    """Let statements read files of keys as `keys`, KEY_SCHEMA."""
    engine.register("base_rows", bases)
    engine.create("bases", "SELECT * FROM base_rows")
    engine.run(_CREATE_KEYS.format(files=_parquet(files)))


def length_histogram(engine: DuckDB) -> dict[int, int]:
    """Characters -> standing reviews, of all keys."""
    return dict(engine.run(_LENGTHS))


def place_falls(engine: DuckDB) -> None:
    """Make the relation `fates` from both of `find_falls`: which row of which source each row is."""
    engine.create("fates", _FATES)


def judged_otherwise(engine: DuckDB, before: Sequence[Path]) -> dict[str, int]:
    """Rows of sources read earlier whose fate is not the one that the files of falls tell, by rule."""
    return dict(engine.run(_OTHERWISE.format(files=_parquet(before))))


def write_falls(engine: DuckDB, stream: Path, keep: Path | None) -> None:
    """Write the fates of the rows that are read now, in input order: for `FallStream`, and to be kept.

    The engine can then be closed: what it holds would add to the memory of the second pass.
    """
    engine.run(f"COPY ({_STREAM}) TO {_text(stream)} (FORMAT parquet)")
    if keep is not None:
        engine.run(f"COPY ({_KEPT}) TO {_text(keep)} (FORMAT parquet, COMPRESSION zstd)")


def _parquet(files: Sequence[Path]) -> str:
    return f"read_parquet([{', '.join(map(_text, files))}])"


def _text(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
