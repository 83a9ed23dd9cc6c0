"""What an export has finished, on disk after each file, so that a killed one goes on where it was."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from shelfcheck.errors import UsageError
from shelfcheck.export.rows import SIDES
from shelfcheck.sources.label_map import LABEL_MAP

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from shelfcheck.graph.folder import Folder

MANIFEST: Final = "manifest.json"
PARTIAL: Final = "export.partial.json"


@dataclass(frozen=True)
class ExportedFile:
    """One written file: its name relative to the output, its side, rows, bytes as it stands, and SHA-256."""

    name: str
    side: str
    rows: int
    bytes: int
    sha256: str


@dataclass
class Journal:
    """The files of an export.

    Attributes:
        folder: where they go.
        described: what makes their bytes, with a `fingerprint` of it.
        counts: rows, labels and what is left out, once they are known.
        files: those that are finished.
        whole: whether an earlier export of the same stands finished; its counts and files are then here.
    """

    folder: Folder
    described: dict[str, Any]
    counts: dict[str, Any] = field(default_factory=dict)
    files: list[ExportedFile] = field(default_factory=list)
    whole: bool = False

    @classmethod
    def open(cls, folder: Folder, described: dict[str, Any], *, force: bool) -> Journal:
        """See what stands in a folder.

        Args:
            folder: new, empty, or of an earlier export.
            described: of the export that is wanted.
            force: keep nothing of an earlier one.

        Raises:
            UsageError: the folder holds files that no export wrote.
        """
        names = folder.names()
        told = folder.read_text(PARTIAL) or folder.read_text(MANIFEST)
        earlier = None if told is None else _parsed(told, described["format"])
        own = {PARTIAL, MANIFEST, LABEL_MAP}
        foreign = {name for name in names if name not in own and name.partition("/")[0] not in SIDES}
        if foreign or (names and earlier is None):
            example = min(foreign or names)
            raise UsageError(
                f"{folder}: holds files that are not of an export, such as {example}. Choose an empty folder."
            )
        journal = cls(folder, described)
        if force or earlier is None or earlier["fingerprint"] != described["fingerprint"]:
            return journal
        broken: set[str] = set()
        for one in (ExportedFile(**values) for values in earlier["files"]):
            if one.side not in broken and folder.size(one.name) == one.bytes:
                journal.files.append(one)
            else:  # files of a side follow one another: those after a missing one are written again
                broken.add(one.side)
        needed = {MANIFEST, LABEL_MAP} if described["options"]["labels"] == "numbers" else {MANIFEST}
        if not broken and PARTIAL not in names and needed <= names:
            journal.counts = {name: earlier[name] for name in ("rows", "left_out", "labels")}
            journal.whole = True
        return journal

    def begin(self, counts: Mapping[str, Any]) -> None:
        """Say whose folder this is, then remove what is no part of the export, the manifest first."""
        self.counts = dict(counts)
        self.folder.write_text(PARTIAL, self.text())
        keep = {PARTIAL, *(one.name for one in self.files)}
        for name in sorted(self.folder.names() - keep, key=lambda name: (name != MANIFEST, name)):
            self.folder.remove(name)

    def add(self, path: Path, name: str, side: str, rows: int) -> None:
        """Put a finished file in its place."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = path.stat().st_size
        self.folder.put(path, name)
        self.files.append(ExportedFile(name, side, rows, size, digest))
        self.folder.write_text(PARTIAL, self.text())

    def end(self, label_map: str | None) -> None:
        """All files are there: write the label map, where labels are numbers, and the manifest."""
        if label_map is not None:
            self.folder.write_text(LABEL_MAP, label_map)
        self.folder.write_text(MANIFEST, self.text())
        self.folder.remove(PARTIAL)

    def ordered(self) -> tuple[ExportedFile, ...]:
        """The files by side and name."""
        return tuple(sorted(self.files, key=lambda one: (SIDES.index(one.side), one.name)))

    def text(self) -> str:
        """The manifest as it stands; no time, so that it is the same bytes, too."""
        told = self.described | self.counts | {"files": [asdict(one) for one in self.ordered()]}
        return json.dumps(told, indent=2, ensure_ascii=False) + "\n"


def _parsed(text: str, known: int) -> dict[str, Any] | None:
    try:
        values = json.loads(text)
    except json.JSONDecodeError:
        return None
    own = (
        isinstance(values, dict) and values.get("format") == known and {"form", "fingerprint"} <= set(values)
    )
    return values if own else None
