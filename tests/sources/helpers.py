"""Small made-up inputs, and what every reader must hold to."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from shelfcheck import schema
from shelfcheck.config import SourceSettings
from shelfcheck.sources import find_sources

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from shelfcheck.sources import Source

PDS_HEADER = "\t".join(schema.REVIEW_SCHEMA.names)


def pds_row(**changes: object) -> str:
    values: dict[str, object] = {
        "marketplace": "US",
        "customer_id": "1001",
        "review_id": "R1",
        "product_id": "B1",
        "product_parent": "77",
        "product_title": 'Lamp, 6" tall',
        "product_category": "Home",
        "star_rating": 5,
        "helpful_votes": 2,
        "total_votes": 3,
        "vine": "N",
        "verified_purchase": "Y",
        "review_headline": "Bright",
        "review_body": "Lights the room \\ well.",
        "review_date": "2014-05-06",
    }
    values.update(changes)
    return "\t".join(str(values[name]) for name in schema.REVIEW_SCHEMA.names)


def ucsd_row(**changes: object) -> dict[str, Any]:
    row: dict[str, Any] = {
        "overall": 4.0,
        "verified": True,
        "reviewTime": "09 1, 2016",
        "reviewerID": "A1",
        "asin": "B1",
        "reviewText": "Smells of nothing at all.",
        "summary": "Fine",
        "unixReviewTime": 1472688000,
    }
    row.update(changes)
    return {key: value for key, value in row.items() if value is not ...}


def amazon_row(**changes: object) -> dict[str, Any]:
    row: dict[str, Any] = {
        "rating": 3.0,
        "title": "Fine",
        "text": "It holds water.",
        "images": [],
        "asin": "B2",
        "parent_asin": "B1",
        "user_id": "U1",
        "timestamp": 1588615855070,
        "helpful_vote": 4,
        "verified_purchase": True,
    }
    row.update(changes)
    return {key: value for key, value in row.items() if value is not ...}


def json_lines(rows: Iterable[object]) -> str:
    return "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)


def write(path: Path, text: str | bytes) -> Path:
    data = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(data) if path.name.endswith(".gz") else data)
    return path


def read_source(source: Source, batch_rows: int = 65536) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Reviews and rejected rows, after checks that hold for every source."""
    reviews, rejected = [], []
    seen = 0
    for batch in source.batches(batch_rows):
        assert batch.reviews.schema == schema.REVIEW_SCHEMA
        assert batch.rejected.schema == schema.REJECTED_SCHEMA
        assert batch.reviews.num_rows <= batch_rows
        assert batch.bytes_read >= 0
        batch.reviews.validate(full=True)
        batch.rejected.validate(full=True)
        seen += batch.bytes_read
        reviews += batch.reviews.to_pylist()
        rejected += batch.rejected.to_pylist()
    assert seen == source.size
    for row in rejected:
        assert row["source_file"]
        assert row["reason"]
        assert len(row["detail"]) <= 500
    return reviews, rejected


def read(
    *paths: Path | str, settings: SourceSettings | None = None, batch_rows: int = 65536
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    reviews, rejected = [], []
    for source in find_sources([str(path) for path in paths], settings or SourceSettings()):
        more, broken = read_source(source, batch_rows)
        reviews += more
        rejected += broken
    return reviews, rejected


def reasons(rejected: Sequence[dict[str, Any]]) -> dict[str, int]:
    return dict(Counter(row["reason"] for row in rejected))


def where(rejected: Sequence[dict[str, Any]]) -> list[tuple[int | None, str]]:
    return [(row["source_line"], row["reason"]) for row in rejected]


def pds_table(n: int = 3, **columns: pa.Array) -> pa.Table:
    """A Parquet form of the published rows; columns replace or (None) drop."""
    base = dict(
        zip(
            schema.REVIEW_SCHEMA.names,
            zip(*[pds_row(review_id=f"R{i}").split("\t") for i in range(n)], strict=True),
            strict=True,
        )
    )
    table = pa.table({name: pa.array(list(values)) for name, values in base.items()})
    for name in ("star_rating", "helpful_votes", "total_votes"):
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, table.column(name).cast(pa.int32()))
    at = table.schema.get_field_index("review_date")
    table = table.set_column(at, "review_date", table.column("review_date").cast(pa.date32()))
    for name, column in columns.items():
        at = table.schema.get_field_index(name)
        if column is None:
            table = table.remove_column(at)
        elif at < 0:
            table = table.append_column(name, column)
        else:
            table = table.set_column(at, name, column)
    return table
