"""Descriptive statistics of prepared reviews: every table from one scan of the texts."""

from __future__ import annotations

from shelfcheck.explore.run import explore

__all__ = ["explore"]
