"""Writes a graph as files that a graph database loads, so that a killed export goes on where it was.

    OUTPUT/data/NAME-00000.csv[.gz]    what the loader is pointed at: nothing else is below data/
    OUTPUT/manifest.json               every file with its rows, bytes and SHA-256; written last
    OUTPUT/export.partial.json         the same while the export is going on

The same graph and options give the same bytes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from shelfcheck.errors import UsageError
from shelfcheck.graph.export_files import Files, missing, put
from shelfcheck.graph.export_journal import (
    DATA,
    MANIFEST,
    PARTIAL,
    ExportedFile,
    Journal,
    fingerprint,
    reusable,
)
from shelfcheck.graph.folder import Folder
from shelfcheck.graph.property_graph import BATCH_ROWS, tables

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shelfcheck.config import Settings
    from shelfcheck.graph.store import Graph
    from shelfcheck.progress import Progress

__all__ = ["DATA", "MANIFEST", "PARTIAL", "TARGETS", "Export", "ExportedFile", "Target", "export_graph"]

Target: TypeAlias = Literal["neptune", "neo4j", "gremlin", "parquet"]
TARGETS: Final[tuple[str, ...]] = get_args(Target)
DEFAULT_MAX_BYTES: Final = 256 << 20


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
    settings: Settings | None = None,
    *,
    models: Sequence[str] | None = None,
    compress: bool = False,
    max_bytes: int = DEFAULT_MAX_BYTES,
    force: bool = False,
) -> Export:
    """Write every table of a graph, in memory of a few batches; on Spark several files at a time.

    Tables that have not changed since an earlier export to the same folder are not written again, nor
    are the files that an export had finished when it was killed.

    Args:
        graph: an opened graph.
        output: a folder, or a URL such as `s3://bucket/prefix`; new, empty or of an earlier export.
        target: `neptune` (openCypher CSV), `gremlin`, `neo4j` (neo4j-admin) or `parquet`.
        progress: told the rows.
        settings: `run.threads` and `run.engine`, and of `spark`; None takes all threads of this machine.
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
    options = f"{target} {BATCH_ROWS} {compress} {max_bytes}"
    fingerprints = {table.name: fingerprint(table, graph, options) for table in found}
    folder = Folder(output)
    kept = [] if force else reusable(folder, fingerprints)
    journal = Journal(folder, target, found, fingerprints, kept)
    if not (journal.complete and folder.read_text(MANIFEST) == journal.text()):
        journal.begin()
        files = Files(None if target == "parquet" else target, compress, max_bytes)
        if settings is not None and settings.run.engine == "spark":
            from shelfcheck.graph.export_spark import write_on_spark  # noqa: PLC0415 - only there

            write_on_spark(found, journal, folder, files, settings.spark, progress=progress)
        else:
            threads = (0 if settings is None else settings.run.threads) or os.cpu_count() or 1
            progress.start(f"Exporting for {target}", sum(table.rows for table in found))
            with folder.spool() as spool:
                for table in found:
                    done = journal.files_of(table)
                    progress.advance(sum(one.rows for one in done))
                    for made in missing(table, files, spool / "part", done, threads):
                        progress.advance(made.rows)
                        journal.add([put(made, table, folder)])
            progress.finish()
        journal.end()
    rows = {table.name: table.rows for table in found}
    return Export(str(folder), target, rows, tuple(journal.ordered()), len(kept))
