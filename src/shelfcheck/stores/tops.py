"""Copies at the top of a workspace, where people look first: `report.html` and the like."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from shelfcheck.stores.lease import LEASE
from shelfcheck.stores.store import ANY
from shelfcheck.stores.transfer import upload

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from shelfcheck.stores.store import Store

_RECORD: Final = ".tops.json"


class Tops:
    """The files at the top of a store, and of what each is a copy.

    Args:
        store: the workspace's.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._there: set[str] = set()
        self._copies: dict[str, str] | None = None

    def __contains__(self, name: str) -> bool:
        return name in self._there

    def look(self, names: Iterable[str]) -> None:
        """Learn what is there from the names of all objects."""
        self._there = {name for name in names if "/" not in name and name != LEASE}

    def forget(self) -> None:
        """Ask anew what the copies are of; somebody else may have changed it."""
        self._copies = None

    def digest(self, name: str) -> str | None:
        """SHA-256 of what a file is a copy of; None where that is not known."""
        return self._recorded().get(name)

    def put(self, file: Path, name: str, digest: str) -> None:
        """Put a copy there."""
        upload(self._store, [(file, name)])
        self._there.add(name)
        self._record(self._recorded() | {name: digest})

    def remove(self, name: str) -> None:
        """Remove one, if it is there."""
        if name in self._there:
            self._store.delete([name])
            self._there.discard(name)
            self._record({other: digest for other, digest in self._recorded().items() if other != name})

    def _recorded(self) -> dict[str, str]:
        """Asked for once, until `forget`."""
        if self._copies is None:
            found = self._store.get(_RECORD)
            try:
                values = {} if found is None else json.loads(found.data)
            except ValueError:
                values = {}
            self._copies = values if isinstance(values, dict) else {}
        return self._copies

    def _record(self, copies: dict[str, str]) -> None:
        self._copies = copies
        self._store.put(_RECORD, (json.dumps(dict(sorted(copies.items())), indent=2) + "\n").encode(), ANY)
