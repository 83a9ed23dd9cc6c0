"""The tables of the analysis: their columns, and how they are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from shelfcheck.text.spreadsheet import harmless

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SUBGRAPHS: Final = pa.schema(
    [
        ("subgraph", pa.string()),
        ("products", pa.int64()),  # with an edge
        ("categories", pa.int64()),
        ("edges", pa.int64()),
        ("reviews", pa.int64()),
        ("components", pa.int64()),
        ("largest_component", pa.float64()),  # its share of the nodes
        ("products_in_several", pa.int64()),  # with edges to more than one category
        ("categories_a_product", pa.float64()),  # mean
        ("communities", pa.int64()),
        ("modularity", pa.float64()),  # of the communities
        ("catalogue_modularity", pa.float64()),  # of products with their assigned category
    ]
)
DEGREES: Final = pa.schema(
    [
        ("graph", pa.string()),  # a sub-graph, or `common_customers`
        ("node", pa.string()),  # product, category
        ("degree", pa.int64()),
        ("nodes", pa.int64()),
    ]
)
CONFUSED_PAIRS: Final = pa.schema(
    [
        ("assigned", pa.string()),
        ("predicted", pa.string()),
        ("reviews", pa.int64()),
        ("share", pa.float64()),  # of the reviews of `assigned`
        ("products", pa.int64()),  # that have such a review
        ("expected_products", pa.float64()),  # if only sizes counted
        ("lift", pa.float64()),  # products / expected
        ("p", pa.float64()),  # of as many or more
        ("q", pa.float64()),  # the same, for the false discovery rate over all pairs
        ("confidence", pa.float64()),  # mean
        ("back_reviews", pa.int64()),  # of `predicted`, predicted in `assigned`
        ("back_share", pa.float64()),
        ("back_products", pa.int64()),
        ("way_q", pa.float64()),  # of the two ways being as far from the expected
        ("way", pa.string()),  # `this`, `other` or `both`
    ]
)
CONFUSED_WORDS: Final = pa.schema(
    [
        ("assigned", pa.string()),
        ("predicted", pa.string()),
        ("rank", pa.int32()),
        ("word", pa.string()),
        ("reviews", pa.int64()),  # confused ones that have it
        ("products", pa.int64()),  # of these
        ("share", pa.float64()),  # of the confused reviews
        ("right_share", pa.float64()),  # of the reviews of `assigned` that are predicted there
        ("log_odds", pa.float64()),
        ("z", pa.float64()),
    ]
)
COMMON_CUSTOMERS: Final = pa.schema(
    [
        ("category_a", pa.string()),
        ("category_b", pa.string()),
        ("customers_a", pa.int64()),
        ("customers_b", pa.int64()),
        ("common", pa.int64()),
        ("share_of_smaller", pa.float64()),
        ("expected", pa.float64()),  # if only sizes counted, among customers of several categories
        ("lift", pa.float64()),
        ("p", pa.float64()),
        ("q", pa.float64()),
    ]
)
PRODUCTS: Final = pa.schema(
    [
        ("product_id", pa.string()),
        ("title", pa.string()),
        ("category", pa.string()),
        ("reviews", pa.int64()),
        ("judged_reviews", pa.int64()),
        ("read_as", pa.string()),  # where more of them are predicted than in any other
        ("read_as_share", pa.float64()),
        ("neighbours", pa.int64()),  # products with a common customer; null: none, and so for what follows
        ("joining_customers", pa.int64()),  # who have reviewed other products, too
        ("page_rank", pa.float64()),
        ("component", pa.int64()),
        ("community", pa.int64()),
        ("community_participation", pa.float64()),  # 0: all weight in one community
        ("category_participation", pa.float64()),
        ("own_category_share", pa.float64()),  # of the weight to neighbours
        ("other_category", pa.string()),  # the one with most weight besides
        ("other_category_share", pa.float64()),
        ("other_community", pa.int64()),
        ("other_community_share", pa.float64()),
    ]
)
COMMUNITIES: Final = pa.schema(
    [
        ("community", pa.int64()),
        ("products", pa.int64()),
        ("inside_share", pa.float64()),  # of the weight of its products' edges
        ("category", pa.string()),  # the one with most of its products
        ("category_share", pa.float64()),
        ("categories", pa.string()),  # those with most, in words
    ]
)
MISMATCHES: Final = pa.schema(
    [
        ("review_id", pa.string()),
        ("product_id", pa.string()),
        ("product_title", pa.string()),
        ("assigned", pa.string()),
        ("predicted", pa.string()),
        ("confidence", pa.float32()),
        ("stars", pa.int32()),
        ("headline", pa.string()),
    ]
)
SUGGESTIONS: Final = pa.schema(
    [
        ("kind", pa.string()),  # merge, split, rename
        ("category", pa.string()),
        ("other", pa.string()),
        ("products", pa.int64()),  # that speak for it
        ("reviews", pa.int64()),
        ("evidence", pa.string()),
        ("caution", pa.string()),
    ]
)

TABLES: Final = {
    "suggestions": SUGGESTIONS,
    "subgraphs": SUBGRAPHS,
    "degrees": DEGREES,
    "confused_pairs": CONFUSED_PAIRS,
    "confused_words": CONFUSED_WORDS,
    "common_customers": COMMON_CUSTOMERS,
    "products": PRODUCTS,
    "between_products": PRODUCTS,
    "communities": COMMUNITIES,
    "mismatches": MISMATCHES,
}
"""Name of the file -> its schema."""


def write_table(name: str, rows: Sequence[dict[str, Any]] | pa.Table, out: Path) -> None:
    """Write a table of TABLES as Parquet and as CSV, in which no text can be run by a spreadsheet."""
    schema = TABLES[name]
    table = (
        rows.select(schema.names).cast(schema)
        if isinstance(rows, pa.Table)
        else pa.Table.from_pylist(list(rows), schema=schema)
    )
    pq.write_table(table, out / f"{name}.parquet", compression="zstd")
    columns = {
        field.name: harmless(table[field.name]) if field.type == pa.string() else table[field.name]
        for field in schema
    }
    pcsv.write_csv(pa.table(columns), out / f"{name}.csv")
