"""Each stage adapted to the function of the package that does its work.

The packages are imported when a stage runs, so that declaring stages costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shelfcheck.pipeline.continuing import folds_learning, model_learning
from shelfcheck.pipeline.keeping import take_over_folds, take_over_model, write_learned
from shelfcheck.pipeline.names import (
    DECLINING_PRODUCTS,
    ENCODED,
    EVALUATION,
    GRAPH,
    GRAPH_ANALYSIS,
    GRAPH_ANALYSIS_MANIFEST,
    MISCATEGORISED_PRODUCTS,
    MISPLACED_REVIEWS,
    MODEL,
    OUT_OF_FOLD,
    PREPARED,
    REGISTRY_HISTORY,
    SAMPLE,
    SAMPLE_MANIFEST,
    TUNING_HISTORY,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from shelfcheck.config import Settings
    from shelfcheck.models.encode_added import Before
    from shelfcheck.prepare.earlier import Previous
    from shelfcheck.stages import Context


def run_prepare(context: Context) -> Mapping[str, Any]:
    """Raw reviews, cleaned and by month; only those of new files, where that gives the same."""
    from shelfcheck.prepare import prepare, read_listing  # noqa: PLC0415 - loads when a stage runs
    from shelfcheck.prepare.earlier import told_of  # noqa: PLC0415

    if context.settings.run.engine == "spark":
        from shelfcheck.prepare.spark import prepare_on_spark  # noqa: PLC0415

        summary = prepare_on_spark(context.sources, context.out, context.settings, context.progress)
    else:
        summary = prepare(
            context.sources,
            context.out,
            context.settings,
            context.progress,
            previous=_prepared_before(context),
        )
    context.order[:], told = told_of(context.out, context.sources)
    listing = read_listing(context.out)
    return {
        "rows_read": summary.rows_read,
        "rows_kept": summary.rows_kept,
        "rows_filtered": sum(summary.filtered.values()),
        "rows_rejected": sum(summary.rejected.values()),
        "months": len(listing.months),
        "files": len(listing.files()),
        "bytes": listing.bytes,
        **told,
    }


def _prepared_before(context: Context) -> Previous | None:
    from shelfcheck.prepare.earlier import READ_FIRST, Previous  # noqa: PLC0415

    standing = context.standing
    if standing is None:
        return None
    folder = standing.folder(*READ_FIRST)
    return Previous(folder, standing.manifest.fingerprint, standing.same_work, standing.folder)


def run_sample(context: Context) -> Mapping[str, Any]:
    """A sample of the months."""
    from shelfcheck.sampling.run import sample, summary  # noqa: PLC0415

    done = sample(context.inputs[PREPARED], context.out, context.settings, context.progress)
    return summary(done.plan) | {
        "dropped_categories": len(done.plan.dropped),
        "representative": done.comparison.representative,
        "representative_weighted": done.comparison.representative_weighted,
    }


def run_explore(context: Context) -> Mapping[str, Any]:
    """Every descriptive table, and their page."""
    from shelfcheck.explore import explore  # noqa: PLC0415
    from shelfcheck.report.explore_page import write_explore_page  # noqa: PLC0415

    if context.settings.run.engine == "spark":
        from shelfcheck.explore.spark import explore_on_spark as explore  # noqa: PLC0415
    figures = explore(context.inputs[PREPARED], context.out, context.settings, context.progress)
    write_explore_page(context.out, context.out)
    return {name: figures[name] for name in ("reviews", "categories", "unique_products", "unique_customers")}


def run_language(context: Context) -> Mapping[str, Any]:
    """How the language of categories shifts, and its page."""
    from shelfcheck.language.run import language  # noqa: PLC0415
    from shelfcheck.language.spark import language_on_spark  # noqa: PLC0415
    from shelfcheck.report.language_page import write_language_page  # noqa: PLC0415

    work = language_on_spark if context.settings.run.engine == "spark" else language
    counts = work(context.inputs[PREPARED], context.out, context.settings, context.progress)
    write_language_page(context.out, context.out / "language.html", context.settings)
    return counts


def run_graph(context: Context) -> Mapping[str, Any]:
    """The tables of the review graph."""
    from shelfcheck.graph.build import build  # noqa: PLC0415
    from shelfcheck.graph.spark import build_on_spark  # noqa: PLC0415

    work = build_on_spark if context.settings.run.engine == "spark" else build
    return work(context.inputs[PREPARED], context.out, context.settings, context.progress)


def run_graph_analysis(context: Context) -> Mapping[str, Any]:
    """Communities, confusions and suggestions from the graph."""
    from shelfcheck.graph.analysis import analyse  # noqa: PLC0415
    from shelfcheck.graph.store import open_graph  # noqa: PLC0415

    graph = open_graph(context.workspace)
    return analyse(graph, context.out, context.settings, context.progress)


def graph_predictions(settings: Settings) -> tuple[str, ...]:
    """The file that changes when the predictions in the graph do: the manifest of the model analysed."""
    return (f"graph_predictions/{settings.graph.analysis.model}/manifest.json",)


def run_encode(context: Context) -> Mapping[str, Any]:
    """N-grams of every review on disk, shuffled; only those of new reviews are made anew."""
    from shelfcheck.models.encode import encode  # noqa: PLC0415

    before = _encoded_before(context)
    encoded = encode(
        context.inputs[PREPARED],
        context.out,
        context.settings,
        context.progress,
        checkpoint=context.checkpoint,
        before=before,
    )
    return {"reviews": encoded.n_rows, "categories": len(encoded.categories), "n_grams": encoded.n_ids}


def _encoded_before(context: Context) -> Before | None:
    """The encoded reviews that stand, if the run before this one's `prepare` left these very reviews."""
    from shelfcheck.models.encode_added import Before  # noqa: PLC0415
    from shelfcheck.prepare.record import read_record  # noqa: PLC0415

    standing = context.standing
    if standing is None or not standing.same_work or not context.settings.run.incremental:
        return None
    record = read_record(context.inputs[PREPARED])
    if record is None or record.extends[-1:] != (standing.manifest.inputs[PREPARED],):
        return None
    return Before(standing.folder(), record.added)


def run_train(context: Context) -> Mapping[str, Any]:
    """The model that the settings name."""
    kept = take_over_model(context)
    if kept is not None:
        return kept
    from shelfcheck.models.train import train  # noqa: PLC0415

    learning = model_learning(context)
    write_learned(context.out, learning.learned)
    counts = train(
        context.inputs[ENCODED],
        context.out,
        context.settings,
        context.progress,
        prepared_dir=context.inputs[PREPARED],
        cache=context.cache,
        checkpoint=learning.checkpoint,
        start=learning.start,
    )
    return {**counts, **learning.counts}


def run_evaluate(context: Context) -> Mapping[str, Any]:
    """The model judged on held-out products."""
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


def run_out_of_fold(context: Context) -> Mapping[str, Any]:
    """Predictions by models that never saw the product."""
    kept = take_over_folds(context)
    if kept is not None:
        return kept
    learning = folds_learning(context)
    write_learned(context.out, learning.learned)
    from shelfcheck.predict.folds_spark import out_of_fold_on_spark  # noqa: PLC0415
    from shelfcheck.predict.out_of_fold import out_of_fold  # noqa: PLC0415

    work = out_of_fold_on_spark if context.settings.run.engine == "spark" else out_of_fold
    counts = work(
        context.inputs[ENCODED],
        context.out,
        context.settings,
        context.progress,
        checkpoint=learning.checkpoint,
        start=learning.start,
    )
    return {**counts, **learning.counts}


def run_misplaced(context: Context) -> Mapping[str, Any]:
    """Reviews that sit on the wrong product."""
    from shelfcheck.audit import misplaced_reviews  # noqa: PLC0415
    from shelfcheck.audit.spark import misplaced_reviews_on_spark  # noqa: PLC0415

    work = misplaced_reviews_on_spark if context.settings.run.engine == "spark" else misplaced_reviews
    return work(
        context.inputs[PREPARED], context.inputs[OUT_OF_FOLD], context.out, context.settings, context.progress
    )


def run_miscategorised(context: Context) -> Mapping[str, Any]:
    """Products that stand in the wrong category."""
    from shelfcheck.audit import miscategorised_products  # noqa: PLC0415
    from shelfcheck.audit.spark import miscategorised_products_on_spark  # noqa: PLC0415

    on_spark = context.settings.run.engine == "spark"
    work = miscategorised_products_on_spark if on_spark else miscategorised_products
    return work(
        context.inputs[PREPARED], context.inputs[OUT_OF_FOLD], context.out, context.settings, context.progress
    )


def run_declining(context: Context) -> Mapping[str, Any]:
    """Products that are getting worse."""
    from shelfcheck.audit import declining_products  # noqa: PLC0415

    return declining_products(
        context.inputs[PREPARED], context.inputs[ENCODED], context.out, context.settings, context.progress
    )


def run_report(context: Context) -> Mapping[str, Any]:
    """The report over all that stands."""
    from shelfcheck.report import ReportInputs, write_report  # noqa: PLC0415

    page = context.out / "report.html"
    registry, tuned = None, context.inputs.get(TUNING_HISTORY)
    if REGISTRY_HISTORY in context.inputs:
        from shelfcheck.models.registry import Registry  # noqa: PLC0415

        registry = Registry(context.workspace).with_judgements()
    write_report(
        ReportInputs(
            prepared=context.inputs[PREPARED],
            evaluation=context.inputs.get(EVALUATION),
            model=context.inputs.get(MODEL),
            misplaced_reviews=context.inputs.get(MISPLACED_REVIEWS),
            miscategorised_products=context.inputs.get(MISCATEGORISED_PRODUCTS),
            declining_products=context.inputs.get(DECLINING_PRODUCTS),
            sample=sample_of(context),
            graph=graph_analysis_of(context),
            registry=registry,
            tuning=None if tuned is None else context.workspace.fetch(tuned.parent.name, ("*/charts.json",)),
        ),
        page,
        context.settings,
    )
    return {"bytes": page.stat().st_size}


def sample_of(context: Context) -> Path | None:
    """The folder of the sample, if it was drawn from the reviews that stand."""
    if SAMPLE_MANIFEST not in context.inputs:
        return None
    workspace = context.workspace
    sample, prepared = workspace.manifest(SAMPLE), workspace.manifest(PREPARED)
    if sample is None or prepared is None or sample.inputs.get(PREPARED) != prepared.fingerprint:
        return None
    return workspace.path(SAMPLE, made_by="shelfcheck sample")


def graph_analysis_of(context: Context) -> Path | None:
    """The folder of the graph's analysis, if it is of the reviews that stand."""
    if GRAPH_ANALYSIS_MANIFEST not in context.inputs:
        return None
    workspace = context.workspace
    made, graph, prepared = (workspace.manifest(name) for name in (GRAPH_ANALYSIS, GRAPH, PREPARED))
    if made is None or graph is None or prepared is None:
        return None
    if made.inputs.get(GRAPH) != graph.fingerprint or graph.inputs.get(PREPARED) != prepared.fingerprint:
        return None
    return workspace.path(GRAPH_ANALYSIS, made_by="shelfcheck graph analyse")
