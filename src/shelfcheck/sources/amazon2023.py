"""Amazon Reviews 2023: JSON lines; the product is `parent_asin`, or `asin` where that is missing.

Variants (colours, sizes) of a product share a parent, and the metadata lists parents only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from shelfcheck import schema
from shelfcheck.sources.base import Chunk
from shelfcheck.sources.checks import to_text
from shelfcheck.sources.files import line_blocks, open_stream
from shelfcheck.sources.jsonlines import read_block
from shelfcheck.sources.metadata import Metadata, products_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from shelfcheck.sources.base import Source
    from shelfcheck.sources.checks import Rejects

MISSING: Final = (
    "no Amazon Reviews 2023: `text` and `asin` or `parent_asin` are not among the keys of its first "
    "objects. For another JSON lines export pass --format table and map its keys under [source.columns]."
)
_TYPES: Final[Mapping[str, pa.DataType | None]] = {
    "rating": pa.float64(),
    "title": pa.string(),
    "text": pa.string(),
    "asin": pa.string(),
    "parent_asin": pa.string(),
    "user_id": pa.string(),
    "timestamp": pa.int64(),  # milliseconds since 1970
    "helpful_vote": pa.int64(),
    "verified_purchase": pa.bool_(),
}
_COLUMNS: Final = {
    schema.CUSTOMER_ID: "user_id",
    schema.STAR_RATING: "rating",
    schema.HELPFUL_VOTES: "helpful_vote",
    schema.VERIFIED_PURCHASE: "verified_purchase",
    schema.REVIEW_HEADLINE: "title",
    schema.REVIEW_BODY: "text",
    schema.REVIEW_DATE: "timestamp",
}


def is_reviews(objects: Sequence[Mapping[str, Any]]) -> bool:
    """Whether objects are Amazon Reviews 2023."""
    keys = {key for item in objects for key in item}
    return (
        bool(keys & {"asin", "parent_asin"})
        and "text" in keys
        and bool(keys & {"rating", "user_id", "timestamp"})
    )


def is_metadata(objects: Sequence[Mapping[str, Any]]) -> bool:
    """Whether objects are the metadata of Amazon Reviews 2023."""
    keys = {key for item in objects for key in item}
    return (
        "parent_asin" in keys and "text" not in keys and bool(keys & {"main_category", "title", "categories"})
    )


def read(source: Source, rejects: Rejects, batch_rows: int) -> Iterator[Chunk]:  # noqa: ARG001 - blocks are small
    """Raw rows of a file; category from the metadata, else from `source.category`."""
    products = products_of(source, METADATA, rejects)
    with open_stream(source.path) as stream:
        for block in line_blocks(stream, rejects):
            raw, lines = read_block(block, _TYPES, rejects)
            columns = {name: raw[key] for name, key in _COLUMNS.items()}
            parent, parent_faults = to_text(raw["parent_asin"])
            own, own_faults = to_text(raw["asin"])
            # a broken id goes through as it is, so that the checks reject its row
            broken = raw["parent_asin"] if parent_faults else raw["asin"] if own_faults else None
            columns[schema.PRODUCT_ID] = pc.coalesce(parent, own) if broken is None else broken
            if products is not None:
                title, category = products.join(pc.coalesce(parent, own))
                columns[schema.PRODUCT_TITLE], columns[schema.PRODUCT_CATEGORY] = title, category
            yield Chunk(columns, lines, stream.position)


def _category(columns: Mapping[str, pa.Array]) -> pa.Array:
    return to_text(columns["main_category"])[0]


METADATA: Final = Metadata(
    types={"parent_asin": pa.string(), "title": pa.string(), "main_category": pa.string()},
    id="parent_asin",
    title="title",
    category=_category,
)
