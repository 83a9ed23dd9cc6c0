"""Texts that were posted several times, and the most reviewed products: the two tables that show names."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shelfcheck import schema
from shelfcheck.explore.scan import read_part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shelfcheck.engines.duckdb import DuckDB
    from shelfcheck.explore.scan import Unit

LONG_TOKENS: Final = 10
"""Texts with fewer tokens are written again by chance: `Great product`."""
MOST_TEXTS: Final = 50
MOST_PRODUCTS: Final = 200
MOST_PRODUCTS_OF_CATEGORY: Final = 10

_ROW_MASK: Final = (1 << 32) - 1


def repeated_by_category(engine: DuckDB) -> dict[int, tuple[int, int]]:
    """Make the table `repeated`, of bodies that stand in several reviews, letter by letter.

    Returns:
        Category -> its reviews with such a text, and those of them with LONG_TOKENS tokens or more.
    """
    engine.run(
        "CREATE TEMP TABLE repeated AS SELECT text, count(*) AS reviews, any_value(tokens) AS tokens, "
        "min(place) AS place FROM keys GROUP BY text HAVING count(*) > 1"
    )
    rows = engine.run(
        f"SELECT category, count(*), count(*) FILTER (tokens >= {LONG_TOKENS}) "  # noqa: S608
        "FROM keys SEMI JOIN repeated USING (text) GROUP BY category"
    )
    return {category: (reviews, long) for category, reviews, long in rows}


def repeated_texts(engine: DuckDB, units: Sequence[Unit]) -> list[dict[str, Any]]:
    """The long texts that were posted most often, most first, with the words of the first one in order."""
    rows = engine.run(
        f"""
        WITH top AS (
            SELECT * FROM repeated WHERE tokens >= {LONG_TOKENS}
            ORDER BY reviews DESC, place LIMIT {MOST_TEXTS})
        SELECT top.place, any_value(top.reviews), any_value(top.tokens),
               count(DISTINCT product) FILTER (product <> 0),
               count(DISTINCT customer) FILTER (customer <> 0), count(DISTINCT category),
               min(month) FILTER (month >= 0), max(month)
        FROM keys JOIN top USING (text) GROUP BY top.place ORDER BY 2 DESC, 1"""  # noqa: S608
    )
    names = ("reviews", "tokens", "unique_products", "unique_customers", "categories", "first", "last")
    words = _look_up(units, [row[0] for row in rows], [schema.REVIEW_BODY])
    return [
        {"review_body": words[row[0]][schema.REVIEW_BODY], **dict(zip(names, row[1:], strict=True))}
        for row in rows
    ]


def top_products(engine: DuckDB, units: Sequence[Unit]) -> list[dict[str, Any]]:
    """The most reviewed products of all and of each category; a product counts in each of its categories.

    The title is that of the first review in the order of reading.
    """
    rows = engine.run(
        f"""
        WITH products AS (
            SELECT product, category, count(*) AS reviews, min(place) AS place,
                   min(month) FILTER (month >= 0) AS first, max(month) AS last,
                   sum(stars) / nullif(count(*) FILTER (stars > 0), 0) AS mean_stars
            FROM keys WHERE product <> 0 GROUP BY product, category),
        -- Ranks are only for those that come into question: a window over all products would sort them.
        least AS (
            SELECT category, min(reviews) AS of_category
            FROM (SELECT category, unnest(max(reviews, {MOST_PRODUCTS_OF_CATEGORY})) AS reviews
                  FROM products GROUP BY category) GROUP BY category),
        most AS (SELECT list_min(max(reviews, {MOST_PRODUCTS})) AS of_all FROM products)
        SELECT category, place, reviews, mean_stars, first, last
        FROM (SELECT *, row_number() OVER (ORDER BY reviews DESC, place) AS of_all,
                     row_number() OVER (PARTITION BY category ORDER BY reviews DESC, place) AS of_category
              FROM (SELECT products.* FROM products JOIN least USING (category), most
                    WHERE reviews >= least.of_category OR reviews >= most.of_all))
        WHERE of_all <= {MOST_PRODUCTS} OR of_category <= {MOST_PRODUCTS_OF_CATEGORY}
        ORDER BY reviews DESC, place"""  # noqa: S608
    )
    names = ("category", "place", "reviews", "mean_stars", "first", "last")
    words = _look_up(units, [row[1] for row in rows], [schema.PRODUCT_ID, schema.PRODUCT_TITLE])
    return [words[row[1]] | dict(zip(names, row, strict=True)) for row in rows]


def _look_up(units: Sequence[Unit], places: Sequence[int], columns: list[str]) -> dict[int, dict[str, Any]]:
    """Columns of single reviews, of which only the files that hold them are read."""
    wanted: defaultdict[tuple[int, int], list[int]] = defaultdict(list)  # unit, part -> places
    for place in places:
        unit, row = place >> 32, place & _ROW_MASK
        ends = np.cumsum([part.rows for part in units[unit].parts])
        wanted[unit, int(np.searchsorted(ends, row, side="right"))].append(place)
    found: dict[int, dict[str, Any]] = {}
    for (unit, at), own in wanted.items():
        parts = units[unit].parts
        before = sum(part.rows for part in parts[:at])
        rows = [(place & _ROW_MASK) - before for place in own]
        found |= dict(zip(own, read_part(parts[at], columns).take(rows).to_pylist(), strict=True))
    return found
