"""How the language of reviews shifts: language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shelfcheck import pipeline
from shelfcheck.api._shared import run_targets

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from shelfcheck.progress import Progress
    from shelfcheck.stages import StageResult


def language(
    workspace: str | Path,
    *,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    force: bool = False,
) -> StageResult:
    """Compare the language of each category between years and between star ratings. Arguments as for `run`.

    Returns:
        The folder with `pairs`, `top_terms`, `changed_terms`, `trends` and `groups` (Parquet and CSV),
        `summary.json` and `language.html`, and the counts.

    Raises:
        ShelfcheckError: there are no prepared reviews, or too few.
    """
    return run_targets(
        [pipeline.LANGUAGE],
        (),
        workspace,
        config=config,
        overrides=overrides,
        progress=progress,
        force=force,
    ).stages[-1]
