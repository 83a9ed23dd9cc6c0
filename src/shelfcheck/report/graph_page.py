"""The page of a picture of the graph: one file that opens offline, whole without a script."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from shelfcheck.report.graph_svg import SHOWN_PAIRS, STEPS, in_page, legend_of, step_of, widths
from shelfcheck.report.graph_words import (
    KINDS,
    facts_of,
    full_name,
    lead_of,
    line_of,
    pooled_of,
    shown_name,
    texts_of,
    title_of,
)
from shelfcheck.report.highlight import printable
from shelfcheck.report.shell import render_page, script_data

if TYPE_CHECKING:
    from shelfcheck.graph.picture.model import Edge, Node, Picture
    from shelfcheck.report.graph_links import Links

_ROWS: Final = 2000  # of the table; the search reaches all nodes


def render_graph(picture: Picture, links: Links, made_at: str | None = None) -> str:
    """The page's HTML.

    Args:
        picture: what to show.
        links: where its nodes lead.
        made_at: as for `render_page`.
    """
    shown = (
        min(SHOWN_PAIRS, len(picture.edges)) if picture.request.level == "categories" else len(picture.edges)
    )
    order = sorted(
        range(len(picture.nodes)), key=lambda at: (-picture.nodes[at].reviews, picture.nodes[at].key)
    )
    rows = [
        (at, full_name(picture.nodes[at]), KINDS[picture.nodes[at].kind], line_of(picture.nodes[at]))
        for at in order[:_ROWS]
    ]
    return render_page(
        "graph.html.j2",
        title=title_of(picture),
        charts={},
        made_at=made_at,
        styles=["assets/graph.css"],
        scripts=["vendor/sigma-graphology.min.js", "assets/graph-view.js", "assets/graph.js"],
        picture=picture,
        level=picture.request.level,
        lead=lead_of(picture),
        pooled=pooled_of(picture),
        legend=legend_of(picture),
        still=in_page(picture, shown),
        rows=rows,
        rows_left=len(order) - len(rows),
        overview=links.overview(),
        report=links.report(),
        shown=shown,
        pairs=len(picture.edges),
        least=_least(picture),
        data=script_data(_data(picture, links, shown)),
    )


def _least(picture: Picture) -> int:
    """The step of confidence that the filter starts at: what lies below was not drawn."""
    from shelfcheck.graph.picture.model import BINS, bin_of  # noqa: PLC0415 - loads nothing more

    least = picture.request.min_confidence
    return min(bin_of(least), BINS - 1)


def _data(picture: Picture, links: Links, shown: int) -> dict[str, Any]:
    """What the page's script draws: nodes, edges, and how edges look."""
    return {
        "level": picture.request.level,
        "width": picture.width,
        "height": picture.height,
        "shown": shown,
        "steps": STEPS,
        "widths": widths(picture),
        "kinds": KINDS,
        "nodes": [_node(node, links) for node in picture.nodes],
        "edges": [_edge(edge) for edge in picture.edges],
    }


def _node(node: Node, links: Links) -> dict[str, Any]:
    found: dict[str, Any] = {
        "k": node.kind,
        "l": shown_name(node),
        "n": full_name(node),
        "x": node.x,
        "y": node.y,
        "r": node.radius,
        "c": node.reviews,
        "line": line_of(node),
        "f": facts_of(node),
        "find": _findable(node),
    }
    more = {
        "t": texts_of(node),
        "a": links.of(node),
        "m": links.command(node),
        "here": bool(node.about.get("here")),
    }
    return found | {name: value for name, value in more.items() if value}


def _findable(node: Node) -> str:
    """What a search looks in: names and ids."""
    about = node.about
    ids = [
        about.get(name) for name in ("review_id", "customer_id", "product_id", "title", "product", "headline")
    ]
    ids += [sample["review_id"] for sample in about.get("samples", ())]
    return printable(
        " ".join(dict.fromkeys(str(one) for one in (full_name(node), node.name, *ids) if one))
    ).casefold()


def _edge(edge: Edge) -> list[Any]:
    """Source, target, kind, colour, bins as pairs of place and number; 1 where the product has left."""
    bins = [part for at, n in enumerate(edge.bins) if n for part in (at, n)]
    step = step_of(edge)
    return [edge.source, edge.target, edge.kind, -1 if step is None else step, bins, int(not edge.current)]
