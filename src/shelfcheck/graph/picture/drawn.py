"""Draw a picture: read what it shows, and place it."""

from __future__ import annotations

import time
from math import cos, pi, sin, sqrt
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shelfcheck.graph.picture.astray import astray
from shelfcheck.graph.picture.categories import categories
from shelfcheck.graph.picture.layout import Forces, part, settle
from shelfcheck.graph.picture.model import Picture
from shelfcheck.graph.picture.neighbourhood import neighbourhood
from shelfcheck.graph.picture.reading import PictureReader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from shelfcheck.config import Settings
    from shelfcheck.graph.picture.model import Edge, Node, Request
    from shelfcheck.graph.store import Graph
    from shelfcheck.progress import Progress

    Floats = npt.NDArray[np.float64]

CHARACTER: Final = 6.6  # width of a character of a label, in the units of the picture
LABEL_HEIGHT: Final = 16.0
_MARGIN: Final = 40.0
_STEPS: Final = 3


def draw(graph: Graph, prepared: Path, request: Request, settings: Settings, progress: Progress) -> Picture:
    """Draw one of the three pictures.

    Args:
        graph: the graph, with predictions of the model.
        prepared: the folder of the prepared reviews that it was built from, for texts.
        request: what to draw.
        settings: `run.seed`, `run.memory_limit`, `run.threads`.
        progress: told the steps done.

    Raises:
        UsageError: there is no such category, product or model.
    """
    progress.start("Drawing the graph", _STEPS, "steps")
    start = time.perf_counter()
    memory, threads = settings.run.memory_limit, settings.run.threads
    with PictureReader(graph, prepared, request.model, memory, threads) as read:
        if request.product is not None:
            nodes, edges, counts, pooled = neighbourhood(read, request, request.product)
            title = nodes[0].name
        elif request.category is not None:
            nodes, edges, counts, pooled = astray(read, request, request.category)
            title = request.category
        else:
            nodes, edges, counts, pooled = categories(read, request)
            title = ""
    progress.advance(1)
    read_seconds = time.perf_counter() - start
    start = time.perf_counter()
    width, height = _place(nodes, edges, request, settings.run.seed)
    progress.advance(1)
    counts |= {"nodes": len(nodes), "edges": len(edges)}
    seconds = {"read": read_seconds, "layout": time.perf_counter() - start}
    progress.finish()
    return Picture(request, title, nodes, edges, counts, pooled, width, height, seconds)


def _place(nodes: Sequence[Node], edges: Sequence[Edge], request: Request, seed: int) -> tuple[float, float]:
    """Give nodes their places; returns the size of the picture."""
    if not nodes:
        return 1200.0, 800.0
    ends = np.array([(edge.source, edge.target) for edge in edges], np.int64).reshape(-1, 2)
    radius = np.array([node.radius for node in nodes])
    lay: dict[str, Callable[..., Floats]] = {
        "categories": _lay_categories,
        "category": _lay_category,
        "product": _lay_product,
    }
    places = lay[request.level](nodes, edges, ends, radius, np.random.default_rng(seed))
    low = (places - radius[:, None]).min(axis=0) - _MARGIN
    high = (places + radius[:, None]).max(axis=0) + _MARGIN
    for node, (x, y) in zip(nodes, places, strict=True):
        node.x, node.y = round(float(x - low[0]), 1), round(float(y - low[1]), 1)
        node.radius = round(node.radius, 1)
    return round(float(high[0] - low[0]), 1), round(float(high[1] - low[1]), 1)


def label_width(name: str) -> float:
    """Width of a label, about, in the units of the picture."""
    return CHARACTER * len(name)


def _lay_categories(
    nodes: Sequence[Node], edges: Sequence[Edge], ends: Any, radius: Any, draw: np.random.Generator
) -> Floats:
    """Categories that are confused near each other, with room for every name."""
    n = len(nodes)
    angle = draw.uniform(0, 2 * pi, n)
    far = 200 * np.sqrt(draw.uniform(0.1, 1, n))
    start = np.column_stack([np.cos(angle) * far, np.sin(angle) * far])
    free = np.zeros(n, np.bool_)
    weight = np.array([0.3 + 8 * sqrt(edge.share) for edge in edges]) / 4
    places = settle(start, radius, ends, weight, pinned=free, forces=Forces(600, 4000.0, 0.02))
    places = _fit(_loosen(_spread(places, 1.45)), 1080.0, 720.0)
    width = np.maximum(2 * radius, [label_width(node.name) for node in nodes]) + 14
    height = 2 * radius + LABEL_HEIGHT + 14
    shifted = places + np.array([0.0, LABEL_HEIGHT / 2])  # names stand below
    parted: Floats = part(shifted, width, height, free) - np.array([0.0, LABEL_HEIGHT / 2])
    return parted


def _lay_category(
    nodes: Sequence[Node], edges: Sequence[Edge], ends: Any, radius: Any, draw: np.random.Generator
) -> Floats:
    """The category in the middle, those that reviews are read as around it, the rest between them."""
    n = len(nodes)
    outer = [at for at, node in enumerate(nodes) if node.kind == "category" and at]
    reach = 70 + 12 * sqrt(n + 4)
    start = np.zeros((n, 2))
    known = np.zeros(n, np.bool_)
    known[0] = True
    # Room on the ring by the root of the reviews; those with most are set apart from each other.
    shares = np.sqrt([max(nodes[at].about.get("into", 1), 1) for at in outer])
    turned = _alternate(len(outer))
    angles, turn = {}, -pi / 2
    for slot in turned:
        step = 2 * pi * shares[slot] / shares.sum()
        angles[outer[slot]] = turn + step / 2
        turn += step
    for at, angle in angles.items():
        start[at] = cos(angle) * reach, sin(angle) * reach
        known[at] = True
    towards: dict[int, list[tuple[float, int]]] = {}
    holder: dict[int, int] = {}
    for edge in edges:
        if edge.kind == "reviewed":
            holder[edge.source] = edge.target
    for edge in edges:
        if edge.kind == "predicted":
            towards.setdefault(edge.source, []).append((edge.reviews, edge.target))
            if edge.source in holder:
                towards.setdefault(holder[edge.source], []).append((edge.reviews, edge.target))
    for at in range(n):
        if not known[at] and at in towards:
            pull = np.average(
                start[[to for _, to in towards[at]]], axis=0, weights=[w for w, _ in towards[at]]
            )
            share = 0.66 if at in holder else 0.36
            start[at] = pull * share + draw.normal(0, reach * 0.06, 2)
        elif not known[at]:
            start[at] = draw.normal(0, reach * 0.2, 2)
    weight = np.array([{"assigned": 0.5, "reviewed": 1.0}.get(edge.kind, 0.5) for edge in edges])
    pinned = np.zeros(n, np.bool_)
    pinned[0] = True
    pinned[outer] = True
    places = settle(start, radius, ends, weight, pinned=pinned, forces=Forces(300, 8.0, 0.0))
    size = 2 * radius + 2.5
    return part(places, size, size, pinned)


def _lay_product(
    nodes: Sequence[Node], edges: Sequence[Edge], ends: Any, radius: Any, draw: np.random.Generator
) -> Floats:
    """The product in the middle, the rest by its edges."""
    n = len(nodes)
    reach = 60 + 10 * sqrt(n)
    angle = draw.uniform(0, 2 * pi, n)
    start = (
        np.column_stack([np.cos(angle), np.sin(angle)]) * reach * np.sqrt(draw.uniform(0.2, 1, n))[:, None]
    )
    start[0] = 0.0
    pinned = np.zeros(n, np.bool_)
    pinned[0] = True
    weight = np.array([{"assigned": 0.5}.get(edge.kind, 1.0) for edge in edges])
    places = settle(start, radius, ends, weight, pinned=pinned, forces=Forces(400, 120.0, 0.03))
    size = 2 * radius + 4
    return part(_spread(places, 1.2), size, size, pinned)


def _spread(places: Floats, aspect: float) -> Floats:
    """Turn the longer axis to the horizontal, and stretch it towards `aspect`."""
    middle = places - places.mean(axis=0)
    _, _, axes = np.linalg.svd(middle, full_matrices=False)
    axes *= np.sign(axes[np.arange(2), np.argmax(np.abs(axes), axis=1)])[:, None]
    turned: Floats = middle @ axes.T
    wide, high = np.ptp(turned, axis=0) + 1e-9
    factor = min(max(aspect * high / wide, 0.6), 1.8)
    turned *= np.array([sqrt(factor), 1 / sqrt(factor)])
    return turned


def _loosen(places: Floats) -> Floats:
    """Draw the middle apart: the root of the way from it, so that what is far comes nearer."""
    far = np.hypot(places[:, 0], places[:, 1])[:, None] + 1e-9
    loosened: Floats = places * far**-0.4
    return loosened


def _fit(places: Floats, width: float, height: float) -> Floats:
    """Scale places, alike both ways, so that they fill a box."""
    extent = np.ptp(places, axis=0) + 1e-9
    scaled: Floats = places * min(width / extent[0], height / extent[1])
    return scaled


def _alternate(n: int) -> list[int]:
    """0..n-1 in an order in which the first ones, the largest, are far from each other on a ring."""
    parts = max(1, min(5, n // 3))
    return [at for first in range(parts) for at in range(first, n, parts)]
