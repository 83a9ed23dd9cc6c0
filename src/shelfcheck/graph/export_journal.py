"""What an export has finished: on disk after each file, so that a killed export is gone on with."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from shelfcheck.errors import UsageError
from shelfcheck.graph.property_graph import PREDICTED_KIND, NodeKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shelfcheck.graph.folder import Folder
    from shelfcheck.graph.property_graph import Table
    from shelfcheck.graph.store import Graph

MANIFEST: Final = "manifest.json"
PARTIAL: Final = "export.partial.json"
DATA: Final = "data"
_FORMAT: Final = 1


@dataclass(frozen=True)
class ExportedFile:
    """One written file.

    Attributes:
        name: relative to the output folder.
        table: the table that its rows are of.
        rows: how many; 0 for a file that holds a header alone.
        bytes: as it stands, compressed or not.
        sha256: of these bytes.
    """

    name: str
    table: str
    rows: int
    bytes: int
    sha256: str


class Journal:
    """The files that are finished.

    Args:
        folder: where they are.
        target: the form of the export.
        found: every table of the graph that is exported, in the order of a load.
        fingerprints: table -> what its files are made of.
        kept: files of an earlier export that stay.
    """

    def __init__(
        self,
        folder: Folder,
        target: str,
        found: Sequence[Table],
        fingerprints: dict[str, str],
        kept: Sequence[ExportedFile],
    ) -> None:
        self._folder = folder
        self._target = target
        self._tables = found
        self._fingerprints = fingerprints
        self._files = list(kept)

    @property
    def complete(self) -> bool:
        """Whether every row of every table is in a file."""
        rows = {table.name: sum(one.rows for one in self.files_of(table)) for table in self._tables}
        return all(rows[table.name] == table.rows for table in self._tables)

    def files_of(self, table: Table) -> list[ExportedFile]:
        """The files of a table, in the order of its rows."""
        return [one for one in self._files if one.table == table.name]

    def begin(self) -> None:
        """Say whose folder this is, then remove what is no part of the export."""
        self._folder.write_text(PARTIAL, self.text())
        keep = {PARTIAL, *(one.name for one in self._files)}
        for name in sorted(self._folder.names() - keep, key=lambda name: (name != MANIFEST, name)):
            self._folder.remove(name)

    def add(self, files: Sequence[ExportedFile]) -> None:
        """Note files that are finished, and whole in the folder."""
        self._files += files
        self._folder.write_text(PARTIAL, self.text())

    def end(self) -> None:
        """Say that the export is whole."""
        self._folder.write_text(MANIFEST, self.text())
        self._folder.remove(PARTIAL)

    def text(self) -> str:
        """What the export's manifest says of the files so far; no time, so that it is the same bytes, too."""
        rows = {
            table.name: {"rows": table.rows, "fingerprint": self._fingerprints[table.name]}
            for table in self._tables
        }
        files = self.ordered()
        told: dict[str, Any] = {"format": _FORMAT, "target": self._target, "tables": rows}
        if self._target == "neo4j":
            told["neo4j_admin"] = _neo4j_admin(self._tables, files)
        told["files"] = [asdict(one) for one in files]
        return json.dumps(told, indent=2, ensure_ascii=False) + "\n"

    def ordered(self) -> list[ExportedFile]:
        """Every file, in the order of a load."""
        order = {table.name: number for number, table in enumerate(self._tables)}
        return sorted(self._files, key=lambda one: (order[one.table], one.rows > 0, one.name))


def fingerprint(table: Table, graph: Graph, options: str) -> str:
    """What the files of a table are made of."""
    content = table.path.parent.name[:12] if table.kind is PREDICTED_KIND else graph.manifest.fingerprint
    return hashlib.sha256(f"{_FORMAT} {options} {table.name} {table.rows} {content}".encode()).hexdigest()


def reusable(folder: Folder, fingerprints: dict[str, str]) -> list[ExportedFile]:
    """Files of an earlier export, finished or killed, that this one would write again byte for byte.

    Raises:
        UsageError: the folder holds files that no export wrote.
    """
    names = folder.names()
    told = folder.read_text(PARTIAL) or folder.read_text(MANIFEST)
    earlier = _parsed(told) if told is not None else None
    foreign = {name for name in names if name not in {PARTIAL, MANIFEST} and not name.startswith(f"{DATA}/")}
    if foreign or (names and earlier is None):
        example = min(foreign or names)
        raise UsageError(
            f"{folder}: holds files that are not of an export, such as {example}. Choose an empty folder."
        )
    kept: list[ExportedFile] = []
    broken: set[str] = set()
    for one in (ExportedFile(**values) for values in (earlier or {}).get("files", [])):
        same = (earlier or {})["tables"][one.table]["fingerprint"] == fingerprints.get(one.table)
        if same and one.table not in broken and folder.size(one.name) == one.bytes:
            kept.append(one)
        else:  # files of a table follow one another: those after a missing one are written again
            broken.add(one.table)
    return kept


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        values = json.loads(text)
    except json.JSONDecodeError:
        return None
    return values if isinstance(values, dict) and values.get("format") == _FORMAT else None


def _neo4j_admin(found: Sequence[Table], files: Sequence[ExportedFile]) -> list[str]:
    """Arguments of `neo4j-admin database import full`, to be run in the output folder."""
    told = []
    for table in found:
        names = ",".join(one.name for one in files if one.table == table.name)
        option = "nodes" if isinstance(table.kind, NodeKind) else "relationships"
        told.append(f"--{option}={names}")
    return told
