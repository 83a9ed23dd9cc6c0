"""A lock between machines: one object that says who works here and until when, renewed all the while.

It keeps work from being done twice. Results are right without it too: what names an artefact is written on
the condition that nobody else has written it, and whoever lost the lease is told before that.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import logging
import os
import socket
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any, Final, Self

from shelfcheck.errors import WorkspaceError
from shelfcheck.stores.errors import ChangedError, StoreError

if TYPE_CHECKING:
    from types import TracebackType

    from shelfcheck.stores.store import Blob, Store

logger = logging.getLogger("shelfcheck.stores")

LEASE: Final = ".lease"
SECONDS: Final = 60.0  # that a lease holds without being renewed; renewed three times as often


class Lease:
    """Holds a folder of a store for writing; a context manager.

    Args:
        store: the folder. The lease sends its own requests, from a thread of its own.
        holder: names the mirror that works. A lease of the same holder is taken over at once: whoever asks
            holds the mirror's lock, so that the process that had it is dead.
        seconds: how long it holds without being renewed.
    """

    def __init__(self, store: Store, holder: str, seconds: float = SECONDS) -> None:
        self._store, self._holder, self._seconds = store, holder, seconds
        self._token = uuid.uuid4().hex
        self._tag = ""
        self._until = 0.0  # by this machine's monotonic clock
        self._lost: Exception | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="shelfcheck-lease", daemon=True)

    def __enter__(self) -> Self:
        found = self._store.get(LEASE)
        values = _values(found)
        if found is not None and values.get("token") and values.get("holder") != self._holder:
            left = self._left(found, values)
            if left > 0:
                raise self._taken(values, left)
        try:
            self._write(None if found is None else found.tag)
        except ChangedError as error:
            now = self._store.get(LEASE)
            raise self._taken(_values(now), self._seconds) from error
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._store.retrying.stop.set()
        self._thread.join()
        self._store.retrying.stop.clear()
        # What cannot be released runs out by itself.
        with contextlib.suppress(StoreError):
            if self._lost is None:
                self._store.put(LEASE, json.dumps({"token": None}).encode(), self._tag)

    def check(self) -> None:
        """Make sure that it holds.

        Raises:
            WorkspaceError: another took it over, or may have: the store could not be reached for so long.
        """
        if self._lost is None and time.monotonic() < self._until:
            return
        why = f": {self._lost}" if self._lost is not None else ": it could not be renewed in time"
        raise WorkspaceError(
            f"{self._store.url}: the lease on this workspace was lost{why}. Nothing was published after "
            "that. Run the same command again to go on."
        )

    def _keep(self) -> None:
        while not self._done.wait(self._seconds / 3):
            try:
                self._write(self._tag)
            except ChangedError as error:
                self._lost = error
                return
            except Exception as error:  # noqa: BLE001 - the next turn tries again, `check` tells if none works
                logger.info("%s: the lease could not be renewed: %s", self._store.url, error)

    def _write(self, expected: str | None) -> None:
        started = time.monotonic()
        told = {
            "token": self._token,
            "holder": self._holder,
            "who": f"{_user()}@{socket.gethostname()}, process {os.getpid()}",
            "seconds": self._seconds,
            "until": time.time() + self._seconds,
        }
        self._tag = self._store.put(LEASE, json.dumps(told).encode(), expected)
        self._until = started + self._seconds

    def _left(self, found: Blob, values: dict[str, Any]) -> float:
        """Seconds that a lease still holds, by the store's clock where it tells the age of an object."""
        if found.age is not None:
            return float(values.get("seconds", self._seconds)) - found.age
        return float(values.get("until", 0.0)) - time.time()

    def _taken(self, values: dict[str, Any], left: float) -> WorkspaceError:
        return WorkspaceError(
            f"{self._store.url}: another shelfcheck works in this workspace: {values.get('who', 'unknown')}. "
            "Wait for it, or use another --workspace. "
            f"If it is dead, its lease ends in {max(1, round(left))} s."
        )


def _values(found: Blob | None) -> dict[str, Any]:
    if found is None:
        return {}
    try:
        values = json.loads(found.data)
    except ValueError:  # whoever wrote that holds nothing
        return {}
    return values if isinstance(values, dict) else {}


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user in this container
        return "unknown"
