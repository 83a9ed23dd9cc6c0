"""Where tasks leave files for other tasks and for the driver: a folder that all reach, or an object store.

A task may run several times, even at a time. It names its files anew each time, and tells the driver the
names: a file counts when the report that names it does.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from shelfcheck.engines import executor
from shelfcheck.stores import open_store
from shelfcheck.urls import is_store, local_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shelfcheck.config import SparkSettings
    from shelfcheck.stores import Store


class Exchange:
    """A place for files by name; goes to executors as the text that it is.

    Args:
        place: a folder, or the URL of one in an object store.
    """

    def __init__(self, place: str | Path) -> None:
        self._url = str(place).rstrip("/") if is_store(str(place)) else None
        self._folder = None if self._url else Path(local_path(str(place))).resolve()

    @classmethod
    def of(cls, settings: SparkSettings, staging: Path, what: str) -> Exchange:
        """A place of this run's own: below `spark.exchange`, or else `staging`, which is not there yet."""
        if settings.exchange is None:
            return cls(staging)
        return cls(f"{settings.exchange.rstrip('/')}/{what}-{uuid.uuid4().hex[:8]}")

    def __str__(self) -> str:
        return self._url or str(self._folder)

    def make(self) -> None:
        """Make the place; called by the driver."""
        if self._folder is not None:
            executor.mark(self._folder)

    def begin(self) -> None:
        """Begin a task; see `executor.begin`."""
        executor.begin(self._folder)

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """A path to write a file to; the file is there, whole, when the block has ended well."""
        if self._folder is not None:
            yield self._folder / name
            return
        with tempfile.TemporaryDirectory(prefix="shelfcheck-") as scratch:
            path = Path(scratch) / name
            yield path
            for job in self._store().upload_jobs(path, name):
                job()

    @contextmanager
    def reading(self, name: str) -> Iterator[pa.NativeFile]:
        """A file to read from, at any place of it."""
        if self._folder is not None:
            with pa.OSFile(str(self._folder / name)) as file:
                yield file
        else:
            with self._store().open(name) as raw, pa.PythonFile(raw, mode="r") as file:
                yield file

    @contextmanager
    def at_hand(self, name: str) -> Iterator[Path]:
        """A path to read a file from, or to map it; brought from the store for as long as the block lasts."""
        if self._folder is not None:
            yield self._folder / name
            return
        with tempfile.TemporaryDirectory(prefix="shelfcheck-") as scratch:
            path = Path(scratch) / name
            with self._store().open(name) as source, path.open("wb") as sink:
                shutil.copyfileobj(source, sink, 8 << 20)
            yield path

    def remove(self, name: str) -> None:
        """Remove a file that nobody reads any more; a failure to is no failure of the work."""
        if self._folder is not None:
            (self._folder / name).unlink(missing_ok=True)
        else:
            self._store().delete([name])

    def take(self, name: str, target: Path) -> None:
        """Move a file to the driver's disk."""
        if self._folder is not None:
            shutil.move(self._folder / name, target)  # renamed, or copied from another disk
            return
        with self._store().open(name) as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink, 8 << 20)

    def clear(self) -> None:
        """Remove the place and all that is there; a failure to is no failure of the work."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        else:
            store = self._store()
            store.delete(list(store.listing()))

    def _store(self) -> Store:
        return _opened(str(self._url))


_opened = lru_cache(maxsize=4)(open_store)
