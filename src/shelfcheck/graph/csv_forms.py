"""The CSV files that bulk loaders take: Neptune's openCypher and Gremlin forms, and neo4j-admin's.

RFC 4180 with CRLF, UTF-8, an empty field where a value is unknown. Sources: the Neptune user guide,
"Load format for openCypher data" and "Gremlin load data format"; the Neo4j operations manual, "Import".
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import pyarrow as pa
import pyarrow.csv

from shelfcheck.graph.property_graph import EdgeKind, NodeKind, edge_ids, node_ids

if TYPE_CHECKING:
    from shelfcheck.graph.property_graph import Kind

Form: TypeAlias = Literal["neptune", "gremlin", "neo4j"]

_NEPTUNE: Final = {
    pa.string(): "String",
    pa.int64(): "Long",
    pa.int32(): "Int",
    pa.int8(): "Int",
    pa.float64(): "Double",
    pa.float32(): "Double",
    pa.bool_(): "Bool",
    pa.date32(): "DateTime",
}
_TYPES: Final[dict[Form, dict[pa.DataType, str]]] = {
    "neptune": _NEPTUNE,
    "gremlin": _NEPTUNE | {pa.date32(): "Date"},
    "neo4j": {
        pa.string(): "string",
        pa.int64(): "long",
        pa.int32(): "int",
        pa.int8(): "int",
        pa.float64(): "double",
        pa.float32(): "double",
        pa.bool_(): "boolean",
        pa.date32(): "date",
    },
}


def header(kind: Kind, form: Form) -> str:
    """The header line of a table, without its end."""
    return ",".join(_node_header(kind, form) if isinstance(kind, NodeKind) else _edge_header(kind, form))


def rows(kind: Kind, form: Form, batch: pa.RecordBatch) -> bytes:
    """The lines of a batch."""
    columns = (
        _node_columns(kind, form, batch) if isinstance(kind, NodeKind) else _edge_columns(kind, form, batch)
    )
    out = io.BytesIO()
    options = pa.csv.WriteOptions(include_header=False, eol="\r\n")
    pa.csv.write_csv(pa.table(columns, names=[str(n) for n in range(len(columns))]), out, options)
    return out.getvalue()


def _node_header(kind: NodeKind, form: Form) -> list[str]:
    if form == "neo4j":  # ids are unique in an id space; the key becomes a property of its own
        return [f"{kind.key}:ID({kind.label})", ":LABEL", *_typed(kind.properties[1:], form)]
    if form == "gremlin":  # a property holds a set of values unless the header says `single`
        return ["~id", "~label", *(f"{one}(single)" for one in _typed(kind.properties, form))]
    return [":ID", ":LABEL", *_typed(kind.properties, form)]


def _edge_header(kind: EdgeKind, form: Form) -> list[str]:
    told = _typed(kind.properties, form)
    if form == "neo4j":
        return [f":START_ID({kind.start.label})", f":END_ID({kind.end.label})", ":TYPE", *told]
    system = (
        ["~id", "~from", "~to", "~label"] if form == "gremlin" else [":ID", ":START_ID", ":END_ID", ":TYPE"]
    )
    return system + told


def _node_columns(kind: NodeKind, form: Form, batch: pa.RecordBatch) -> list[pa.Array]:
    keys, rest = batch.column(0), [batch[one.name] for one in kind.properties[1:]]
    label = _repeated(kind.label, len(batch))
    if form == "neo4j":
        return [keys, label, *rest]
    return [node_ids(kind, keys), label, keys, *rest]


def _edge_columns(kind: EdgeKind, form: Form, batch: pa.RecordBatch) -> list[pa.Array]:
    start, end = batch[kind.start_column], batch[kind.end_column]
    named, rest = _repeated(kind.type, len(batch)), [batch[one.name] for one in kind.properties]
    if form == "neo4j":
        return [start, end, named, *rest]
    return [edge_ids(kind, batch), node_ids(kind.start, start), node_ids(kind.end, end), named, *rest]


def _typed(properties: list[pa.Field], form: Form) -> list[str]:
    return [f"{one.name}:{_TYPES[form][one.type]}" for one in properties]


def _repeated(value: str, times: int) -> pa.Array:
    return pa.repeat(pa.scalar(value), times)
