"""The picture of all categories: which reviews are read as another category's, as edges between them."""

from __future__ import annotations

from collections import defaultdict
from math import sqrt
from typing import TYPE_CHECKING, Any, Final

from shelfcheck.graph.picture.model import BINS, Edge, Node

if TYPE_CHECKING:
    from shelfcheck.graph.picture.model import Request
    from shelfcheck.graph.picture.reading import PictureReader

_LARGEST: Final = 40.0  # radius of the largest category
_SMALLEST: Final = 6.0
_NAMED: Final = 5  # categories that a node's text names


def categories(
    read: PictureReader, request: Request
) -> tuple[list[Node], list[Edge], dict[str, int], dict[str, int]]:
    """Nodes, edges, counts and what was pooled.

    An edge leads from the category where products stand to the one that reviews are read as. Edges stand in
    the order of the geometric mean of their number and their share of the first category's judged reviews,
    the strongest first: numbers alone show large categories, shares alone tiny ones. `limit` counts edges;
    those beyond are left out, and counted.
    """
    confused: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * BINS)
    judged: dict[str, int] = defaultdict(int)
    found = read.rows(
        f"""SELECT assigned, predicted, bin, count(*) AS reviews,
            count(*) FILTER (confidence >= $least) AS sure
        FROM ({read.judged()}) GROUP BY ALL""",  # noqa: S608 - our own words
        least=request.min_confidence,
    )
    for row in found:
        judged[row["assigned"]] += row["reviews"]
        if row["assigned"] != row["predicted"]:
            confused[row["assigned"], row["predicted"]][row["bin"]] += row["sure"]
    rows = read.rows("SELECT * FROM categories ORDER BY category")
    most = max((row["reviews"] for row in rows), default=1)
    number = {row["category"]: at for at, row in enumerate(rows)}
    strengths = {pair: sum(bins) / sqrt(judged[pair[0]]) for pair, bins in confused.items() if sum(bins) > 0}
    order = sorted(strengths, key=lambda pair: (-strengths[pair], pair))
    edges = [
        Edge(
            number[one],
            number[other],
            "confused",
            tuple(confused[one, other]),
            share=sum(confused[one, other]) / judged[one],
        )
        for one, other in order[: request.limit]
    ]
    nodes = [_node(row, judged, confused, most) for row in rows]
    mismatched = sum(sum(bins) for bins in confused.values())
    counts = {
        "categories": len(nodes),
        "judged_reviews": sum(judged.values()),
        "mismatching_reviews": mismatched,
        "pairs": len(order),
        "pairs_drawn": len(edges),
    }
    left = mismatched - sum(edge.reviews for edge in edges)
    pooled = {"pairs_left_out": len(order) - len(edges), "reviews_left_out": left}
    return nodes, edges, counts, {name: n for name, n in pooled.items() if n}


def _node(
    row: dict[str, Any], judged: dict[str, int], confused: dict[tuple[str, str], list[int]], most: int
) -> Node:
    name = row["category"]
    out = {other: sum(bins) for (one, other), bins in confused.items() if one == name}
    into = {one: sum(bins) for (one, other), bins in confused.items() if other == name}
    return Node(
        f"C:{name}",
        "category",
        name,
        row["reviews"],
        {
            "products": row["products"],
            "judged": judged[name],
            "out": sum(out.values()),
            "into": sum(into.values()),
            "out_to": _largest(out),
            "into_from": _largest(into),
        },
        radius=max(_LARGEST * sqrt(row["reviews"] / most), _SMALLEST),
    )


def _largest(found: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(((name, n) for name, n in found.items() if n), key=lambda one: (-one[1], one[0]))[:_NAMED]
