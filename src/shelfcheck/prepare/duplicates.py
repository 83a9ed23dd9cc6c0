"""The rules that need all rows: repeats, lengths from the data, rare categories.

The first pass writes a small key of every standing row; DuckDB finds, within its memory
limit and else on disk, which rows fall. Each step is one statement over the rows that
the steps before left standing, and always keeps the first row in input order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck import schema
from shelfcheck.prepare.fingerprint import fingerprints
from shelfcheck.prepare.rules import EXACT_DUPLICATE, RARE_CATEGORY, REPEATED_REVIEW_ID, TOO_LONG, TOO_SHORT

if TYPE_CHECKING:
    from pathlib import Path

    from shelfcheck.config import PrepareSettings
    from shelfcheck.engines.duckdb import DuckDB
    from shelfcheck.prepare.rules import LengthBounds, Screened

CONTENT: Final = (
    schema.PRODUCT_ID,
    schema.CUSTOMER_ID,
    schema.REVIEW_HEADLINE,
    schema.REVIEW_BODY,
    schema.REVIEW_DATE,
    schema.STAR_RATING,
)
"""Columns that make two reviews the same."""

KEY_SCHEMA: Final = pa.schema(
    [
        ("ordinal", pa.int64()),  # of the row among the staged ones, in input order
        ("length", pa.int32()),  # characters of the body
        ("category", pa.uint64()),  # low half of its fingerprint
        ("id_low", pa.uint64()),  # fingerprint of the review id, null without one
        ("id_high", pa.uint64()),
        ("content_low", pa.uint64()),
        ("content_high", pa.uint64()),
    ]
)

_STANDING: Final = "(SELECT * FROM keys ANTI JOIN falls USING (ordinal))"

_REPEATS: Final = """
INSERT INTO falls
WITH standing AS (SELECT ordinal, {low} AS low, {high} AS high FROM {standing} WHERE {low} IS NOT NULL),
     repeated AS (
         SELECT low, high, min(ordinal) AS first_ordinal
         FROM standing GROUP BY low, high HAVING count(*) > 1)
SELECT ordinal, $rule
FROM standing JOIN repeated USING (low, high)
WHERE ordinal > first_ordinal
"""


def key_batch(screened: Screened) -> pa.RecordBatch:
    """Keys of the standing rows of a batch; ordinals count from its first row."""
    reviews, standing = screened.reviews, screened.standing
    ids = reviews.column(schema.REVIEW_ID)
    id_low, id_high = fingerprints([ids])
    without = ids.is_null().to_numpy(zero_copy_only=False)
    low, high = fingerprints([reviews.column(name) for name in CONTENT])
    keys = pa.RecordBatch.from_arrays(
        [
            pa.array(np.arange(reviews.num_rows)),
            pa.array(screened.lengths, pa.int32()),
            pa.array(fingerprints([reviews.column(schema.PRODUCT_CATEGORY)])[0]),
            pa.array(id_low, mask=without),
            pa.array(id_high, mask=without),
            pa.array(low),
            pa.array(high),
        ],
        schema=KEY_SCHEMA,
    )
    return keys.filter(pa.array(standing))


class KeyWriter:
    """Writes keys to a Parquet file, in input order."""

    def __init__(self, path: Path) -> None:
        # Random numbers: neither compression nor dictionaries nor statistics would pay.
        self._writer = pq.ParquetWriter(
            path, KEY_SCHEMA, compression="none", use_dictionary=False, write_statistics=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def write(self, keys: pa.RecordBatch, first: int) -> None:
        """Append what `key_batch` made of the batch whose first row has the ordinal `first`."""
        ordinals = pa.array(keys.column(0).to_numpy() + first)
        self._writer.write_batch(pa.RecordBatch.from_arrays([ordinals, *keys.columns[1:]], schema=KEY_SCHEMA))


def find_falls(
    engine: DuckDB, keys: Path, settings: PrepareSettings, bounds: LengthBounds | None
) -> dict[str, int]:
    """Fill the tables `falls` (ordinal, rule) and `occurrences` (ordinal, occurrence).

    Args:
        engine: where the tables are made.
        keys: the Parquet file of keys.
        settings: which rules hold.
        bounds: lengths to keep, where they came from the data.

    Returns:
        Rows that fall, by rule.
    """
    path = str(keys).replace("'", "''")
    engine.run(f"CREATE VIEW keys AS SELECT * FROM read_parquet('{path}')")  # noqa: S608 - our own path
    engine.run("CREATE TABLE falls (ordinal BIGINT, rule VARCHAR)")
    if bounds is not None:
        for rule, outside in ((TOO_SHORT, "length < $bound"), (TOO_LONG, "length > $bound")):
            bound = bounds.least if rule == TOO_SHORT else bounds.most
            engine.run(
                f"INSERT INTO falls SELECT ordinal, $rule FROM {_STANDING} WHERE {outside}",  # noqa: S608
                {"rule": rule, "bound": bound},
            )
    if settings.drop_duplicates:
        for rule, key in ((REPEATED_REVIEW_ID, "id"), (EXACT_DUPLICATE, "content")):
            sql = _REPEATS.format(low=f"{key}_low", high=f"{key}_high", standing=_STANDING)
            engine.run(sql, {"rule": rule})
    if settings.min_category_share > 0:
        engine.run(
            f"""
            INSERT INTO falls
            WITH standing AS {_STANDING},
                 counts AS (SELECT category, count(*) AS n FROM standing GROUP BY category)
            SELECT ordinal, $rule FROM standing
            WHERE category IN (
                SELECT category FROM counts WHERE n < $share * (SELECT sum(n) FROM counts))
            """,  # noqa: S608
            {"rule": RARE_CATEGORY, "share": settings.min_category_share},
        )
    # Reviews without an id get one from their content, so equal ones need telling apart.
    engine.run(
        f"""
        CREATE TABLE occurrences AS
        WITH standing AS (
                 SELECT ordinal, content_low, content_high FROM {_STANDING} WHERE id_low IS NULL),
             repeated AS (
                 SELECT content_low, content_high FROM standing
                 GROUP BY content_low, content_high HAVING count(*) > 1)
        SELECT ordinal,
               row_number() OVER (PARTITION BY content_low, content_high ORDER BY ordinal) AS occurrence
        FROM standing SEMI JOIN repeated USING (content_low, content_high)
        """  # noqa: S608
    )
    engine.run("DELETE FROM occurrences WHERE occurrence = 1")
    return dict(engine.run("SELECT rule, count(*) FROM falls GROUP BY rule"))


def write_falls(engine: DuckDB, path: Path) -> None:
    """Write both tables of `find_falls` to one Parquet file in input order, for `FallStream`.

    The engine can then be closed: what it holds would add to the memory of the second pass.
    """
    target = str(path).replace("'", "''")
    engine.run(
        f"""
        COPY (
            SELECT ordinal, rule, CAST(NULL AS BIGINT) AS occurrence FROM falls
            UNION ALL
            SELECT ordinal, NULL, occurrence FROM occurrences
            ORDER BY ordinal
        ) TO '{target}' (FORMAT parquet)
        """  # noqa: S608 - our own path
    )
