"""How many reviews there are, and a sample of them: count, sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from shelfcheck import pipeline
from shelfcheck.api._shared import run_targets
from shelfcheck.progress import NullProgress
from shelfcheck.remote_workspace import open_workspace
from shelfcheck.settings_file import resolve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from shelfcheck.progress import Progress
    from shelfcheck.sampling.count import Count
    from shelfcheck.sampling.strata import SamplePlan
    from shelfcheck.stages import StageResult


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


def sample(
    workspace: str | Path,
    fraction: float | None = None,
    by: Sequence[str] | None = None,
    min_category_share: float | None = None,
    *,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    force: bool = False,
) -> StageResult:
    """Draw a stratified sample of the prepared reviews, and compare it with all of them.

    The same reviews are drawn on every machine: those with the smallest md5 of their id in each stratum.

    Args:
        workspace: the folder with the prepared reviews; `sample.parquet` stands at its top.
        fraction: `sample.fraction`, as an override.
        by: `sample.by`, as an override: `review_month`, `product_category`, `star_rating`.
        min_category_share: `sample.min_category_share`, as an override.
        config: as for `run`.
        overrides: as for `run`.
        progress: as for `run`.
        force: as for `run`.

    Returns:
        The folder with `sample.parquet`, `strata.parquet`, `shares.parquet`, `representativeness.json` and
        `summary.json`, and the counts.

    Raises:
        ShelfcheckError: there are no prepared reviews, or none that may be drawn.
    """
    return run_targets(
        [pipeline.SAMPLE],
        (),
        workspace,
        config=config,
        overrides=_overridden(overrides, fraction, by, min_category_share),
        progress=progress,
        force=force,
    ).stages[-1]


def plan_sample(
    workspace: str | Path,
    fraction: float | None = None,
    by: Sequence[str] | None = None,
    min_category_share: float | None = None,
    *,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> SamplePlan:
    """What `sample` would draw of which stratum; writes nothing. Arguments and errors as there."""
    given = _overridden(overrides, fraction, by, min_category_share)
    settings = resolve(config, given, workspace).settings
    home = open_workspace(workspace)
    home.told = progress or NullProgress()
    made_by = f"shelfcheck prepare SOURCE... --workspace {workspace}"
    by_month = settings.sample.by == ("review_month",) and not settings.sample.min_category_share
    only = ("months.json",) if by_month else ()  # which tells all there is to know
    prepared = home.path(pipeline.PREPARED, made_by=made_by, only=only)
    import tempfile  # noqa: PLC0415 - only here

    from shelfcheck.sampling.run import plan_sample as plan  # noqa: PLC0415 - loads pyarrow

    with tempfile.TemporaryDirectory(prefix="shelfcheck-") as scratch:
        return plan(prepared, scratch, settings, progress or NullProgress())


def _overridden(
    overrides: Mapping[str, Any] | None,
    fraction: float | None,
    by: Sequence[str] | None,
    min_category_share: float | None,
) -> dict[str, Any]:
    given = {
        "sample.fraction": fraction,
        "sample.by": None if by is None else list(by),
        "sample.min_category_share": min_category_share,
    }
    return dict(overrides or {}) | {key: value for key, value in given.items() if value is not None}
