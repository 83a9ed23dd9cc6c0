"""The analysis of a graph: every table, and a summary."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shelfcheck.errors import NotEnoughDataError
from shelfcheck.graph.analysis import products as on_products
from shelfcheck.graph.analysis.network import (
    Network,
    assortativity,
    communities,
    components,
    degree_assortativity,
    load_networkit,
    modularity,
)
from shelfcheck.graph.analysis.pairs import common_customers, confused_pairs, confused_words
from shelfcheck.graph.analysis.suggestions import suggest
from shelfcheck.graph.analysis.tables import write_table
from shelfcheck.graph.analysis.views import SUBGRAPHS, Views
from shelfcheck.graph.build import bounded_engine

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

    from shelfcheck.config import GraphAnalysisSettings, Settings
    from shelfcheck.graph.store import Graph
    from shelfcheck.progress import Progress

    Ints = npt.NDArray[np.int64]

SUMMARY_FILE: Final = "summary.json"
_STEPS: Final = 5


def analyse(graph: Graph, out: Path, settings: Settings, progress: Progress) -> Mapping[str, Any]:
    """Write every table of `tables.TABLES`, as Parquet and CSV, and `summary.json`.

    The same graph, settings and versions give the same tables: networkit runs on one thread, from `run.seed`.

    Args:
        graph: the graph, with predictions of `graph.analysis.model`.
        out: the folder to write into.
        settings: `graph.analysis`, `run`.
        progress: told the steps done.

    Returns:
        The counts of the summary.

    Raises:
        UsageError: the graph has no predictions of the model, or networkit is not installed.
        NotEnoughDataError: no predicted review has a product with a category, or there is one category alone.
    """
    load_networkit()  # before any work is done
    told = settings.graph.analysis
    progress.start("Analysing the graph", _STEPS, "steps")
    with bounded_engine(out, settings) as engine:
        views = Views(engine, graph, told.model)
        names = views.categories
        if not views.judged or len(names) < 2:
            raise NotEnoughDataError(
                "the graph cannot be analysed: it needs predicted reviews of products in two categories; "
                f"it has {views.judged:,} such reviews and {len(names):,} categories."
            )
        progress.advance(1)
        reviews, products, confidence = views.confusion()
        pairs = confused_pairs(names, reviews, products, confidence, told.false_discovery_rate)
        customers = common_customers(names, views.common_customers())
        told_of = _told_pairs(pairs, names, told)
        words = confused_words(names, told_of, views.words(told_of), reviews, told.listed_words)
        progress.advance(1)
        nodes = views.products()
        subgraphs, degrees = _subgraphs(views, nodes["category"].to_numpy(zero_copy_only=False), settings)
        progress.advance(1)
        joined = views.co_reviewed(told.max_customer_products)
        network = joined.network
        found = on_products.describe(joined, nodes, names, told, settings.run.seed)
        degrees += _degrees("common_customers", "product", network.degrees)
        progress.advance(1)
        verdicts = on_products.verdicts(nodes, len(names), told.min_product_reviews)
        suggested = suggest(
            names, verdicts, reviews, pairs=pairs, customers=customers, rate=told.false_discovery_rate
        )
        mismatches = views.mismatches(told.max_mismatches)
        former = views.in_former()
    for name, rows in {
        "suggestions": suggested,
        "subgraphs": subgraphs,
        "degrees": degrees,
        "confused_pairs": pairs,
        "confused_words": words,
        "common_customers": customers,
        "products": found.products,
        "between_products": found.between,
        "communities": found.communities,
        "mismatches": mismatches,
    }.items():
        write_table(name, rows, out)
    mismatched = int(reviews.sum() - np.trace(reviews))
    counts = {
        "model": told.model,
        "judged_reviews": views.judged,
        "not_judged_reviews": views.predictions - views.judged,
        "mismatched_reviews": mismatched,
        "right_by_a_former_category": former,
        "judged_products": int(verdicts.sum()),
        "products_read_elsewhere": int(verdicts.sum() - np.trace(verdicts)),
        "confused_pairs": sum(row["q"] <= told.false_discovery_rate for row in pairs),
        "communities": len(found.communities),
        **{kind: sum(row["kind"] == kind for row in suggested) for kind in ("merge", "split", "rename")},
    }
    summary = {
        "counts": counts,
        "settings": told.model_dump(),
        "categories": len(names),
        "never_predicted": [names[at] for at in np.flatnonzero(reviews.sum(axis=0) == 0)],
        "common_customers": {
            **joined.counts,
            "products": network.nodes,
            "products_without": nodes.num_rows - network.nodes,
            "edges": len(network.a),
            "edges_of_several_customers": int((joined.common > 1).sum()),
            "components": int(found.component.max(initial=-1)) + 1,
            "largest_component": _largest(found.component),
            "modularity": modularity(network, found.community),
            "catalogue_modularity": modularity(network, found.category),
            "assortativity_by_category": assortativity(network, found.category),
            "degree_assortativity": degree_assortativity(network),
        },
    }
    (out / SUMMARY_FILE).write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    progress.advance(1)
    progress.finish()
    return counts


def _told_pairs(
    pairs: list[dict[str, Any]], names: list[str], told: GraphAnalysisSettings
) -> list[tuple[int, int]]:
    number = {name: at for at, name in enumerate(names)}
    sure = [row for row in pairs if row["q"] <= told.false_discovery_rate]
    return [(number[row["assigned"]], number[row["predicted"]]) for row in sure[: told.listed_pairs]]


def _subgraphs(views: Views, assigned: npt.NDArray[Any], settings: Settings) -> tuple[list[Any], list[Any]]:
    """Rows of `tables.SUBGRAPHS` and of `tables.DEGREES`."""
    rows, degrees = [], []
    known = np.nan_to_num(assigned.astype(np.float64), nan=-1).astype(np.int64)
    for name in SUBGRAPHS:
        product, category, reviews = views.subgraph(name)
        items, a = np.unique(product, return_inverse=True)
        shelves, b = np.unique(category, return_inverse=True)
        network = Network(len(items) + len(shelves), a, b + len(items), reviews.astype(np.float64))
        part, group = components(network), communities(network, settings.run.seed)
        of_products, of_categories = np.split(network.degrees, [len(items)])
        degrees += _degrees(name, "product", of_products) + _degrees(name, "category", of_categories)
        rows.append(
            {
                "subgraph": name,
                "products": len(items),
                "categories": len(shelves),
                "edges": len(a),
                "reviews": int(reviews.sum()),
                "components": int(part.max(initial=-1)) + 1,
                "largest_component": _largest(part),
                "products_in_several": int((of_products > 1).sum()),
                "categories_a_product": float(of_products.mean()) if len(items) else None,
                "communities": int(group.max(initial=-1)) + 1,
                "modularity": modularity(network, group),
                "catalogue_modularity": modularity(network, np.concatenate([known[items], shelves])),
            }
        )
    return rows, degrees


def _degrees(graph: str, node: str, degrees: Ints) -> list[dict[str, Any]]:
    values, nodes = np.unique(degrees, return_counts=True)
    return [
        {"graph": graph, "node": node, "degree": int(value), "nodes": int(n)}
        for value, n in zip(values, nodes, strict=True)
    ]


def _largest(component: Ints) -> float | None:
    return float((component == 0).mean()) if len(component) else None
