"""Shelfcheck uses product reviews to keep a shop's catalogue right."""

from __future__ import annotations

from shelfcheck.__about__ import __version__

__all__ = ["__version__"]
