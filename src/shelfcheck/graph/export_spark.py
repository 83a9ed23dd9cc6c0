"""Writes a graph's files on Spark: the same bytes as on one machine, several files at a time.

Where a file ends follows from the bytes of its lines. So tasks first tell the bytes of each batch of rows;
then the driver knows which batches a file holds, and a task writes it. Lines are made twice, and none of them
passes through Java. A task that runs twice writes the same bytes under the same name.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from shelfcheck.engines.executor import begin, check_reach, mark
from shelfcheck.errors import WorkspaceError
from shelfcheck.graph.export_files import Made, copied, header_file, put, remaining
from shelfcheck.graph.export_journal import ExportedFile
from shelfcheck.graph.folder import Folder
from shelfcheck.graph.property_graph import BATCH_ROWS, Table
from shelfcheck.gzipped import written
from shelfcheck.interrupts import deferred

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from shelfcheck.config import SparkSettings
    from shelfcheck.engines.spark import Spark
    from shelfcheck.graph.export_files import Files
    from shelfcheck.graph.export_journal import Journal
    from shelfcheck.progress import Progress

_SPAN: Final = 64  # batches that a task tells the bytes of: about a million rows
_HEADER: Final = -1  # number of the file that holds a header alone
_ROUND: Final = 4  # files for each slot between two notes in the journal
_TOLD: Final = pa.schema([("task", pa.int64()), ("told", pa.string())])


@dataclass(frozen=True)
class _File:
    """A file to write: the batches of a table from `first` to before `last`; a copy or a header has none."""

    table: Table
    number: int = 0
    first: int = 0
    last: int = 0


def write_on_spark(
    tables: Sequence[Table],
    journal: Journal,
    folder: Folder,
    files: Files,
    settings: SparkSettings,
    *,
    progress: Progress,
) -> None:
    """Write the files that a journal lacks.

    Args:
        tables: of the graph, in the order of a load; all executors must reach them.
        journal: what is finished; told after every few files.
        folder: the output: in a store, or one that all executors reach.
        files: what they are.
        settings: of Spark.
        progress: told the tasks.

    Raises:
        SparkError: Spark does not start, or a task failed for good.
        WorkspaceError: executors do not reach the graph or the output.
    """
    with deferred():
        from shelfcheck.engines.spark import Spark  # noqa: PLC0415 - loads PySpark
    with folder.spool() as spool, Spark(settings, progress) as spark:
        shared = spool / "tasks" if folder.is_local else None
        if shared is not None:
            mark(shared)
            check_reach(spark, shared)
        if files.form is None:
            lacking = [_File(table) for table in tables if not journal.files_of(table)]
        else:
            lacking = _planned(spark, tables, journal, files, shared)
        size = _ROUND * spark.slots
        rounds = [lacking[at : at + size] for at in range(0, len(lacking), size)]
        write = _writer(folder.place, shared, files)
        for number, own in enumerate(rounds, 1):
            told = _told(spark, own, write, f"Writing files, round {number} of {len(rounds)}")
            journal.add([ExportedFile(**one) for one in told])


def _planned(
    spark: Spark, tables: Sequence[Table], journal: Journal, files: Files, shared: Path | None
) -> list[_File]:
    """The files of lines that are missing, in the order of their rows."""
    spans = []
    for table in tables:
        skip, _ = remaining(journal.files_of(table))
        ends = [*range(skip, -(-table.rows // BATCH_ROWS), _SPAN), -(-table.rows // BATCH_ROWS)]
        spans += [_File(table, 0, first, last) for first, last in pairwise(ends)]

    def sizes(span: _File) -> list[int]:
        begin(shared)
        return [len(files.lines(span.table, batch)) for batch in _batches(span)]

    found: dict[str, list[int]] = {table.name: [] for table in tables}
    for span, told in zip(spans, _told(spark, spans, sizes, "Sizing files"), strict=True):
        found[span.table.name] += told
    lacking = []
    for table in tables:
        done = journal.files_of(table)
        if files.form == "neo4j" and not done:
            lacking.append(_File(table, _HEADER))
        lacking += _ends(table, files, done, found[table.name])
    return lacking


def _ends(table: Table, files: Files, done: Sequence[ExportedFile], sizes: Sequence[int]) -> Iterator[_File]:
    """Where files end, by the bytes of each batch that is left, as `export_files.missing` ends them."""
    first, number = remaining(done)
    head = len(files.head(table))
    size, last = head, first
    for own in sizes:
        if files.full(size, last - first):
            yield _File(table, number, first, last)
            size, first, number = head, last, number + 1
        size += own
        last += 1
    if last > first:
        yield _File(table, number, first, last)


def _writer(place: str, shared: Path | None, files: Files) -> Callable[[_File], dict[str, Any]]:
    """What a task does: writes a file and describes it."""

    def write(file: _File) -> dict[str, Any]:
        begin(shared)
        folder = Folder(place)
        with folder.scratch(shared) as scratch:
            made = _made(file, files, scratch / uuid.uuid4().hex)
            return asdict(put(made, file.table, folder))

    return write


def _made(file: _File, files: Files, path: Path) -> Made:
    if files.form is None:
        _reached(file.table)
        return copied(file.table, path)
    if file.number == _HEADER:
        return header_file(file.table, path)
    rows = 0
    with written(path, compress=files.compress) as sink:
        sink.write(files.head(file.table))
        for batch in _batches(file):
            sink.write(files.lines(file.table, batch))
            rows += batch.num_rows
    return Made(path, files.name(file.table, file.number), rows)


def _batches(file: _File) -> Iterator[pa.RecordBatch]:
    _reached(file.table)
    return file.table.batches(file.first, file.last - file.first)


def _reached(table: Table) -> None:
    if not table.path.exists():
        raise WorkspaceError(
            f"{table.path}: this executor does not reach it, or the graph was built again meanwhile. On a "
            "cluster, the workspace must be on storage that all machines share; see "
            "docs/how-to/run-on-spark.md."
        )


def _told(spark: Spark, files: Sequence[_File], work: Callable[[_File], Any], label: str) -> list[Any]:
    """Run `work` of each file, a task each; what it returns, plain data, in the order of the files."""
    if not files:
        return []
    sent = spark.broadcast(tuple(files))

    def one(number: int) -> Iterator[pa.RecordBatch]:
        told = json.dumps(work(sent.value[number]))
        yield pa.record_batch([pa.array([number]), pa.array([told])], schema=_TOLD)

    told = spark.collect(spark.each(len(files), one, _TOLD), label, len(files))
    return [json.loads(text) for text in told.sort_by("task")["told"].to_pylist()]
