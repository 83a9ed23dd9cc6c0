"""What the analysis reads from the graph's tables: edges as arrays, counts of pairs, words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from shelfcheck.graph.analysis.network import Network
from shelfcheck.graph.build import quoted
from shelfcheck.graph.judged import judged

if TYPE_CHECKING:
    import numpy.typing as npt

    from shelfcheck.engines.duckdb import DuckDB
    from shelfcheck.graph.store import Graph

    Ints = npt.NDArray[np.int64]

_MILLION: Final = 1_000_000  # shares are added up as whole millionths, so that their order does not matter

_MADE: Final = {
    "categories": """
        SELECT CAST(row_number() OVER (ORDER BY category) - 1 AS INTEGER) AS category, category AS name
        FROM category_nodes""",
    "products": """
        SELECT CAST(row_number() OVER (ORDER BY product_id) - 1 AS INTEGER) AS product,
            product_id, title, p.reviews, c.category
        FROM product_nodes p
        LEFT JOIN (SELECT product_id, category AS name FROM assigned_edges WHERE current) USING (product_id)
        LEFT JOIN categories c USING (name)""",
    "assigned": """
        SELECT p.product, c.category, a.reviews
        FROM assigned_edges a JOIN products p USING (product_id) JOIN categories c ON c.name = a.category""",
    "judged": f"""
        SELECT j.review_id, p.product, a.category AS assigned, c.category AS predicted, j.confidence
        FROM ({judged("predicted_edges", "reviewed_edges", "assigned_edges")}) j
        JOIN products p USING (product_id) JOIN categories a ON a.name = j.assigned
        JOIN categories c ON c.name = j.predicted""",  # noqa: S608 - our own names
    "predicted": "SELECT product, predicted AS category, count(*) AS reviews FROM judged GROUP BY ALL",
    "met": """
        SELECT DISTINCT customer_id, product, category
        FROM wrote_edges JOIN reviewed_edges USING (review_id) JOIN products USING (product_id)""",
}
"""Temporary tables, in the order in which they are made."""

SUBGRAPHS: Final = {
    "assigned": "SELECT product, category, reviews FROM assigned",
    "predicted": "SELECT product, category, reviews FROM predicted",
    "both": "SELECT product, category, p.reviews FROM predicted p JOIN assigned a USING (product, category)",
    "only_predicted": "SELECT * FROM predicted ANTI JOIN assigned USING (product, category)",
    "only_assigned": "SELECT product, category, reviews FROM assigned ANTI JOIN predicted "
    "USING (product, category)",
}
"""Edges between products and categories: what the catalogue says, what reviews say, and their difference."""


@dataclass(frozen=True)
class CoReviewed:
    """Products joined by common customers.

    Attributes:
        network: of the products that have a neighbour.
        numbers: of these products, (nodes,).
        common: common customers of each edge, (n_edges,).
        customers: who join each product to others, (nodes,).
        counts: `customers`, `customers_of_one_product`, `customers_of_too_many`.
    """

    network: Network
    numbers: Ints
    common: Ints
    customers: Ints
    counts: dict[str, int]


class Views:
    """The graph's tables with products and categories as numbers 0, 1, 2, ... in the order of their names.

    Args:
        engine: where temporary tables are made.
        graph: the graph.
        model: whose predictions are laid beside the assigned categories.

    Raises:
        UsageError: the graph has no predictions of the model.
    """

    def __init__(self, engine: DuckDB, graph: Graph, model: str) -> None:
        self._engine = engine
        files = {
            "product_nodes": graph.nodes("products"),
            "category_nodes": graph.nodes("categories"),
            "review_nodes": graph.nodes("reviews"),
            "assigned_edges": graph.edges("assigned"),
            "reviewed_edges": graph.edges("reviewed"),
            "wrote_edges": graph.edges("wrote"),
            "predicted_edges": graph.predicted(model),
        }
        for name, file in files.items():
            engine.run(f"CREATE TEMP VIEW {name} AS SELECT * FROM read_parquet({quoted(file)})")  # noqa: S608
        for name, rows in _MADE.items():
            engine.run(f"CREATE TEMP TABLE {name} AS {rows}")
        self.categories = [row[0] for row in engine.run("SELECT name FROM categories ORDER BY category")]
        self.predictions = int(engine.run("SELECT count(*) FROM predicted_edges WHERE rank = 1")[0][0])
        self.judged = int(engine.run("SELECT count(*) FROM judged")[0][0])

    def products(self) -> pa.Table:
        """product_id, title, reviews, category (a number or null), and how its reviews are read.

        `judged_reviews`, `read_as` (where more of them are predicted than in any other category; of equals
        the one that is assigned, or else the first) and `read_as_reviews`, null where none was predicted;
        in the order of the numbers.
        """
        return self._table(
            """
            WITH read AS (
                SELECT product, p.category AS read_as, p.reviews AS read_as_reviews,
                    CAST(sum(p.reviews) OVER (PARTITION BY product) AS BIGINT) AS judged_reviews
                FROM predicted p JOIN products own USING (product)
                QUALIFY row_number() OVER (
                    PARTITION BY product
                    ORDER BY p.reviews DESC, p.category = own.category DESC, p.category) = 1
            )
            SELECT product_id, title, reviews, category, judged_reviews, read_as, read_as_reviews
            FROM products LEFT JOIN read USING (product) ORDER BY product
            """
        )

    def subgraph(self, name: str) -> tuple[Ints, Ints, Ints]:
        """Product, category and reviews of each edge of one of SUBGRAPHS, by product and category."""
        table = self._table(f"SELECT product, category, reviews FROM ({SUBGRAPHS[name]}) ORDER BY ALL")  # noqa: S608
        product, category, reviews = (column.to_numpy().astype(np.int64) for column in table.columns)
        return product, category, reviews

    def confusion(self) -> tuple[Ints, Ints, npt.NDArray[np.float64]]:
        """Reviews and products by assigned and predicted category, and the mean confidence, each (n, n).

        A product counts once in each category that one of its reviews is predicted in.
        """
        shape = (len(self.categories), len(self.categories))
        reviews, products = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        confidence = np.zeros(shape)
        for assigned, predicted, n, of, sure in self._engine.run(
            f"SELECT assigned, predicted, count(*), count(DISTINCT product), "  # noqa: S608
            f"sum(CAST(confidence * {_MILLION} AS BIGINT)) FROM judged GROUP BY ALL"
        ):
            reviews[assigned, predicted], products[assigned, predicted] = n, of
            confidence[assigned, predicted] = int(sure) / n / _MILLION
        return reviews, products, confidence

    def in_former(self) -> int:
        """Reviews predicted in a category that their product has, but not by its latest reviews."""
        found = self._engine.run(
            "SELECT count(*) FROM judged j JOIN products p USING (product) WHERE j.predicted = j.assigned "
            "AND j.assigned <> p.category"
        )
        return int(found[0][0])

    def common_customers(self) -> Ints:
        """Customers who reviewed products of both categories, (n, n); on the diagonal those of one."""
        found = np.zeros((len(self.categories), len(self.categories)), np.int64)
        self._engine.run(
            "CREATE OR REPLACE TEMP TABLE shelves AS "
            "SELECT DISTINCT customer_id, category FROM met WHERE category IS NOT NULL"
        )
        for a, b, n in self._engine.run(
            "SELECT a.category, b.category, count(*) "
            "FROM shelves a JOIN shelves b USING (customer_id) GROUP BY ALL"
        ):
            found[a, b] = n
        return found

    def co_reviewed(self, most: int) -> CoReviewed:
        """Products joined by customers who reviewed both; a customer of k products weighs 1/(k - 1) an edge.

        The weights are those of Newman, "Scientific collaboration networks II" (2001): a customer with many
        products tells less about each two of them.

        Args:
            most: customers of more products are left out, as pairs grow with the square.

        """
        run = self._engine.run
        run(
            "CREATE OR REPLACE TEMP TABLE several AS SELECT customer_id, product, n FROM "
            "(SELECT customer_id, product, count(*) OVER (PARTITION BY customer_id) AS n FROM met) "
            "WHERE n > 1"
        )
        customers, several, too_many = run(
            f"""SELECT (SELECT count(DISTINCT customer_id) FROM met), count(*),
            count(*) FILTER (n > {int(most)}) FROM (SELECT DISTINCT customer_id, n FROM several)"""  # noqa: S608
        )[0]
        table = self._table(
            f"""
            SELECT a.product AS a, b.product AS b, count(*) AS common,
                CAST(sum({_MILLION} // (a.n - 1)) AS BIGINT) AS millionths
            FROM several a JOIN several b USING (customer_id)
            WHERE a.n <= {int(most)} AND a.product < b.product GROUP BY ALL ORDER BY 1, 2
            """  # noqa: S608 - numbers
        )
        a, b, common, weight = (column.to_numpy().astype(np.int64) for column in table.columns)
        numbers, ends = np.unique(np.concatenate([a, b]), return_inverse=True)
        network = Network(len(numbers), ends[: len(a)], ends[len(a) :], weight / _MILLION)
        joining = np.zeros(int(numbers.max(initial=-1)) + 1, np.int64)
        for product, n in run(f"SELECT product, count(*) FROM several WHERE n <= {int(most)} GROUP BY ALL"):  # noqa: S608
            joining[product] = n
        return CoReviewed(
            network,
            numbers,
            common,
            joining[numbers],
            {
                "customers": int(customers),
                "customers_of_one_product": int(customers - several),
                "customers_of_too_many": int(too_many),
            },
        )

    def words(self, pairs: list[tuple[int, int]]) -> pa.Table:
        """Words of confused reviews, and of those of the same category that are predicted right.

        Args:
            pairs: assigned and predicted categories.

        Returns:
            assigned, predicted, word, and in how many reviews and products it stands; by these names.
        """
        listed = {*pairs, *((assigned, assigned) for assigned, _ in pairs)}
        self._engine.register(
            "listed_pairs",
            pa.table(
                {
                    "assigned": pa.array([one for one, _ in sorted(listed)], pa.int32()),
                    "predicted": pa.array([one for _, one in sorted(listed)], pa.int32()),
                }
            ),
        )
        return self._table(
            """
            SELECT assigned, predicted, word, count(*) AS reviews, count(DISTINCT product) AS products
            FROM (
                SELECT assigned, predicted, product,
                    unnest(list_distinct(string_split(tokens, ' '))) AS word
                FROM judged JOIN listed_pairs USING (assigned, predicted)
                JOIN review_nodes USING (review_id)
                WHERE tokens <> ''
            ) GROUP BY ALL ORDER BY assigned, predicted, word
            """
        )

    def mismatches(self, most: int) -> pa.Table:
        """Reviews predicted elsewhere than their product is assigned, the surest first, `most` of them."""
        return self._table(
            f"""
            SELECT review_id, product_id, products.title AS product_title, a.name AS assigned,
                p.name AS predicted, confidence, stars, r.title AS headline
            FROM (SELECT * FROM judged WHERE assigned <> predicted
                ORDER BY confidence DESC, review_id LIMIT {int(most)}) j
            JOIN products USING (product) JOIN review_nodes r USING (review_id)
            JOIN categories a ON a.category = j.assigned JOIN categories p ON p.category = j.predicted
            ORDER BY confidence DESC, review_id
            """  # noqa: S608 - our own path
        )

    def _table(self, sql: str) -> pa.Table:
        batches = list(self._engine.stream(sql))
        if batches:
            return pa.Table.from_batches(batches)
        described = self._engine.run(f"DESCRIBE {sql}")
        return pa.table({row[0]: pa.array([], _TYPES.get(row[1], pa.string())) for row in described})


_TYPES: Final = {
    "BIGINT": pa.int64(),
    "INTEGER": pa.int32(),
    "FLOAT": pa.float32(),
    "DOUBLE": pa.float64(),
}
