"""What the functions of the public interface share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from shelfcheck import pipeline
from shelfcheck.progress import NullProgress
from shelfcheck.remote_workspace import open_workspace
from shelfcheck.settings_file import resolve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shelfcheck.config import Settings
    from shelfcheck.models.base import Model
    from shelfcheck.models.registry import Registry
    from shelfcheck.pipeline import RunResult
    from shelfcheck.progress import Progress

Paths: TypeAlias = "str | Path | Sequence[str | Path]"


def run_targets(
    targets: Sequence[str],
    source: Paths,
    workspace: str | Path,
    *,
    config: str | Path | None,
    overrides: Mapping[str, Any] | None,
    progress: Progress | None,
    force: bool,
    full: bool = False,
) -> RunResult:
    settings = resolve(config, overrides, workspace).settings
    return pipeline.run_stages(
        open_workspace(workspace),
        settings,
        progress or NullProgress(),
        targets,
        sources=sources_of(source, settings),
        force=force,
        full=full,
    )


def open_model(workspace: str | Path, name: str | None = None) -> Model:
    from shelfcheck.models.kinds import load_model  # noqa: PLC0415 - loads numpy

    return load_model(model_folder(workspace, name))


def model_folder(workspace: str | Path, name: str | None = None) -> Path:
    """The folder of a registered version, checked; of the champion, or what was trained last, when None."""
    from shelfcheck.models.registry import CHAMPION, Registry  # noqa: PLC0415

    registry = Registry(workspace)
    if name is not None or CHAMPION in registry.aliases():
        return registry.verify(name or CHAMPION).folder
    made_by = f"shelfcheck train --workspace {workspace}"
    return open_workspace(workspace).path(pipeline.MODEL, made_by=made_by)


def version_name(registry: Registry, name: str) -> str:
    """The version that an alias stands for; `the model` where none is registered."""
    if name == "champion" and name not in registry.aliases():
        return "the model"
    return registry.resolve(name).version


def specs_of(source: Paths) -> list[str]:
    return [str(source)] if isinstance(source, str | Path) else [str(spec) for spec in source]


def sources_of(source: Paths, settings: Settings) -> Sequence[Any]:
    specs = specs_of(source)
    if not specs:
        return ()
    from shelfcheck.sources import find_sources  # noqa: PLC0415 - loads pyarrow

    return find_sources(specs, settings.source)
