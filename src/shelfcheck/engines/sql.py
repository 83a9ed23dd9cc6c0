"""Spells SQL for another engine: one statement, written for DuckDB, that Spark runs too.

sqlglot translates without a warning where it does not know better, and where engines differ in silence
(`lower('İ')`, `hash()`, ties of `max_by`, halves of `round`). So only what stands on a list is spelled: each
entry has a case table in the tests, with values written by hand, that both engines must meet. What is not
on the list is refused, with the name of the function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from shelfcheck.errors import MissingExtraError, ShelfcheckError

try:
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError
except ImportError as error:
    raise MissingExtraError("The Spark engine", "spark") from error

if TYPE_CHECKING:
    from collections.abc import Mapping

Dialect = Literal["duckdb", "spark"]

ALLOWED: Final = frozenset(
    (
        exp.Abs,
        exp.And,
        exp.Avg,
        exp.Case,
        exp.Cast,
        exp.Coalesce,
        exp.Concat,
        exp.Count,
        exp.CountIf,
        exp.Exists,
        exp.Greatest,
        exp.GroupingId,
        exp.If,
        exp.Least,
        exp.Length,
        exp.LogicalAnd,
        exp.LogicalOr,
        exp.MD5,
        exp.Max,
        exp.Min,
        exp.Nullif,
        exp.Or,
        exp.RowNumber,
        exp.Substring,
        exp.Sum,
    )
)
"""Functions that mean the same on both engines once spelled."""

_TYPES: Final = frozenset((exp.DType.BIGINT, exp.DType.DOUBLE))
"""What whole numbers may be cast to (DuckDB rounds fractions, Spark cuts them); a null, to any type."""
_REFUSED: Final[dict[type[exp.Expr], str]] = {  # nodes that are no functions, and differ
    exp.Bracket: "an index",
    exp.Collate: "COLLATE",
    exp.ILike: "ILIKE",
    exp.Interval: "INTERVAL",
    exp.Lambda: "a lambda function",
    exp.Like: "LIKE",  # Spark reads a backslash in it as an escape
    exp.RegexpLike: "a regular expression",
    exp.SimilarTo: "SIMILAR TO",
    exp.TableSample: "TABLESAMPLE",
}


class SpellingError(ShelfcheckError):
    """A statement uses what does not mean the same on every engine."""


def spell(sql: str, dialect: Dialect = "spark", tables: Mapping[str, str] | None = None) -> str:
    """Translate one query.

    Args:
        sql: a SELECT as DuckDB has it, with `$name` parameters.
        dialect: whose SQL is wanted; parameters become `:name` for Spark.
        tables: other names for tables that it reads.

    Returns:
        The query for that engine. Rows and their order are those of DuckDB where the statement orders them.

    Raises:
        SpellingError: it is no query, or uses a function, a type or a form that is not on the list.
    """
    try:
        query = sqlglot.parse_one(sql, dialect="duckdb")
    except SqlglotError as error:
        raise SpellingError(f"not a statement: {error}\n{sql.strip()}") from error
    if not isinstance(query, exp.Query):
        raise SpellingError(f"only queries can be spelled for {dialect}, this is none:\n{sql.strip()}")
    _check(query, sql)
    if tables:
        query = exp.replace_tables(query, dict(tables), dialect="duckdb")
    if dialect == "spark":
        query = query.transform(_for_spark)
    return str(query.sql(dialect=dialect, comments=False, pretty=True))


def _check(query: exp.Expr, sql: str) -> None:
    for node in query.walk():
        what = None
        if type(node) in _REFUSED:
            what = _REFUSED[type(node)]
        elif isinstance(node, exp.Anonymous):
            what = f"{node.name}()"
        elif isinstance(node, exp.Func) and type(node) not in ALLOWED:
            what = f"{node.sql_name()}()"
        elif isinstance(node, exp.Distinct) and node.args.get("on") is not None:
            what = "DISTINCT ON"
        elif isinstance(node, exp.Cast) and not (isinstance(node.this, exp.Null) or node.to.this in _TYPES):
            what = f"a cast to {node.to.sql(dialect='duckdb')}"
        elif isinstance(node, exp.Div | exp.IntDiv | exp.Mod) and not _never_zero(node.expression):
            what = "a division by what may be zero (write NULLIF(x, 0))"
        if what is not None:
            raise SpellingError(
                f"{what} is not on the list of what means the same on DuckDB and Spark. Do it in an Arrow "
                "kernel, or add it to engines/sql.py with a case table in tests/engines/test_sql.py. "
                f"The statement was:\n{sql.strip()}"
            )


def _never_zero(divisor: exp.Expr) -> bool:
    while isinstance(divisor, exp.Paren):
        divisor = divisor.this
    if isinstance(divisor, exp.Nullif):
        return bool(divisor.expression == exp.Literal.number(0))
    return isinstance(divisor, exp.Literal) and not divisor.is_string and float(divisor.name) != 0


def _for_spark(node: Any) -> Any:
    """What Spark says in other words than those sqlglot finds."""
    if isinstance(node, exp.Cast) and node.to.this == exp.DType.BIGINT:
        digits = node.this
        while isinstance(digits, exp.Paren):
            digits = digits.this
        # ('0x' || hex)::BIGINT; Spark knows hex digits by `conv` alone
        if (
            isinstance(digits, exp.DPipe)
            and isinstance(digits.this, exp.Literal)
            and digits.this.name == "0x"
        ):
            sixteen, ten = exp.Literal.number(16), exp.Literal.number(10)
            return exp.cast(
                exp.Anonymous(this="CONV", expressions=[digits.expression, sixteen, ten]), "BIGINT"
            )
    return node
