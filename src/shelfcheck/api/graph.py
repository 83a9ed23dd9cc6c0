"""The review graph: graph_build, graph_query, graph_analyse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shelfcheck import pipeline
from shelfcheck.api._shared import run_targets
from shelfcheck.errors import UsageError
from shelfcheck.progress import NullProgress
from shelfcheck.remote_workspace import open_workspace
from shelfcheck.settings_file import resolve

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pyarrow as pa

    from shelfcheck.config import Settings
    from shelfcheck.graph.predictions import AddedPredictions
    from shelfcheck.graph.store import Graph
    from shelfcheck.progress import Progress
    from shelfcheck.stages import StageResult
    from shelfcheck.workspace import Workspace


@dataclass(frozen=True)
class GraphBuild:
    """What `graph_build` left.

    Attributes:
        graph: the graph, opened.
        stage: how building nodes and edges ended, with the counts.
        predictions: what was added, or stood already: out-of-fold ones, and those of the file given.
        left_out: model -> why its predictions are not in the graph.
    """

    graph: Graph
    stage: StageResult
    predictions: tuple[AddedPredictions, ...]
    left_out: dict[str, str]


def graph_build(
    workspace: str | Path,
    predictions: str | Path | None = None,
    name: str | None = None,
    *,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    force: bool = False,
) -> GraphBuild:
    """Build the graph of the prepared reviews where it is stale, and add predictions to it.

    Args:
        workspace: the folder with the prepared reviews. Its out-of-fold predictions are added under the
            name `out_of_fold`, if they stand and were made for these reviews.
        predictions: a Parquet file that `predict` wrote, to be added.
        name: the name that its model gets; predictions that stand under it are replaced.
        config: as for `run`.
        overrides: as for `run`.
        progress: as for `run`.
        force: as for `run`.

    Raises:
        ShelfcheckError: there are no prepared reviews, or the file has no predictions for them.
    """
    from shelfcheck.graph import store  # noqa: PLC0415 - loads pyarrow
    from shelfcheck.graph.predictions import add_predictions  # noqa: PLC0415
    from shelfcheck.stores.places import brought_here  # noqa: PLC0415

    if (predictions is None) != (name is None):
        raise UsageError("Predictions need a name for their model, and a name needs predictions (--as NAME).")
    if name is not None:
        store.check_model_name(name)
    if name == store.OUT_OF_FOLD_MODEL:
        raise UsageError(f"{name} is the name of the out-of-fold predictions; choose another.")
    stage = run_targets(
        [pipeline.GRAPH],
        (),
        workspace,
        config=config,
        overrides=overrides,
        progress=progress,
        force=force,
    ).stages[-1]
    settings = resolve(config, overrides, workspace).settings
    home, told = open_workspace(workspace), progress or NullProgress()
    home.told = told
    added, left_out = [], {}
    with home.locked():
        graph = store.open_graph(home)
        why_not = _why_no_out_of_fold(home)
        if why_not is None:
            manifest = home.manifest(pipeline.OUT_OF_FOLD)
            made = home.path(pipeline.OUT_OF_FOLD, made_by="shelfcheck audit") / "predictions.parquet"
            fingerprint = None if manifest is None else manifest.fingerprint
            added.append(
                add_predictions(
                    home, graph, made, store.OUT_OF_FOLD_MODEL, settings, told, fingerprint=fingerprint
                )
            )
        else:
            left_out[store.OUT_OF_FOLD_MODEL] = why_not
        if predictions is not None and name is not None:
            with brought_here(predictions, told) as file:
                added.append(add_predictions(home, graph, file, name, settings, told))
        graph = store.open_graph(home)
        for model in store.prediction_manifests(home):
            if model not in graph.models and model not in left_out:
                left_out[model] = "they were made for other reviews; predict again, and add them again."
    return GraphBuild(graph, stage, tuple(added), left_out)


def graph_query(
    workspace: str | Path,
    cypher: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    *,
    question: str | None = None,
    server: str | None = None,
    user: str | None = None,
    password: str | None = None,
    database: str | None = None,
    endpoint: str | None = None,
    region: str | None = None,
    timeout: float = 300.0,
    for_neptune: bool = False,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    force: bool = False,
) -> pa.Table:
    """Ask the graph: in openCypher, of an embedded index or of a server; or one of the common questions.

    Args:
        workspace: the folder with the graph; not looked at when a server is asked.
        cypher: a query that reads. The index that answers it is made where it is stale.
        parameters: values of its `$name` parameters, or arguments of the question.
        question: instead of `cypher`, a method of `graph.queries.GraphQueries`, which DuckDB answers from
            the tables, without an index.
        server: address of a Bolt server that the graph was loaded into, or `neptune`; None asks the index.
        user: Bolt: None for a server that asks for none.
        password: Bolt: of that user.
        database: Bolt: None for the server's default.
        endpoint: Neptune: `https://CLUSTER:8182`.
        region: Neptune: of the cluster; None takes that of the AWS configuration.
        timeout: seconds after which a server's answer is no longer waited for.
        for_neptune: refuse what Neptune's openCypher lacks, whoever answers.
        config: as for `run`.
        overrides: as for `run`.
        progress: as for `run`.
        force: make the index anew.

    Returns:
        A column for each thing that the query returns.

    Raises:
        ShelfcheckError: there is no graph, an extra is not installed, the query is no question, or the
            server refuses or does not answer.
    """
    if (cypher is None) == (question is None):
        raise UsageError("Give a query in openCypher, or the name of a question (--question NAME).")
    told = progress or NullProgress()
    if question is not None:
        if server is not None or for_neptune:
            raise UsageError("A question by name is answered from the tables: leave out --server.")
        settings = resolve(config, overrides, workspace).settings
        return _asked_by_name(open_workspace(workspace), question, parameters or {}, settings, told)
    if cypher is None:
        raise AssertionError  # one of both is given
    from shelfcheck.graph.reading import refuse_writes  # noqa: PLC0415 - loads pyarrow

    refuse_writes(cypher)  # before an index is built for nothing
    if for_neptune:
        from shelfcheck.graph.neptune_lint import check_for_neptune  # noqa: PLC0415

        check_for_neptune(cypher)
    if server is not None:
        from shelfcheck.graph import ask_server  # noqa: PLC0415

        if server != "neptune":
            return ask_server.ask_bolt(
                server,
                cypher,
                parameters,
                user=user,
                password=password,
                database=database,
                timeout=timeout,
            )
        if endpoint is None:
            raise UsageError("Neptune needs its endpoint: --endpoint https://CLUSTER:8182.")
        return ask_server.ask_neptune(endpoint, cypher, parameters, region=region, timeout=timeout)
    from shelfcheck.graph.index import GraphIndex, ensure_index  # noqa: PLC0415
    from shelfcheck.graph.store import open_graph  # noqa: PLC0415

    home = open_workspace(workspace)
    home.told = told
    settings = resolve(config, overrides, workspace).settings
    memory, threads = settings.graph.index_memory, settings.run.threads
    file = ensure_index(
        open_graph(home), home.root / "cache", told, memory=memory, threads=threads, rebuild=force
    )
    with GraphIndex(file, memory, threads) as index:
        return index.query(cypher, parameters)


def _asked_by_name(
    workspace: Workspace, question: str, given: Mapping[str, Any], settings: Settings, progress: Progress
) -> pa.Table:
    from shelfcheck.graph.queries import GraphQueries, ask_by_name  # noqa: PLC0415 - loads pyarrow
    from shelfcheck.graph.store import open_graph  # noqa: PLC0415

    run = settings.run
    with GraphQueries(open_graph(workspace), run.memory_limit, run.threads, progress) as ask:
        return ask_by_name(ask, question, given)


def _why_no_out_of_fold(workspace: Workspace) -> str | None:
    made_by = f"make them with: shelfcheck audit misplaced_reviews --workspace {workspace.place}"
    predicted = workspace.manifest(pipeline.OUT_OF_FOLD)
    if predicted is None:
        return f"there are none; {made_by}"
    encoded, prepared = workspace.manifest(pipeline.ENCODED), workspace.manifest(pipeline.PREPARED)
    if (
        encoded is None
        or prepared is None
        or predicted.inputs.get(pipeline.ENCODED) != encoded.fingerprint
        or encoded.inputs.get(pipeline.PREPARED) != prepared.fingerprint
    ):
        return f"they were made for other reviews; {made_by}"
    return None


def graph_analyse(
    workspace: str | Path,
    model: str | None = None,
    *,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    force: bool = False,
) -> StageResult:
    """Compare the predicted with the assigned graph: confused categories, what to merge or split.

    Needs shelfcheck[graph]. The graph is built first where it is missing or stale.

    Args:
        workspace: the folder with the graph.
        model: `graph.analysis.model`, as an override: whose predictions; `out_of_fold` when not set.
        config: as for `run`.
        overrides: as for `run`.
        progress: as for `run`.
        force: analyse again even if it is fresh.

    Returns:
        The folder with the tables (Parquet and CSV) and `summary.json`, and the counts.

    Raises:
        ShelfcheckError: the graph has no predictions of the model, or too few; networkit is not installed.
    """
    given = dict(overrides or {}) | ({} if model is None else {"graph.analysis.model": model})
    arguments: dict[str, Any] = {"config": config, "overrides": given, "progress": progress}
    graph_build(workspace, **arguments)
    return run_targets([pipeline.GRAPH_ANALYSIS], (), workspace, force=force, **arguments).stages[-1]
