"""Raw reviews to canonical, cleaned, filtered, de-duplicated reviews by month."""

from __future__ import annotations

from shelfcheck.prepare.read import count_prepared, iter_prepared, prepared_files

__all__ = ["count_prepared", "iter_prepared", "prepared_files"]
