"""Measure the pictures of the graph: reading, layout, file, and the time until a browser shows them.

    python benchmarks/graph_show.py WORKSPACE [WORKSPACE ...] [--repeats 5] [--limits 500 5000] [--json]

WORKSPACE holds prepared reviews; its graph is built if it is missing. Where it has no out-of-fold
predictions, some are made up: each review's product's category, or for one in ten another, by an md5 of its
id. Each level is drawn with each limit (all categories once): the category with most mismatching reviews, and
the product with most customers who bought others. Seconds are medians over the repeats, after one that is not
counted, in which Numba compiles. A page shows a still picture first, then a live one: both times are from
the start of the navigation to the frame that shows them, in Chromium without a graphics card, so that WebGL
is computed in software.
"""

# ruff: noqa: S608 - our own paths

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

import duckdb

sys.path.append(str(Path(__file__).parents[1] / "tests" / "graph"))

import chromium

from shelfcheck import api
from shelfcheck.graph.judged import judged
from shelfcheck.graph.store import Graph, open_graph
from shelfcheck.workspace import Workspace

THREADS = {"run.threads": 2}
MADE_UP = "made_up"
READY = "document.documentElement.dataset.ready"


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspaces", nargs="+", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--limits", type=int, nargs="+", default=[500, 5000])
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = [row for workspace in given.workspaces for row in measured(workspace, given.limits, given.repeats)]
    if given.json:
        print(json.dumps(rows, indent=1))
        return
    print("| reviews | picture | limit | nodes | edges | read s | layout s | MB | still ms | live ms |")
    print("|" + "---|" * 10)
    for row in rows:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")


def measured(workspace: Path, limits: list[int], repeats: int) -> list[dict[str, object]]:
    """A row for each picture of a workspace."""
    home = Workspace(workspace)
    graph = api.graph_build(workspace, overrides=THREADS).graph
    model = graph.models[0] if graph.models else MADE_UP
    if not graph.models:
        make_up(workspace, graph)
        graph = open_graph(home)
    category, product = busiest(graph, model)
    rows, common = [], {"model": model, "overrides": THREADS}
    with tempfile.TemporaryDirectory() as made:
        for level, asked in {
            "categories": {},
            "category": {"category": category},
            "product": {"product": product},
        }.items():
            for limit in limits if asked else limits[:1]:
                file = Path(made) / f"{level}-{limit}.html"
                runs = [
                    api.graph_show(workspace, **asked, **common, limit=limit, output=file)
                    for _ in range(repeats + 1)
                ][1:]
                counts = runs[0].picture.counts
                still, live = first_draws(file, repeats)
                rows.append(
                    {
                        "reviews": graph.manifest.counts["reviews"],
                        "picture": level,
                        "limit": limit,
                        "nodes": counts["nodes"],
                        "edges": counts["edges"],
                        "read_s": round(statistics.median(run.seconds["read"] for run in runs), 2),
                        "layout_s": round(statistics.median(run.seconds["layout"] for run in runs), 2),
                        "mb": round(file.stat().st_size / 1e6, 2),
                        "still_ms": still,
                        "live_ms": live,
                    }
                )
    return rows


def first_draws(file: Path, repeats: int) -> tuple[int, int]:
    """Median milliseconds until the still and the live picture, after one visit that is not counted."""
    still, live = [], []
    with chromium.Chromium(webgl=True) as browser:
        for _ in range(repeats + 1):
            browser.open(file, READY, seconds=600)
            still.append(int(browser.run("document.documentElement.dataset.firstDraw")))
            live.append(int(browser.run(READY).split()[1]))
    return round(statistics.median(still[1:])), round(statistics.median(live[1:]))


def make_up(workspace: Path, graph: Graph) -> None:
    """Predictions for all reviews of products, added to the graph."""
    with tempfile.TemporaryDirectory() as made:
        file = Path(made) / "predictions.parquet"
        names = [
            row[0]
            for row in duckdb.sql(f"SELECT category FROM '{graph.nodes('categories')}' ORDER BY 1").fetchall()
        ]
        duckdb.sql("SET memory_limit = '2GB'")
        duckdb.execute(
            f"""COPY (
                SELECT review_id, said AS predicted_category, sure AS confidence, [said] AS top_categories,
                    [sure] AS top_probabilities
                FROM (
                    SELECT review_id, CASE WHEN bucket % 10 = 0
                        THEN list_extract($names, ((bucket // 10) % len($names))::INT + 1)
                        ELSE category END AS said,
                        (0.2 + (bucket % 7919) / 10000)::FLOAT AS sure
                    FROM (
                        SELECT review_id, category, ('0x' || substr(md5(review_id), 1, 12))::BIGINT AS bucket
                        FROM '{graph.edges("reviewed")}' JOIN '{graph.edges("assigned")}' USING (product_id)
                        WHERE current
                    )
                ) ORDER BY review_id
            ) TO '{file}' (FORMAT parquet)""",
            {"names": names},
        )
        api.graph_build(workspace, file, MADE_UP, overrides=THREADS)


def busiest(graph: Graph, model: str) -> tuple[str, str]:
    """The category with most mismatching reviews, and the product with most customers of several products."""
    tables = [
        f"read_parquet('{file}')"
        for file in (graph.predicted(model), graph.edges("reviewed"), graph.edges("assigned"))
    ]
    category = (
        duckdb.sql(
            f"""SELECT assigned FROM ({judged(*tables)}) WHERE assigned <> predicted
            GROUP BY 1 ORDER BY count(*) DESC, 1"""
        )
        .limit(1)
        .fetchall()
    )
    product = (
        duckdb.sql(
            f"""SELECT product_id FROM '{graph.edges("bought")}' SEMI JOIN (
            SELECT customer_id FROM '{graph.edges("bought")}' GROUP BY 1 HAVING count(*) > 1
        ) USING (customer_id) GROUP BY 1 ORDER BY count(*) DESC, 1"""
        )
        .limit(1)
        .fetchall()
    )
    return category[0][0], product[0][0]


if __name__ == "__main__":
    main()
