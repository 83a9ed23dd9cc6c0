"""What SQL that runs on both engines may ask of one: `DuckDB` and `Spark` are such."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from shelfcheck.errors import ShelfcheckError

if TYPE_CHECKING:
    from collections.abc import Mapping


class QueryError(ShelfcheckError):
    """A statement failed; the message carries its SQL.

    Attributes:
        sql: the statement.
    """

    def __init__(self, message: str, sql: str) -> None:
        super().__init__(f"{message}\nThe statement was:\n{sql.strip()}")
        self.sql = sql


class Relations(Protocol):
    """Named relations, made by queries and read by queries, written once as DuckDB has them."""

    def create(self, name: str, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Compute a query once and keep its rows under a name.

        Args:
            name: of the relation, for later queries.
            sql: the query, with `$name` parameters.
            parameters: their values.

        Raises:
            QueryError: it fails.
        """

    def append(self, name: str, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Add a query's rows to a relation that `create` made; the query may read what it held before."""

    def drop(self, name: str) -> None:
        """Forget a relation; what was made of it stays."""

    def run(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """The rows of a query, as Python values; for few rows."""
