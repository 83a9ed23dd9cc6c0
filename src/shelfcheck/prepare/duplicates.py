"""The rules that need all rows: repeats, lengths from the data, rare categories.

The first pass writes a small key of every standing row; the engine finds, in memory or else
on disk, which rows fall. Each step judges the rows that the steps before left
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
    from collections.abc import Iterator, Mapping

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

# Every statement runs on DuckDB and, spelled by `engines.sql`, on Spark.

NO_FALLS: Final = "SELECT CAST(NULL AS BIGINT) AS ordinal, CAST(NULL AS VARCHAR) AS rule WHERE false"
NO_OCCURRENCES: Final = (
    "SELECT CAST(NULL AS BIGINT) AS ordinal, CAST(NULL AS BIGINT) AS occurrence WHERE false"
)
OUT_OF_BOUNDS: Final = """
    SELECT ordinal, CASE WHEN length < $least THEN $short ELSE $long END AS rule
    FROM keys WHERE length < $least OR length > $most
"""
RARE: Final = """
    WITH standing AS (SELECT * FROM keys ANTI JOIN falls USING (ordinal)),
         counts AS (SELECT category, count(*) AS n FROM standing GROUP BY category)
    SELECT ordinal, $rule AS rule FROM standing
    WHERE category IN (SELECT category FROM counts WHERE n < $share * (SELECT sum(n) FROM counts))
"""
# Few rows share their id or their content with another one: they are found first, and only they are compared.
_SHARED: Final = """
    SELECT {key}_low, {key}_high FROM keys WHERE {key}_low IS NOT NULL{condition}
    GROUP BY {key}_low, {key}_high HAVING count(*) > 1
"""
_ALIKE: Final = """
    SELECT ordinal, id_low, id_high, content_low, content_high
    FROM keys SEMI JOIN shared USING ({key}_low, {key}_high) WHERE true{condition}
"""
_REPEATS: Final = """
    WITH standing AS (SELECT * FROM alike_{key} ANTI JOIN falls USING (ordinal) WHERE true{condition}),
         repeated AS (
             SELECT {key}_low, {key}_high, min(ordinal) AS first_ordinal
             FROM standing GROUP BY {key}_low, {key}_high HAVING count(*) > 1)
    SELECT ordinal, $rule AS rule
    FROM standing JOIN repeated USING ({key}_low, {key}_high)
    WHERE ordinal > first_ordinal
"""
# Reviews without an id get one from their content, so equal ones need telling apart.
_OCCURRENCES: Final = """
    SELECT ordinal, occurrence
    FROM (
        SELECT ordinal, CAST(
            row_number() OVER (PARTITION BY content_low, content_high ORDER BY ordinal) AS BIGINT
        ) AS occurrence
        FROM alike_content ANTI JOIN falls USING (ordinal)
        WHERE id_low IS NULL{condition})
    WHERE occurrence > 1
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


def shared_sql(key: str, condition: str = "") -> str:
    """The query for ids, or contents, that several rows have."""
    return _SHARED.format(key=key, condition=condition)


def alike_sql(key: str, condition: str = "") -> str:
    """The query for the rows that have one of them."""
    return _ALIKE.format(key=key, condition=condition)


def repeats_sql(key: str, condition: str = "") -> str:
    """The query for those of them that stand behind the first with the same id, or content."""
    return _REPEATS.format(key=key, condition=condition)


def occurrences_sql(condition: str = "") -> str:
    """The query for the numbers, from 2, of rows of equal content that have no id."""
    return _OCCURRENCES.format(condition=condition)


def find_falls(
    engine: Relations,
    settings: PrepareSettings,
    bounds: LengthBounds | None,
    rows: int,
    most: int | None = None,
) -> None:
    """Make the relations `falls` (ordinal, rule) and `occurrences` (ordinal, occurrence).

    Args:
        engine: holds the relation `keys`, KEY_SCHEMA, and gets the others.
        settings: which rules hold.
        bounds: lengths to keep, where they came from the data.
        rows: of `keys`.
        most: rows to compare with one another at a time: fewer take less memory, and more time.
    """
    alike = {key: _find_alike(engine, key, bounds, rows, most) for key in compared(settings)}
    judge(engine, settings, bounds, alike, most)


def compared(settings: PrepareSettings) -> tuple[str, ...]:
    """By what rows are compared: `id`, `content`."""
    return ("id", "content") if settings.drop_duplicates else ("content",)


def needs_all(settings: PrepareSettings, bounds: LengthBounds | None) -> bool:
    """Whether a rule holds that looks at other rows than those that are alike."""
    return bounds is not None or settings.min_category_share > 0


def judge(
    engine: Relations,
    settings: PrepareSettings,
    bounds: LengthBounds | None,
    alike: Mapping[str, int],
    most: int | None = None,
) -> None:
    """Do what `find_falls` does where alike rows are known.

    Args:
        engine: holds the relations `alike_id` and `alike_content`, where they have rows: of those within the
            bounds all that share that key with another one, and maybe others. And `keys`, if `needs_all`.
        settings: which rules hold.
        bounds: lengths to keep, where they came from the data.
        alike: rows of these relations, by key.
        most: rows to compare with one another at a time.
    """
    engine.create("falls", NO_FALLS)
    engine.create("occurrences", NO_OCCURRENCES)
    if settings.drop_duplicates:
        for key, rule in (("id", REPEATED_REVIEW_ID), ("content", EXACT_DUPLICATE)):
            for condition in _parts(key, alike[key], most):
                engine.append("falls", repeats_sql(key, condition), {"rule": rule})
    if bounds is not None:  # behind the others, which need not know of these rows: there may be many
        limits = {"least": bounds.least, "most": bounds.most}
        engine.append("falls", OUT_OF_BOUNDS, limits | {"short": TOO_SHORT, "long": TOO_LONG})
    if settings.min_category_share > 0:
        engine.append("falls", RARE, {"rule": RARE_CATEGORY, "share": settings.min_category_share})
    if not settings.drop_duplicates:  # else no two are left
        for condition in _parts("content", alike["content"], most):
            engine.append("occurrences", occurrences_sql(condition))


def _find_alike(engine: Relations, key: str, bounds: LengthBounds | None, rows: int, most: int | None) -> int:
    """Make the relation of rows that share a key, where there are any; how many there are."""
    within = "" if bounds is None else f" AND length BETWEEN {bounds.least} AND {bounds.most}"
    alike = 0
    for condition in _parts(key, rows, most):
        engine.create("shared", shared_sql(key, within + condition))
        if _count(engine, "shared"):
            (engine.append if alike else engine.create)(f"alike_{key}", alike_sql(key, within))
            alike = _count(engine, f"alike_{key}")
        engine.drop("shared")
    return alike


def _count(engine: Relations, name: str) -> int:
    return int(engine.run(f"SELECT count(*) FROM {name}")[0][0])  # noqa: S608 - our own words


def _parts(key: str, rows: int, most: int | None) -> Iterator[str]:
    """The conditions that cut rows into parts; equal keys are in one."""
    parts = -(-rows // most) if most else min(rows, 1)
    for part in range(parts):
        yield f" AND {key}_low % CAST({parts} AS UBIGINT) = CAST({part} AS UBIGINT)" if parts > 1 else ""
