"""Shelfcheck from Python: one function a command, with the command's name and arguments.

    from shelfcheck import api

    result = api.run("reviews/*.tsv.gz", workspace="shop")
    findings = pyarrow.parquet.read_table("shop/misplaced_reviews.parquet")

Every function takes `config` (a TOML file) and `overrides` (dotted key -> value), which count as
`--config` and `--set` do, and `progress`, which is told how far the work is.
"""

from __future__ import annotations

from shelfcheck.api.exploring import explore
from shelfcheck.api.exporting import export
from shelfcheck.api.graph import (
    GraphBuild,
    graph_analyse,
    graph_build,
    graph_query,
)
from shelfcheck.api.graph_exchange import graph_export, graph_load
from shelfcheck.api.graph_picture import GraphPicture, graph_show
from shelfcheck.api.jobs import (
    AUDITS,
    DemoResult,
    audit,
    demo,
    generate,
    prepare,
    report,
    run,
    source_plan,
    status,
)
from shelfcheck.api.learning import (
    TextPrediction,
    evaluate,
    leaderboard,
    predict,
    predict_text,
    serve,
    train,
    tune,
)
from shelfcheck.api.sampling import (
    count,
    plan_sample,
    sample,
)
from shelfcheck.api.versions import (
    RegisteredModel,
    models_list,
    models_promote,
    models_rollback,
    models_show,
    models_verify,
)
from shelfcheck.api.watching import language

__all__ = [
    "AUDITS",
    "DemoResult",
    "GraphBuild",
    "GraphPicture",
    "RegisteredModel",
    "TextPrediction",
    "audit",
    "count",
    "demo",
    "evaluate",
    "explore",
    "export",
    "generate",
    "graph_analyse",
    "graph_build",
    "graph_export",
    "graph_load",
    "graph_query",
    "graph_show",
    "language",
    "leaderboard",
    "models_list",
    "models_promote",
    "models_rollback",
    "models_show",
    "models_verify",
    "plan_sample",
    "predict",
    "predict_text",
    "prepare",
    "report",
    "run",
    "sample",
    "serve",
    "source_plan",
    "status",
    "train",
    "tune",
]
