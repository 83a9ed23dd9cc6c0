"""Where the graph's tables stand, and what a reader opens them by.

    graph/<fingerprint>/nodes/NAME.parquet          customers, products, reviews, categories
    graph/<fingerprint>/edges/NAME.parquet          wrote, reviewed, bought, assigned
    graph_predictions/MODEL/<fingerprint>/predicted.parquet

Each is an artefact of the workspace, so a reader sees all of a graph or nothing of it. Predictions are
artefacts of their own, one a model, so that they come and go without the graph being built again.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from shelfcheck.errors import UsageError, WorkspaceError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from shelfcheck.workspace import Manifest, Workspace

GRAPH: Final = "graph"
PREDICTIONS: Final = "graph_predictions"
PREDICTED: Final = "predicted"
OUT_OF_FOLD_MODEL: Final = "out_of_fold"
"""The name that out-of-fold predictions have in the graph."""

NODES: Final[dict[str, pa.Schema]] = {
    "customers": pa.schema([("customer_id", pa.string()), ("reviews", pa.int64())]),
    "products": pa.schema(
        [
            ("product_id", pa.string()),
            ("title", pa.string()),
            ("parent", pa.string()),
            ("reviews", pa.int64()),
            ("stars", pa.float64()),
            ("first_date", pa.date32()),
            ("last_date", pa.date32()),
        ]
    ),
    "reviews": pa.schema(
        [
            ("review_id", pa.string()),
            ("date", pa.date32()),
            ("stars", pa.int32()),
            ("title", pa.string()),
            ("tokens", pa.string()),
            ("verified", pa.bool_()),
            ("helpful_votes", pa.int32()),
        ]
    ),
    "categories": pa.schema([("category", pa.string()), ("reviews", pa.int64()), ("products", pa.int64())]),
}
"""Columns of each table of nodes; the first is the key, unique and never null. Rows are sorted by it."""

EDGES: Final[dict[str, pa.Schema]] = {
    "wrote": pa.schema([("customer_id", pa.string()), ("review_id", pa.string())]),
    "reviewed": pa.schema([("review_id", pa.string()), ("product_id", pa.string())]),
    "bought": pa.schema(
        [
            ("customer_id", pa.string()),
            ("product_id", pa.string()),
            ("reviews", pa.int64()),
            ("first_date", pa.date32()),
        ]
    ),
    "assigned": pa.schema(
        [
            ("product_id", pa.string()),
            ("category", pa.string()),
            ("reviews", pa.int64()),
            ("first_date", pa.date32()),
            ("last_date", pa.date32()),
            ("current", pa.bool_()),
        ]
    ),
}
"""Columns of each table of edges; the first two are the keys of the nodes it joins, together unique."""

PREDICTED_SCHEMA: Final = pa.schema(
    [
        ("review_id", pa.string()),
        ("category", pa.string()),
        ("confidence", pa.float32()),  # calibrated probability, 0..1
        ("rank", pa.int8()),  # 1 = likeliest
        ("model", pa.string()),
    ]
)
"""One edge a review and category that a model names; sorted by review and rank."""

_MODEL_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


@dataclass(frozen=True)
class Graph:
    """The tables of one graph, as they stood when it was opened.

    Attributes:
        folder: the folder of nodes and edges.
        fingerprint: equal means that nodes, edges and predictions are equal.
        manifest: how nodes and edges were made, with their counts.
        predictions: model -> file of its predictions.
        cache: folder for what can be made from the graph again, if it has one.
    """

    folder: Path
    fingerprint: str
    manifest: Manifest
    predictions: Mapping[str, Path] = field(default_factory=dict)
    cache: Path | None = None

    def nodes(self, name: str) -> Path:
        """The file of a table of NODES.

        Raises:
            UsageError: there is no such table.
        """
        return self._table("nodes", name, NODES)

    def edges(self, name: str) -> Path:
        """The file of a table of EDGES.

        Raises:
            UsageError: there is no such table.
        """
        return self._table("edges", name, EDGES)

    @property
    def models(self) -> tuple[str, ...]:
        """Models whose predictions the graph has, by name."""
        return tuple(sorted(self.predictions))

    def predicted(self, model: str) -> Path:
        """The file of a model's predictions, PREDICTED_SCHEMA.

        Raises:
            UsageError: the graph has none of that model.
        """
        if model not in self.predictions:
            known = f"It has those of: {', '.join(self.models)}." if self.models else "It has none yet."
            raise UsageError(
                f"The graph has no predictions of {model!r}. {known} "
                "Add some with: shelfcheck graph build --predictions FILE --as NAME"
            )
        return self.predictions[model]

    def _table(self, kind: str, name: str, known: Mapping[str, pa.Schema]) -> Path:
        if name not in known:
            raise UsageError(f"The graph has no {kind} {name!r}; it has {', '.join(known)}.")
        return self.folder / kind / f"{name}.parquet"


def open_graph(workspace: Workspace) -> Graph:
    """The graph that a workspace holds, with the predictions that were made for the same reviews.

    Raises:
        WorkspaceError: no graph was built here.
    """
    made_by = f"shelfcheck graph build --workspace {workspace.place}"
    folder = workspace.path(GRAPH, made_by=made_by)
    manifest = workspace.manifest(GRAPH)
    if manifest is None:
        raise WorkspaceError(f"{workspace.place}: no graph here any more. Make it with: {made_by}")
    found, fingerprints = {}, [manifest.fingerprint]
    for model, made in prediction_manifests(workspace).items():
        if made.inputs.get("prepared") == manifest.inputs.get("prepared"):
            home = workspace.path(f"{PREDICTIONS}/{model}", made_by=made_by)
            found[model] = home / f"{PREDICTED}.parquet"
            fingerprints.append(made.fingerprint)
    fingerprint = hashlib.sha256(json.dumps(fingerprints).encode()).hexdigest()
    return Graph(folder, fingerprint, manifest, found, workspace.root / "cache")


def prediction_manifests(workspace: Workspace) -> dict[str, Manifest]:
    """Model -> manifest of its predictions, by name, also of those made for other reviews."""
    manifests = ((name, workspace.manifest(f"{PREDICTIONS}/{name}")) for name in workspace.names(PREDICTIONS))
    return {name: manifest for name, manifest in manifests if manifest is not None}


def check_model_name(name: str) -> str:
    """The name of a model, which becomes the name of a folder.

    Raises:
        UsageError: it has other characters than letters, digits, `.`, `_` and `-`.
    """
    if not _MODEL_NAME.match(name):
        raise UsageError(
            f"{name!r} is no name for a model in the graph: use at most 64 letters, digits, '.', '_' or '-'."
        )
    return name
