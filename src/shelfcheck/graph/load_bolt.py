"""Loads a graph into any server that speaks Bolt and Cypher, in batches.

Nodes and edges are merged by their keys, so a load may be killed, retried and repeated: what is there
is brought up to date, what is missing is added. Nothing is removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from shelfcheck.errors import UsageError
from shelfcheck.graph.bolt import ServerError, bolt_session
from shelfcheck.graph.property_graph import NODE_KINDS, PREDICTED_KIND, NodeKind, tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from shelfcheck.graph.property_graph import EdgeKind, Kind, Table
    from shelfcheck.graph.store import Graph
    from shelfcheck.progress import Progress

DEFAULT_BATCH: Final = 2_000

# Each server has its own words for it; the first that it takes counts.
_KEYS: Final = (
    "CREATE CONSTRAINT {key}_key IF NOT EXISTS FOR (n:{label}) REQUIRE n.{key} IS UNIQUE",  # Neo4j, ArcadeDB
    "CREATE CONSTRAINT ON (n:{label}) ASSERT n.{key} IS UNIQUE",  # Memgraph, Neo4j 3
    "CREATE INDEX ON :{label}({key})",
)


@dataclass(frozen=True)
class BoltLoad:
    """What a load sent.

    Attributes:
        server: what the server calls itself.
        rows: table -> rows that were merged.
        without_key: labels for which the server took no constraint and no index.
    """

    server: str
    rows: dict[str, int]
    without_key: tuple[str, ...]


def load_bolt(
    graph: Graph,
    address: str,
    progress: Progress,
    *,
    user: str | None = None,
    password: str | None = None,
    database: str | None = None,
    models: Sequence[str] | None = None,
    only_predictions: bool = False,
    batch: int = DEFAULT_BATCH,
    retry_seconds: float = 60.0,
) -> BoltLoad:
    """Merge every node, then every edge, `batch` rows a transaction.

    Args:
        graph: an opened graph.
        address: e.g. `bolt://localhost:7687` or `neo4j+s://host`.
        progress: told the rows.
        user: None for a server that asks for none.
        password: of that user.
        database: None for the server's default.
        models: whose predictions to load; None loads those of all.
        only_predictions: load nothing else; the nodes are there from an earlier load.
        batch: rows a transaction.
        retry_seconds: how long a transaction is tried again when the server is busy or gone.

    Raises:
        UsageError: the address is none of Bolt's, or the graph lacks a model.
        MissingExtraError: the driver is not installed.
        ServerError: the server does not answer, refuses, or did not merge every row.
    """
    if batch < 1:
        raise UsageError("A batch must hold at least one row.")
    found = [
        table for table in tables(graph, models) if table.kind is PREDICTED_KIND or not only_predictions
    ]
    with bolt_session(
        address, user=user, password=password, database=database, retry_seconds=retry_seconds
    ) as opened:
        session = opened.neo4j
        without = tuple(kind.label for kind in NODE_KINDS if not _with_key(session, kind))
        progress.start(f"Loading into {opened.agent}", sum(table.rows for table in found))
        rows = {table.name: _merge(session, table, batch, progress) for table in found}
        progress.finish()
    return BoltLoad(opened.agent, rows, without)


def statement(kind: Kind) -> str:
    """The Cypher that merges `$rows`, each a map of `key` or `start` and `end`, and of `properties`.

    It returns how many rows it merged as `merged`.
    """
    if isinstance(kind, NodeKind):
        return (
            f"UNWIND $rows AS row MERGE (n:{kind.label} {{{kind.key}: row.key}}) "
            "SET n += row.properties RETURN count(n) AS merged"
        )
    told_apart = ", ".join(f"{name}: row.properties.{name}" for name in kind.told_apart_by)
    return (
        f"UNWIND $rows AS row MATCH (a:{kind.start.label} {{{kind.start.key}: row.start}}) "
        f"MATCH (b:{kind.end.label} {{{kind.end.key}: row.end}}) "
        f"MERGE (a)-[e:{kind.type}{f' {{{told_apart}}}' if told_apart else ''}]->(b) "
        "SET e += row.properties RETURN count(e) AS merged"
    )


def _with_key(session: Any, kind: NodeKind) -> bool:
    """Whether the server took a key, without which each MERGE reads all nodes of the label."""
    from neo4j.exceptions import ClientError, DatabaseError  # noqa: PLC0415 - an extra

    for wording in _KEYS:
        try:
            session.run(wording.format(label=kind.label, key=kind.key)).consume()
        except (ClientError, DatabaseError) as error:
            if "Security" in str(error.code):
                raise
        else:
            return True
    return False


def _merge(session: Any, table: Table, rows: int, progress: Progress) -> int:
    """Merge a table, each batch in a transaction of its own that is retried as a whole."""
    merged = 0
    for read in table.batches():
        for start in range(0, read.num_rows, rows):
            sent = _parameters(table.kind, read.slice(start, rows))
            came = session.execute_write(_run, statement(table.kind), sent)
            if came != len(sent):
                raise ServerError(
                    f"{table.name}: the server merged {came:,} of {len(sent):,} rows: the nodes of others "
                    "are not there. Load again, and let nothing remove nodes meanwhile."
                )
            merged += len(sent)
            progress.advance(len(sent))
    return merged


def _run(transaction: Any, cypher: str, rows: list[dict[str, Any]]) -> int:
    return int(transaction.run(cypher, rows=rows).single()["merged"])


def _parameters(kind: Kind, batch: pa.RecordBatch) -> list[dict[str, Any]]:
    names = [one.name for one in kind.properties]
    told = [{name: row[name] for name in names} for row in batch.to_pylist()]
    if isinstance(kind, NodeKind):
        return [{"key": row[kind.key], "properties": row} for row in told]
    ends = zip(*_ends(kind, batch), told, strict=True)
    return [{"start": start, "end": end, "properties": row} for start, end, row in ends]


def _ends(kind: EdgeKind, batch: pa.RecordBatch) -> tuple[list[str], list[str]]:
    return batch[kind.start_column].to_pylist(), batch[kind.end_column].to_pylist()
