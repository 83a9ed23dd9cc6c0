"""An embedded Cypher index (Ladybug) of the graph: made from its tables, disposable, read-only.

It stands in the workspace's `cache/graph_index/`, in a folder named by what it was made from; it is built
aside and renamed, so that one that stands is whole. Its storage changes with the library's version, which
is part of the name: a new version makes a new index.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Self

from shelfcheck.errors import MissingExtraError, ShelfcheckError
from shelfcheck.graph.cached import made_once
from shelfcheck.graph.reading import refuse_writes
from shelfcheck.graph.store import EDGES, NODES, PREDICTED_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pyarrow as pa

    from shelfcheck.graph.store import Graph
    from shelfcheck.progress import Progress

_VERSION: Final = 1  # raised when the same tables give another index
_FILE: Final = "graph.lbug"
_UNITS: Final = {"KB": 1_000, "MB": 1_000**2, "GB": 1_000**3, "TB": 1_000**4}
_TYPES: Final = {
    "string": "STRING",
    "int64": "INT64",
    "int32": "INT32",
    "int8": "INT8",
    "double": "DOUBLE",
    "float": "FLOAT",
    "bool": "BOOL",
    "date32[day]": "DATE",
}
LABELS: Final = {
    "customers": "Customer",
    "products": "Product",
    "reviews": "Review",
    "categories": "Category",
}
"""Label of each table of nodes."""

RELATIONSHIPS: Final = {
    "wrote": ("WROTE", "Customer", "Review"),
    "reviewed": ("REVIEWED", "Review", "Product"),
    "bought": ("BOUGHT", "Customer", "Product"),
    "assigned": ("ASSIGNED", "Product", "Category"),
    "predicted": ("PREDICTED", "Review", "Category"),
}
"""Type of each table of edges, and the labels that it leads from and to."""


class CypherError(ShelfcheckError):
    """The index did not understand a query, or could not answer it."""


class GraphIndex:
    """An index, open for queries; a context manager. Several may read it at once.

    Args:
        file: what `ensure_index` returned.
        memory: of its buffer pool, e.g. `2GB`.
        threads: worker threads; 0 takes all processors.

    Raises:
        MissingExtraError: Ladybug is not installed.
    """

    def __init__(self, file: Path, memory: str = "2GB", threads: int = 0) -> None:
        ladybug = _ladybug()
        self._database = ladybug.Database(file, read_only=True, buffer_pool_size=_bytes(memory))
        self._connection = ladybug.Connection(self._database, num_threads=threads)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the index. Closing twice does nothing."""
        self._connection.close()
        self._database.close()

    def query(self, cypher: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Ask one question.

        Args:
            cypher: a query that reads: MATCH, OPTIONAL MATCH, WITH, UNWIND, RETURN.
            parameters: values of its `$name` parameters.

        Returns:
            A column for each thing that it returns; nodes and relationships are structs.

        Raises:
            UsageError: it would write, or do anything else but read.
            CypherError: it is not understood, or needs more memory than there is.
        """
        refuse_writes(cypher)
        try:
            answer = self._connection.execute(cypher, dict(parameters or {}))
            table: pa.Table = answer.get_as_arrow(65_536)
        except RuntimeError as error:
            raise CypherError(_told(error)) from error
        return table


def ensure_index(
    graph: Graph,
    cache: Path,
    progress: Progress,
    *,
    memory: str = "2GB",
    threads: int = 0,
    rebuild: bool = False,
) -> Path:
    """The index of a graph, built if it does not stand.

    Args:
        graph: the graph.
        cache: the workspace's folder for what can be made again; indexes of other graphs there are removed.
        progress: told the tables loaded.
        memory: of the buffer pool, e.g. `2GB`.
        threads: worker threads; 0 takes all processors.
        rebuild: build it even if it stands.

    Raises:
        MissingExtraError: Ladybug is not installed.
        WorkspaceError: another process is building one.
        CypherError: it needs more memory.
    """
    ladybug = _ladybug()
    return made_once(
        cache / "graph_index",
        [graph.fingerprint, _VERSION, ladybug.__version__],
        _FILE,
        lambda file: _load(graph, file, progress, memory, threads),
        rebuild=rebuild,
    )


def _load(graph: Graph, file: Path, progress: Progress, memory: str, threads: int) -> None:
    ladybug = _ladybug()
    database = ladybug.Database(file, buffer_pool_size=_bytes(memory))
    connection = ladybug.Connection(database, num_threads=threads)
    progress.start("Building the Cypher index", len(LABELS) + len(RELATIONSHIPS), "tables")
    try:
        for name, label in LABELS.items():
            schema = NODES[name]
            columns = ", ".join(_column(field) for field in schema)
            connection.execute(
                f"CREATE NODE TABLE {label}({columns}, PRIMARY KEY ({_escaped(schema.names[0])}))"
            )
            _copy(connection, label, [graph.nodes(name)])
            progress.advance(1)
        for name, (kind, start, end) in RELATIONSHIPS.items():
            schema = PREDICTED_SCHEMA if name == "predicted" else EDGES[name]
            ends = f"FROM {start} TO {end}"
            columns = "".join(f", {_column(field)}" for field in list(schema)[2:])
            connection.execute(f"CREATE REL TABLE {kind}({ends}{columns})")
            if name != "predicted":
                _copy(connection, kind, [graph.edges(name)])
            elif graph.models:  # all at once: a second COPY into a table is where this engine has failed
                _copy(connection, kind, [graph.predicted(model) for model in graph.models])
            progress.advance(1)
    except RuntimeError as error:
        raise CypherError(_told(error)) from error
    finally:
        connection.close()
        database.close()
    progress.finish()


def _copy(connection: Any, table: str, files: list[Path]) -> None:
    listed = ", ".join(json.dumps(str(file), ensure_ascii=False) for file in files)
    connection.execute(f"COPY {table} FROM [{listed}]")


def _column(field: pa.Field) -> str:
    return f"{_escaped(field.name)} {_TYPES[str(field.type)]}"


def _escaped(name: str) -> str:
    return f"`{name}`"


def _bytes(memory: str) -> int:
    return int(float(memory[:-2]) * _UNITS[memory[-2:]])


def _told(error: RuntimeError) -> str:
    text = str(error)
    if "buffer pool" in text.lower() or "buffer manager" in text.lower():
        return f"{text}\nGive the index more memory: --set graph.index_memory=4GB"
    return text


def _ladybug() -> Any:
    try:
        import ladybug  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError("Asking the graph in Cypher", "graph") from error
    return ladybug
