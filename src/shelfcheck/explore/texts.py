"""Texts that were posted several times, and the most reviewed products: the two tables that show names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from shelfcheck import schema
from shelfcheck.prepare.units import look_up

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shelfcheck.engines.relations import Relations
    from shelfcheck.prepare.units import Unit

LONG_TOKENS: Final = 10
"""Texts with fewer tokens are written again by chance: `Great product`."""
MOST_TEXTS: Final = 50
MOST_PRODUCTS: Final = 200
MOST_PRODUCTS_OF_CATEGORY: Final = 10

REPEATED: Final = """
    SELECT text, count(*) AS reviews, min(tokens) AS tokens, min(place) AS place
    FROM keys GROUP BY text HAVING count(*) > 1
"""
REPEATED_BY_CATEGORY: Final = f"""
    SELECT keys.category, count(*), count(CASE WHEN keys.tokens >= {LONG_TOKENS} THEN 1 END)
    FROM keys JOIN repeated ON repeated.text = keys.text GROUP BY keys.category
"""  # noqa: S608
REPEATED_TEXTS: Final = f"""
    WITH top AS (
        SELECT * FROM repeated WHERE tokens >= {LONG_TOKENS}
        ORDER BY reviews DESC, place LIMIT {MOST_TEXTS})
    SELECT top.place, max(top.reviews) AS times, max(top.tokens) AS tokens,
           count(DISTINCT CASE WHEN keys.product <> 0 THEN keys.product END) AS products,
           count(DISTINCT CASE WHEN keys.customer <> 0 THEN keys.customer END) AS customers,
           count(DISTINCT keys.category) AS categories,
           min(CASE WHEN keys.month >= 0 THEN keys.month END) AS first_month,
           max(keys.month) AS last_month
    FROM keys JOIN top ON top.text = keys.text GROUP BY top.place
    ORDER BY times DESC, top.place
"""  # noqa: S608
PRODUCTS: Final = """
    SELECT product, category, count(*) AS reviews, min(place) AS place,
           min(CASE WHEN month >= 0 THEN month END) AS first_month, max(month) AS last_month,
           sum(stars) / nullif(count(CASE WHEN stars > 0 THEN 1 END), 0) AS mean_stars
    FROM keys WHERE product <> 0 GROUP BY product, category
"""
TOP_PRODUCTS: Final = f"""
    -- Ranks are only for those that come into question: a window over all products would sort them.
    WITH sizes AS (SELECT category, reviews, count(*) AS n FROM products GROUP BY category, reviews),
    least AS (
        SELECT category, min(reviews) AS of_category
        FROM (SELECT category, reviews,
                     sum(n) OVER (PARTITION BY category ORDER BY reviews DESC) - n AS more FROM sizes) s
        WHERE more < {MOST_PRODUCTS_OF_CATEGORY} GROUP BY category),
    most AS (
        SELECT min(reviews) AS of_all
        FROM (SELECT reviews, sum(n) OVER (ORDER BY reviews DESC) - n AS more
              FROM (SELECT reviews, sum(n) AS n FROM sizes GROUP BY reviews) s) t
        WHERE more < {MOST_PRODUCTS}),
    likely AS (
        SELECT products.* FROM products JOIN least ON least.category = products.category CROSS JOIN most
        WHERE products.reviews >= least.of_category OR products.reviews >= most.of_all)
    SELECT category, place, reviews, mean_stars, first_month, last_month
    FROM (SELECT *, row_number() OVER (ORDER BY reviews DESC, place) AS of_all,
                 row_number() OVER (PARTITION BY category ORDER BY reviews DESC, place) AS of_category
          FROM likely) ranked
    WHERE of_all <= {MOST_PRODUCTS} OR of_category <= {MOST_PRODUCTS_OF_CATEGORY}
    ORDER BY reviews DESC, place
"""  # noqa: S608


def repeated_by_category(engine: Relations) -> dict[int, tuple[int, int]]:
    """Make the relation `repeated`, of bodies that stand in several reviews, letter by letter.

    Returns:
        Category -> its reviews with such a text, and those of them with LONG_TOKENS tokens or more.
    """
    engine.create("repeated", REPEATED)
    rows = engine.run(REPEATED_BY_CATEGORY)
    return {category: (reviews, long) for category, reviews, long in rows}


def repeated_texts(engine: Relations, units: Sequence[Unit]) -> list[dict[str, Any]]:
    """The long texts that were posted most often, most first, with the words of the first one in order."""
    rows = engine.run(REPEATED_TEXTS)
    names = ("reviews", "tokens", "unique_products", "unique_customers", "categories", "first", "last")
    words = look_up(units, [row[0] for row in rows], [schema.REVIEW_BODY])
    return [
        {"review_body": words[row[0]][schema.REVIEW_BODY], **dict(zip(names, row[1:], strict=True))}
        for row in rows
    ]


def top_products(engine: Relations, units: Sequence[Unit]) -> list[dict[str, Any]]:
    """The most reviewed products of all and of each category; a product counts in each of its categories.

    The title is that of the first review in the order of reading.
    """
    engine.create("products", PRODUCTS)
    rows = engine.run(TOP_PRODUCTS)
    names = ("category", "place", "reviews", "mean_stars", "first", "last")
    words = look_up(units, [row[1] for row in rows], [schema.PRODUCT_ID, schema.PRODUCT_TITLE])
    return [words[row[1]] | dict(zip(names, row, strict=True)) for row in rows]
