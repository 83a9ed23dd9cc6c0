"""The workspace: a folder of artefacts, each published whole or not at all.

An artefact `name` is a folder `name/<fingerprint>/` and beside it `name/manifest.json`, which
names the folder that holds. A stage writes into `.tmp/`, the folder is moved into place, and the
manifest is replaced last in one atomic step; whoever reads goes through the manifest and so never
sees half an artefact. What a killed run leaves in `.tmp/` is removed by the next one.
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

if TYPE_CHECKING:
    from collections.abc import Iterator

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


class Workspace:
    """A folder that holds every artefact of one catalogue."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def __repr__(self) -> str:
        return f"Workspace({str(self.root)!r})"

    def manifest(self, artefact: str) -> Manifest | None:
        """The manifest of an artefact, or None where none is published.

        Raises:
            WorkspaceError: the manifest is unreadable or of a later format.
        """
        path = self.root / artefact / MANIFEST
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise WorkspaceError(
                f"{path}: unreadable manifest ({error}). Remove the file to rebuild."
            ) from error
        if not isinstance(values, dict) or values.get("format") != _FORMAT:
            raise WorkspaceError(
                f"{path}: manifest format is not {_FORMAT}; another version of Shelfcheck wrote it. "
                f"Use another --workspace, or remove {path.parent} to rebuild it."
            )
        return Manifest(**values)

    def path(self, artefact: str, *, made_by: str) -> Path:
        """The folder of a published artefact.

        Args:
            artefact: its name.
            made_by: the command that makes it, for the error.

        Raises:
            WorkspaceError: it is not there.
        """
        manifest = self.manifest(artefact)
        if manifest is None:
            raise WorkspaceError(f"{self.root}: no {artefact} here yet. Make it with: {made_by}")
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
                    f"{self.root}: another shelfcheck works in this workspace. "
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
        values = asdict(replace(manifest, folder=name))
        write_atomically(
            home / MANIFEST, json.dumps(values, indent=2, ensure_ascii=False, default=str) + "\n"
        )
        for other in home.iterdir():
            if other.is_dir() and other != target:
                shutil.rmtree(other, ignore_errors=True)
        return target

    def _clear_temporary(self) -> None:
        shutil.rmtree(self.root / _TEMPORARY, ignore_errors=True)


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
