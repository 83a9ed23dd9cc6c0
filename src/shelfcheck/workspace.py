"""The workspace: a folder of artefacts, each published whole or not at all.

An artefact `name` is a folder `name/<fingerprint>/` and beside it `name/manifest.json`, which
names the folder that holds. A stage writes into `.tmp/`, the folder is moved into place, and the
manifest is replaced last in one atomic step; whoever reads goes through the manifest and so never
sees half an artefact. What a killed run leaves in `.tmp/` is removed by the next one. What a long stage
has finished by then it keeps in `.partial/<stage>-<fingerprint>/`, see `checkpoints`: the next run of
the same fingerprint goes on from there, one of another removes it, and so does the stage's end.

`Workspace` is one on the local disk; `remote_workspace.open_workspace` opens one wherever it is.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import json
import os
import shutil
import uuid
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shelfcheck.errors import WorkspaceError
from shelfcheck.progress import NullProgress, Progress
from shelfcheck.urls import is_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MANIFEST = "manifest.json"
_TEMPORARY = ".tmp"
_LOCK = ".lock"
_FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """What an artefact is, what it was made from and how.

    Attributes:
        artefact: its name, e.g. `prepared`.
        fingerprint: hash of the stage, its settings and its inputs; equal means equal content.
        folder: the folder that holds it, relative to the artefact's own.
        inputs: fingerprint of each input artefact or source.
        settings: the settings that the content depends on.
        versions: of Shelfcheck and the libraries that shaped the content.
        counts: rows and other numbers worth telling.
        seconds: wall time of the stage.
        created: end of the stage, ISO 8601, UTC.
        files: in an object store, every file of the folder: `path`, `bytes`, `sha256`; empty on a local disk.
    """

    artefact: str
    fingerprint: str
    folder: str = ""
    inputs: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    created: str = ""
    format: int = _FORMAT
    files: list[dict[str, Any]] = field(default_factory=list)


class Workspace:
    """A folder that holds every artefact of one catalogue.

    Attributes:
        root: where its files are on the local disk.
        place: what people call it: its path or URL.
        told: the progress that is told of files that are moved.
    """

    def __init__(self, root: str | Path) -> None:
        if is_url(str(root)):
            raise WorkspaceError(f"{root}: no local folder. Open it with remote_workspace.open_workspace.")
        self.root = Path(root)
        self.place = str(root)
        self.told: Progress = NullProgress()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.place!r})"

    def manifest(self, artefact: str) -> Manifest | None:
        """The manifest of an artefact, or None where none is published.

        Raises:
            WorkspaceError: the manifest is unreadable or of a later format.
        """
        path = self.root / artefact / MANIFEST
        try:
            text = path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise WorkspaceError(
                f"{path}: unreadable manifest ({error}). Remove the file to rebuild."
            ) from error
        return parse_manifest(text, str(path))

    def path(self, artefact: str, *, made_by: str, only: Sequence[str] = ()) -> Path:
        """The folder of a published artefact, on the local disk.

        Args:
            artefact: its name.
            made_by: the command that makes it, for the error.
            only: patterns of the files that are needed, e.g. `summary.json`; all of them when empty. From an
                object store no others are fetched.

        Raises:
            WorkspaceError: it is not there.
        """
        manifest = self.manifest(artefact)
        if manifest is None:
            raise WorkspaceError(f"{self.place}: no {artefact} here yet. Make it with: {made_by}")
        del only  # all of it is here
        folder = self.root / artefact / manifest.folder
        if not folder.is_dir():
            raise WorkspaceError(
                f"{folder}: named by the manifest but missing. "
                f"Remove {self.root / artefact} and run: {made_by}"
            )
        return folder

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the workspace for writing; clears what a killed run left behind.

        Raises:
            WorkspaceError: another process holds it, or the folder cannot be made.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            handle = (self.root / _LOCK).open("a")
        except OSError as error:
            raise WorkspaceError(f"{self.root}: cannot be used as a workspace: {error.strerror}") from error
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise WorkspaceError(
                    f"{self.place}: another shelfcheck works in this workspace. "
                    "Wait for it, or use another --workspace."
                ) from error
            self._clear_temporary()
            yield

    @contextlib.contextmanager
    def writing(self, artefact: str) -> Iterator[Path]:
        """A temporary folder to write an artefact into; removed if it is not published."""
        folder = self.root / _TEMPORARY / f"{artefact}-{uuid.uuid4().hex[:8]}"
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def publish(self, written: Path, manifest: Manifest) -> Path:
        """Move a written folder into place and make it the artefact that holds.

        Args:
            written: a folder from `writing`.
            manifest: describes it; its `folder` is chosen here.

        Returns:
            The published folder.
        """
        home = self.root / manifest.artefact
        home.mkdir(exist_ok=True)
        name = manifest.fingerprint[:12]
        if (home / name).exists():  # made again, or left by a run that was killed before its manifest
            name = f"{name}-{uuid.uuid4().hex[:4]}"
        target = home / name
        written.rename(target)
        write_atomically(home / MANIFEST, manifest_text(replace(manifest, folder=name)))
        for other in home.iterdir():
            if other.is_dir() and other != target:
                shutil.rmtree(other, ignore_errors=True)
        return target

    def _clear_temporary(self) -> None:
        shutil.rmtree(self.root / _TEMPORARY, ignore_errors=True)

    # What is no artefact, and what an object store makes different: on a local disk there is little to do.

    def child(self, name: str) -> Workspace:
        """A folder of the workspace as one of its own, with its own lock."""
        made = Workspace(self.root / name)
        made.told = self.told
        return made

    def holds(self, manifest: Manifest) -> bool:
        """Whether the folder that a manifest names is there."""
        return (self.root / manifest.artefact / manifest.folder).is_dir()

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Answer from one look at what stands, where looking costs more than a moment."""
        yield

    def resume(self, artefact: str, fingerprint: str) -> Manifest | None:  # noqa: ARG002
        """Publish what a killed run had finished and not yet published; None where there is nothing."""
        return None

    def names(self, folder: str) -> list[str]:
        """The folders in a folder, sorted."""
        home = self.root / folder
        return sorted(entry.name for entry in home.iterdir() if entry.is_dir()) if home.is_dir() else []

    def show(self, artefact: str, name: str, top: str, *, anew: bool) -> None:
        """Put a copy of an artefact's file at the top, under a name that never changes.

        Args:
            artefact: a published one.
            name: a file of its folder.
            top: the copy's name.
            anew: even if there is a copy.
        """
        if anew or not (self.root / top).exists():
            copy_atomically(self.path(artefact, made_by="shelfcheck run") / name, self.root / top)

    def withdraw(self, top: str) -> None:
        """Remove a file at the top, if it is there."""
        (self.root / top).unlink(missing_ok=True)

    def file(self, name: str) -> Path:
        """A file that is no artefact's, as it stands now; it may not be there."""
        return self.root / name

    def stamp(self, name: str) -> object:
        """What changes when a file does that is replaced, not rewritten; None where there is none."""
        try:
            found = (self.root / name).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size

    def write(self, name: str, text: str) -> None:
        """Replace such a file in one step."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)

    def wrote(self, name: str) -> None:
        """Keep what was written to such a file since `file` told where it is."""

    def fetch(self, folder: str, only: Sequence[str] = (), *, ours: bool = False, anew: bool = False) -> Path:
        """A folder of such files, as they stand now.

        Args:
            folder: its name; empty for all of the workspace.
            only: as for `path`.
            ours: leave what was written here and not kept yet, unless it was written elsewhere, too.
            anew: fetch what is here already, too.
        """
        del only, ours, anew
        return self.root / folder

    def keep(self, folder: str, last: str | None = None) -> None:
        """Keep what was written to such a folder; `last` is written after all others, and must be new."""


def parse_manifest(text: str, where: str) -> Manifest:
    """A manifest from its text.

    Raises:
        WorkspaceError: it is none, or one of a later format.
    """
    try:
        values = json.loads(text)
    except ValueError as error:
        raise WorkspaceError(
            f"{where}: unreadable manifest ({error}). Remove the file to rebuild."
        ) from error
    if not isinstance(values, dict) or values.get("format") != _FORMAT:
        raise WorkspaceError(
            f"{where}: manifest format is not {_FORMAT}; another version of Shelfcheck wrote it. "
            f"Use another --workspace, or remove {where.rpartition('/')[0]} to rebuild it."
        )
    return Manifest(**values)


def manifest_text(manifest: Manifest) -> str:
    """What `parse_manifest` reads."""
    return json.dumps(asdict(manifest), indent=2, ensure_ascii=False, default=str) + "\n"


def write_atomically(path: Path, text: str) -> None:
    """Replace a text file in one step; a reader sees the old text or the new."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def copy_atomically(source: Path, target: Path) -> None:
    """Copy a file so that the target is the old content or the new, never a part."""
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        shutil.copyfile(source, temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def utc_now() -> str:
    """The time now, ISO 8601 in UTC, to the second."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
