"""What pictures read from the graph, and the reviews' own texts, which the graph does not hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from shelfcheck.errors import UsageError
from shelfcheck.graph.build import quoted
from shelfcheck.graph.judged import judged
from shelfcheck.graph.picture.model import BIN_SQL
from shelfcheck.graph.queries import GraphQueries
from shelfcheck.prepare.read import prepared_files

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from shelfcheck.graph.store import Graph

Row = dict[str, Any]

_HEAD_CHARACTERS: Final = 160
_BODY_CHARACTERS: Final = 360
_CLOSE: Final = 6  # ids and names that an error proposes


class PictureReader(GraphQueries):
    """Questions that pictures ask; a context manager.

    Args:
        graph: the graph.
        prepared: the folder of the prepared reviews it was built from.
        model: whose predictions.
        memory_limit: as for `GraphQueries`.
        threads: as for `GraphQueries`.

    Raises:
        UsageError: the graph has no predictions of the model.
    """

    def __init__(
        self, graph: Graph, prepared: Path, model: str, memory_limit: str = "1GB", threads: int = 0
    ) -> None:
        graph.predicted(model)
        super().__init__(graph, memory_limit, threads)
        self._prepared, self._model = prepared, model

    def rows(self, sql: str, /, **parameters: object) -> list[Row]:
        """Rows of a query on the graph's tables; `$model` is known to it, if it names that."""
        if "$model" in sql:
            parameters["model"] = self._model
        found: list[Row] = self._ask(sql, **parameters).to_pylist()
        return found

    def rows_made(self, table: str, sql: str, /, **parameters: object) -> None:
        """Make a temporary table of a query's rows."""
        if "$model" in sql:
            parameters["model"] = self._model
        self._engine.run(f"CREATE OR REPLACE TEMP TABLE {table} AS {sql}", dict(parameters))

    def judged(self) -> str:
        """A query of the judged reviews: review_id, product_id, assigned, predicted, confidence, bin."""
        return f"""
            SELECT review_id, product_id, assigned, predicted, confidence, {BIN_SQL} AS bin
            FROM ({judged()}) WHERE model = $model
        """  # noqa: S608 - our own words

    def category(self, name: str) -> Row:
        """`category`, `reviews` and `products` of a category.

        Raises:
            UsageError: there is none of that name.
        """
        found = self.rows("SELECT * FROM categories WHERE category = $name", name=name)
        if not found:
            near = [row["category"] for row in self.rows("SELECT category FROM categories ORDER BY 1")]
            raise UsageError(f"The graph has no category {name!r}. {_proposed(name, near)}")
        return found[0]

    def product(self, product_id: str) -> Row:
        """Row of a product.

        Raises:
            UsageError: there is none of that id.
        """
        found = self.rows("SELECT * FROM products WHERE product_id = $id", id=product_id)
        if not found:
            most = self.rows("SELECT product_id FROM products ORDER BY reviews DESC, product_id LIMIT 3")
            listed = ", ".join(row["product_id"] for row in most)
            raise UsageError(
                f"The graph has no product {product_id!r}. Ids are those of the reviews; those with most "
                f"reviews are {listed}."
                if listed
                else f"The graph has no product {product_id!r}."
            )
        return found[0]

    def texts(self, review_ids: Iterable[str]) -> dict[str, Row]:
        """Id -> `headline`, `body` (their beginnings), `stars`, `date` of reviews."""
        import pyarrow as pa  # noqa: PLC0415 - loaded when it is used

        wanted = sorted(set(review_ids))
        files = [file for file, _ in prepared_files(self._prepared)]
        if not wanted or not files:
            return {}
        listed = ", ".join(quoted(file) for file in files)
        self._engine.register("wanted", pa.table({"review_id": pa.array(wanted, pa.string())}))
        found = self.rows(
            f"""
            SELECT review_id, review_headline AS headline, review_body AS body, star_rating AS stars,
                review_date AS date
            FROM read_parquet([{listed}], hive_partitioning = false) SEMI JOIN wanted USING (review_id)
            """  # noqa: S608 - our own paths
        )
        return {
            row.pop("review_id"): row
            | {
                "headline": _start(row["headline"], _HEAD_CHARACTERS),
                "body": _start(row["body"], _BODY_CHARACTERS),
            }
            for row in found
        }


def _start(text: str | None, characters: int) -> str:
    """The beginning of a text, cut between words where it can be."""
    joined = " ".join((text or "")[: 4 * characters].split())
    if len(joined) <= characters:
        return joined
    cut = joined[:characters].rsplit(" ", 1)[0]
    return f"{cut if len(cut) > characters // 2 else joined[:characters]}…"


def _proposed(name: str, known: list[str]) -> str:
    import difflib  # noqa: PLC0415 - only on the way to an error

    folded = {one.casefold(): one for one in known}
    near = [folded[one] for one in difflib.get_close_matches(name.casefold(), folded, n=3)]
    if near:
        return f"Did you mean {' or '.join(near)}?"
    return f"It has {', '.join(known[:_CLOSE])}{', …' if len(known) > _CLOSE else ''}."
