"""The words that each product's reviews speak by, from which products that are reviewed alike are found.

A product is the vector of its reviews' words, each weighted by (1 + ln n) · ln(N / d): n of its reviews
have the word, d of all N products do (Salton and Buckley, "Term-weighting approaches in automatic text
retrieval", 1988). Its `MOST_WORDS` heaviest words are kept, at length 1, and two products are as alike as
the cosine of their vectors. Single words find more products of one family than pairs of words or 100
latent dimensions do: `docs/benchmarks.md`, "Reviewed alike".

The table stands in the workspace's cache, sorted by word, and is made again when the graph has changed.
Weights are whole numbers, so that sums do not hang on the order of the rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shelfcheck.graph.build import quoted, write_parquet
from shelfcheck.graph.cached import made_once

if TYPE_CHECKING:
    from pathlib import Path

    from shelfcheck.engines.duckdb import DuckDB
    from shelfcheck.graph.store import Graph
    from shelfcheck.progress import Progress

MOST_WORDS: Final = 128
WEIGHT_ONE: Final = 1_000_000
"""What a weight of 1 is written as."""

_VERSION: Final = 1  # raised when the same graph gives other weights
_FILE: Final = "words.parquet"


def ensure_words(graph: Graph, cache: Path, engine: DuckDB, progress: Progress) -> Path:
    """The Parquet file of words: `word`, `product_id`, `weight`; made if it does not stand.

    Args:
        graph: the graph.
        cache: folder for what can be made again.
        engine: that makes it; it spills past its memory limit.
        progress: told the steps.

    Raises:
        WorkspaceError: another process is making it, or the folder cannot be written to.
    """
    made_from = [graph.manifest.fingerprint, _VERSION]
    return made_once(
        cache / "graph_alike", made_from, _FILE, lambda path: _make(graph, path, engine, progress)
    )


def _make(graph: Graph, path: Path, engine: DuckDB, progress: Progress) -> None:
    progress.start("Weighing the words of each product", 3, "steps")
    try:
        engine.run(
            f"""
            CREATE OR REPLACE TEMP TABLE spoken AS SELECT product_id, word, count(*) AS n FROM (
                SELECT product_id, unnest(list_distinct(string_split(tokens, ' '))) AS word
                FROM read_parquet({quoted(graph.nodes("reviews"))})
                JOIN read_parquet({quoted(graph.edges("reviewed"))}) USING (review_id)
                WHERE tokens <> ''
            ) GROUP BY ALL
            """  # noqa: S608 - our own paths
        )
        progress.advance(1)
        engine.run(
            """
            CREATE OR REPLACE TEMP TABLE rare AS
            SELECT word, ln((SELECT count(DISTINCT product_id) FROM spoken) / count(*)) AS rarity
            FROM spoken GROUP BY word HAVING count(*) > 1
            """
        )
        engine.run(
            f"""
            CREATE OR REPLACE TEMP TABLE heaviest AS SELECT * FROM (
                SELECT word, product_id, CAST(round(1000 * (1 + ln(n)) * rarity) AS BIGINT) AS raw
                FROM spoken JOIN rare USING (word)
            ) WHERE raw > 0
            QUALIFY row_number() OVER (PARTITION BY product_id ORDER BY raw DESC, word) <= {MOST_WORDS}
            """  # noqa: S608 - a number
        )
        progress.advance(1)
        write_parquet(
            engine,
            f"""
            SELECT word, product_id, CAST(round({WEIGHT_ONE} * raw / length) AS INTEGER) AS weight
            FROM heaviest JOIN (
                SELECT product_id, sqrt(sum(raw * raw)) AS length FROM heaviest GROUP BY product_id
            ) USING (product_id) ORDER BY word, product_id
            """,  # noqa: S608 - a number
            path,
        )
        progress.advance(1)
    finally:
        for table in ("spoken", "rare", "heaviest"):
            engine.run(f"DROP TABLE IF EXISTS {table}")
    progress.finish()
