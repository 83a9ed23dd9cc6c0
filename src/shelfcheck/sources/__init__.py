"""Readers of review files: each format in one module, all yielding canonical and rejected rows."""

from __future__ import annotations

from shelfcheck.sources.base import Source, SourceBatch
from shelfcheck.sources.find import Sources, find_sources

__all__ = ["Source", "SourceBatch", "Sources", "find_sources"]
