"""Loads a graph into any server that speaks Bolt and Cypher, in batches.

Nodes and edges are merged by their keys, so a load may be killed, retried and repeated: what is there
is brought up to date, what is missing is added. Each carries the load that last wrote it, `shelfcheck_load`,
so that a load that replaces can remove what earlier loads wrote and the tables no longer have.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from shelfcheck.errors import UsageError
from shelfcheck.graph.bolt import ServerError, bolt_session
from shelfcheck.graph.property_graph import EDGE_KINDS, NODE_KINDS, PREDICTED_KIND, NodeKind, tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from shelfcheck.graph.property_graph import EdgeKind, Kind, Table
    from shelfcheck.graph.store import Graph
    from shelfcheck.progress import Progress

DEFAULT_BATCH: Final = 2_000
LOAD: Final = "shelfcheck_load"
"""The property that names the load that last wrote a node or an edge."""

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
        removed: table -> nodes or edges of earlier loads that were removed; those of a removed node are not
            counted. Empty where the load did not replace.
    """

    server: str
    rows: dict[str, int]
    without_key: tuple[str, ...]
    removed: dict[str, int] = field(default_factory=dict)


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
    replace: bool = False,
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
        replace: at the end, remove what earlier loads wrote and this one did not, with all that others may
            have joined to such a node.
        batch: rows a transaction.
        retry_seconds: how long a transaction is tried again when the server is busy or gone.

    Raises:
        UsageError: the address is none of Bolt's, or the graph lacks a model.
        MissingExtraError: the driver is not installed.
        ServerError: the server does not answer, refuses, or did not merge every row.
    """
    if batch < 1:
        raise UsageError("A batch must hold at least one row.")
    if replace and only_predictions:
        raise UsageError("A load of predictions alone replaces nothing: leave out --replace.")
    found = [table for table in tables(graph, models) if table.kind is PREDICTED_KIND or not only_predictions]
    with bolt_session(
        address, user=user, password=password, database=database, retry_seconds=retry_seconds
    ) as opened:
        session = opened.neo4j
        without = tuple(kind.label for kind in NODE_KINDS if not _with_key(session, kind))
        progress.start(f"Loading into {opened.agent}", sum(table.rows for table in found))
        load = _load_id(graph, found)
        rows = {table.name: _merge(session, table, load, batch, progress) for table in found}
        progress.finish()
        removed = _remove(session, load, batch, progress) if replace else {}
    return BoltLoad(opened.agent, rows, without, removed)


def statement(kind: Kind) -> str:
    """The Cypher that merges `$rows` for the load `$load`.

    Each row is a map of `key`, or of `start` and `end`, and of `properties`.

    It returns how many rows it merged as `merged`.
    """
    if isinstance(kind, NodeKind):
        return (
            f"UNWIND $rows AS row MERGE (n:{kind.label} {{{kind.key}: row.key}}) "
            f"SET n += row.properties, n.{LOAD} = $load RETURN count(n) AS merged"
        )
    told_apart = ", ".join(f"{name}: row.properties.{name}" for name in kind.told_apart_by)
    return (
        f"UNWIND $rows AS row MATCH (a:{kind.start.label} {{{kind.start.key}: row.start}}) "
        f"MATCH (b:{kind.end.label} {{{kind.end.key}: row.end}}) "
        f"MERGE (a)-[e:{kind.type}{f' {{{told_apart}}}' if told_apart else ''}]->(b) "
        f"SET e += row.properties, e.{LOAD} = $load RETURN count(e) AS merged"
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


def _load_id(graph: Graph, loaded: Sequence[Table]) -> str:
    """Equal for equal tables, so that the same load again leaves all as it is."""
    told = [graph.fingerprint, *(table.name for table in loaded)]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]


def _merge(session: Any, table: Table, load: str, rows: int, progress: Progress) -> int:
    """Merge a table, each batch in a transaction of its own that is retried as a whole."""
    merged = 0
    for read in table.batches():
        for start in range(0, read.num_rows, rows):
            sent = _parameters(table.kind, read.slice(start, rows))
            came = session.execute_write(_run, statement(table.kind), sent, load)
            if came != len(sent):
                raise ServerError(
                    f"{table.name}: the server merged {came:,} of {len(sent):,} rows: the nodes of others "
                    "are not there. Load again, and let nothing remove nodes meanwhile."
                )
            merged += len(sent)
            progress.advance(len(sent))
    return merged


def _run(transaction: Any, cypher: str, rows: list[dict[str, Any]], load: str) -> int:
    return int(transaction.run(cypher, rows=rows, load=load).single()["merged"])


def _remove(session: Any, load: str, batch: int, progress: Progress) -> dict[str, int]:
    """Remove what other loads wrote last, nodes with their edges first; what no load wrote has no mark.

    What is to go is read at once, as keys, and removed in batches by key: to look for the next batch anew
    would read all nodes again each time.
    """
    removed = {}
    for kind in (*NODE_KINDS, *EDGE_KINDS, PREDICTED_KIND):
        listing, removing = removals(kind)
        gone = session.run(listing, load=load).data()
        progress.start(f"Removing {kind.table} that are gone", len(gone))
        for start in range(0, len(gone), batch):
            sent = gone[start : start + batch]
            session.execute_write(_do, removing, sent, load)
            progress.advance(len(sent))
        progress.finish()
        removed[kind.table] = len(gone)
    return removed


def removals(kind: Kind) -> tuple[str, str]:
    """The Cypher that lists the keys of what other loads wrote, and the one that removes such `$rows`."""
    if isinstance(kind, NodeKind):
        stale = f"WHERE n.{LOAD} <> $load"
        return (
            f"MATCH (n:{kind.label}) {stale} RETURN n.{kind.key} AS key",
            f"UNWIND $rows AS row MATCH (n:{kind.label} {{{kind.key}: row.key}}) {stale} DETACH DELETE n",
        )
    stale = f"WHERE e.{LOAD} <> $load"
    start, end, edge = kind.start, kind.end, f"-[e:{kind.type}]->"
    listing = (
        f"MATCH (a:{start.label}){edge}(b:{end.label}) {stale} "
        f"RETURN DISTINCT a.{start.key} AS start, b.{end.key} AS end"
    )
    removing = (
        f"UNWIND $rows AS row MATCH (a:{start.label} {{{start.key}: row.start}}){edge}"
        f"(b:{end.label} {{{end.key}: row.end}}) {stale} DELETE e"
    )
    return listing, removing


def _do(transaction: Any, cypher: str, rows: list[dict[str, Any]], load: str) -> None:
    transaction.run(cypher, rows=rows, load=load).consume()


def _parameters(kind: Kind, batch: pa.RecordBatch) -> list[dict[str, Any]]:
    names = [one.name for one in kind.properties]
    told = [{name: row[name] for name in names} for row in batch.to_pylist()]
    if isinstance(kind, NodeKind):
        return [{"key": row[kind.key], "properties": row} for row in told]
    ends = zip(*_ends(kind, batch), told, strict=True)
    return [{"start": start, "end": end, "properties": row} for start, end, row in ends]


def _ends(kind: EdgeKind, batch: pa.RecordBatch) -> tuple[list[str], list[str]]:
    return batch[kind.start_column].to_pylist(), batch[kind.end_column].to_pylist()
