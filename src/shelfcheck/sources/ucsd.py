"""UCSD product reviews, 2014 and 2018: JSON lines, titles and categories in metadata files."""

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
    "no UCSD reviews: `reviewText` and `asin` are not among the keys of its first objects. "
    "For another JSON lines export pass --format table and map its keys under [source.columns]."
)
_TYPES: Final[Mapping[str, pa.DataType | None]] = {
    "reviewerID": pa.string(),
    "asin": pa.string(),
    "overall": pa.float64(),
    "helpful": pa.list_(pa.int64()),  # 2014: [helpful, total]
    "vote": pa.string(),  # 2018: "1,234"
    "verified": pa.bool_(),
    "summary": pa.string(),
    "reviewText": pa.string(),
    "reviewTime": pa.string(),  # "09 1, 2016"
    "unixReviewTime": pa.int64(),  # seconds
}
_COLUMNS: Final = {
    schema.CUSTOMER_ID: "reviewerID",
    schema.PRODUCT_ID: "asin",
    schema.STAR_RATING: "overall",
    schema.VERIFIED_PURCHASE: "verified",
    schema.REVIEW_HEADLINE: "summary",
    schema.REVIEW_BODY: "reviewText",
}


def is_reviews(objects: Sequence[Mapping[str, Any]]) -> bool:
    """Whether objects are UCSD reviews. `reviewText` may be missing from some of them."""
    keys = {key for item in objects for key in item}
    return "asin" in keys and len(keys & {"reviewText", "overall", "reviewerID", "unixReviewTime"}) >= 2


def is_metadata(objects: Sequence[Mapping[str, Any]]) -> bool:
    """Whether objects are UCSD product metadata."""
    keys = {key for item in objects for key in item}
    return (
        "asin" in keys
        and not keys & {"reviewText", "overall", "reviewerID", "text", "rating", "user_id", "parent_asin"}
        and bool(keys & {"title", "category", "categories", "main_cat", "salesRank"})
    )


def read(source: Source, rejects: Rejects, batch_rows: int) -> Iterator[Chunk]:  # noqa: ARG001 - blocks are small
    """Raw rows of a file; category from the metadata, else from `source.category`."""
    products = products_of(source, METADATA, rejects)
    with open_stream(source.path) as stream:
        for block in line_blocks(stream, rejects):
            raw, lines = read_block(block, _TYPES, rejects)
            columns = {name: raw[key] for name, key in _COLUMNS.items()}
            columns[schema.REVIEW_DATE] = _date(raw["unixReviewTime"], raw["reviewTime"])
            columns[schema.HELPFUL_VOTES], columns[schema.TOTAL_VOTES] = _votes(raw["helpful"], raw["vote"])
            if products is not None:
                title, category = products.join(to_text(raw["asin"])[0])
                columns[schema.PRODUCT_TITLE], columns[schema.PRODUCT_CATEGORY] = title, category
            yield Chunk(columns, lines, stream.position)


def _date(unix: pa.Array, text: pa.Array) -> pa.Array:
    """Seconds where given, else the text."""
    if not unix.null_count and pa.types.is_integer(unix.type):
        return unix
    seconds = unix.cast(pa.string())
    return pc.coalesce(seconds, text.cast(pa.string()))


def _votes(helpful: pa.Array, vote: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Helpful and total votes: 2014 gives both in a list, 2018 gives the helpful ones."""
    if pa.types.is_list(helpful.type) and helpful.null_count == len(helpful):
        return vote, pa.nulls(len(vote), pa.int32())
    if pa.types.is_list(helpful.type):
        lengths = pc.list_value_length(helpful).fill_null(2)
        if pc.all(pc.equal(lengths, 2)).as_py() and not helpful.values.null_count:
            return (
                pc.coalesce(pc.list_element(_pairs(helpful), 0).cast(pa.string()), vote.cast(pa.string())),
                pc.list_element(_pairs(helpful), 1),
            )
    pairs = helpful.to_pylist()
    first = [_element(pair, 0) for pair in pairs]
    return (
        pc.coalesce(pa.array(first, pa.string()), vote.cast(pa.string())),
        pa.array([_element(pair, 1) for pair in pairs], pa.string()),
    )


def _pairs(helpful: pa.Array) -> pa.Array:
    """Lists of two, with [null, null] for missing ones, so that elements can be taken."""
    if not helpful.null_count:
        return helpful
    return pa.array(
        [pair if pair is not None else [None, None] for pair in helpful.to_pylist()], helpful.type
    )


def _element(pair: object, index: int) -> str | None:
    """One of the two votes as text; what is no pair stays whole, for the checks to reject."""
    if pair is None:
        return None
    if isinstance(pair, list) and len(pair) == 2:
        return None if pair[index] is None else str(pair[index])
    return pair.decode("utf-8", "replace") if isinstance(pair, bytes) else str(pair)


def _category(columns: Mapping[str, pa.Array]) -> pa.Array:
    """The first name of the category path, else the main category."""
    names = [
        _first(new) or _first(old) or _first(main)
        for new, old, main in zip(
            *(columns[key].to_pylist() for key in ("category", "categories", "main_cat")), strict=True
        )
    ]
    return pa.array(names, pa.string())


def _first(value: object) -> str | None:
    """The first string in nested lists; `value` itself where it is a name."""
    while isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return (
        value if isinstance(value, str) and value and not value.startswith("[") and "<" not in value else None
    )


METADATA: Final = Metadata(
    types={
        "asin": pa.string(),
        "title": pa.string(),
        "category": pa.list_(pa.string()),
        "categories": pa.list_(pa.list_(pa.string())),
        "main_cat": pa.string(),
    },
    id="asin",
    title="title",
    category=_category,
)
