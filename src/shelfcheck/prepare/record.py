"""What `prepare` read: each source with its rows, in the order in which they came; kept beside the reviews.

By it a later run tells which sources are new, which have changed and which are gone. It is plain JSON and
imports nothing heavy: `shelfcheck run --dry-run` and `shelfcheck status` read it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shelfcheck.errors import WorkspaceError
from shelfcheck.prepare.summary import Tally

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shelfcheck.sources import Source

RECORD_FILE: Final = "sources.json"
_FORMAT: Final = 1
_NAMED: Final = 3  # files that a sentence names


@dataclass(frozen=True)
class ReadSource:
    """A source that was read.

    Attributes:
        path: as rejected rows name it.
        identity: of `identity`; another when the source has changed.
        bytes: of the file; 0 where unknown.
        rows: that were staged, which its keys' places count.
        read, kept, filtered, rejected: what became of its rows, as in the summary.
    """

    path: str
    identity: str
    bytes: int
    rows: int
    read: int
    kept: int
    filtered: dict[str, int]
    rejected: dict[str, int]

    @classmethod
    def of(cls, source: Source, rows: int, tally: Tally) -> ReadSource:
        """What is kept of a source that was read now."""
        return cls(
            source.path,
            identity(source),
            source.size,
            rows,
            tally.read,
            tally.kept,
            dict(sorted((rule, n) for rule, n in tally.filtered.items() if n)),
            dict(sorted(tally.rejected.items())),
        )

    def tally(self) -> Tally:
        """Its counts, to go on counting with."""
        return Tally(self.read, self.kept, Counter(self.filtered), Counter(self.rejected))


@dataclass(frozen=True)
class Record:
    """Everything that stands in prepared reviews, and where it came from.

    Attributes:
        sources: in the order in which they came: those of earlier runs first. A source's place in it is the
            number by which keys name it.
        keys: names of the files in `keys/`, one for each run that added; none where they were not kept.
        extends: fingerprints of the prepared reviews that these were added to, one run after another, since
            all was read.
        new: sources that this run added, the last ones; 0 where all were read.
        added: files of reviews that hold rows which those did not, and the first such row of each.
        anew: why all was read although there were prepared reviews; empty where that is not so.
    """

    sources: tuple[ReadSource, ...]
    keys: tuple[str, ...] = ()
    extends: tuple[str, ...] = ()
    new: int = 0
    added: dict[str, int] = field(default_factory=dict)
    anew: str = ""

    def to_json(self) -> str:
        """The record as JSON."""
        return json.dumps({"format": _FORMAT, **asdict(self)}, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str = RECORD_FILE) -> Record:
        """Read what `to_json` wrote.

        Raises:
            WorkspaceError: it is no record, or one of another format.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            written_as = values.pop("format")
            if written_as == _FORMAT:
                values["sources"] = tuple(ReadSource(**source) for source in values["sources"])
                values["keys"], values["extends"] = tuple(values["keys"]), tuple(values["extends"])
                return cls(**values)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise WorkspaceError(
                f"{where}: does not tell what was read ({type(error).__name__}: {error}). "
                "Remove the file: all files are then read again."
            ) from error
        raise WorkspaceError(
            f"{where}: its format is {written_as!r}, not {_FORMAT}: of another version of Shelfcheck. "
            "Remove the file: all files are then read again."
        )


@dataclass(frozen=True)
class Changes:
    """The files of a run beside those that prepared reviews were made from; paths, each in order.

    Attributes:
        same: read before, and unchanged.
        new: not read before.
        changed: read before; their size, time of change or metadata is another now.
        gone: read before, and not named now.
        new_bytes: of the new files; 0 where unknown.
        new_rows: an estimate of the new files' rows, from those of the others; None where there is none.
    """

    same: tuple[str, ...]
    new: tuple[str, ...]
    changed: tuple[str, ...]
    gone: tuple[str, ...]
    new_bytes: int
    new_rows: int | None

    @property
    def only_new(self) -> bool:
        """Whether all that was read before still stands."""
        return not (self.changed or self.gone)

    def why_anew(self) -> str:
        """One sentence on why what was prepared cannot be added to; empty where it can."""
        told = []
        for paths, one, many in (
            (self.changed, "a file has changed", "files have changed"),
            (self.gone, "a file is no longer there", "files are no longer there"),
        ):
            if paths:
                names = ", ".join(Path(path).name for path in paths[:_NAMED])
                more = ", ..." if len(paths) > _NAMED else ""
                told.append(f"{one if len(paths) == 1 else f'{len(paths):,} {many}'}: {names}{more}")
        return "; ".join(told)


def identity(source: Source) -> str:
    """A hash of all that makes a source give the rows that it gives, but for the settings of the stage."""
    values = (
        source.path,
        source.format,
        source.fingerprint,
        source.category,
        source.marketplace,
        source.metadata,
        source.report_metadata,
        source.label_map,
        source.problem,
        source.row_groups,
    )
    text = json.dumps(values, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def read_record(prepared_dir: str | Path) -> Record | None:
    """The record that `prepare` left; None where an earlier version left none.

    Raises:
        WorkspaceError: the file is no record.
    """
    path = Path(prepared_dir) / RECORD_FILE
    if not path.is_file():
        return None
    return Record.from_json(path.read_text(encoding="utf-8"), str(path))


def compare(record: Record, sources: Sequence[Source]) -> Changes:
    """What is new, changed and gone."""
    before = {source.path: source.identity for source in record.sources}
    paths = {source.path for source in sources}
    new = [source for source in sources if source.path not in before]
    known = [source for source in sources if source.path in before]
    same = {source.path for source in known if identity(source) == before[source.path]}
    size = sum(source.size for source in new)
    return Changes(
        same=tuple(source.path for source in known if source.path in same),
        new=tuple(source.path for source in new),
        changed=tuple(source.path for source in known if source.path not in same),
        gone=tuple(path for path in before if path not in paths),
        new_bytes=size,
        new_rows=_estimate(record, size) if all(source.size for source in new) else None,
    )


def _estimate(record: Record, size: int) -> int | None:
    known = sum(source.bytes for source in record.sources)
    return round(size * sum(source.read for source in record.sources) / known) if known else None


def in_order_of_arrival(record: Record | None, sources: Sequence[Source]) -> list[Source]:
    """Sources in the order in which their rows stand in a month: those of earlier runs first.

    Args:
        record: of the earlier runs; None where there is none.
        sources: in the order in which a run that reads all of them does.

    Returns:
        The sources as they came, where all that were read before are among them; else as they are.
    """
    by_path: Mapping[str, Source] = {source.path: source for source in sources}
    if record is None or len(by_path) < len(sources) or not compare(record, sources).only_new:
        return list(sources)
    before = {source.path for source in record.sources}
    if len(before) < len(record.sources):
        return list(sources)
    return [by_path[source.path] for source in record.sources] + [
        source for source in sources if source.path not in before
    ]
