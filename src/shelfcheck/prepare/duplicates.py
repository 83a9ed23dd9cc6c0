"""The rules that need all rows: repeats, lengths from the data, rare categories.

The first pass writes a small key of every standing row; the engine finds, in memory or else
on disk, which rows fall. Each step is one statement over the rows that the steps before left
standing, and always keeps the first row in input order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from shelfcheck import schema
from shelfcheck.prepare.fingerprint import fingerprints
from shelfcheck.prepare.rules import EXACT_DUPLICATE, RARE_CATEGORY, REPEATED_REVIEW_ID, TOO_LONG, TOO_SHORT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shelfcheck.config import PrepareSettings
    from shelfcheck.engines.relations import Relations
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

# Every statement runs on DuckDB and, spelled by `engines.sql`, on Spark. Those that are templates compare
# rows with one another, and can be run part by part of the rows: see `_compare`.

_STANDING: Final = "SELECT * FROM keys ANTI JOIN falls USING (ordinal)"
_REPEATS: Final = """
    WITH standing AS ({{standing}}),
         repeated AS (
             SELECT {key}_low, {key}_high, min(ordinal) AS first_ordinal
             FROM standing WHERE {key}_low IS NOT NULL
             GROUP BY {key}_low, {key}_high HAVING count(*) > 1)
    SELECT ordinal, $rule AS rule
    FROM standing JOIN repeated USING ({key}_low, {key}_high)
    WHERE ordinal > first_ordinal
"""

NO_FALLS: Final = "SELECT ordinal, CAST(NULL AS VARCHAR) AS rule FROM keys WHERE ordinal < 0"
SHORT: Final = f"SELECT ordinal, $rule AS rule FROM ({_STANDING}) WHERE length < $bound"  # noqa: S608
LONG: Final = f"SELECT ordinal, $rule AS rule FROM ({_STANDING}) WHERE length > $bound"  # noqa: S608
_REPEATED_IDS: Final = _REPEATS.format(key="id")
_REPEATED_CONTENT: Final = _REPEATS.format(key="content")
REPEATED_IDS: Final = _REPEATED_IDS.format(standing=_STANDING)
REPEATED_CONTENT: Final = _REPEATED_CONTENT.format(standing=_STANDING)
RARE: Final = f"""
    WITH standing AS ({_STANDING}),
         counts AS (SELECT category, count(*) AS n FROM standing GROUP BY category)
    SELECT ordinal, $rule AS rule FROM standing
    WHERE category IN (SELECT category FROM counts WHERE n < $share * (SELECT sum(n) FROM counts))
"""  # noqa: S608
# Reviews without an id get one from their content, so equal ones need telling apart.
_OCCURRENCES: Final = """
    WITH standing AS (
             SELECT ordinal, content_low, content_high FROM ({standing}) WHERE id_low IS NULL),
         repeated AS (
             SELECT content_low, content_high FROM standing
             GROUP BY content_low, content_high HAVING count(*) > 1)
    SELECT ordinal, occurrence
    FROM (
        SELECT ordinal, CAST(
            row_number() OVER (PARTITION BY content_low, content_high ORDER BY ordinal) AS BIGINT
        ) AS occurrence
        FROM standing SEMI JOIN repeated USING (content_low, content_high))
    WHERE occurrence > 1
"""
OCCURRENCES: Final = _OCCURRENCES.format(standing=_STANDING)
# The rows of one part: equal keys are in one.
_PART: Final = """
    SELECT ordinal, id_low, id_high, content_low, content_high
    FROM (SELECT * FROM keys WHERE {key} % CAST($parts AS UBIGINT) = CAST($part AS UBIGINT))
    ANTI JOIN falls USING (ordinal)
"""
FALLS_BY_ORDINAL: Final = """
    SELECT ordinal, rule, CAST(NULL AS BIGINT) AS occurrence FROM falls
    UNION ALL
    SELECT ordinal, CAST(NULL AS VARCHAR) AS rule, occurrence FROM occurrences
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


def find_falls(
    engine: Relations, settings: PrepareSettings, bounds: LengthBounds | None, parts: int = 1
) -> None:
    """Make the relations `falls` (ordinal, rule) and `occurrences` (ordinal, occurrence).

    Args:
        engine: holds the relation `keys`, KEY_SCHEMA, and gets the others.
        settings: which rules hold.
        bounds: lengths to keep, where they came from the data.
        parts: into how many parts to cut the rows to compare them; more take less memory, and more time.
    """
    engine.create("falls", NO_FALLS)
    if bounds is not None:
        engine.append("falls", SHORT, {"rule": TOO_SHORT, "bound": bounds.least})
        engine.append("falls", LONG, {"rule": TOO_LONG, "bound": bounds.most})
    if settings.drop_duplicates:
        for sql in _compare(engine, _REPEATED_IDS, "id_low", parts):
            engine.append("falls", sql, {"rule": REPEATED_REVIEW_ID})
        for sql in _compare(engine, _REPEATED_CONTENT, "content_low", parts):
            engine.append("falls", sql, {"rule": EXACT_DUPLICATE})
    if settings.min_category_share > 0:
        engine.append("falls", RARE, {"rule": RARE_CATEGORY, "share": settings.min_category_share})
    for part, sql in enumerate(_compare(engine, _OCCURRENCES, "content_low", parts)):
        (engine.append if part else engine.create)("occurrences", sql)


def _compare(engine: Relations, template: str, key: str, parts: int) -> Iterator[str]:
    """The statement of a template, to be run before the next is asked for: of all rows, or of each part's.

    A part's rows are laid out before they are compared, so that the engine does one thing at a time.
    """
    if parts == 1:
        yield template.format(standing=_STANDING)
        return
    for part in range(parts):
        engine.create("rows_of_part", _PART.format(key=key), {"parts": parts, "part": part})
        yield template.format(standing="SELECT * FROM rows_of_part")
        engine.run("DROP TABLE rows_of_part")
