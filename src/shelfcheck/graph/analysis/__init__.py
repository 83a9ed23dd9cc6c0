"""What the graph says of the catalogue: structure, confused categories, and what might be merged or split."""

from __future__ import annotations

from shelfcheck.graph.analysis.run import analyse

__all__ = ["analyse"]
