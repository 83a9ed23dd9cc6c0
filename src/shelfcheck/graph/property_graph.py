"""The graph in the words of graph databases: labels, types, keys, and ids that never change.

(Customer)-[BOUGHT]->(Product), (Customer)-[WROTE]->(Review), (Review)-[REVIEWED]->(Product),
(Product)-[ASSIGNED]->(Category), (Review)-[PREDICTED {confidence, rank, model}]->(Category).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shelfcheck.batches import filled, span
from shelfcheck.errors import WorkspaceError
from shelfcheck.graph.store import EDGES, NODES, PREDICTED_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from shelfcheck.graph.store import Graph

BATCH_ROWS: Final = 16_384
"""Rows that are read at once. Part of what an export is: files are split between batches."""


@dataclass(frozen=True)
class NodeKind:
    """Nodes of one label: its table in NODES, whose first column is the key."""

    table: str
    label: str

    @property
    def schema(self) -> pa.Schema:
        """Columns; all of them are properties."""
        return NODES[self.table]

    @property
    def key(self) -> str:
        """The property that no two nodes of the label share."""
        return str(self.schema.names[0])

    @property
    def properties(self) -> list[pa.Field]:
        """What a node carries, its key among it."""
        return list(self.schema)


@dataclass(frozen=True)
class EdgeKind:
    """Edges of one type: the first two columns of its table are the keys of the nodes that it joins.

    Attributes:
        table: the table's name.
        type: the type of the relationship.
        start: the nodes that it starts at, by the key in the column `start_column`.
        end: the nodes that it ends at, by the key in the column `end_column`.
        schema: columns.
        start_column: of the start's key.
        end_column: of the end's key.
        told_apart_by: properties that tell edges between the same two nodes apart.
    """

    table: str
    type: str
    start: NodeKind
    end: NodeKind
    schema: pa.Schema
    told_apart_by: tuple[str, ...] = ()

    @property
    def start_column(self) -> str:
        """The column with the key of the node that it starts at."""
        return str(self.schema.names[0])

    @property
    def end_column(self) -> str:
        """The column with the key of the node that it ends at."""
        return str(self.schema.names[1])

    @property
    def properties(self) -> list[pa.Field]:
        """What an edge carries."""
        return list(self.schema)[2:]


Kind: TypeAlias = NodeKind | EdgeKind

CUSTOMER: Final = NodeKind("customers", "Customer")
PRODUCT: Final = NodeKind("products", "Product")
REVIEW: Final = NodeKind("reviews", "Review")
CATEGORY: Final = NodeKind("categories", "Category")
NODE_KINDS: Final = (CUSTOMER, PRODUCT, REVIEW, CATEGORY)
EDGE_KINDS: Final = (
    EdgeKind("wrote", "WROTE", CUSTOMER, REVIEW, EDGES["wrote"]),
    EdgeKind("reviewed", "REVIEWED", REVIEW, PRODUCT, EDGES["reviewed"]),
    EdgeKind("bought", "BOUGHT", CUSTOMER, PRODUCT, EDGES["bought"]),
    EdgeKind("assigned", "ASSIGNED", PRODUCT, CATEGORY, EDGES["assigned"]),
)
PREDICTED_KIND: Final = EdgeKind("predicted", "PREDICTED", REVIEW, CATEGORY, PREDICTED_SCHEMA, ("model",))


@dataclass(frozen=True)
class Table:
    """One file of the graph: what its rows are, and where it stands."""

    name: str
    kind: Kind
    path: Path
    rows: int

    def opened(self) -> BinaryIO:
        """Its Parquet file, which stays readable if the graph is built again meanwhile.

        Raises:
            WorkspaceError: the graph was built again since it was opened.
        """
        try:
            return self.path.open("rb")
        except FileNotFoundError as error:
            raise WorkspaceError(
                f"{self.path}: gone, since the graph was built again meanwhile. Run the same command again."
            ) from error

    def batches(self, skip: int = 0, most: int | None = None) -> Iterator[pa.RecordBatch]:
        """Rows in the table's order, BATCH_ROWS at once.

        Args:
            skip: batches to leave out at the beginning; only the row groups of the others are read.
            most: batches to take; None takes all that are left.
        """
        first = skip * BATCH_ROWS
        last = self.rows if most is None else min(self.rows, first + most * BATCH_ROWS)
        with self.opened() as opened, pq.ParquetFile(opened) as file:
            groups: list[int] = []
            start = end = 0
            for group in range(file.num_row_groups):
                begin, end = end, end + file.metadata.row_group(group).num_rows
                if end > first and begin < last:
                    start = start if groups else begin
                    groups.append(group)
            if groups:
                read = file.iter_batches(BATCH_ROWS, row_groups=groups, columns=self.kind.schema.names)
                yield from filled(span(read, first - start, last - first), BATCH_ROWS)


def tables(graph: Graph, models: Sequence[str] | None = None) -> list[Table]:
    """Every table of a graph in the order of a load: nodes before the edges that join them.

    Args:
        graph: an opened graph.
        models: whose predictions to take; None takes all.

    Raises:
        UsageError: the graph has no predictions of a model.
    """
    found: list[Table] = []

    def add(name: str, kind: Kind, path: Path) -> None:
        found.append(Table(name, kind, path, pq.read_metadata(path).num_rows))

    for node in NODE_KINDS:
        add(f"nodes-{node.table}", node, graph.nodes(node.table))
    for edge in EDGE_KINDS:
        add(f"edges-{edge.table}", edge, graph.edges(edge.table))
    for model in graph.models if models is None else dict.fromkeys(models):
        add(f"edges-predicted-{model}", PREDICTED_KIND, graph.predicted(model))
    return found


def node_ids(kind: NodeKind, keys: pa.Array) -> pa.Array:
    """Ids that are unique over all nodes: `Product:B000123`."""
    return pc.binary_join_element_wise(kind.label, keys, ":")


def edge_ids(kind: EdgeKind, batch: pa.RecordBatch) -> pa.Array:
    """Ids that are unique over all edges: `WROTE:A1>R1`, `PREDICTED:linear-2>R1>Books`.

    A `>` within a key is written `%3E` and a `%` `%25`, so that no two edges get one id.
    """
    parts = [batch[name] for name in (*kind.told_apart_by, kind.start_column, kind.end_column)]
    joined = pc.binary_join_element_wise(*[_escaped(part) for part in parts], ">")
    return pc.binary_join_element_wise(kind.type, joined, ":")


def _escaped(keys: pa.Array) -> pa.Array:
    return pc.replace_substring(pc.replace_substring(keys, "%", "%25"), ">", "%3E")
