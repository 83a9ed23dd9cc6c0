"""New files beside those that a workspace was made from: how they are ordered, and what a run would do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from shelfcheck.pipeline.names import PREPARED
from shelfcheck.stages import same_work

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shelfcheck.config import Settings
    from shelfcheck.prepare.record import Changes, Record
    from shelfcheck.sources import Source
    from shelfcheck.stages import Stage
    from shelfcheck.workspace import Workspace


@dataclass(frozen=True)
class SourcePlan:
    """What a run would read.

    Attributes:
        does: `nothing`, `add` the new files, or `read all`. Whether the new rows change what becomes of old
            ones, so that all is read after all, is known only when they have been read.
        why: `read all` although reviews were prepared before; empty otherwise.
        changes: new, changed and gone files; None where nothing was prepared, or nothing tells of what.
    """

    does: Literal["nothing", "add", "read all"]
    why: str
    changes: Changes | None


def order_of_arrival(
    workspace: Workspace, settings: Settings, sources: Sequence[Source], *, full: bool = False
) -> list[Source]:
    """Sources in the order by which the fingerprint of prepared reviews goes; see `in_order_of_arrival`.

    Args:
        workspace: where reviews may have been prepared.
        settings: `run.incremental` counts.
        sources: in the order in which a run that reads all of them does.
        full: whether nothing is added to what stands.
    """
    if full or not sources:
        return list(sources)
    from shelfcheck.prepare.record import in_order_of_arrival  # noqa: PLC0415 - loads pyarrow

    record = _record(workspace)
    if record is None or (not settings.run.incremental and len(sources) > len(record.sources)):
        return list(sources)
    return in_order_of_arrival(record, sources)


def plan_sources(
    workspace: Workspace,
    settings: Settings,
    stage: Stage,
    sources: Sequence[Source],
    *,
    fresh: bool,
    full: bool = False,
) -> SourcePlan:
    """What a run would read, and why.

    Args:
        workspace: where reviews may have been prepared.
        settings: all settings.
        stage: the one that prepares.
        sources: what a run is given.
        fresh: whether that stage is.
        full: whether the run is to add to nothing that stands.
    """
    from shelfcheck.prepare.record import compare  # noqa: PLC0415 - loads pyarrow

    manifest = workspace.manifest(PREPARED)
    record = _record(workspace)
    changes = None if record is None else compare(record, sources)
    if fresh:
        return SourcePlan("nothing", "", changes)
    if manifest is None:
        return SourcePlan("read all", "", changes)
    if full:
        why = "a full run is wanted"
    elif not settings.run.incremental:
        why = "run.incremental is off"
    elif settings.run.engine == "spark":
        why = "Spark reads all files"
    elif changes is None or record is None or not record.keys:
        why = "the earlier run kept no keys"
    elif not changes.only_new:
        why = changes.why_anew()
    elif not same_work(stage, settings, manifest):
        why = "settings have changed, or the version"
    else:
        return SourcePlan("add", "", changes)
    return SourcePlan("read all", why, changes)


def _record(workspace: Workspace) -> Record | None:
    manifest = workspace.manifest(PREPARED)
    if manifest is None or not workspace.holds(manifest):
        return None
    from shelfcheck.prepare.record import RECORD_FILE, read_record  # noqa: PLC0415 - loads pyarrow

    return read_record(workspace.path(PREPARED, made_by="shelfcheck run", only=(RECORD_FILE,)))
