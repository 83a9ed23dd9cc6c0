"""Names of the artefacts, and of the files in a workspace whose change a stage watches."""

from __future__ import annotations

from typing import Final

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
