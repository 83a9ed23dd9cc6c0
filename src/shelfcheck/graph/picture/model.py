"""What a picture is made of: nodes and edges with places, sizes and what is known of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

Level = Literal["categories", "category", "product"]

BINS: Final = 20
"""Steps of confidence that a picture can be filtered by: 0.05 each."""

MOST_NODES: Final = 5000
"""More nodes than this are never drawn one by one, whatever the limit."""


@dataclass(frozen=True)
class Request:
    """What to draw.

    Attributes:
        category: one category's mismatching reviews and products.
        product: one product's neighbourhood; all categories when neither is set.
        model: whose predictions.
        min_confidence: of predictions that differ from the catalogue, 0..1; others are not drawn.
        limit: most nodes; what is beyond is pooled, and counted.
    """

    category: str | None = None
    product: str | None = None
    model: str = "out_of_fold"
    min_confidence: float = 0.0
    limit: int = 500

    @property
    def level(self) -> Level:
        """Which of the three pictures this asks for."""
        if self.product is not None:
            return "product"
        return "categories" if self.category is None else "category"


@dataclass
class Node:
    """A node: one thing, or several that were pooled.

    Attributes:
        key: unique within the picture.
        kind: `category`, `product`, `review`, `customer`; `reviews`, `products`, `customers` are pooled.
        name: what a label says.
        reviews: how many it stands for; sizes come from it.
        about: what is known, by name; the page makes words of it.
        radius: in the units of the picture.
        x: to the right.
        y: downwards.
    """

    key: str
    kind: str
    name: str
    reviews: int = 1
    about: dict[str, Any] = field(default_factory=dict)
    radius: float = 4.0
    x: float = 0.0
    y: float = 0.0


@dataclass
class Edge:
    """An edge from one node to another, by their places in the list of nodes.

    Attributes:
        source: where it starts.
        target: where it ends.
        kind: `predicted`, `assigned`, `reviewed`, `wrote`, `bought`, `confused`.
        bins: reviews by confidence, BINS numbers; none for an edge that no prediction made.
        share: of the reviews of the source that go this way, 0..1, for `confused`.
        current: whether the product stands there now, for `assigned`.
    """

    source: int
    target: int
    kind: str
    bins: tuple[int, ...] = ()
    share: float = 0.0
    current: bool = True

    @property
    def reviews(self) -> int:
        """How many it stands for; 1 where no prediction made it."""
        return sum(self.bins) if self.bins else 1

    @property
    def confidence(self) -> float:
        """Mean of the reviews' confidence, each at the middle of its bin; 0 where no prediction made it."""
        total = sum(self.bins)
        return sum((at + 0.5) * n for at, n in enumerate(self.bins)) / total / BINS if total else 0.0


@dataclass(frozen=True)
class Picture:
    """Nodes and edges, placed.

    Attributes:
        request: what was asked for.
        title: the name of the category or the title of the product; empty at the level of categories.
        nodes: in no order that means anything; `key` is unique.
        edges: between them.
        counts: what there is, and what was drawn, by name.
        pooled: why and how things were pooled, a name of a rule with the number of nodes it made.
        width: of the picture; x lies in 0..width.
        height: of the picture; y lies in 0..height.
        seconds: of reading and of the layout.
    """

    request: Request
    title: str
    nodes: Sequence[Node]
    edges: Sequence[Edge]
    counts: dict[str, int]
    pooled: dict[str, int]
    width: float
    height: float
    seconds: dict[str, float] = field(default_factory=dict)


def one_bin(confidence: float) -> tuple[int, ...]:
    """Bins of a single review."""
    at = bin_of(confidence)
    return tuple(int(at == i) for i in range(BINS))


def bin_of(confidence: float) -> int:
    """The bin of a confidence: 0.35 and what is above it, up to 0.4, is in bin 7."""
    return min(int(confidence * BINS + _CLOSE), BINS - 1)


_CLOSE: Final = 1e-5  # float32 has 0.35 as 0.34999999

BIN_SQL: Final = f"CAST(least(floor(CAST(confidence AS DOUBLE) * {BINS} + {_CLOSE}), {BINS - 1}) AS INTEGER)"
"""The same as `bin_of`, of a column `confidence`."""
