"""Stages: steps that read artefacts and write one, declared, and the runner that runs what is stale.

A stage says which artefacts it needs and which settings its result depends on. Its fingerprint
is a hash of these, of its inputs' fingerprints and of its own version; a stage whose published
artefact carries the same fingerprint is skipped. So a second run does nothing, a changed setting
redoes only what depends on it, and a killed run goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, field, replace
from importlib import metadata
from typing import TYPE_CHECKING, Any

from shelfcheck import interrupts
from shelfcheck.checkpoints import Checkpoint, checkpoint_of
from shelfcheck.config import flatten
from shelfcheck.errors import WorkspaceError
from shelfcheck.workspace import Manifest, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from shelfcheck.config import Settings
    from shelfcheck.progress import Progress
    from shelfcheck.sources import Source
    from shelfcheck.workspace import Workspace

_CARRIED = "carried."  # stands before the names of what is carried, among the inputs of a manifest
_VERSIONED = ("shelfcheck", "duckdb", "numba", "numpy", "pyarrow", "scikit-learn")


@dataclass(frozen=True)
class Context:
    """What a stage is given to work with.

    Attributes:
        inputs: folder of each artefact that the stage needs; path of each file that it watches.
        sources: the raw files, for the stage that reads them.
        out: the folder to write into; published when the stage returns.
        settings: all settings.
        progress: told how far the work is.
        cache: a folder for what can be made again; made when something is put there.
        checkpoint: a place for unfinished work; what a killed run of the same fingerprint left is there.
        workspace: where all of it is, for a stage that looks at more than its inputs.
        order: the sources as the stage reads them, by which its fingerprint goes; a stage that reads them in
            another order puts that in its place.
        standing: what stands of the artefact, for a stage that extends; None where it must not be used.
        carried: what the result depends on beside inputs and settings, where the stage takes over what it
            had learned from other reviews: name -> fingerprint. The stage fills it in.
    """

    inputs: Mapping[str, Path]
    sources: Sequence[Source]
    out: Path
    settings: Settings
    progress: Progress
    cache: Path
    checkpoint: Checkpoint
    workspace: Workspace
    order: list[Source] = field(default_factory=list)
    standing: Standing | None = None
    carried: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Standing:
    """What stands of an artefact that a stage could add to.

    Attributes:
        workspace: where it is.
        manifest: describes it.
        same_work: whether the stage has the version and the settings now that it had then.
    """

    workspace: Workspace
    manifest: Manifest
    same_work: bool

    def folder(self, *only: str) -> Path:
        """Its folder on the local disk; from an object store, with these files alone, if any are named."""
        return self.workspace.path(self.manifest.artefact, made_by="shelfcheck run", only=only)


@dataclass(frozen=True)
class Stage:
    """A declared step.

    Attributes:
        name: the artefact that it makes, and what people call the step.
        title: what it does, as progress shows it.
        command: the command that makes it, for errors.
        needs: artefacts that it reads.
        settings: dotted settings or sections that its result depends on, or what tells them.
        run: does the work and returns the counts worth telling.
        optional: those of `needs` that it can do without; `Context.inputs` then lacks them.
        watches: files of the workspace, not artefacts, that its result depends on where they are, or what
            tells them.
        version: raised when the same inputs give another result.
        main: whether `shelfcheck run` makes it.
        parts: of those of `needs` that are not read whole, patterns of the files that are.
        extends: whether it may add to what stands of its artefact, and so save work.
        carries: names of what may be `carried` with these settings; what was made with others is stale.
    """

    name: str
    title: str
    command: str
    needs: tuple[str, ...]
    settings: tuple[str, ...] | Callable[[Settings], tuple[str, ...]]
    run: Callable[[Context], Mapping[str, Any]]
    optional: tuple[str, ...] = ()
    watches: tuple[str, ...] | Callable[[Settings], tuple[str, ...]] = ()
    version: int = 1
    main: bool = True
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    extends: bool = False
    carries: Callable[[Settings], Collection[str]] | None = None


@dataclass(frozen=True)
class StageResult:
    """How a stage ended: run or fresh, its seconds, its counts and its folder.

    Attributes:
        stage: its name.
        fresh: whether it was skipped.
        seconds: it took, or had taken when it was run.
        counts: what it told.
        place: its folder as people know it: a path, or a URL.
        workspace: where the folder is.
    """

    stage: str
    fresh: bool
    seconds: float
    counts: dict[str, Any]
    place: str
    workspace: Workspace

    @property
    def folder(self) -> Path:
        """The folder on the local disk; fetched from an object store where it is not here yet."""
        return self.workspace.path(self.stage, made_by="shelfcheck run")

    def file(self, name: str) -> Path:
        """One file of the folder; of an object store, no other is fetched."""
        return self.workspace.path(self.stage, made_by="shelfcheck run", only=(name,)) / name


def run_stage(
    stage: Stage,
    workspace: Workspace,
    settings: Settings,
    progress: Progress,
    *,
    sources: Sequence[Source] = (),
    order: Sequence[Source] | None = None,
    absent: Collection[str] = (),
    force: bool = False,
    full: bool = False,
) -> StageResult:
    """Run one stage if it is stale. The caller holds the workspace's lock.

    Args:
        stage: what to run.
        workspace: where its inputs are and its artefact goes.
        settings: all settings.
        progress: told how far the work is.
        sources: the raw files, for the stage that reads them.
        order: the same in the order in which they came, where that is another.
        absent: artefacts that this run could not make; what stands of an earlier run does not count.
        force: run it even if it is fresh.
        full: add to nothing that stands.

    Raises:
        WorkspaceError: an artefact that the stage needs is missing.
    """
    order = list(sources if order is None else order)
    inputs, fingerprint = plan(stage, workspace, settings, order, absent)
    manifest = workspace.manifest(stage.name)
    if not force:
        fresh = (
            manifest is not None
            and is_fresh(stage, settings, manifest, inputs, full=full)
            and workspace.holds(manifest)
        )
        standing = manifest if fresh else workspace.resume(stage.name, fingerprint)
        if standing is not None:
            place = f"{workspace.place}/{stage.name}/{standing.folder}"
            return StageResult(stage.name, fresh, standing.seconds, standing.counts, place, workspace)
    folders = {
        name: workspace.path(name, made_by="shelfcheck run", only=stage.parts.get(name, ()))
        for name in inputs
        if name in stage.needs
    }
    folders |= {name: workspace.root / name for name in inputs if name in _watched(stage, settings)}
    started = time.perf_counter()
    with workspace.writing(stage.name) as out:
        cache = workspace.root / "cache"
        checkpoint = checkpoint_of(workspace.root, stage.name, fingerprint)
        context = Context(
            folders, sources, out, settings, progress, cache, checkpoint, workspace, list(order)
        )
        if stage.extends and manifest is not None and workspace.holds(manifest) and not (force or full):
            same = same_work(stage, settings, manifest)
            context = replace(context, standing=Standing(workspace, manifest, same))
        counts = dict(stage.run(context))
        if context.order != order or context.carried:
            inputs, _ = plan(stage, workspace, settings, context.order, absent)
            inputs |= {f"{_CARRIED}{name}": value for name, value in context.carried.items()}
            fingerprint = _described(stage, settings, inputs)
        seconds = time.perf_counter() - started
        interrupts.check()
        made = Manifest(
            artefact=stage.name,
            fingerprint=fingerprint,
            inputs=inputs,
            settings=_relevant(stage, settings),
            versions=versions(),
            counts=counts,
            seconds=round(seconds, 3),
            created=utc_now(),
        )
        folder = workspace.publish(out, made)
        checkpoint.clear()
    place = f"{workspace.place}/{stage.name}/{folder.name}"
    return StageResult(stage.name, False, seconds, counts, place, workspace)  # noqa: FBT003


def plan(
    stage: Stage,
    workspace: Workspace,
    settings: Settings,
    sources: Sequence[Source] = (),
    absent: Collection[str] = (),
) -> tuple[dict[str, str], str]:
    """The fingerprints of a stage's inputs, and its own.

    Raises:
        WorkspaceError: an artefact that the stage needs is missing.
    """
    inputs = {}
    for name in stage.needs:
        manifest = None if name in absent else workspace.manifest(name)
        if manifest is None and name in stage.optional:
            continue
        if manifest is None:
            raise WorkspaceError(
                f"{workspace.place}: {stage.name} needs {name}, which is not here yet. "
                f"Run: shelfcheck run --source ... --workspace {workspace.place}"
            )
        inputs[name] = manifest.fingerprint
    for name in _watched(stage, settings):
        file = workspace.file(name)
        if file.is_file():
            inputs[name] = hashlib.sha256(file.read_bytes()).hexdigest()
    if sources:
        inputs["sources"] = _hash([source.fingerprint for source in sources])
    return inputs, _described(stage, settings, inputs)


def is_fresh(
    stage: Stage, settings: Settings, manifest: Manifest, inputs: Mapping[str, str], *, full: bool = False
) -> bool:
    """Whether an artefact is what the stage makes of such inputs, or would take over for them.

    Args:
        stage: that made it.
        settings: all settings.
        manifest: of the artefact.
        inputs: fingerprints, as `plan` tells them.
        full: whether nothing may be taken over.
    """
    own = dict(inputs)
    if stage.carries is not None and not full:
        allowed = stage.carries(settings)
        own |= {f"{_CARRIED}{name}": value for name, value in carried(manifest).items() if name in allowed}
    return manifest.fingerprint in (_described(stage, settings, inputs), _described(stage, settings, own))


def carried(manifest: Manifest) -> dict[str, str]:
    """What an artefact depends on beside the inputs and settings of its stage; see `Context.carried`."""
    named = {name: value for name, value in manifest.inputs.items() if name.startswith(_CARRIED)}
    return {name.removeprefix(_CARRIED): value for name, value in named.items()}


def same_work(stage: Stage, settings: Settings, manifest: Manifest) -> bool:
    """Whether an artefact was made by this version of a stage with these settings, whatever its inputs."""
    return _described(stage, settings, manifest.inputs) == manifest.fingerprint


def versions() -> dict[str, str]:
    """Versions of Shelfcheck and the libraries that shape its artefacts."""
    return {name: metadata.version(name) for name in _VERSIONED}


def _described(stage: Stage, settings: Settings, inputs: Mapping[str, str]) -> str:
    """The fingerprint of a stage with such inputs."""
    return _hash(
        {
            "stage": stage.name,
            "version": stage.version,
            "settings": _relevant(stage, settings),
            "inputs": inputs,
        }
    )


def _watched(stage: Stage, settings: Settings) -> tuple[str, ...]:
    return stage.watches(settings) if callable(stage.watches) else stage.watches


def _relevant(stage: Stage, settings: Settings) -> dict[str, Any]:
    prefixes = stage.settings(settings) if callable(stage.settings) else stage.settings
    return {
        key: value
        for key, value, _ in flatten(settings)
        if any(key == prefix or key.startswith(f"{prefix}.") for prefix in prefixes)
    }


def _hash(values: object) -> str:
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
