"""The review graph in other systems: graph_export, graph_load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shelfcheck.errors import UsageError
from shelfcheck.progress import NullProgress
from shelfcheck.remote_workspace import open_workspace
from shelfcheck.settings_file import resolve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from shelfcheck.graph.export import Export, Target
    from shelfcheck.graph.load_bolt import BoltLoad
    from shelfcheck.graph.load_neptune import Mode, NeptuneLoad, Parallelism
    from shelfcheck.progress import Progress


def graph_export(
    workspace: str | Path,
    output: str | Path,
    to: Target = "neptune",
    *,
    models: Sequence[str] | None = None,
    compress: bool = False,
    max_megabytes: int = 256,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    force: bool = False,
) -> Export:
    """Write the graph as files that a graph database loads; see `graph.export.export_graph`.

    Args:
        workspace: the folder with the graph.
        output: a folder, or a URL such as `s3://bucket/prefix`.
        to: `neptune` (openCypher CSV), `gremlin`, `neo4j` (neo4j-admin) or `parquet`.
        models: whose predictions to write; None writes those of all.
        compress: gzip the CSV files.
        max_megabytes: a CSV file is closed once it holds as much, before gzip.
        config: as for `run`; `run.threads`, `run.engine` and `spark` are read.
        overrides: as for `run`.
        progress: told how far the work is.
        force: write what is there already, too.

    Raises:
        ShelfcheckError: there is no graph, or the folder cannot be written to or holds other files.
    """
    from shelfcheck.graph.export import export_graph  # noqa: PLC0415 - loads pyarrow
    from shelfcheck.graph.store import open_graph  # noqa: PLC0415

    return export_graph(
        open_graph(open_workspace(workspace)),
        output,
        to,
        progress or NullProgress(),
        resolve(config, overrides, workspace).settings,
        models=models,
        compress=compress,
        max_bytes=max_megabytes << 20,
        force=force,
    )


def graph_load(
    workspace: str | Path,
    to: str,
    *,
    models: Sequence[str] | None = None,
    only_predictions: bool = False,
    replace: bool = False,
    user: str | None = None,
    password: str | None = None,
    database: str | None = None,
    batch: int = 2_000,
    endpoint: str | None = None,
    export: str | None = None,
    role: str | None = None,
    region: str | None = None,
    gremlin: bool = False,
    mode: Mode = "AUTO",
    parallelism: Parallelism = "HIGH",
    load_id: str | None = None,
    poll_seconds: float = 5.0,
    progress: Progress | None = None,
) -> BoltLoad | NeptuneLoad:
    """Load the graph into a Bolt server, or into Amazon Neptune.

    Args:
        workspace: the folder with the graph.
        to: the address of a Bolt server, or `neptune`.
        models: whose predictions to load; None loads those of all.
        only_predictions: Bolt: load nothing else; the nodes are there from an earlier load.
        replace: Bolt: remove what earlier loads wrote and this one did not.
        user: Bolt: None for a server that asks for none.
        password: Bolt: of that user.
        database: Bolt: None for the server's default.
        batch: Bolt: rows a transaction.
        endpoint: Neptune: `https://CLUSTER:8182`.
        export: Neptune: `s3://BUCKET/PREFIX`, where the graph is exported to and loaded from.
        role: Neptune: ARN of the IAM role with which the cluster reads from there.
        region: Neptune: of cluster and bucket; None takes that of the AWS configuration.
        gremlin: Neptune: export and load Gremlin CSV, not openCypher CSV.
        mode: Neptune: AUTO goes on with an earlier load of the same files that failed.
        parallelism: Neptune: how much of the cluster the loader takes.
        load_id: Neptune: follow this load, and start none.
        poll_seconds: Neptune: between two looks at the load.
        progress: told how far the work is.

    Raises:
        ShelfcheckError: there is no graph, an option is missing, or the server refuses or fails.
    """
    told = progress or NullProgress()
    if to == "neptune":
        if endpoint is None:
            raise UsageError("Neptune needs its endpoint: --endpoint https://CLUSTER:8182.")
        from shelfcheck.graph import load_neptune  # noqa: PLC0415 - loaded when it is used

        client = load_neptune.neptune_client(endpoint, region)
        if load_id is not None:
            return load_neptune.follow_load(client, load_id, told, poll_seconds=poll_seconds)
        if export is None or role is None:
            raise UsageError(
                "Neptune loads from S3: name a prefix to export to with --export s3://BUCKET/PREFIX, "
                "and the role that lets the cluster read it with --role ARN."
            )
        load_neptune.check_source(export)
        form: Target = "gremlin" if gremlin else "neptune"
        files = graph_export(workspace, export, form, models=models, compress=True, progress=told)
        started = load_neptune.start_load(
            client, files.data, role=role, gremlin=gremlin, mode=mode, parallelism=parallelism
        )
        return load_neptune.follow_load(client, started, told, poll_seconds=poll_seconds)
    from shelfcheck.graph.load_bolt import load_bolt  # noqa: PLC0415 - loads pyarrow
    from shelfcheck.graph.store import open_graph  # noqa: PLC0415

    return load_bolt(
        open_graph(open_workspace(workspace)),
        to,
        told,
        user=user,
        password=password,
        database=database,
        models=models,
        only_predictions=only_predictions,
        replace=replace,
        batch=batch,
    )
