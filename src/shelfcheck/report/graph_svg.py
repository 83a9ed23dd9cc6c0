"""A picture of the graph as SVG: for documents, and in the page where nothing livelier can be drawn."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib import resources
from math import hypot, sqrt
from typing import TYPE_CHECKING, Final

from markupsafe import Markup, escape

from shelfcheck.report.graph_words import lead_of, pooled_of, shown_name, title_of
from shelfcheck.report.highlight import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shelfcheck.graph.picture.model import Edge, Node, Picture

STEPS: Final = 5
"""Colours between the palest and the darkest red."""

SHOWN_PAIRS: Final = 60
"""Links between categories that are drawn, the strongest, until more are asked for."""

CHARACTER: Final = 6.6
_BEND: Final = 0.18  # of a curved edge: how far its middle lies from the straight line, by its length
_LEGEND: Final = 26.0


def unit_of(picture: Picture) -> float:
    """How large a text must be, for a picture that is shown a thousand pixels wide."""
    return max(picture.width / 1000, picture.height / 800, 1.0)


def widths(picture: Picture) -> dict[str, tuple[float, float, float]]:
    """Width of an edge of a kind that stands for n reviews: first + second × √n, at most the third."""
    most = max((edge.reviews for edge in picture.edges if edge.kind == "confused"), default=1)
    unit = unit_of(picture)
    return {
        "confused": (1.0 * unit, 9.0 * unit / sqrt(most), 10.0 * unit),
        "predicted": (0.7, 0.35, 6.0),
        "assigned": (0.9, 0.0, 2.0),
        "reviewed": (0.7, 0.0, 2.0),
        "wrote": (0.7, 0.0, 2.0),
        "bought": (0.7, 0.0, 2.0),
    }


def step_of(edge: Edge) -> int | None:
    """The red of an edge, 0..STEPS-1: by confidence, between categories by share; None for others."""
    if edge.kind == "confused":
        return min(int(sqrt(edge.share) * STEPS * 1.25), STEPS - 1)
    return min(int(edge.confidence * STEPS), STEPS - 1) if edge.kind == "predicted" else None


def in_page(picture: Picture, shown: int) -> Markup:
    """The picture for the page: coloured by the page's style, its elements numbered.

    Args:
        picture: what to draw.
        shown: so many of the edges between categories, the strongest; all at other levels.
    """
    body = "".join(_body(picture, shown, numbered=True))
    return Markup(  # noqa: S704 - escaped where it is text
        f'<svg id="still" viewBox="0 0 {picture.width} {picture.height}" role="img" '
        f'aria-label="{escape(title_of(picture))}" focusable="false">{body}</svg>'
    )


def alone(picture: Picture) -> str:
    """The picture as a file of its own, in light colours, with its title and legend."""
    unit, legend = unit_of(picture), legend_of(picture)
    top = 54.0 * unit
    each = max((34 + CHARACTER * len(text) for _, text in legend), default=0.0) + 26
    columns = max(1, int((picture.width / unit - 40) // each))
    height = picture.height + top + (-(-len(legend) // columns) * _LEGEND + 16) * unit
    marks = "".join(
        f'<g transform="translate({20 + each * (at % columns):.1f} {_LEGEND * (at // columns):.1f})">{mark}'
        f'<text class="g-text" x="42" y="12" font-size="12">{escape(text)}</text></g>'
        for at, (mark, text) in enumerate(legend)
    )
    colours, title = colours_of(), escape(printable(title_of(picture)))
    told = escape(" ".join([lead_of(picture), *pooled_of(picture)]))
    body = "".join(_body(picture, SHOWN_PAIRS, numbered=False))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{picture.width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {picture.width:.1f} {height:.1f}" role="img" aria-label="{title}">'
        f"<title>{title}</title><desc>{told}</desc><style>{''.join(_literal(colours))}</style>"
        f'<rect width="100%" height="100%" fill="{colours["halo"]}"/>'
        f'<text class="g-text strong" x="{20 * unit:.1f}" y="{34 * unit:.1f}" font-size="{20 * unit:.1f}">'
        f'{title}</text><g transform="translate(0 {top:.1f})">{body}</g>'
        f'<g transform="translate(0 {top + picture.height:.1f}) scale({unit:.3f})">{marks}</g></svg>\n'
    )


def legend_of(picture: Picture) -> list[tuple[Markup, str]]:
    """What stands for what: a mark, 34 by 16, and a text."""
    kinds = {node.kind for node in picture.nodes}
    found = [
        (_mark_of(kind), text)
        for kind, text in (
            ("category", "Category, by its reviews"),
            ("product", "Product"),
            ("review", "Review"),
            ("reviews", "Several reviews in one"),
            ("products", "Several products in one"),
            ("customer", "Customer"),
            ("customers", "Several customers in one"),
        )
        if kind in kinds
    ]
    edges = {edge.kind for edge in picture.edges}
    for kind, line, text in (
        ("assigned", "g-assigned", "Stands in (assigned)"),
        ("reviewed", "", "Review of"),
        ("wrote", "", "Wrote, bought or reviewed"),
    ):
        if kind in edges:
            found.append((_line(line), text))
    for kind, text in (
        ("predicted", "Read as (predicted): stronger where surer"),
        ("confused", "Read as another: wider for more reviews, stronger for a larger share"),
    ):
        if kind in edges:
            parts = "".join(
                f'<line class="g-edge g-q{step}" x1="{1 + 6.4 * step}" x2="{7.4 + 6.4 * step}" y1="8" y2="8" '
                'stroke-width="4"/>'
                for step in range(STEPS)
            )
            found.append((Markup(parts), text))  # noqa: S704 - our own marks
    return found


@lru_cache(maxsize=1)
def colours_of() -> dict[str, str]:
    """Name -> colour of the light theme, from the page's style sheet."""
    text = resources.files("shelfcheck.report").joinpath("assets/graph.css").read_text(encoding="utf-8")
    return dict(re.findall(r"--g-([\w-]+): (#[0-9a-f]{6});", text.split("@media", 1)[0]))


def mixed(low: str, high: str, step: int) -> str:
    """The colour of a step between two, as CSS mixes them."""
    share = step / (STEPS - 1)
    parts = [
        round(int(low[at : at + 2], 16) * (1 - share) + int(high[at : at + 2], 16) * share)
        for at in (1, 3, 5)
    ]
    return "#" + "".join(f"{part:02x}" for part in parts)


def _literal(colours: dict[str, str]) -> Iterable[str]:
    """The style of a file that stands alone."""
    yield f".g-edge{{fill:none;stroke:{colours['thin']}}}.g-assigned{{stroke:{colours['assigned']}}}"
    for step in range(STEPS):
        colour = mixed(colours["low"], colours["high"], step)
        yield f".g-q{step}{{stroke:{colour}}}.g-arrow.g-q{step}{{fill:{colour};stroke:none}}"
    for kind in ("category", "product", "review", "customer"):
        yield f".g-{kind},.g-{kind}s{{fill:{colours[kind]}}}"
    yield f".g-dashed{{stroke-dasharray:4 3}}.g-node{{stroke:{colours['halo']};stroke-width:.6}}"
    yield f".g-hole{{fill:none;stroke:{colours['halo']}}}"
    yield (
        f".g-text{{fill:{colours['label']};stroke:{colours['halo']};stroke-width:3;stroke-linejoin:round;"
        "paint-order:stroke;font-family:Helvetica,Arial,'Liberation Sans','DejaVu Sans',sans-serif}"
        ".strong{font-weight:600}"
    )


def _body(picture: Picture, shown: int, *, numbered: bool) -> Iterable[str]:
    width_of = widths(picture)
    edges = list(enumerate(picture.edges))
    if picture.request.level == "categories" and not numbered:
        edges = edges[:shown]
    yield '<g class="edges">'
    for at, edge in reversed(edges):  # the strongest last, on top
        first, factor, most = width_of[edge.kind]
        number = f' data-e="{at}"' if numbered else ""
        hidden = ' display="none"' if numbered and edge.kind == "confused" and at >= shown else ""
        yield _edge(picture.nodes, edge, min(first + factor * sqrt(edge.reviews), most), number + hidden)
    yield '</g><g class="nodes">'
    for at in sorted(range(len(picture.nodes)), key=lambda one: -picture.nodes[one].radius):
        node = picture.nodes[at]
        number = f' data-n="{at}"' if numbered else ""
        yield _shape(node.kind, node.x, node.y, node.radius, number)
    yield '</g><g class="texts" aria-hidden="true">'
    size = f"{12 * unit_of(picture):.1f}"
    for at, x, y, anchor, text in _labels(picture):
        strong = " strong" if picture.nodes[at].kind == "category" else ""
        number = f' data-l="{at}"' if numbered else ""
        yield (
            f'<text class="g-text{strong}" x="{x:.1f}" y="{y:.1f}" font-size="{size}" '
            f'text-anchor="{anchor}"{number}>{escape(text)}</text>'
        )
    yield "</g>"


def _edge(nodes: Sequence[Node], edge: Edge, width: float, more: str) -> str:
    one, other = nodes[edge.source], nodes[edge.target]
    step = step_of(edge)
    style = f" g-q{step}" if step is not None else " g-assigned" if edge.kind == "assigned" else ""
    if edge.kind == "assigned" and not edge.current:
        style += " g-dashed"
    if edge.kind != "confused":
        return (
            f'<line class="g-edge{style}" x1="{one.x}" y1="{one.y}" x2="{other.x}" y2="{other.y}" '
            f'stroke-width="{width:.1f}"{more}/>'
        )
    # A curve to the left of its way, so that both ways between two categories are seen, and its arrow.
    dx, dy = other.x - one.x, other.y - one.y
    far = hypot(dx, dy) or 1.0
    mx, my = (one.x + other.x) / 2 + dy * _BEND, (one.y + other.y) / 2 - dx * _BEND
    ex, ey = other.x - mx, other.y - my
    long = hypot(ex, ey) or 1.0
    ux, uy = ex / long, ey / long
    head = min(3.0 + 2.0 * width, far / 3)
    tip_x, tip_y = other.x - ux * other.radius, other.y - uy * other.radius
    base_x, base_y = tip_x - ux * head, tip_y - uy * head
    half = max(width * 1.3, 2.5)
    return (
        f'<g class="g-pair"{more}><path class="g-edge{style}" stroke-width="{width:.1f}" '
        f'd="M{one.x:.1f} {one.y:.1f}Q{mx:.1f} {my:.1f} {base_x:.1f} {base_y:.1f}"/>'
        f'<path class="g-arrow{style}" d="M{tip_x:.1f} {tip_y:.1f}'
        f"L{base_x - uy * half:.1f} {base_y + ux * half:.1f}"
        f'L{base_x + uy * half:.1f} {base_y - ux * half:.1f}Z"/></g>'
    )


def _shape(kind: str, x: float, y: float, radius: float, more: str = "") -> str:
    """A circle, for products a square, for customers a diamond; with a ring where it stands for several."""
    side = radius * 1.772
    classes = f'class="g-node g-{kind}"'
    if kind.startswith("product"):
        drawn = (
            f'<rect {classes} x="{x - side / 2:.1f}" y="{y - side / 2:.1f}" width="{side:.1f}" '
            f'height="{side:.1f}"{more}/>'
        )
    elif kind.startswith("customer"):
        far = radius * 1.253
        drawn = (
            f'<path {classes} d="M{x:.1f} {y - far:.1f}l{far:.1f} {far:.1f}l{-far:.1f} {far:.1f}'
            f'l{-far:.1f} {-far:.1f}Z"{more}/>'
        )
    else:
        drawn = f'<circle {classes} cx="{x}" cy="{y}" r="{radius}"{more}/>'
    if kind.endswith("s"):
        drawn += (
            f'<circle class="g-hole" cx="{x}" cy="{y}" r="{radius * 0.62:.1f}" '
            f'stroke-width="{max(radius * 0.14, 0.8):.1f}" pointer-events="none"/>'
        )
    return drawn


def _mark_of(kind: str) -> Markup:
    return Markup(_shape(kind, 17.0, 8.0, 7.0))  # noqa: S704 - our own marks


def _line(style: str) -> Markup:
    return Markup(  # noqa: S704 - our own marks
        f'<line class="g-edge {style}" x1="1" x2="33" y1="8" y2="8" stroke-width="2"/>'
    )


def _labels(picture: Picture) -> Iterable[tuple[int, float, float, str, str]]:
    """Names that find room without lying on another, the largest nodes' first: node, x, y, anchor, text."""
    taken: list[tuple[float, float, float, float]] = [
        (node.x - node.radius, node.y - node.radius, node.x + node.radius, node.y + node.radius)
        for node in picture.nodes
        if node.kind == "category" or node.radius > 9
    ]
    unit = unit_of(picture)
    order = sorted(
        range(len(picture.nodes)),
        key=lambda at: (picture.nodes[at].kind != "category", -picture.nodes[at].radius, at),
    )
    for at in order:
        node = picture.nodes[at]
        if node.kind != "category" and node.radius < 9 * unit:
            continue
        text = shown_name(node)
        width = CHARACTER * unit * len(text)
        for x, y, anchor in (
            (node.x, node.y + node.radius + 13 * unit, "middle"),
            (node.x + node.radius + 4, node.y + 4 * unit, "start"),
            (node.x - node.radius - 4, node.y + 4 * unit, "end"),
            (node.x, node.y - node.radius - 5, "middle"),
        ):
            left = x - {"middle": width / 2, "start": 0.0, "end": width}[anchor]
            box = (left - 2, y - 11 * unit, left + width + 2, y + 4 * unit)
            inside = box[0] > 0 and box[2] < picture.width and box[1] > 0 and box[3] < picture.height
            if inside and not any(_meet(box, other) for other in taken):
                taken.append(box)
                yield at, x, y, anchor, text
                break


def _meet(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
