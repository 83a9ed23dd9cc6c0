"""The five reference questions in openCypher: what a graph store must answer as DuckDB does.

They use what Ladybug, Neptune and Bolt servers share: labels and relationship types as the graph has them
(`(:Customer)-[:BOUGHT]->(:Product)` and so on), properties named as the columns of the tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

    from shelfcheck.graph.queries import GraphQueries


@dataclass(frozen=True)
class Question:
    """One question, for either kind of store.

    Attributes:
        cypher: in openCypher, with `$name` parameters; names its columns as `table` does, in its order.
        parameters: names of the parameters.
        table: asks it of DuckDB, given values of the parameters.
    """

    cypher: str
    parameters: tuple[str, ...]
    table: Callable[[GraphQueries, Mapping[str, Any]], pa.Table]


QUESTIONS: Final[dict[str, Question]] = {
    "products_of_category": Question(
        """
        MATCH (c:Category {category: $category})<-[a:ASSIGNED]-(p:Product) WHERE a.current = true
        OPTIONAL MATCH (p)<-[:REVIEWED]-(r:Review)<-[:WROTE]-(u:Customer)
        RETURN p.product_id AS product_id, p.title AS title, p.reviews AS reviews,
            count(DISTINCT u.customer_id) AS customers, p.stars AS stars
        ORDER BY reviews DESC, product_id
        """,
        ("category",),
        lambda ask, given: ask.products_of_category(given["category"]),
    ),
    "mismatches": Question(
        """
        MATCH (r:Review)-[q:PREDICTED]->(d:Category)
        WHERE q.model = $model AND q.rank = 1 AND q.confidence >= $min_confidence
        MATCH (r)-[:REVIEWED]->(p:Product)-[a:ASSIGNED]->(c:Category)
        WHERE a.current = true AND NOT (p)-[:ASSIGNED]->(d)
        RETURN r.review_id AS review_id, p.product_id AS product_id, c.category AS assigned,
            d.category AS predicted, q.confidence AS confidence
        ORDER BY confidence DESC, review_id
        """,
        ("model", "min_confidence"),
        lambda ask, given: ask.mismatches(given["model"], given["min_confidence"]),
    ),
    "neighbours": Question(
        """
        MATCH (p:Product {product_id: $product_id})<-[:BOUGHT]-(u:Customer)-[:BOUGHT]->(o:Product)
        WHERE o.product_id <> $product_id
        RETURN o.product_id AS product_id, o.title AS title, count(DISTINCT u.customer_id) AS common_customers
        ORDER BY common_customers DESC, product_id
        """,
        ("product_id",),
        lambda ask, given: ask.neighbours(given["product_id"]).drop_columns(["similarity"]),
    ),
    "customer_history": Question(
        """
        MATCH (u:Customer {customer_id: $customer_id})-[:WROTE]->(r:Review)
        OPTIONAL MATCH (r)-[:REVIEWED]->(p:Product)
        RETURN r.review_id AS review_id, p.product_id AS product_id, p.title AS product_title,
            r.stars AS stars, r.title AS title, r.verified AS verified
        ORDER BY review_id
        """,
        ("customer_id",),
        lambda ask, given: (
            ask.customer_history(given["customer_id"])
            .select(["review_id", "product_id", "product_title", "stars", "title", "verified"])
            .sort_by("review_id")
        ),
    ),
    "category_confusion": Question(
        """
        MATCH (d:Category)<-[q:PREDICTED]-(r:Review)-[:REVIEWED]->(p:Product)-[a:ASSIGNED]->(c:Category)
        WHERE q.model = $model AND q.rank = 1 AND a.current = true
        OPTIONAL MATCH (p)-[f:ASSIGNED]->(d)
        RETURN CASE WHEN f IS NULL THEN c.category ELSE d.category END AS assigned,
            d.category AS predicted, count(r.review_id) AS reviews
        ORDER BY reviews DESC, assigned, predicted
        """,
        ("model",),
        lambda ask, given: ask.category_confusion(given["model"]).drop_columns(["mean_confidence"]),
    ),
}
"""By the name of the method of `GraphQueries` that asks the same."""
