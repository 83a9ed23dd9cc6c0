"""Pictures of the graph: what is drawn at each level, and where it stands."""

from __future__ import annotations

from shelfcheck.graph.picture.drawn import draw
from shelfcheck.graph.picture.model import Edge, Node, Picture, Request

__all__ = ["Edge", "Node", "Picture", "Request", "draw"]
