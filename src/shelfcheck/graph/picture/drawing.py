"""Nodes and edges while they are made."""

from __future__ import annotations

from typing import Any

from shelfcheck.graph.picture.model import Edge, Node


class Drawing:
    """Nodes and edges; a node of one key is made once."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []
        self._places: dict[str, int] = {}

    def node(self, key: str, kind: str, name: str, reviews: int, radius: float, /, **about: Any) -> int:
        """The place of a node, which is made if there is none of that key yet."""
        if key not in self._places:
            self._places[key] = len(self.nodes)
            self.nodes.append(Node(key, kind, name, reviews, about, radius))
        return self._places[key]

    def place(self, key: str) -> int:
        """The place of a node that was made."""
        return self._places[key]

    def edge(self, source: int, target: int, kind: str, bins: tuple[int, ...] = (), **more: Any) -> None:
        """Join two nodes."""
        self.edges.append(Edge(source, target, kind, bins, **more))
