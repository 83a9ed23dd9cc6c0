"""Files that are no artefact's: single ones that are replaced, and folders of them; mirrored locally."""

from __future__ import annotations

import contextlib
import fnmatch
import json
import uuid
from typing import TYPE_CHECKING, Any, Final

from shelfcheck.stores.errors import ChangedError
from shelfcheck.stores.lease import LEASE
from shelfcheck.stores.store import ANY
from shelfcheck.stores.transfer import StoredFile, download, upload

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shelfcheck.progress import Progress
    from shelfcheck.stores.store import Store

_SYNCED: Final = ".synced"


class LooseFiles:
    """Brings files from a store into a mirror and back.

    Args:
        store: a folder of a store.
        root: the folder of the local disk that mirrors it.
    """

    def __init__(self, store: Store, root: Path) -> None:
        self._store, self._root = store, root
        self._tags: dict[str, str | None] = {}

    def file(self, name: str) -> Path:
        """A file as it stands in the store now; not there where it is not there."""
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        found = self._store.get(name)
        self._tags[name] = None if found is None else found.tag
        if found is None:
            path.unlink(missing_ok=True)
            return path
        with contextlib.suppress(OSError):
            if path.read_bytes() == found.data:
                return path
        _replace(path, found.data)
        return path

    def wrote(self, name: str) -> None:
        """Put a file into the store that was written in the mirror.

        Raises:
            ChangedError: another has written it since `file` was asked for it.
        """
        data = (self._root / name).read_bytes()
        self._tags[name] = self._store.put(name, data, self._tags.get(name, ANY))

    def fetch(self, folder: str, only: Sequence[str] = (), *, ours: bool = False, anew: bool = False) -> Path:
        """Make a folder of the mirror what it is in the store.

        Args:
            folder: its name; empty for all.
            only: patterns of the files wanted, relative to it; all when empty.
            ours: leave what was written here since `keep`, unless it was written elsewhere, too.
            anew: fetch what is here already, too.
        """
        home = self._root / folder if folder else self._root
        prefix = f"{folder}/" if folder else ""
        found = {
            name.removeprefix(prefix): entry
            for name, entry in self._store.listing(prefix).items()
            if _wanted(name.removeprefix(prefix), only)
        }
        synced = self._synced(folder)
        local = {name: home / name for name in _files(home) if _wanted(name, only)}
        missing = [
            StoredFile(name, entry.size)
            for name, entry in found.items()
            if anew
            or name not in local
            or synced.get(name, [None])[0] != entry.tag
            or (not ours and synced[name][1:] != _state(local[name]))
        ]
        if ours and missing:  # written elsewhere: all of it is replaced, for its files belong together
            missing = [StoredFile(name, entry.size) for name, entry in found.items()]
            for path in local.values():
                path.unlink(missing_ok=True)
        elif not ours:
            for name in sorted(set(local) - set(found)):
                local[name].unlink(missing_ok=True)
        if missing:
            download(self._store, prefix, missing, home)
            synced |= {one.path: [found[one.path].tag, *_state(home / one.path)] for one in missing}
            self._note(folder, synced)
        return home

    def keep(self, folder: str, last: str | None, progress: Progress) -> None:
        """Make a folder of the store what it is in the mirror.

        Args:
            folder: its name; empty for all.
            last: a file that is written after all others and must not be there yet: it tells that they are.
            progress: told the bytes.

        Raises:
            ChangedError: `last` is there already.
        """
        home = self._root / folder if folder else self._root
        prefix = f"{folder}/" if folder else ""
        there = {name.removeprefix(prefix): entry for name, entry in self._store.listing(prefix).items()}
        synced = {} if last is not None else self._synced(folder)
        local = _files(home)
        if last is not None and last in there:
            raise ChangedError(
                f"{self._store.where(prefix + last)}: another process has written it meanwhile."
            )
        self._store.delete([f"{prefix}{name}" for name in there if name not in local and name != LEASE])
        changed = [
            name
            for name in local
            if name != last
            and (name not in there or synced.get(name, [None, None])[1:] != _state(home / name))
        ]
        upload(
            self._store,
            [(home / name, f"{prefix}{name}") for name in changed],
            progress,
            f"Uploading {folder}",
        )
        if last is not None:
            self._store.put(f"{prefix}{last}", (home / last).read_bytes(), None)
        tags = {name.removeprefix(prefix): entry.tag for name, entry in self._store.listing(prefix).items()}
        self._note(folder, {name: [tags.get(name), *_state(home / name)] for name in local})

    def _synced(self, folder: str) -> dict[str, Any]:
        """Name -> the tag, size and time of a file when it was last the same here and there."""
        try:
            values = json.loads(self._record(folder).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return values if isinstance(values, dict) else {}

    def _note(self, folder: str, synced: dict[str, Any]) -> None:
        record = self._record(folder)
        record.parent.mkdir(parents=True, exist_ok=True)
        _replace(record, json.dumps(synced).encode())

    def _record(self, folder: str) -> Path:
        return self._root / _SYNCED / f"{folder.replace('/', '%2F')}.json"


def _wanted(name: str, only: Sequence[str]) -> bool:
    if any(part.startswith(".") for part in name.split("/")):
        return False
    return not only or any(fnmatch.fnmatch(name, pattern) for pattern in only)


def _files(home: Path) -> list[str]:
    """Every file below a folder, relative to it, but for hidden ones."""
    found = (path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file())
    return sorted(name for name in found if not any(part.startswith(".") for part in name.split("/")))


def _state(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def _replace(path: Path, data: bytes) -> None:
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        aside.write_bytes(data)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
