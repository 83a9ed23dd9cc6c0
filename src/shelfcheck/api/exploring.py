"""Descriptive statistics of prepared reviews."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shelfcheck import pipeline
from shelfcheck.api._shared import run_targets

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from shelfcheck.progress import Progress
    from shelfcheck.stages import StageResult


def explore(
    workspace: str | Path,
    *,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    force: bool = False,
) -> StageResult:
    """Describe the reviews in tables and a page, `explore.html`. Arguments as for `run`.

    Returns:
        The stage's result, whose folder holds `tables/NAME.parquet` and `.csv`, `charts/NAME.json`,
        `figures.json` and `explore.html`.
    """
    return run_targets(
        [pipeline.EXPLORE],
        (),
        workspace,
        config=config,
        overrides=overrides,
        progress=progress,
        force=force,
    ).stages[-1]
