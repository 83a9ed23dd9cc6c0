r"""The stages of the main job, declared in order, and the run that walks them.

    sources -> prepared -> encoded -> model -> evaluation
                       \          |-> out_of_fold -> misplaced_reviews, miscategorised_products
                        \         \-> declining_products
                         \---------------------------------------------------------> report

Each `_run_*` adapts one package's function to a stage; the work itself lives there. The packages
are imported when a stage runs, so that declaring stages costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from shelfcheck.errors import NotEnoughDataError, WorkspaceError
from shelfcheck.settings_file import REMEMBERED_FILE, remember
from shelfcheck.stages import Stage, StageResult, plan, run_stage
from shelfcheck.workspace import Workspace, copy_atomically, write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from shelfcheck.config import Settings
    from shelfcheck.progress import Progress
    from shelfcheck.sources import Source
    from shelfcheck.stages import Context

PREPARED: Final = "prepared"
SAMPLE: Final = "sample"
EXPLORE: Final = "explore"
LANGUAGE: Final = "language"
GRAPH: Final = "graph"
GRAPH_ANALYSIS: Final = "graph_analysis"
ENCODED: Final = "encoded"
MODEL: Final = "model"
EVALUATION: Final = "evaluation"
OUT_OF_FOLD: Final = "out_of_fold"
MISPLACED_REVIEWS: Final = "misplaced_reviews"
MISCATEGORISED_PRODUCTS: Final = "miscategorised_products"
DECLINING_PRODUCTS: Final = "declining_products"
REPORT: Final = "report"
REGISTRY_HISTORY: Final = "models/history.jsonl"  # grows with every registration and promotion
GRAPH_ANALYSIS_MANIFEST: Final = "graph_analysis/manifest.json"
SAMPLE_MANIFEST: Final = "sample/manifest.json"  # of the sample, which the report shows where it stands
TUNING_HISTORY: Final = "tuning/history.jsonl"  # grows with every call of `tune`


def _run_prepare(context: Context) -> Mapping[str, Any]:
    from shelfcheck.prepare import prepare, read_listing  # noqa: PLC0415 - loads when a stage runs

    summary = prepare(context.sources, context.out, context.settings, context.progress)
    listing = read_listing(context.out)
    return {
        "rows_read": summary.rows_read,
        "rows_kept": summary.rows_kept,
        "rows_filtered": sum(summary.filtered.values()),
        "rows_rejected": sum(summary.rejected.values()),
        "months": len(listing.months),
        "files": len(listing.files()),
        "bytes": listing.bytes,
    }


def _run_sample(context: Context) -> Mapping[str, Any]:
    from shelfcheck.sampling.run import sample, summary  # noqa: PLC0415

    done = sample(context.inputs[PREPARED], context.out, context.settings, context.progress)
    return summary(done.plan) | {
        "dropped_categories": len(done.plan.dropped),
        "representative": done.comparison.representative,
        "representative_weighted": done.comparison.representative_weighted,
    }


def _run_explore(context: Context) -> Mapping[str, Any]:
    from shelfcheck.explore import explore  # noqa: PLC0415
    from shelfcheck.report.explore_page import write_explore_page  # noqa: PLC0415

    figures = explore(context.inputs[PREPARED], context.out, context.settings, context.progress)
    write_explore_page(context.out, context.out)
    return {name: figures[name] for name in ("reviews", "categories", "unique_products", "unique_customers")}


def _run_language(context: Context) -> Mapping[str, Any]:
    from shelfcheck.language.run import language  # noqa: PLC0415
    from shelfcheck.report.language_page import write_language_page  # noqa: PLC0415

    counts = language(context.inputs[PREPARED], context.out, context.settings, context.progress)
    write_language_page(context.out, context.out / "language.html", context.settings)
    return counts


def _run_graph(context: Context) -> Mapping[str, Any]:
    from shelfcheck.graph.build import build  # noqa: PLC0415

    return build(context.inputs[PREPARED], context.out, context.settings, context.progress)


def _run_graph_analysis(context: Context) -> Mapping[str, Any]:
    from shelfcheck.graph.analysis import analyse  # noqa: PLC0415
    from shelfcheck.graph.store import open_graph  # noqa: PLC0415

    graph = open_graph(Workspace(context.inputs[GRAPH].parent.parent))
    return analyse(graph, context.out, context.settings, context.progress)


def _graph_predictions(settings: Settings) -> tuple[str, ...]:
    """The file that changes when the predictions in the graph do: the manifest of the model analysed."""
    return (f"graph_predictions/{settings.graph.analysis.model}/manifest.json",)


def _run_encode(context: Context) -> Mapping[str, Any]:
    from shelfcheck.models.encode import encode  # noqa: PLC0415

    encoded = encode(context.inputs[PREPARED], context.out, context.settings, context.progress)
    return {"reviews": encoded.n_rows, "categories": len(encoded.categories), "n_grams": encoded.n_ids}


def _run_train(context: Context) -> Mapping[str, Any]:
    from shelfcheck.models.train import train  # noqa: PLC0415

    return train(
        context.inputs[ENCODED],
        context.out,
        context.settings,
        context.progress,
        prepared_dir=context.inputs[PREPARED],
        cache=context.cache,
    )


def _run_evaluate(context: Context) -> Mapping[str, Any]:
    from shelfcheck.models.train import evaluate_held_out  # noqa: PLC0415

    return evaluate_held_out(
        context.inputs[ENCODED],
        context.inputs[MODEL],
        context.out,
        context.settings,
        context.progress,
        prepared_dir=context.inputs[PREPARED],
        cache=context.cache,
    )


def _run_out_of_fold(context: Context) -> Mapping[str, Any]:
    from shelfcheck.predict.out_of_fold import out_of_fold  # noqa: PLC0415

    return out_of_fold(context.inputs[ENCODED], context.out, context.settings, context.progress)


def _run_misplaced(context: Context) -> Mapping[str, Any]:
    from shelfcheck.audit import misplaced_reviews  # noqa: PLC0415

    return misplaced_reviews(
        context.inputs[PREPARED], context.inputs[OUT_OF_FOLD], context.out, context.settings, context.progress
    )


def _run_miscategorised(context: Context) -> Mapping[str, Any]:
    from shelfcheck.audit import miscategorised_products  # noqa: PLC0415

    return miscategorised_products(
        context.inputs[PREPARED], context.inputs[OUT_OF_FOLD], context.out, context.settings, context.progress
    )


def _run_declining(context: Context) -> Mapping[str, Any]:
    from shelfcheck.audit import declining_products  # noqa: PLC0415

    return declining_products(
        context.inputs[PREPARED], context.inputs[ENCODED], context.out, context.settings, context.progress
    )


def _run_report(context: Context) -> Mapping[str, Any]:
    from shelfcheck.report import ReportInputs, write_report  # noqa: PLC0415

    page = context.out / "report.html"
    history, tuned = context.inputs.get(REGISTRY_HISTORY), context.inputs.get(TUNING_HISTORY)
    write_report(
        ReportInputs(
            prepared=context.inputs[PREPARED],
            evaluation=context.inputs.get(EVALUATION),
            model=context.inputs.get(MODEL),
            misplaced_reviews=context.inputs.get(MISPLACED_REVIEWS),
            miscategorised_products=context.inputs.get(MISCATEGORISED_PRODUCTS),
            declining_products=context.inputs.get(DECLINING_PRODUCTS),
            sample=_sample_of(context),
            graph=_graph_analysis_of(context),
            registry=None if history is None else history.parent.parent,
            tuning=None if tuned is None else tuned.parent,
        ),
        page,
        context.settings,
    )
    return {"bytes": page.stat().st_size}


def _sample_of(context: Context) -> Path | None:
    """The folder of the sample, if it was drawn from the reviews that stand."""
    if SAMPLE_MANIFEST not in context.inputs:
        return None
    workspace = Workspace(context.inputs[SAMPLE_MANIFEST].parent.parent)
    sample, prepared = workspace.manifest(SAMPLE), workspace.manifest(PREPARED)
    if sample is None or prepared is None or sample.inputs.get(PREPARED) != prepared.fingerprint:
        return None
    return workspace.path(SAMPLE, made_by="shelfcheck sample")


def _graph_analysis_of(context: Context) -> Path | None:
    """The folder of the graph's analysis, if it is of the reviews that stand."""
    if GRAPH_ANALYSIS_MANIFEST not in context.inputs:
        return None
    workspace = Workspace(context.inputs[GRAPH_ANALYSIS_MANIFEST].parent.parent)
    made, graph, prepared = (workspace.manifest(name) for name in (GRAPH_ANALYSIS, GRAPH, PREPARED))
    if made is None or graph is None or prepared is None:
        return None
    if made.inputs.get(GRAPH) != graph.fingerprint or graph.inputs.get(PREPARED) != prepared.fingerprint:
        return None
    return workspace.path(GRAPH_ANALYSIS, made_by="shelfcheck graph analyse")


_ENCODING: Final = (
    "train.linear.fields",
    "train.linear.word_ngrams",
    "train.linear.prefixes",
    "train.linear.hash_bits",
)
_SPLIT: Final = (
    "train.label",
    "train.split",
    "train.split_date",
    "train.test_share",
    "train.calibration_share",
    "train.min_category_reviews",
    "train.min_class_share",
)


def _learning(settings: Settings) -> tuple[str, ...]:
    """What the chosen model depends on: not the settings of the others."""
    return ("train.model", f"train.{settings.train.model}", *_SPLIT, "run.seed")


STAGES: Final = (
    Stage(
        PREPARED,
        "Preparing reviews",
        "shelfcheck prepare",
        needs=(),
        settings=("source", "prepare", "text"),
        run=_run_prepare,
    ),
    Stage(
        SAMPLE,
        "Sampling",
        "shelfcheck sample",
        needs=(PREPARED,),
        settings=("sample", "run.seed"),
        run=_run_sample,
        main=False,
    ),
    Stage(
        EXPLORE,
        "Exploring",
        "shelfcheck explore",
        needs=(PREPARED,),
        settings=(),
        run=_run_explore,
        main=False,
    ),
    Stage(
        LANGUAGE,
        "Comparing language",
        "shelfcheck language",
        needs=(PREPARED,),
        settings=("language", "run.seed"),
        run=_run_language,
        main=False,
    ),
    Stage(
        GRAPH,
        "Building the graph",
        "shelfcheck graph build",
        needs=(PREPARED,),
        settings=("graph.bought",),
        run=_run_graph,
        main=False,
    ),
    Stage(
        GRAPH_ANALYSIS,
        "Analysing the graph",
        "shelfcheck graph analyse",
        needs=(GRAPH,),
        settings=("graph.analysis", "run.seed"),
        run=_run_graph_analysis,
        watches=_graph_predictions,
        main=False,
    ),
    Stage(
        ENCODED,
        "Encoding n-grams",
        "shelfcheck train",
        needs=(PREPARED,),
        settings=("text", *_ENCODING),
        run=_run_encode,
        version=2,
    ),
    Stage(
        MODEL,
        "Training",
        "shelfcheck train",
        needs=(PREPARED, ENCODED),
        settings=_learning,
        run=_run_train,
        version=2,
    ),
    Stage(
        EVALUATION,
        "Evaluating on what was held out",
        "shelfcheck evaluate",
        needs=(PREPARED, ENCODED, MODEL),
        settings=_SPLIT,
        run=_run_evaluate,
        version=3,
    ),
    Stage(
        OUT_OF_FOLD,
        "Predicting out of fold",
        "shelfcheck audit",
        needs=(ENCODED,),
        settings=("train.linear", "train.min_category_reviews", "audit.folds", "run.seed"),
        run=_run_out_of_fold,
    ),
    Stage(
        MISPLACED_REVIEWS,
        "Looking for misplaced reviews",
        "shelfcheck audit misplaced_reviews",
        needs=(PREPARED, OUT_OF_FOLD),
        settings=("audit.min_score", "audit.max_findings", "run.seed"),
        run=_run_misplaced,
    ),
    Stage(
        MISCATEGORISED_PRODUCTS,
        "Looking for miscategorised products",
        "shelfcheck audit miscategorised_products",
        needs=(PREPARED, OUT_OF_FOLD),
        settings=("audit.min_score", "audit.max_findings", "run.seed"),
        run=_run_miscategorised,
    ),
    Stage(
        DECLINING_PRODUCTS,
        "Looking for declining products",
        "shelfcheck audit declining_products",
        needs=(PREPARED, ENCODED),
        settings=("audit.declining", "audit.max_findings"),
        run=_run_declining,
    ),
    Stage(
        REPORT,
        "Writing the report",
        "shelfcheck report",
        needs=(PREPARED, MODEL, EVALUATION, MISPLACED_REVIEWS, MISCATEGORISED_PRODUCTS, DECLINING_PRODUCTS),
        settings=("report",),
        run=_run_report,
        optional=(MODEL, EVALUATION, MISPLACED_REVIEWS, MISCATEGORISED_PRODUCTS, DECLINING_PRODUCTS),
        watches=(REGISTRY_HISTORY, TUNING_HISTORY, SAMPLE_MANIFEST, GRAPH_ANALYSIS_MANIFEST),
    ),
)
"""Every stage, in the order in which they run."""

MAIN_JOB: Final = tuple(stage.name for stage in STAGES if stage.main)
"""What `shelfcheck run` makes; the others are made when they are asked for."""

# What people open stands at the workspace's top under a name that never changes.
_TOP_FILES: Final = {
    SAMPLE: {"sample.parquet": "sample.parquet"},
    EXPLORE: {"explore.html": "explore.html"},
    LANGUAGE: {"language.html": "language.html"},
    MISPLACED_REVIEWS: {
        "findings.csv": "misplaced_reviews.csv",
        "findings.parquet": "misplaced_reviews.parquet",
    },
    MISCATEGORISED_PRODUCTS: {
        "findings.csv": "miscategorised_products.csv",
        "findings.parquet": "miscategorised_products.parquet",
    },
    DECLINING_PRODUCTS: {
        "findings.csv": "declining_products.csv",
        "findings.parquet": "declining_products.parquet",
    },
    REPORT: {"report.html": "report.html"},
}


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
        workspace: the folder.
        stages: each stage's result, in order.
        skipped: stages for which the reviews are too few, and why.
    """

    workspace: Path
    stages: tuple[StageResult, ...]
    skipped: dict[str, str] = field(default_factory=dict)

    def stage(self, name: str) -> StageResult:
        """The result of one stage.

        Raises:
            KeyError: the run did not come to it.
        """
        for result in self.stages:
            if result.stage == name:
                return result
        raise KeyError(name)


def run_stages(
    workspace: Workspace,
    settings: Settings,
    progress: Progress,
    targets: Sequence[str],
    *,
    sources: Sequence[Source] = (),
    force: bool = False,
) -> RunResult:
    """Run stages and what they stand on, skipping what is fresh.

    Args:
        workspace: where artefacts go.
        settings: all settings.
        progress: told how far the work is.
        targets: names of the stages wanted.
        sources: raw files; without them the prepared reviews must be there already.
        force: run the targets even if they are fresh.

    Raises:
        WorkspaceError: no sources were given and nothing was prepared, or the workspace is in use.
        NotEnoughDataError: the reviews are too few, e.g. of one category only. A run of several targets, or
            one that ends in the report, goes on instead and tells what was skipped.
    """
    wanted = closure(targets)
    results = []
    skipped: dict[str, str] = {}
    with workspace.locked():
        for stage in STAGES:
            if stage.name not in wanted:
                continue
            if stage.name == PREPARED and not sources:
                _require_prepared(workspace)
                continue
            forced = force and stage.name in targets
            given = sources if stage.name == PREPARED else ()
            lacking = [name for name in stage.needs if name in skipped and name not in stage.optional]
            if lacking:
                skipped[stage.name] = skipped[lacking[0]]
                continue
            try:
                result = run_stage(
                    stage, workspace, settings, progress, sources=given, absent=skipped, force=forced
                )
            except NotEnoughDataError as error:
                if REPORT not in targets and len(targets) == 1:
                    raise
                skipped[stage.name] = str(error)
                continue
            results.append(result)
            _register(workspace, settings, results)
            for name, top in _TOP_FILES.get(stage.name, {}).items():
                if not result.fresh or not (workspace.root / top).exists():
                    copy_atomically(result.folder / name, workspace.root / top)
        for name in skipped:
            for top in _TOP_FILES.get(name, {}).values():  # of an earlier run, on other reviews
                (workspace.root / top).unlink(missing_ok=True)
        if sources:
            write_atomically(workspace.root / REMEMBERED_FILE, remember(settings))
    return RunResult(workspace.root, tuple(results), skipped)


def _register(workspace: Workspace, settings: Settings, results: Sequence[StageResult]) -> None:
    """Make the model that was just judged a version; the same files make no second one."""
    from shelfcheck.models.registry import Registry  # noqa: PLC0415

    judged = results[-1]
    if judged.stage != EVALUATION or judged.fresh:
        return
    trained = next((result for result in results if result.stage == MODEL), None)
    if trained is not None:
        counts = {"split": settings.train.split, **trained.counts, **judged.counts}
        Registry(workspace.root).register(trained.folder, judged.folder, counts)


def closure(targets: Sequence[str]) -> set[str]:
    """The named stages and all that they need, directly or not."""
    by_name = {stage.name: stage for stage in STAGES}
    found: set[str] = set()
    waiting = list(targets)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(by_name[name].needs)
    return found


def states(workspace: Workspace, settings: Settings, sources: Sequence[Source] = ()) -> dict[str, str]:
    """What a run would do with each stage: `fresh`, `stale` or `missing`."""
    found: dict[str, str] = {}
    for stage in STAGES:
        manifest = workspace.manifest(stage.name)
        if manifest is None:
            found[stage.name] = "missing"
        elif any(
            found[name] != "fresh" and not (found[name] == "missing" and name in stage.optional)
            for name in stage.needs
        ):
            found[stage.name] = "stale"
        elif stage.name == PREPARED and not sources:
            found[stage.name] = "fresh"
        else:
            _, fingerprint = plan(stage, workspace, settings, sources if stage.name == PREPARED else ())
            found[stage.name] = "fresh" if fingerprint == manifest.fingerprint else "stale"
    return found


def _require_prepared(workspace: Workspace) -> None:
    if workspace.manifest(PREPARED) is None:
        raise WorkspaceError(
            f"{workspace.root}: no prepared reviews here yet. "
            f"Make them with: shelfcheck prepare SOURCE... --workspace {workspace.root}"
        )
