"""Add a model's predictions to the graph: an artefact of their own, so that nothing is built again."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from shelfcheck.errors import SourceError, UsageError
from shelfcheck.graph.build import bounded_engine, quoted, write_parquet
from shelfcheck.graph.store import PREDICTED, PREDICTIONS, check_model_name
from shelfcheck.schema import CONFIDENCE, PREDICTED_CATEGORY, REVIEW_ID, TOP_CATEGORIES, TOP_PROBABILITIES
from shelfcheck.workspace import Manifest, utc_now

if TYPE_CHECKING:
    from pathlib import Path

    from shelfcheck.config import Settings
    from shelfcheck.graph.store import Graph
    from shelfcheck.progress import Progress
    from shelfcheck.workspace import Workspace

_VERSION: Final = 1  # raised when the same predictions give other edges
_NEEDED: Final = (REVIEW_ID, PREDICTED_CATEGORY, CONFIDENCE, TOP_CATEGORIES, TOP_PROBABILITIES)


@dataclass(frozen=True)
class AddedPredictions:
    """The predictions of one model in the graph.

    Attributes:
        model: its name there.
        fresh: whether they stood there already.
        seconds: to add them.
        counts: `edges`, `reviews` of the graph that have a prediction, `read`, and `left_out_reviews` and
            `left_out_edges`: those whose review, or whose category, the graph does not have.
    """

    model: str
    fresh: bool
    seconds: float
    counts: dict[str, Any]


def add_predictions(  # noqa: PLR0917 - one call
    workspace: Workspace,
    graph: Graph,
    source: Path,
    model: str,
    settings: Settings,
    progress: Progress,
    *,
    fingerprint: str | None = None,
) -> AddedPredictions:
    """Add predictions to the graph, in place of those that the model had there. The caller holds the lock.

    Args:
        workspace: the graph's.
        graph: the graph.
        source: a Parquet file that `predict` or the stage `out_of_fold` wrote.
        model: the name that they get.
        settings: `graph.predicted_categories`: how many categories of a review become edges, likeliest first.
        progress: told when it is done.
        fingerprint: of the file, where it is known; its SHA-256 otherwise.

    Raises:
        UsageError: `model` is no name, or no prediction is of a review and a category of the graph.
        SourceError: the file is not there, or no predictions.
    """
    check_model_name(model)
    _check_columns(source)
    most = settings.graph.predicted_categories
    inputs = {
        "prepared": graph.manifest.inputs["prepared"],
        "predictions": fingerprint or _sha256(source),
    }
    given = {"graph.predicted_categories": most}
    described = json.dumps([_VERSION, model, inputs, given], sort_keys=True)
    made_from = hashlib.sha256(described.encode()).hexdigest()
    artefact = f"{PREDICTIONS}/{model}"
    old = workspace.manifest(artefact)
    if old is not None and old.fingerprint == made_from and workspace.holds(old):
        return AddedPredictions(model, True, old.seconds, old.counts)  # noqa: FBT003
    progress.start(f"Adding the predictions of {model}", 1, "models")
    started = time.perf_counter()
    with workspace.writing(artefact) as out:
        counts = _write(graph, source, model, most, out, settings)
        if not counts["edges"]:
            raise UsageError(
                f"{source}: none of its {counts['read']:,} predictions is of a review and a category of the "
                "graph. Predict the categories of the reviews that the graph was built from."
            )
        seconds = round(time.perf_counter() - started, 3)
        (workspace.root / PREDICTIONS).mkdir(exist_ok=True)
        made = Manifest(
            artefact=artefact,
            fingerprint=made_from,
            inputs=inputs,
            settings=given,
            counts=counts,
            seconds=seconds,
            created=utc_now(),
        )
        workspace.publish(out, made)
    progress.advance(1)
    progress.finish()
    return AddedPredictions(model, False, seconds, counts)  # noqa: FBT003


def _write(  # noqa: PLR0917 - one call
    graph: Graph, source: Path, model: str, most: int, out: Path, settings: Settings
) -> dict[str, Any]:
    with bounded_engine(out, settings) as engine:
        rows = f"(SELECT {', '.join(_NEEDED)} FROM read_parquet({quoted(source)}))"  # noqa: S608 - quoted
        read, distinct = engine.run(f"SELECT count(*), count(DISTINCT review_id) FROM {rows}")[0]  # noqa: S608
        if distinct < read:  # a file may name a review twice: the surer prediction counts
            rows = f"""(SELECT * FROM {rows} WHERE review_id IS NOT NULL QUALIFY row_number() OVER (
                PARTITION BY review_id ORDER BY confidence DESC, predicted_category) = 1)"""  # noqa: S608
        engine.run(
            f"""
            CREATE TEMP VIEW known AS
            SELECT * FROM {rows} SEMI JOIN read_parquet({quoted(graph.nodes("reviews"))}) USING (review_id)
            """  # noqa: S608
        )
        reviews = engine.run("SELECT count(*) FROM known")[0][0]
        # Without the list of the likeliest, the likeliest alone.
        engine.run(
            f"""
            CREATE TEMP VIEW named AS
            SELECT review_id, t.category, t.confidence, t.rank FROM (
                SELECT review_id, unnest(list_transform(
                    coalesce(top_categories, [predicted_category])[1:{most}],
                    lambda name, i: struct_pack(
                        category := name,
                        confidence := CAST(coalesce(top_probabilities, [confidence])[i] AS FLOAT),
                        rank := CAST(i AS TINYINT)
                    )
                )) AS t FROM known
            )
            """  # noqa: S608
        )
        edges = write_parquet(
            engine,
            f"""
            SELECT review_id, category, confidence, rank, {quoted(model)} AS model
            FROM named SEMI JOIN read_parquet({quoted(graph.nodes("categories"))}) USING (category)
            ORDER BY review_id, rank
            """,  # noqa: S608
            out / f"{PREDICTED}.parquet",
        )
        all_edges = engine.run("SELECT count(*) FROM named")[0][0]
    return {
        "edges": edges,
        "reviews": reviews,
        "read": read,
        "left_out_reviews": read - reviews,
        "left_out_edges": all_edges - edges,
    }


def _check_columns(source: Path) -> None:
    import pyarrow as pa  # noqa: PLC0415 - loaded when it is used
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        names = pq.read_schema(source).names
    except (OSError, pa.ArrowInvalid) as error:
        raise SourceError(f"{source}: cannot be read as Parquet: {error}") from error
    lacking = [name for name in _NEEDED if name not in names]
    if lacking:
        raise SourceError(
            f"{source}: no predictions: it lacks {', '.join(lacking)}. "
            "Make them with: shelfcheck predict REVIEWS --output predictions.parquet"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
