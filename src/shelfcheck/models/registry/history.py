"""The history of a registry: a line a change, appended to and never rewritten."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shelfcheck.workspace import utc_now

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Change:
    """A line of the history.

    Attributes:
        when: ISO 8601, UTC.
        what: `register`, `promote`, `rollback`, or `undone`: the change before it was never completed.
        alias: the alias that was changed; None for a registration.
        before: the version that the alias named before.
        after: the version that it names now, or that was registered; None where it names none.
        who: the user's name.
    """

    when: str
    what: str
    alias: str | None
    before: str | None
    after: str | None
    who: str


def read(path: Path) -> list[Change]:
    """All changes, oldest first; a line that a killed process left half-written is passed over."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []
    names = ("when", "what", "alias", "from", "to", "who")
    changes = []
    for line in lines:
        try:
            values = json.loads(line)
            changes.append(Change(*(values[name] for name in names)))
        except (ValueError, KeyError, TypeError):
            continue
    return changes


def append(path: Path, what: str, alias: str | None, before: str | None, after: str | None) -> None:
    """Add a change, on disk when this returns."""
    line = {
        "when": utc_now(),
        "what": what,
        "alias": alias,
        "from": before,
        "to": after,
        "who": os.environ.get("USER", "unknown"),
    }
    text = json.dumps(line, ensure_ascii=False) + "\n"
    with path.open("a+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            if file.read(1) != b"\n":  # a killed process left half a line
                text = "\n" + text
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def past(changes: list[Change], alias: str) -> list[str]:
    """The versions that an alias named, oldest first, without those that were rolled back from."""
    done: list[Change] = []
    for change in changes:
        if change.alias == alias and change.what == "undone":
            del done[-1:]
        elif change.alias == alias:
            done.append(change)
    named: list[str] = []
    for change in done:
        if change.what == "rollback":
            del named[-1:]
        elif change.after is not None:
            named.append(change.after)
    return named
