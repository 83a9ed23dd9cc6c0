"""The main job and its stages: run, prepare, audit, report, status; the demo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from shelfcheck import pipeline
from shelfcheck.api._shared import run_targets, sources_of
from shelfcheck.errors import NotEnoughDataError
from shelfcheck.progress import NullProgress
from shelfcheck.remote_workspace import open_workspace
from shelfcheck.settings_file import resolve
from shelfcheck.urls import is_store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from shelfcheck.api._shared import Paths
    from shelfcheck.demo import Score
    from shelfcheck.pipeline import RunResult, SourcePlan
    from shelfcheck.progress import Progress
    from shelfcheck.sources.demo import GeneratedFiles
    from shelfcheck.stages import StageResult

AUDITS: Final = (
    pipeline.MISPLACED_REVIEWS,
    pipeline.MISCATEGORISED_PRODUCTS,
    pipeline.DECLINING_PRODUCTS,
)


def run(
    source: Paths,
    workspace: str | Path,
    *,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    force: bool = False,
    full: bool = False,
) -> RunResult:
    """Run the main job: raw reviews in, ranked findings and a report out.

    Stages that are fresh are skipped; a killed run goes on where it stopped. Of files that were read before
    and have not changed, nothing is read again, where that gives the same.

    Args:
        source: files, folders, globs or URLs of raw reviews.
        workspace: the folder for all artefacts; `report.html` and the findings stand at its top.
        config: a TOML file of settings.
        overrides: dotted key -> value, stronger than the file.
        progress: told how far the work is.
        force: run every stage even if it is fresh.
        full: use nothing that an earlier run has added to, unless a run that reads all files gives the same.

    Raises:
        ShelfcheckError: the input, the settings or the workspace cannot be used.
    """
    return run_targets(
        pipeline.MAIN_JOB,
        source,
        workspace,
        config=config,
        overrides=overrides,
        progress=progress,
        force=force,
        full=full,
    )


def prepare(
    source: Paths,
    workspace: str | Path,
    *,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    force: bool = False,
    full: bool = False,
) -> StageResult:
    """Read, check, clean and store reviews by month. Arguments as for `run`."""
    return run_targets(
        [pipeline.PREPARED],
        source,
        workspace,
        config=config,
        overrides=overrides,
        progress=progress,
        force=force,
        full=full,
    ).stages[-1]


def audit(
    workspace: str | Path,
    kinds: Sequence[str] = AUDITS,
    *,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    force: bool = False,
) -> dict[str, StageResult]:
    """Find what is wrong, by models that did not see the product. Arguments as for `run`.

    `kinds` names the audits wanted: `misplaced_reviews`, `miscategorised_products`, `declining_products`.

    Returns:
        Kind -> result, whose folder holds `findings.parquet`, `findings.csv`, `summary.json`. Of several
        kinds, those that the reviews are too few for are left out.

    Raises:
        NotEnoughDataError: the reviews are too few for any.
    """
    results = run_targets(
        list(kinds), (), workspace, config=config, overrides=overrides, progress=progress, force=force
    )
    if kinds and all(kind in results.skipped for kind in kinds):
        raise NotEnoughDataError(results.skipped[kinds[0]])
    return {kind: results.stage(kind) for kind in kinds if kind not in results.skipped}


def report(
    workspace: str | Path,
    *,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    force: bool = False,
) -> Path:
    """Write the report as one HTML file that opens offline. Arguments as for `run`.

    Returns:
        The page's path; of a workspace in an object store, that of its copy on the local disk.
    """
    result = run_targets(
        [pipeline.REPORT],
        (),
        workspace,
        config=config,
        overrides=overrides,
        progress=progress,
        force=force,
    )
    return (
        result.stage(pipeline.REPORT).file("report.html")
        if is_store(result.place)
        else (result.workspace / "report.html")
    )


def generate(
    output: str | Path,
    *,
    reviews: int,
    seed: int = 0,
    format: Literal["parquet", "tsv"] = "parquet",  # noqa: A002 - the command's flag
    rare_words: float = 0.0,
    progress: Progress | None = None,
) -> GeneratedFiles:
    """Write made-up reviews with planted faults, and the truth beside them; see `sources.demo`.

    `output` is a folder or a URL of an object store; of the latter, the paths told are those of copies that
    are gone.
    """
    from shelfcheck.sources.demo import generate as write  # noqa: PLC0415 - loads pyarrow
    from shelfcheck.stores.places import folder_to  # noqa: PLC0415

    told = progress or NullProgress()
    with folder_to(output, told) as folder:
        return write(folder, reviews, seed, format=format, rare_words=rare_words, progress=told)


@dataclass(frozen=True)
class DemoResult:
    """The run of the demo, and how well its findings match what was planted."""

    run: RunResult
    scores: tuple[Score, ...]


def demo(
    workspace: str | Path,
    *,
    reviews: int = 50_000,
    seed: int = 0,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    force: bool = False,
) -> DemoResult:
    """Generate reviews with planted faults, run the main job, and score its findings.

    The reviews go to `raw/` in the workspace. Other arguments as for `generate` and `run`.
    """
    from shelfcheck.demo import PLANTED, score  # noqa: PLC0415 - loads pyarrow
    from shelfcheck.sources.demo import TRUTH_FILE  # noqa: PLC0415
    from shelfcheck.stores.places import brought_here  # noqa: PLC0415

    raw = f"{str(workspace).rstrip('/')}/raw"
    generate(raw, reviews=reviews, seed=seed, progress=progress)
    result = run(raw, workspace, config=config, overrides=overrides, progress=progress, force=force)
    prepared = result.stage(pipeline.PREPARED).folder
    with brought_here(f"{raw}/{TRUTH_FILE}") as truth:
        scores = tuple(
            score(kind, result.stage(kind).folder / "findings.parquet", truth, prepared)
            for kind in PLANTED
            if kind not in result.skipped
        )
    return DemoResult(result, scores)


def status(
    workspace: str | Path,
    source: Paths = (),
    *,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    full: bool = False,
) -> dict[str, str]:
    """What a run would do with each stage: `fresh`, `stale` or `missing`. Changes nothing."""
    settings = resolve(config, overrides, workspace).settings
    home = open_workspace(workspace)
    with home.snapshot():
        return pipeline.states(home, settings, sources_of(source, settings), full=full)


def source_plan(
    workspace: str | Path,
    source: Paths,
    *,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    full: bool = False,
) -> SourcePlan:
    """Which files of a run are new, changed or gone, and what it would read. Changes nothing."""
    settings = resolve(config, overrides, workspace).settings
    return pipeline.source_plan(open_workspace(workspace), settings, sources_of(source, settings), full=full)
