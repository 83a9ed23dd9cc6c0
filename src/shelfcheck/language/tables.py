"""What the language shift is told in: Arrow schemas of its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from shelfcheck.schema import PRODUCT_CATEGORY
from shelfcheck.text.spreadsheet import harmless

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FACET: Final = "facet"  # `year` or `stars`
GROUP: Final = "group"  # the year, or the stars

_PLACE: Final = [(PRODUCT_CATEGORY, pa.string()), (FACET, pa.string())]
_PAIR: Final = [*_PLACE, ("group_a", pa.int32()), ("group_b", pa.int32())]

TOP_TERMS: Final = pa.schema(
    [
        *_PLACE,
        (GROUP, pa.int32()),
        ("rank", pa.int32()),
        ("term", pa.string()),
        ("count", pa.int64()),
        ("per_1000_words", pa.float64()),
        ("weight", pa.float64()),  # class TF-IDF
    ]
)
GROUPS: Final = pa.schema(
    [
        *_PLACE,
        (GROUP, pa.int32()),
        ("reviews", pa.int64()),
        ("words", pa.int64()),
        ("products", pa.int64()),
    ]
)
PAIRS: Final = pa.schema(
    [
        *_PAIR,
        ("reviews_a", pa.int64()),
        ("reviews_b", pa.int64()),
        ("words_a", pa.int64()),
        ("words_b", pa.int64()),
        ("products_a", pa.int64()),
        ("products_b", pa.int64()),
        ("overlap", pa.float64()),  # per cent of the top terms of all reviews
        ("jaccard", pa.float64()),  # 0..1, of the same
        ("matched_words", pa.int64()),  # or reviews, as match_by says
        ("matched_overlap", pa.float64()),  # per cent, mean of the draws
        ("matched_low", pa.float64()),  # 2.5 % of the draws are below
        ("matched_high", pa.float64()),
        ("drawn_overlap", pa.float64()),  # per cent, of the reviews that were permuted
        ("expected_overlap", pa.float64()),  # its mean over the permutations
        ("overlap_p", pa.float64()),
        ("divergence", pa.float64()),  # Jensen-Shannon, bits, of the reviews that were permuted
        ("expected_divergence", pa.float64()),  # its mean over the permutations
        ("divergence_sd", pa.float64()),  # and its standard deviation
        ("distance", pa.float64()),  # square root of the divergence beyond the expected, 0..1
        ("p", pa.float64()),  # of the divergence
        ("q", pa.float64()),  # the same, for the false discovery rate over all pairs of the facet
        ("shifted", pa.bool_()),  # q is below the false discovery rate
    ]
)
CHANGED_TERMS: Final = pa.schema(
    [
        *_PAIR,
        ("change", pa.string()),  # `came`: more in b; `went`: more in a
        ("rank", pa.int32()),
        ("term", pa.string()),
        ("per_1000_words_a", pa.float64()),
        ("per_1000_words_b", pa.float64()),
        ("log_odds", pa.float64()),
        ("z", pa.float64()),  # of the log odds
        ("z_permuted", pa.float64()),  # of the difference of shares, against the permutations
        ("products", pa.int64()),  # that have the term in the group where it stands more, of those drawn
    ]
)
TRENDS: Final = pa.schema(
    [
        (PRODUCT_CATEGORY, pa.string()),  # null: all categories together
        (FACET, pa.string()),
        ("measure", pa.string()),  # `overlap`, `matched_overlap`, `beyond_chance`
        ("pairs", pa.int32()),
        ("slope", pa.float64()),  # points of per cent a year, or a star
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("tau", pa.float64()),
        ("p", pa.float64()),
    ]
)

TABLES: Final = {
    "groups": GROUPS,
    "top_terms": TOP_TERMS,
    "pairs": PAIRS,
    "changed_terms": CHANGED_TERMS,
    "trends": TRENDS,
}
"""Name of the file -> its schema."""


def write_tables(rows: Mapping[str, Sequence[dict[str, Any]]], out: Path) -> None:
    """Write each table as Parquet and as CSV; in the CSV, no text can be run by a spreadsheet."""
    out.mkdir(parents=True, exist_ok=True)
    for name, schema in TABLES.items():
        table = pa.Table.from_pylist(list(rows[name]), schema=schema)
        pq.write_table(table, out / f"{name}.parquet", compression="zstd")
        columns = [
            harmless(table[field.name].combine_chunks()) if field.type == pa.string() else table[field.name]
            for field in schema
        ]
        pcsv.write_csv(pa.table(columns, names=schema.names), out / f"{name}.csv")
