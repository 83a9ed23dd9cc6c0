"""Writes generated chunks to files: Parquet, or gzip TSV as published, with rows of broken fields."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shelfcheck.sources.demo.reviews import PDS_SCHEMA, break_values

if TYPE_CHECKING:
    from pathlib import Path

    from shelfcheck.sources.demo.reviews import Reviews

FIRST_LINE: Final = 2  # of a row in a TSV file, after the header
_Broken = list[tuple[int, str]]  # (1-based line or row, reason)


def write_parquet(reviews: Reviews, path: Path) -> _Broken:
    """One row group; broken rows have a wrong star rating or date."""
    table, reasons = break_values(reviews.table, reviews.broken)
    pq.write_table(pa.Table.from_batches([table]), path, compression="zstd", compression_level=1)
    return [(int(row) + 1, reason) for row, reason in zip(reviews.broken, reasons, strict=True)]


def write_tsv(reviews: Reviews, path: Path) -> _Broken:
    """Gzip TSV without quoting; half of the broken rows have too many or too few fields."""
    rows = reviews.broken
    by_value, by_fields = rows[::2], rows[1::2]
    table, reasons = break_values(reviews.table, by_value)
    columns = [column.cast(pa.string()).fill_null("") for column in table.columns]
    lines = pc.binary_join_element_wise(*columns, "\t")
    broken = [(int(row), reason) for row, reason in zip(by_value, reasons, strict=True)]
    if len(by_fields):
        texts, kinds = _break_fields(lines.take(pa.array(by_fields)).to_pylist())
        mask = np.zeros(len(lines), bool)
        mask[by_fields] = True
        lines = pc.replace_with_mask(lines, pa.array(mask), pa.array(texts, pa.string()))
        broken += [(int(row), kind) for row, kind in zip(by_fields, kinds, strict=True)]
    joined = pc.binary_join_element_wise(lines, "", "\n")
    buffer = joined.buffers()[2]
    with path.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=0) as file:
        file.write(("\t".join(PDS_SCHEMA.names) + "\n").encode())
        file.write(memoryview(buffer))
    return [(row + FIRST_LINE, reason) for row, reason in sorted(broken)]


def _break_fields(lines: list[str]) -> tuple[list[str], list[str]]:
    texts, kinds = [], []
    for i, line in enumerate(lines):
        if i % 2:
            texts.append(line.rsplit("\t", 2)[0])
            kinds.append("too_few_fields")
        else:
            texts.append(line.replace(" ", "\t", 1) if " " in line else line + "\t")
            kinds.append("too_many_fields")
    return texts, kinds
