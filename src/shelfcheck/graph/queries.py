"""The questions that people ask the graph, answered by DuckDB on its Parquet tables.

    with GraphQueries(open_graph(Workspace("shop"))) as ask:
        doubtful = ask.mismatches(min_confidence=0.9)
        fallen = minus(doubtful, known, "review_id")

Each question has one order of rows, so the same graph gives the same table.
"""

from __future__ import annotations

import inspect
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from shelfcheck.errors import UsageError
from shelfcheck.graph.alike import WEIGHT_ONE, ensure_words
from shelfcheck.graph.build import quoted
from shelfcheck.graph.judged import judged
from shelfcheck.graph.store import EDGES, NODES, OUT_OF_FOLD_MODEL
from shelfcheck.interrupts import deferred
from shelfcheck.progress import NullProgress

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from shelfcheck.graph.store import Graph
    from shelfcheck.progress import Progress


class GraphQueries:
    """The graph's tables under their names, open for questions; a context manager.

    Args:
        graph: the graph.
        memory_limit: e.g. `1GB`, past which the engine goes to disk.
        threads: worker threads; 0 takes all processors.
        progress: told how far the words are weighed that `reviewed_alike` needs once for a graph.
    """

    def __init__(
        self,
        graph: Graph,
        memory_limit: str = "1GB",
        threads: int = 0,
        progress: Progress | None = None,
    ) -> None:
        with deferred():  # DuckDB's module aborts the process when Ctrl-C comes while it is loaded
            from shelfcheck.engines.duckdb import DuckDB  # noqa: PLC0415 - loads DuckDB

        self.graph = graph
        self._progress = progress or NullProgress()
        self._words: Path | None = None
        self._spill = tempfile.TemporaryDirectory(prefix="shelfcheck-")
        self._engine = DuckDB(self._spill.name, memory_limit, threads or os.cpu_count() or 1)
        for name in NODES:
            self._view(name, [graph.nodes(name)])
        for name in EDGES:
            self._view(name, [graph.edges(name)])
        if graph.models:
            self._view("predicted", [graph.predicted(model) for model in graph.models])
            self._engine.run(f"CREATE VIEW judged AS {judged()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the tables. Closing twice does nothing."""
        self._engine.close()
        self._spill.cleanup()

    def products_of_category(self, category: str) -> pa.Table:
        """Products that stand in a category, with how much is known of each.

        Args:
            category: its name. A product counts where its latest reviews are in it.

        Returns:
            `product_id`, `title`, `reviews`, `customers` (known ones who wrote them), `stars` (mean,
            1..5), by reviews, most first, then id.
        """
        return self._ask(
            """
            SELECT product_id, any_value(title) AS title, any_value(p.reviews) AS reviews,
                count(DISTINCT customer_id) AS customers, any_value(stars) AS stars
            FROM assigned a JOIN products p USING (product_id)
            LEFT JOIN reviewed USING (product_id) LEFT JOIN wrote USING (review_id)
            WHERE a.category = $category AND a.current
            GROUP BY product_id ORDER BY reviews DESC, product_id
            """,
            category=category,
        )

    def mismatches(
        self,
        model: str = OUT_OF_FOLD_MODEL,
        min_confidence: float = 0.0,
        limit: int | None = None,
    ) -> pa.Table:
        """Reviews whose likeliest category is none that their product is or was in.

        Args:
            model: whose predictions.
            min_confidence: of the prediction, 0..1.
            limit: most rows; all when None.

        Returns:
            `review_id`, `product_id`, `assigned`, `predicted`, `confidence`, by confidence, surest first,
            then id. `assigned` is the category of the product's latest reviews.

        Raises:
            UsageError: the graph has no predictions of that model.
        """
        self.graph.predicted(model)
        return self._ask(
            f"""
            SELECT review_id, product_id, assigned, predicted, confidence FROM judged
            WHERE model = $model AND assigned <> predicted AND confidence >= $min_confidence
            ORDER BY confidence DESC, review_id LIMIT {_limit(limit)}
            """,  # noqa: S608 - a number
            model=model,
            min_confidence=min_confidence,
        )

    def neighbours(self, product_id: str, limit: int | None = None) -> pa.Table:
        """Products that were bought by the customers of a product; `reviewed_alike` are its other neighbours.

        Args:
            product_id: the product.
            limit: most rows; all when None.

        Returns:
            `product_id`, `title`, `common_customers`, `similarity` (Jaccard's: common customers among all who
            bought either, 0..1), by common customers, most first, then id.
        """
        return self._ask(
            f"""
            WITH own AS (SELECT customer_id FROM bought WHERE product_id = $product_id),
            common AS (
                SELECT product_id, count(*) AS common_customers FROM bought SEMI JOIN own USING (customer_id)
                WHERE product_id <> $product_id GROUP BY product_id
            )
            SELECT product_id, title, common_customers,
                common_customers / (buyers + (SELECT count(*) FROM own) - common_customers) AS similarity
            FROM common JOIN products USING (product_id) JOIN (
                SELECT product_id, count(*) AS buyers FROM bought SEMI JOIN common USING (product_id)
                GROUP BY product_id
            ) USING (product_id)
            ORDER BY common_customers DESC, product_id LIMIT {_limit(limit)}
            """,  # noqa: S608 - a number
            product_id=product_id,
        )

    def reviewed_alike(self, product_id: str, limit: int | None = 20) -> pa.Table:
        """Products whose reviews speak by the same words, the rare ones above all.

        A product with one short review is near to others by chance. How it is reckoned stands in
        `graph.alike`; its table is made at the first such question to a graph, which takes a while.

        Args:
            product_id: the product.
            limit: most rows; all that share a word when None.

        Returns:
            `product_id`, `title`, `category` (its own now), `similarity` (cosine, 0..1), `words` (that both
            speak by, at most five, those that weigh most first), by similarity, most first, then id.

        Raises:
            WorkspaceError: the workspace's cache cannot be written to, or another process writes it.
        """
        if self._words is None:
            cache = self.graph.cache or Path(self._spill.name)
            self._words = ensure_words(self.graph, cache, self._engine, self._progress)
            self._view("spoken_words", [self._words])
        return self._ask(
            f"""
            WITH own AS (SELECT word, weight FROM spoken_words WHERE product_id = $product_id),
            common AS (
                SELECT s.product_id, s.word, CAST(s.weight AS BIGINT) * own.weight AS shared
                FROM spoken_words s JOIN own USING (word) WHERE s.product_id <> $product_id
            ),
            nearest AS (
                SELECT product_id, CAST(sum(shared) AS BIGINT) AS shared FROM common GROUP BY product_id
                ORDER BY shared DESC, product_id LIMIT {_limit(limit)}
            )
            SELECT n.product_id, p.title, a.category, n.shared / {WEIGHT_ONE**2}.0 AS similarity, w.words
            FROM nearest n JOIN products p USING (product_id)
            LEFT JOIN assigned a ON a.product_id = n.product_id AND a.current
            JOIN (
                SELECT product_id,
                    array_to_string(list(word ORDER BY shared DESC, word)[1:5], ', ') AS words
                FROM common SEMI JOIN nearest USING (product_id) GROUP BY product_id
            ) w USING (product_id)
            ORDER BY n.shared DESC, n.product_id
            """,  # noqa: S608 - numbers
            product_id=product_id,
        )

    def customer_history(self, customer_id: str) -> pa.Table:
        """What a customer wrote.

        Args:
            customer_id: the customer.

        Returns:
            `date`, `review_id`, `product_id`, `product_title`, `category` (the product's now), `stars`,
            `title` (headline), `verified`; by date, earliest first and unknown last, then id. Reviews without
            a product are among them.
        """
        return self._ask(
            """
            SELECT r.date, r.review_id, p.product_id, p.title AS product_title, a.category, r.stars, r.title,
                r.verified
            FROM wrote JOIN reviews r USING (review_id) LEFT JOIN reviewed e USING (review_id)
            LEFT JOIN products p ON p.product_id = e.product_id
            LEFT JOIN assigned a ON a.product_id = e.product_id AND a.current
            WHERE customer_id = $customer_id ORDER BY r.date NULLS LAST, r.review_id
            """,
            customer_id=customer_id,
        )

    def category_confusion(self, model: str = OUT_OF_FOLD_MODEL) -> pa.Table:
        """How many reviews of each category a model puts into which.

        Args:
            model: whose predictions.

        Returns:
            `assigned`, `predicted`, `reviews`, `mean_confidence` (of the prediction, 0..1), by reviews, most
            first, then names. Reviews on the diagonal, predicted as assigned, are among them; so are those
            predicted in a category that their product was in before.

        Raises:
            UsageError: the graph has no predictions of that model.
        """
        self.graph.predicted(model)
        return self._ask(
            """
            SELECT assigned, predicted, count(*) AS reviews,
                avg(CAST(confidence AS DOUBLE)) AS mean_confidence
            FROM judged WHERE model = $model GROUP BY ALL ORDER BY reviews DESC, assigned, predicted
            """,
            model=model,
        )

    def _ask(self, sql: str, **parameters: object) -> pa.Table:
        import pyarrow as pa  # noqa: PLC0415 - loaded when it is used

        batches = list(self._engine.stream(sql, dict(parameters)))
        if batches:
            return pa.Table.from_batches(batches)
        described = self._engine.run(f"DESCRIBE {sql}", dict(parameters))  # names and types of no rows
        types: dict[str, Any] = {
            "VARCHAR": pa.string(),
            "BIGINT": pa.int64(),
            "INTEGER": pa.int32(),
            "DOUBLE": pa.float64(),
            "FLOAT": pa.float32(),
            "DATE": pa.date32(),
            "BOOLEAN": pa.bool_(),
        }
        return pa.schema([(name, types[kind]) for name, kind, *_ in described]).empty_table()

    def _view(self, name: str, files: list[Any]) -> None:
        listed = ", ".join(quoted(file) for file in files)
        self._engine.run(f"CREATE VIEW {name} AS SELECT * FROM read_parquet([{listed}])")  # noqa: S608


COMMON_QUESTIONS: Final = (
    "products_of_category",
    "mismatches",
    "neighbours",
    "reviewed_alike",
    "customer_history",
    "category_confusion",
)
"""Methods of `GraphQueries` that can be asked by name."""


def ask_by_name(ask: GraphQueries, question: str, arguments: Mapping[str, Any]) -> pa.Table:
    """Ask one of COMMON_QUESTIONS.

    Args:
        ask: the open graph.
        question: its name; a `-` counts as `_`.
        arguments: by name, as the method has them.

    Raises:
        UsageError: there is no such question, or it does not take these arguments.
    """
    name = question.replace("-", "_")
    if name not in COMMON_QUESTIONS:
        raise UsageError(f"There is no question {question!r}; there are {', '.join(COMMON_QUESTIONS)}.")
    method = getattr(ask, name)
    taken = inspect.signature(method, eval_str=False).parameters
    lacking = [one.name for one in taken.values() if one.default is one.empty and one.name not in arguments]
    unknown = [given for given in arguments if given not in taken]
    if lacking or unknown:
        said = f"it needs {', '.join(lacking)}" if lacking else f"it has no {', '.join(unknown)}"
        raise UsageError(
            f"{name}: {said}. Its arguments are {', '.join(taken)}; give them as -p NAME=VALUE, "
            "a number as -p NAME:=VALUE."
        )
    for given, value in arguments.items():
        kinds = _KINDS[str(taken[given].annotation)]
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise UsageError(
                f"{name}: {given} == {value!r}, must be {'a text' if str in kinds else 'a number'}; "
                "a number is given as -p NAME:=VALUE."
            )
    answer: pa.Table = method(**arguments)
    return answer


_KINDS: Final[dict[str, tuple[type, ...]]] = {
    "str": (str,),
    "float": (float, int),
    "int | None": (int, type(None)),
}
"""What an argument may be, by how the methods declare it."""


def union(first: pa.Table, second: pa.Table, key: str) -> pa.Table:
    """Rows of either result: all of the first, then those of the second whose key the first does not have.

    Args:
        first: a result.
        second: another, with the same columns.
        key: the column that tells rows apart, e.g. `review_id`.

    Raises:
        UsageError: a result lacks the key, or their columns differ.
    """
    import pyarrow as pa  # noqa: PLC0415

    if first.schema.names != second.schema.names:
        given = f"{', '.join(first.schema.names)}, and {', '.join(second.schema.names)}"
        raise UsageError(f"Only results with the same columns can be united; these have {given}.")
    return pa.concat_tables([first, minus(second, first, key)])


def minus(first: pa.Table, second: pa.Table, key: str) -> pa.Table:
    """Rows of the first result whose key the second does not have, in their order.

    Args:
        first: a result.
        second: another; only its key counts.
        key: the column that tells rows apart, e.g. `review_id`.

    Raises:
        UsageError: a result lacks the key.
    """
    import pyarrow.compute as pc  # noqa: PLC0415

    for table in (first, second):
        if key not in table.schema.names:
            raise UsageError(f"The result has no column {key!r}; it has {', '.join(table.schema.names)}.")
    return first.filter(pc.invert(pc.is_in(first.column(key), value_set=second.column(key).unique())))


def _limit(limit: int | None) -> str:
    return "ALL" if limit is None else str(int(limit))
