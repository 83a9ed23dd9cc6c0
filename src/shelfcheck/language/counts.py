"""How often terms stand in groups of reviews: category × year, category × stars; counted in DuckDB.

The words of a review are already made (`review_tokens`), so SQL only splits them at blanks. DuckDB
aggregates out of core; memory does not grow with the reviews.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from shelfcheck.errors import UsageError
from shelfcheck.prepare.read import prepared_files
from shelfcheck.schema import PRODUCT_CATEGORY, REVIEW_DATE, REVIEW_TOKENS, STAR_RATING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from shelfcheck.engines.duckdb import DuckDB

REVIEW_YEAR: Final = "review_year"
TERM: Final = "term"

GROUPS: Final = {
    PRODUCT_CATEGORY: PRODUCT_CATEGORY,
    REVIEW_YEAR: f"year({REVIEW_DATE})::INTEGER",
    STAR_RATING: STAR_RATING,
}
"""What reviews may be grouped by, and how SQL says it."""


def term_counts(
    engine: DuckDB,
    prepared_dir: str | Path,
    by: Sequence[str],
    *,
    count: Literal["terms", "reviews"] = "terms",
    word_ngrams: int = 1,
    min_count: int = 1,
) -> Iterator[pa.RecordBatch]:
    """Count terms by group. Reviews that lack one of the columns are left out.

    Args:
        engine: where to count.
        prepared_dir: output of `prepare`.
        by: columns to group by, of `GROUPS`; the first is usually the category.
        count: `terms` counts how often a term stands in the group, `reviews` in how many of its reviews.
        word_ngrams: 1 counts words; 2 pairs of neighbouring words (stop words are left out), too.
        min_count: leave out terms with a smaller count, summed over all groups of one value of `by[0]`.

    Yields:
        Columns `by`, `term` and `n`, ordered by `by` and term. Use them up before the next statement.

    Raises:
        UsageError: there is no such column to group by.
        WorkspaceError: there are no prepared reviews.
    """
    statement = term_counts_sql(by, count=count, word_ngrams=word_ngrams, min_count=min_count)
    ordered = f"{statement} ORDER BY {', '.join(by)}, {TERM}"
    return engine.stream(ordered, files_of(prepared_dir))


def term_counts_sql(
    by: Sequence[str],
    *,
    count: Literal["terms", "reviews"] = "terms",
    word_ngrams: int = 1,
    min_count: int = 1,
) -> str:
    """The query of `term_counts`, in no order; its one parameter is `files`, see `files_of`.

    Raises:
        UsageError: there is no such column to group by.
    """
    unknown = [name for name in by if name not in GROUPS]
    if unknown or not by:
        raise UsageError(f"by == {list(by)}, must be some of: {', '.join(GROUPS)}")
    names = ", ".join(by)
    terms = "terms" if count == "terms" else "list_distinct(terms)"
    counted = f"""
        SELECT {names}, {TERM}, count(*) AS n
        FROM (SELECT {names}, unnest({terms}) AS {TERM} FROM ({listed_sql(by, word_ngrams)}))
        WHERE {TERM} <> ''
        GROUP BY {names}, {TERM}
    """  # noqa: S608 - names are of GROUPS
    return frequent_sql(counted, by, min_count) if min_count > 1 else counted


def frequent_sql(counted: str, by: Sequence[str], min_count: int) -> str:
    """Of a query of `by`, term and `n`: the terms that are frequent enough in one value of `by[0]`."""
    names = ", ".join(by)
    return f"""
        SELECT {names}, {TERM}, n
        FROM (SELECT c.*, sum(n) OVER (PARTITION BY {by[0]}, {TERM}) AS in_all FROM ({counted}) c) d
        WHERE in_all >= {int(min_count)}
    """  # noqa: S608 - names are of GROUPS


def listed_sql(by: Sequence[str], word_ngrams: int, more: Sequence[str] = ()) -> str:
    """A query of each review that has all of `by`: these, `more` columns, and its `terms` as a list.

    It has one parameter, `files`; see `files_of`.
    """
    grouped = ", ".join(f"{GROUPS[name]} AS {name}" for name in by)
    known = " AND ".join(f"{name} IS NOT NULL" for name in by)
    also = "".join(f", {name}" for name in more)
    pairs = (
        "list_concat(words, list_transform(range(1, len(words)), lambda i: words[i] || ' ' || words[i + 1]))"
    )
    return f"""
        SELECT {", ".join(by)}{also}, {pairs if word_ngrams == 2 else "words"} AS terms
        FROM (
            SELECT {grouped}{also}, string_split({REVIEW_TOKENS}, ' ') AS words
            FROM read_parquet($files, hive_partitioning = false)
            WHERE {REVIEW_TOKENS} <> ''
        )
        WHERE {known}
    """  # noqa: S608 - names are of GROUPS and of the schema


def files_of(prepared_dir: str | Path) -> dict[str, Any]:
    """The parameter `files` of statements over prepared reviews.

    Raises:
        WorkspaceError: there are no prepared reviews.
    """
    return {"files": [str(file) for file, _ in prepared_files(prepared_dir)]}
