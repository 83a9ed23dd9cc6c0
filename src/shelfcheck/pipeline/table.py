"""The stages in the order in which they run: what each needs and which settings it depends on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shelfcheck.pipeline.adapters import (
    graph_predictions,
    run_declining,
    run_encode,
    run_evaluate,
    run_explore,
    run_graph,
    run_graph_analysis,
    run_language,
    run_miscategorised,
    run_misplaced,
    run_out_of_fold,
    run_prepare,
    run_report,
    run_sample,
    run_train,
)
from shelfcheck.pipeline.keeping import carries
from shelfcheck.pipeline.names import (
    DECLINING_PRODUCTS,
    ENCODED,
    EVALUATION,
    EXPLORE,
    GRAPH,
    GRAPH_ANALYSIS,
    GRAPH_ANALYSIS_MANIFEST,
    LANGUAGE,
    MISCATEGORISED_PRODUCTS,
    MISPLACED_REVIEWS,
    MODEL,
    OUT_OF_FOLD,
    PREPARED,
    REGISTRY_HISTORY,
    REPORT,
    SAMPLE,
    SAMPLE_MANIFEST,
    TUNING_HISTORY,
)
from shelfcheck.stages import Stage

if TYPE_CHECKING:
    from shelfcheck.config import Settings

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
        run=run_prepare,
        extends=True,
    ),
    Stage(
        SAMPLE,
        "Sampling",
        "shelfcheck sample",
        needs=(PREPARED,),
        settings=("sample", "run.seed"),
        run=run_sample,
        main=False,
    ),
    Stage(
        EXPLORE,
        "Exploring",
        "shelfcheck explore",
        needs=(PREPARED,),
        settings=(),
        run=run_explore,
        main=False,
    ),
    Stage(
        LANGUAGE,
        "Comparing language",
        "shelfcheck language",
        needs=(PREPARED,),
        settings=("language", "run.seed"),
        run=run_language,
        version=2,
        main=False,
    ),
    Stage(
        GRAPH,
        "Building the graph",
        "shelfcheck graph build",
        needs=(PREPARED,),
        settings=("graph.bought",),
        run=run_graph,
        main=False,
    ),
    Stage(
        GRAPH_ANALYSIS,
        "Analysing the graph",
        "shelfcheck graph analyse",
        needs=(GRAPH,),
        settings=("graph.analysis", "run.seed"),
        run=run_graph_analysis,
        watches=graph_predictions,
        main=False,
    ),
    Stage(
        ENCODED,
        "Encoding n-grams",
        "shelfcheck train",
        needs=(PREPARED,),
        settings=("text", *_ENCODING),
        run=run_encode,
        version=5,
        extends=True,
    ),
    Stage(
        MODEL,
        "Training",
        "shelfcheck train",
        needs=(PREPARED, ENCODED),
        settings=_learning,
        run=run_train,
        version=2,
        extends=True,
        carries=carries,
    ),
    Stage(
        EVALUATION,
        "Evaluating on what was held out",
        "shelfcheck evaluate",
        needs=(PREPARED, ENCODED, MODEL),
        settings=_SPLIT,
        run=run_evaluate,
        version=3,
    ),
    Stage(
        OUT_OF_FOLD,
        "Predicting out of fold",
        "shelfcheck audit",
        needs=(ENCODED,),
        settings=("train.linear", "train.min_category_reviews", "audit.folds", "run.seed"),
        run=run_out_of_fold,
        version=2,
        extends=True,
        carries=carries,
    ),
    Stage(
        MISPLACED_REVIEWS,
        "Looking for misplaced reviews",
        "shelfcheck audit misplaced_reviews",
        needs=(PREPARED, OUT_OF_FOLD),
        settings=("audit.min_score", "audit.max_findings", "run.seed"),
        run=run_misplaced,
    ),
    Stage(
        MISCATEGORISED_PRODUCTS,
        "Looking for miscategorised products",
        "shelfcheck audit miscategorised_products",
        needs=(PREPARED, OUT_OF_FOLD),
        settings=("audit.min_score", "audit.max_findings", "run.seed"),
        run=run_miscategorised,
    ),
    Stage(
        DECLINING_PRODUCTS,
        "Looking for declining products",
        "shelfcheck audit declining_products",
        needs=(PREPARED, ENCODED),
        settings=("audit.declining", "audit.max_findings"),
        run=run_declining,
    ),
    Stage(
        REPORT,
        "Writing the report",
        "shelfcheck report",
        needs=(PREPARED, MODEL, EVALUATION, MISPLACED_REVIEWS, MISCATEGORISED_PRODUCTS, DECLINING_PRODUCTS),
        settings=("report",),
        run=run_report,
        optional=(MODEL, EVALUATION, MISPLACED_REVIEWS, MISCATEGORISED_PRODUCTS, DECLINING_PRODUCTS),
        watches=(REGISTRY_HISTORY, TUNING_HISTORY, SAMPLE_MANIFEST, GRAPH_ANALYSIS_MANIFEST),
        parts={PREPARED: ("summary.json",), MODEL: ("card.json",)},
    ),
)
"""Every stage, in the order in which they run."""

MAIN_JOB: Final = tuple(stage.name for stage in STAGES if stage.main)
"""What `shelfcheck run` makes; the others are made when they are asked for."""

# What people open stands at the workspace's top under a name that never changes.
TOP_FILES: Final = {
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
