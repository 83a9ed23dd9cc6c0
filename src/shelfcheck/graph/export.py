"""Writes a graph as files that a graph database loads, so that a killed export goes on where it was.

    OUTPUT/data/NAME-00000.csv[.gz]    what the loader is pointed at: nothing else is below data/
    OUTPUT/manifest.json               every file with its rows, bytes and SHA-256; written last
    OUTPUT/export.partial.json         the same while the export is going on

The same graph and options give the same bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast, get_args

from shelfcheck.errors import UsageError
from shelfcheck.graph import csv_forms
from shelfcheck.graph.folder import Folder
from shelfcheck.graph.property_graph import BATCH_ROWS, PREDICTED_KIND, NodeKind, Table, tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from shelfcheck.graph.csv_forms import Form
    from shelfcheck.graph.store import Graph
    from shelfcheck.progress import Progress

Target: TypeAlias = Literal["neptune", "neo4j", "gremlin", "parquet"]
TARGETS: Final[tuple[str, ...]] = get_args(Target)
MANIFEST: Final = "manifest.json"
PARTIAL: Final = "export.partial.json"
DATA: Final = "data"
DEFAULT_MAX_BYTES: Final = 256 << 20
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


@dataclass(frozen=True)
class Export:
    """What an export wrote, or found written.

    Attributes:
        output: the folder.
        target: the form of its files.
        rows: table -> rows.
        files: every file, in the order of a load: nodes first.
        reused: how many of them stood there from an earlier export of the same tables.
    """

    output: str
    target: str
    rows: dict[str, int]
    files: tuple[ExportedFile, ...]
    reused: int = 0

    @property
    def data(self) -> str:
        """The prefix to point a loader at."""
        return f"{self.output}/{DATA}/"

    @property
    def fresh(self) -> bool:
        """Whether all of it was there already."""
        return self.reused == len(self.files)


def export_graph(
    graph: Graph,
    output: str | Path,
    target: Target,
    progress: Progress,
    *,
    models: Sequence[str] | None = None,
    compress: bool = False,
    max_bytes: int = DEFAULT_MAX_BYTES,
    force: bool = False,
) -> Export:
    """Write every table of a graph, one after another, in memory of a batch.

    Tables that have not changed since an earlier export to the same folder are not written again, nor
    are the files that an export had finished when it was killed.

    Args:
        graph: an opened graph.
        output: a folder, or a URL such as `s3://bucket/prefix`; new, empty or of an earlier export.
        target: `neptune` (openCypher CSV), `gremlin`, `neo4j` (neo4j-admin) or `parquet`.
        progress: told the rows.
        models: whose predictions to write; None writes those of all.
        compress: gzip each CSV file.
        max_bytes: a CSV file is closed once it holds as many bytes, before gzip.
        force: write what is there already, too.

    Raises:
        UsageError: the folder holds other files, or an option is wrong.
        FolderError: the folder cannot be written to.
    """
    if target not in TARGETS:
        raise UsageError(f"{target!r} is no form of export; choose one of {', '.join(TARGETS)}.")
    if max_bytes < 1:
        raise UsageError("A file must hold at least one byte: choose a larger size.")
    found = tables(graph, models)
    options = f"{_FORMAT} {target} {BATCH_ROWS} {compress} {max_bytes}"
    fingerprints = {table.name: _fingerprint(table, graph, options) for table in found}
    folder = Folder(output)
    kept = [] if force else _reusable(folder, fingerprints)
    journal = _Journal(folder, target, found, fingerprints, kept)
    if journal.complete and folder.read_text(MANIFEST) == journal.text():
        return journal.export(len(kept))
    journal.begin()
    progress.start(f"Exporting for {target}", sum(table.rows for table in found))
    with folder.spool() as spool:
        for table in found:
            done = journal.files_of(table)
            rows = sum(one.rows for one in done)
            progress.advance(rows)
            if target == "parquet":
                made: Iterable[_Made] = () if done else _copied(table, spool)
            else:
                made = _csv_files(table, target, spool, done, compress=compress, max_bytes=max_bytes)
            for one in made:
                progress.advance(one.rows)
                journal.add(one, table)
    progress.finish()
    journal.end()
    return journal.export(len(kept))


@dataclass(frozen=True)
class _Made:
    """A finished file of the spool, with the name that it shall have."""

    path: Path
    name: str
    rows: int


class _Journal:
    """The files that are finished; on disk after each, so that a killed export is gone on with."""

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
        rows = {table.name: sum(one.rows for one in self.files_of(table)) for table in self._tables}
        return all(rows[table.name] == table.rows for table in self._tables)

    def files_of(self, table: Table) -> list[ExportedFile]:
        return [one for one in self._files if one.table == table.name]

    def begin(self) -> None:
        """Say whose folder this is, then remove what is no part of the export."""
        self._folder.write_text(PARTIAL, self.text())
        keep = {PARTIAL, *(one.name for one in self._files)}
        for name in sorted(self._folder.names() - keep, key=lambda name: (name != MANIFEST, name)):
            self._folder.remove(name)

    def add(self, made: _Made, table: Table) -> None:
        digest, size = hashlib.sha256(), made.path.stat().st_size
        with made.path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        name = f"{DATA}/{made.name}"
        self._folder.put(made.path, name)
        self._files.append(ExportedFile(name, table.name, made.rows, size, digest.hexdigest()))
        self._folder.write_text(PARTIAL, self.text())

    def end(self) -> None:
        self._folder.write_text(MANIFEST, self.text())
        self._folder.remove(PARTIAL)

    def export(self, reused: int) -> Export:
        rows = {table.name: table.rows for table in self._tables}
        return Export(str(self._folder), self._target, rows, tuple(self._ordered()), reused)

    def text(self) -> str:
        """What the export's manifest says of the files so far; no time, so that it is the same bytes, too."""
        rows = {
            table.name: {"rows": table.rows, "fingerprint": self._fingerprints[table.name]}
            for table in self._tables
        }
        files = self._ordered()
        told: dict[str, Any] = {"format": _FORMAT, "target": self._target, "tables": rows}
        if self._target == "neo4j":
            told["neo4j_admin"] = _neo4j_admin(self._tables, files)
        told["files"] = [asdict(one) for one in files]
        return json.dumps(told, indent=2, ensure_ascii=False) + "\n"

    def _ordered(self) -> list[ExportedFile]:
        order = {table.name: number for number, table in enumerate(self._tables)}
        return sorted(self._files, key=lambda one: (order[one.table], one.rows > 0, one.name))


def _fingerprint(table: Table, graph: Graph, options: str) -> str:
    content = table.path.parent.name[:12] if table.kind is PREDICTED_KIND else graph.manifest.fingerprint
    return hashlib.sha256(f"{options} {table.name} {table.rows} {content}".encode()).hexdigest()


def _reusable(folder: Folder, fingerprints: dict[str, str]) -> list[ExportedFile]:
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


def _copied(table: Table, spool: Path) -> Iterator[_Made]:
    path = spool / "part"
    with table.opened() as source, path.open("wb") as copy:
        shutil.copyfileobj(source, copy)
    yield _Made(path, f"{table.name}.parquet", table.rows)


def _csv_files(
    table: Table,
    form: Form,
    spool: Path,
    done: Sequence[ExportedFile],
    *,
    compress: bool,
    max_bytes: int,
) -> Iterator[_Made]:
    """Write the files of a table that are missing; each must be used before the next is asked for."""
    path = spool / "part"
    header = f"{csv_forms.header(table.kind, form)}\r\n".encode()
    if form == "neo4j" and not done:  # neo4j-admin takes the header from a file of its own
        path.write_bytes(header)
        yield _Made(path, f"{table.name}-header.csv", 0)
    batches = table.batches(-(-sum(one.rows for one in done) // BATCH_ROWS))
    number = sum(1 for one in done if one.rows)
    batch = next(batches, None)
    while batch is not None:
        rows = size = 0
        with _opened(path, compress=compress) as file:
            if form != "neo4j":
                size += file.write(header)
            while batch is not None and (size < max_bytes or not rows):
                size += file.write(csv_forms.rows(table.kind, form, batch))
                rows += batch.num_rows
                batch = next(batches, None)
        yield _Made(path, f"{table.name}-{number:05d}.csv{'.gz' if compress else ''}", rows)
        number += 1


@contextmanager
def _opened(path: Path, *, compress: bool) -> Iterator[IO[bytes]]:
    with path.open("wb") as raw:
        if not compress:
            yield raw
            return
        # No name and no time in the header: the same rows give the same bytes.
        with gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as file:
            yield cast("IO[bytes]", file)


def _neo4j_admin(found: Sequence[Table], files: Sequence[ExportedFile]) -> list[str]:
    """Arguments of `neo4j-admin database import full`, to be run in the output folder."""
    told = []
    for table in found:
        names = ",".join(one.name for one in files if one.table == table.name)
        option = "nodes" if isinstance(table.kind, NodeKind) else "relationships"
        told.append(f"--{option}={names}")
    return told
