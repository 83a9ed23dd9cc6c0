"""Build the tables of nodes and edges from prepared reviews, in set operations of the engine."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from shelfcheck.errors import NotEnoughDataError
from shelfcheck.graph.store import EDGES, NODES
from shelfcheck.interrupts import deferred
from shelfcheck.prepare.read import prepared_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from shelfcheck.config import Settings
    from shelfcheck.engines.duckdb import DuckDB
    from shelfcheck.engines.relations import Relations
    from shelfcheck.progress import Progress

ROW_GROUP_ROWS: Final = 122_880
_COLUMNS: Final = (
    "customer_id, review_id, product_id, product_parent, product_title, product_category, star_rating, "
    "helpful_votes, verified_purchase, review_headline, review_date, review_tokens"
)

ASSIGNED: Final = "edges/assigned"
SEVERAL_CATEGORIES: Final = "products_of_several_categories"
SEVERAL: Final = "SELECT count(DISTINCT product_id) FROM assigned WHERE NOT current"

# Of the relation `read`: every review, with `filename` and `file_row_number`. Ids are unique unless
# `prepare.drop_duplicates` was off; the first in the order of reading counts then.
REPEATED: Final = "SELECT review_id, count(*) AS n FROM read GROUP BY review_id HAVING count(*) > 1"
REPEATS: Final = "SELECT coalesce(sum(n) - count(*), 0) FROM repeated"
ALL: Final = f"SELECT {_COLUMNS} FROM read"  # noqa: S608 - our own words
FIRST: Final = f"""
    SELECT {_COLUMNS} FROM read ANTI JOIN repeated USING (review_id)
    UNION ALL
    SELECT {_COLUMNS}
    FROM (
        SELECT *, row_number() OVER (PARTITION BY review_id ORDER BY filename, file_row_number) AS nth
        FROM read SEMI JOIN repeated USING (review_id)
    ) f
    WHERE nth = 1
"""  # noqa: S608 - our own words


def build(prepared_dir: Path, out: Path, settings: Settings, progress: Progress) -> Mapping[str, Any]:
    """Write `nodes/NAME.parquet` and `edges/NAME.parquet`, each sorted by its keys.

    Every review becomes a node. A review without a customer, product or category gives no such node and none
    of the edges to it. The same reviews give the same bytes, whatever the memory and the threads.

    Args:
        prepared_dir: what `prepare` wrote.
        out: the folder to write into.
        settings: `graph.bought`; `run.threads` and `run.memory_limit`, past which the engine goes to disk.
        progress: told the tables done.

    Returns:
        Rows of each table, and of the reviews how many lacked what: `reviews_read`, `without_customer`,
        `without_product`, `without_category`, `without_date`, `not_verified`, and `repeated_ids`, rows left
        out because an earlier one has their id.

    Raises:
        NotEnoughDataError: prepare kept no review.
        WorkspaceError: there are no prepared reviews.
    """
    files = [file for file, _ in prepared_files(prepared_dir)]
    if not files:
        raise NotEnoughDataError(f"{prepared_dir}: prepare kept no review. Its summary.json says why.")
    tables = statements(settings.graph.bought)
    progress.start("Building the graph", len(tables) + 2, "tables")
    with bounded_engine(out, settings) as engine:
        repeated = _view_of_reviews(engine, files)
        progress.advance(1)
        counts = lacking(engine, repeated)
        progress.advance(1)
        for place, sql in tables.items():
            (out / place).parent.mkdir(exist_ok=True)
            counts[place.split("/")[1]] = write_parquet(engine, sql, out / f"{place}.parquet")
            if place == ASSIGNED:
                path = quoted(out / f"{place}.parquet")
                engine.run(f"CREATE TEMP VIEW assigned AS SELECT * FROM read_parquet({path})")  # noqa: S608
            progress.advance(1)
        counts[SEVERAL_CATEGORIES] = engine.run(SEVERAL)[0][0]
    progress.finish()
    return counts


@contextmanager
def bounded_engine(folder: Path, settings: Settings) -> Iterator[DuckDB]:
    """An engine that spills into `folder` past `run.memory_limit`, and leaves nothing there."""
    with deferred():  # DuckDB's module aborts the process when Ctrl-C comes while it is loaded
        from shelfcheck.engines.duckdb import DuckDB  # noqa: PLC0415 - loads DuckDB

    spill = folder / ".spill"
    try:
        with DuckDB(spill, settings.run.memory_limit, settings.run.threads or os.cpu_count() or 1) as engine:
            yield engine
    finally:
        shutil.rmtree(spill, ignore_errors=True)


def write_parquet(engine: DuckDB, sql: str, path: Path, parameters: dict[str, Any] | None = None) -> int:
    """Write the rows of a query, in its order, as Parquet; returns how many there are."""
    written = engine.run(
        f"COPY ({sql}) TO {quoted(path)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP_ROWS})",
        parameters,
    )
    return int(written[0][0])


def quoted(value: object) -> str:
    """A text as SQL spells it, in single quotes."""
    return "'" + str(value).replace("'", "''") + "'"


def _view_of_reviews(engine: DuckDB, files: Sequence[Path]) -> int:
    """Make the view `r` of the reviews, one row an id; returns the rows left out."""
    listed = f"[{', '.join(quoted(file) for file in files)}]"
    options = "hive_partitioning = false, filename = true, file_row_number = true"
    engine.run(f"CREATE TEMP VIEW read AS SELECT * FROM read_parquet({listed}, {options})")  # noqa: S608
    engine.create("repeated", REPEATED)
    repeats = engine.run(REPEATS)[0][0]
    engine.run(f"CREATE TEMP VIEW r AS {FIRST if repeats else ALL}")
    return int(repeats)


def lacking(engine: Relations, repeated: int) -> dict[str, Any]:
    """Of the relation `r`, how many reviews lack what.

    Args:
        engine: has it.
        repeated: rows left out of it because an earlier one has their id.
    """
    names = (
        "reviews_read",
        "without_customer",
        "without_product",
        "without_category",
        "without_date",
        "not_verified",
    )
    found = engine.run(
        """
        SELECT count(*), count_if(customer_id IS NULL), count_if(product_id IS NULL),
            count_if(product_category IS NULL), count_if(review_date IS NULL),
            count_if(verified_purchase IS NOT TRUE)
        FROM r
        """
    )[0]
    counts = dict(zip(names, map(int, found), strict=True)) | {"repeated_ids": repeated}
    counts["reviews_read"] += repeated
    return counts


def statements(bought: str) -> dict[str, str]:
    """The query of each table over the relation `r`, by its place, each after what it reads.

    Whoever has made ASSIGNED lets the queries that follow read it as `assigned`.
    """
    verified = "AND verified_purchase" if bought == "verified" else ""
    found = {
        "nodes/customers": """
            SELECT customer_id, count(*) AS reviews FROM r WHERE customer_id IS NOT NULL
            GROUP BY 1 ORDER BY 1
        """,
        "nodes/reviews": """
            SELECT review_id, review_date AS date, star_rating AS stars, review_headline AS title,
                review_tokens AS tokens, verified_purchase AS verified, helpful_votes
            FROM r ORDER BY review_id
        """,
        "nodes/products": f"""
            SELECT p.product_id, t.value AS title, f.value AS parent, p.reviews, p.stars,
                p.first_date, p.last_date
            FROM (
                SELECT product_id, count(*) AS reviews, avg(star_rating) AS stars,
                    min(review_date) AS first_date, max(review_date) AS last_date
                FROM r WHERE product_id IS NOT NULL GROUP BY 1
            ) p
            LEFT JOIN ({_most_frequent("product_title")}) t USING (product_id)
            LEFT JOIN ({_most_frequent("product_parent")}) f USING (product_id)
            ORDER BY 1
        """,  # noqa: S608 - our own words
        "edges/wrote": """
            SELECT customer_id, review_id FROM r WHERE customer_id IS NOT NULL ORDER BY 1, 2
        """,
        "edges/reviewed": """
            SELECT review_id, product_id FROM r WHERE product_id IS NOT NULL ORDER BY 1, 2
        """,
        "edges/bought": f"""
            SELECT customer_id, product_id, count(*) AS reviews, min(review_date) AS first_date
            FROM r WHERE customer_id IS NOT NULL AND product_id IS NOT NULL {verified}
            GROUP BY 1, 2 ORDER BY 1, 2
        """,  # noqa: S608 - our own words
        # The category of the latest reviews is the current one; the larger, then the first by name, on ties.
        ASSIGNED: """
            SELECT *, row_number() OVER (
                PARTITION BY product_id ORDER BY last_date DESC NULLS LAST, reviews DESC, category
            ) = 1 AS current
            FROM (
                SELECT product_id, product_category AS category, count(*) AS reviews,
                    min(review_date) AS first_date, max(review_date) AS last_date
                FROM r WHERE product_id IS NOT NULL AND product_category IS NOT NULL GROUP BY 1, 2
            )
            ORDER BY product_id, category
        """,
        "nodes/categories": """
            SELECT category, c.reviews, coalesce(p.products, 0) AS products
            FROM (
                SELECT product_category AS category, count(*) AS reviews FROM r
                WHERE product_category IS NOT NULL GROUP BY 1
            ) c
            LEFT JOIN (
                SELECT category, count(*) AS products
                FROM assigned GROUP BY 1
            ) p USING (category)
            ORDER BY 1
        """,
    }
    if {place.split("/")[1] for place in found} != {*NODES, *EDGES}:
        raise AssertionError("each table of the store has one query")
    return found


def _most_frequent(column: str) -> str:
    """A product's most frequent value, the first by name on ties."""
    return f"""
        SELECT product_id, value FROM (
            SELECT product_id, value,
                row_number() OVER (PARTITION BY product_id ORDER BY n DESC, value) AS nth
            FROM (
                SELECT product_id, {column} AS value, count(*) AS n FROM r
                WHERE product_id IS NOT NULL AND {column} IS NOT NULL GROUP BY 1, 2
            ) v
        ) w
        WHERE nth = 1
    """  # noqa: S608
