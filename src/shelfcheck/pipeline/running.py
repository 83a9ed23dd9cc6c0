"""Walks the stages: makes those wanted and what they stand on, skips what is fresh."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shelfcheck.errors import NotEnoughDataError, WorkspaceError
from shelfcheck.pipeline.arrivals import SourcePlan, order_of_arrival, plan_sources
from shelfcheck.pipeline.names import (
    EVALUATION,
    MODEL,
    PREPARED,
    REPORT,
)
from shelfcheck.pipeline.table import STAGES, TOP_FILES
from shelfcheck.settings_file import REMEMBERED_FILE, remember
from shelfcheck.stages import StageResult, is_fresh, plan, run_stage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shelfcheck.config import Settings
    from shelfcheck.progress import Progress
    from shelfcheck.sources import Source
    from shelfcheck.workspace import Workspace


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
        workspace: the folder; of one in an object store, its mirror on the local disk.
        stages: each stage's result, in order.
        skipped: stages for which the reviews are too few, and why.
        place: what people call the workspace: its path or URL.
    """

    workspace: Path
    stages: tuple[StageResult, ...]
    skipped: dict[str, str] = field(default_factory=dict)
    place: str = ""

    def stage(self, name: str) -> StageResult:
        """The result of one stage.

        Raises:
            KeyError: the run did not come to it.
        """
        for result in self.stages:
            if result.stage == name:
                return result
        raise KeyError(name)


def run_stages(
    workspace: Workspace,
    settings: Settings,
    progress: Progress,
    targets: Sequence[str],
    *,
    sources: Sequence[Source] = (),
    force: bool = False,
    full: bool = False,
) -> RunResult:
    """Run stages and what they stand on, skipping what is fresh.

    Args:
        workspace: where artefacts go.
        settings: all settings.
        progress: told how far the work is.
        targets: names of the stages wanted.
        sources: raw files; without them the prepared reviews must be there already.
        force: run the targets even if they are fresh.
        full: add to nothing that stands; what was added to is made anew where that gives another result.

    Raises:
        WorkspaceError: no sources were given and nothing was prepared, or the workspace is in use.
        NotEnoughDataError: the reviews are too few, e.g. of one category only. A run of several targets, or
            one that ends in the report, goes on instead and tells what was skipped.
    """
    wanted = closure(targets)
    results = []
    skipped: dict[str, str] = {}
    workspace.told = progress
    with workspace.locked():
        order = order_of_arrival(workspace, settings, sources, full=full or force)
        for stage in STAGES:
            if stage.name not in wanted:
                continue
            if stage.name == PREPARED and not sources:
                _require_prepared(workspace)
                continue
            forced = force and stage.name in targets
            given, arrived = (sources, order) if stage.name == PREPARED else ((), None)
            lacking = [name for name in stage.needs if name in skipped and name not in stage.optional]
            if lacking:
                skipped[stage.name] = skipped[lacking[0]]
                continue
            try:
                result = run_stage(
                    stage,
                    workspace,
                    settings,
                    progress,
                    sources=given,
                    order=arrived,
                    absent=skipped,
                    force=forced,
                    full=full,
                )
            except NotEnoughDataError as error:
                if REPORT not in targets and len(targets) == 1:
                    raise
                skipped[stage.name] = str(error)
                continue
            results.append(result)
            _register(workspace, settings, results)
            for name, top in TOP_FILES.get(stage.name, {}).items():
                workspace.show(stage.name, name, top, anew=not result.fresh)
        for name in skipped:
            for top in TOP_FILES.get(name, {}).values():  # of an earlier run, on other reviews
                workspace.withdraw(top)
        if sources:
            workspace.write(REMEMBERED_FILE, remember(settings))
    return RunResult(workspace.root, tuple(results), skipped, workspace.place)


def _register(workspace: Workspace, settings: Settings, results: Sequence[StageResult]) -> None:
    """Make the model that was just judged a version; the same files make no second one."""
    from shelfcheck.models.registry import Registry  # noqa: PLC0415

    judged = results[-1]
    if judged.stage != EVALUATION or judged.fresh:
        return
    trained = next((result for result in results if result.stage == MODEL), None)
    if trained is not None:
        counts = {"split": settings.train.split, **trained.counts, **judged.counts}
        Registry(workspace).register(trained.folder, judged.folder, counts)


def closure(targets: Sequence[str]) -> set[str]:
    """The named stages and all that they need, directly or not."""
    by_name = {stage.name: stage for stage in STAGES}
    found: set[str] = set()
    waiting = list(targets)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(by_name[name].needs)
    return found


def states(
    workspace: Workspace, settings: Settings, sources: Sequence[Source] = (), *, full: bool = False
) -> dict[str, str]:
    """What a run would do with each stage: `fresh`, `stale` or `missing`."""
    found: dict[str, str] = {}
    order = order_of_arrival(workspace, settings, sources, full=full) if sources else []
    for stage in STAGES:
        manifest = workspace.manifest(stage.name)
        if manifest is None:
            found[stage.name] = "missing"
        elif any(
            found[name] != "fresh" and not (found[name] == "missing" and name in stage.optional)
            for name in stage.needs
        ):
            found[stage.name] = "stale"
        elif stage.name == PREPARED and not sources:
            found[stage.name] = "fresh"
        else:
            inputs, _ = plan(stage, workspace, settings, order if stage.name == PREPARED else ())
            fresh = is_fresh(stage, settings, manifest, inputs, full=full)
            found[stage.name] = "fresh" if fresh else "stale"
    return found


def source_plan(
    workspace: Workspace, settings: Settings, sources: Sequence[Source], *, full: bool = False
) -> SourcePlan:
    """What a run would read of its sources, and why. Changes nothing."""
    fresh = states(workspace, settings, sources, full=full)[PREPARED] == "fresh"
    return plan_sources(workspace, settings, STAGES[0], sources, fresh=fresh, full=full)


def _require_prepared(workspace: Workspace) -> None:
    if workspace.manifest(PREPARED) is None:
        raise WorkspaceError(
            f"{workspace.place}: no prepared reviews here yet. "
            f"Make them with: shelfcheck prepare SOURCE... --workspace {workspace.place}"
        )
