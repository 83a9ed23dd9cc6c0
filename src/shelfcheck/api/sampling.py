"""How many reviews there are, and a sample of them: count, sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from shelfcheck.sampling.count import Count


def count(
    path: str | Path | None = None,
    *,
    workspace: str | Path = "shelfcheck-workspace",
    by: Literal["month"] | None = None,
) -> Count:
    """Count reviews from metadata alone; see `sampling.count.count`.

    Args:
        path: a workspace, a folder of prepared reviews, a Parquet file or a folder of them; a path or a URL.
        workspace: what is counted when no path is given.
        by: `month`, to count each month too.

    Raises:
        ShelfcheckError: nothing is there, or it does not tell what is asked without being read.
    """
    from shelfcheck.sampling import count as counting  # noqa: PLC0415 - loaded when it is used

    return counting.count(path if path is not None else workspace, by=by)
