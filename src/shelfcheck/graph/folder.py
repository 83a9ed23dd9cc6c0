"""A folder to write to, on the local disk or in an object store: a file is there whole or not at all."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shelfcheck.errors import ShelfcheckError
from shelfcheck.stores import StoreError, open_store
from shelfcheck.stores.transfer import upload
from shelfcheck.urls import is_url, local_path
from shelfcheck.workspace import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator

_SPOOL: Final = ".tmp-export"


class FolderError(ShelfcheckError):
    """A folder cannot be listed or written to."""


class Folder:
    """A local folder, or a URL that fsspec knows, such as `s3://bucket/prefix`.

    Args:
        place: where it is; it need not exist.

    Raises:
        MissingExtraError: the client of the object store is not installed.
        StoreError: the store is unknown.
    """

    def __init__(self, place: str | Path) -> None:
        self.place = str(place).rstrip("/")
        self._local = Path(local_path(self.place))
        self._store = open_store(self.place) if is_url(self.place) else None

    def __str__(self) -> str:
        return self.place

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine, or of storage that machines share."""
        return self._store is None

    def names(self) -> set[str]:
        """Every file below it, relative, but for what an export that was killed left unfinished."""
        with self._told("listed"):
            if self._store is not None:
                return set(self._store.listing())
            files = (path for path in self._local.rglob("*") if path.is_file())
            found = {path.relative_to(self._local).as_posix() for path in files}
            return {name for name in found if not name.startswith(f"{_SPOOL}/")}

    def size(self, name: str) -> int | None:
        """Bytes of a file; None where there is none."""
        with self._told("read"):
            try:
                if self._store is not None:
                    entry = self._store.entry(name)
                    return None if entry is None else entry.size
                return (self._local / name).stat().st_size
            except FileNotFoundError:
                return None

    def read_text(self, name: str) -> str | None:
        """A small file; None where there is none."""
        with self._told("read"):
            try:
                if self._store is not None:
                    found = self._store.get(name)
                    return None if found is None else found.data.decode()
                return (self._local / name).read_text(encoding="utf-8")
            except FileNotFoundError:
                return None

    def write_text(self, name: str, text: str) -> None:
        """Replace a small file in one step."""
        with self._told("written to"):
            if self._store is not None:
                self._store.put(name, text.encode())
                return
            path = self._local / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, text)

    @contextlib.contextmanager
    def spool(self) -> Iterator[Path]:
        """A local folder for files that are not finished; what a killed export left there is removed."""
        if self._store is not None:
            with tempfile.TemporaryDirectory(prefix="shelfcheck-export-") as made:
                yield Path(made)
            return
        spool = self._local / _SPOOL
        with self._told("written to"):
            shutil.rmtree(spool, ignore_errors=True)
            spool.mkdir(parents=True)
        try:
            yield spool
        finally:
            shutil.rmtree(spool, ignore_errors=True)

    @contextlib.contextmanager
    def scratch(self, shared: Path | None) -> Iterator[Path]:
        """For what a task then puts: `shared`, of the spool, or, for a store, a temporary folder."""
        if shared is not None:
            yield shared
            return
        with tempfile.TemporaryDirectory(prefix="shelfcheck-export-") as made:
            yield Path(made)

    def put(self, finished: Path, name: str) -> None:
        """Move a finished file of the spool to its name, in one step."""
        with self._told("written to"):
            if self._store is not None:
                upload(self._store, [(finished, name)])
                finished.unlink()
                return
            path = self._local / name
            path.parent.mkdir(parents=True, exist_ok=True)
            finished.replace(path)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with self._told("written to"), contextlib.suppress(FileNotFoundError):
            if self._store is not None:
                self._store.delete([name])
            else:
                (self._local / name).unlink()

    @contextlib.contextmanager
    def _told(self, done: str) -> Iterator[None]:
        try:
            yield
        except StoreError as error:
            raise FolderError(f"cannot be {done}: {error}") from error
        except OSError as error:
            raise FolderError(f"{self.place}: cannot be {done}: {error}") from error
