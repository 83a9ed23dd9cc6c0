"""Raw reviews to canonical, cleaned, filtered, de-duplicated reviews by month."""

from __future__ import annotations

from shelfcheck.prepare.read import count_prepared, iter_prepared, list_prepared, prepared_files, read_listing
from shelfcheck.prepare.run import prepare
from shelfcheck.prepare.summary import PrepareSummary, SourceCounts

__all__ = [
    "PrepareSummary",
    "SourceCounts",
    "count_prepared",
    "iter_prepared",
    "list_prepared",
    "prepare",
    "prepared_files",
    "read_listing",
]
