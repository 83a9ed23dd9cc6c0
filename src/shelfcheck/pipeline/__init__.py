r"""The stages of the main job, declared in order, and the run that walks them.

    sources -> prepared -> encoded -> model -> evaluation
                       \          |-> out_of_fold -> misplaced_reviews, miscategorised_products
                        \         \-> declining_products
                         \---------------------------------------------------------> report

`table` declares them, `adapters` binds each to the package that does the work, `running` walks them.
"""

from shelfcheck.pipeline.arrivals import SourcePlan
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
from shelfcheck.pipeline.running import RunResult, closure, run_stages, source_plan, states
from shelfcheck.pipeline.table import MAIN_JOB, STAGES

__all__ = [
    "DECLINING_PRODUCTS",
    "ENCODED",
    "EVALUATION",
    "EXPLORE",
    "GRAPH",
    "GRAPH_ANALYSIS",
    "GRAPH_ANALYSIS_MANIFEST",
    "LANGUAGE",
    "MAIN_JOB",
    "MISCATEGORISED_PRODUCTS",
    "MISPLACED_REVIEWS",
    "MODEL",
    "OUT_OF_FOLD",
    "PREPARED",
    "REGISTRY_HISTORY",
    "REPORT",
    "SAMPLE",
    "SAMPLE_MANIFEST",
    "STAGES",
    "TUNING_HISTORY",
    "RunResult",
    "SourcePlan",
    "closure",
    "run_stages",
    "source_plan",
    "states",
]
