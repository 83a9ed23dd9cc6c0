"""A folder to write to, on the local disk or in an object store: a file is there whole or not at all."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shelfcheck.errors import MissingExtraError, ShelfcheckError
from shelfcheck.sources.files import read_errors, reason_of
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
        FolderError: the store is unknown or does not answer.
    """

    def __init__(self, place: str | Path) -> None:
        self.place = str(place).rstrip("/")
        self._remote: Any = None
        self._local = Path(local_path(self.place))
        if is_url(self.place):
            self._remote, self._root = self._open()

    def __str__(self) -> str:
        return self.place

    def names(self) -> set[str]:
        """Every file below it, relative, but for what an export that was killed left unfinished."""
        with self._told("listed"):
            if self._remote is not None:
                self._remote.invalidate_cache()
                found = self._remote.find(self._root) if self._remote.exists(self._root) else []
                return {str(path)[len(self._root) :].lstrip("/") for path in found}
            files = (path for path in self._local.rglob("*") if path.is_file())
            found = {path.relative_to(self._local).as_posix() for path in files}
            return {name for name in found if not name.startswith(f"{_SPOOL}/")}

    def size(self, name: str) -> int | None:
        """Bytes of a file; None where there is none."""
        with self._told("read"):
            try:
                if self._remote is not None:
                    return int(self._remote.info(f"{self._root}/{name}", refresh=True)["size"])
                return (self._local / name).stat().st_size
            except FileNotFoundError:
                return None

    def read_text(self, name: str) -> str | None:
        """A small file; None where there is none."""
        with self._told("read"):
            try:
                if self._remote is not None:
                    return bytes(self._remote.cat_file(f"{self._root}/{name}")).decode()
                return (self._local / name).read_text(encoding="utf-8")
            except FileNotFoundError:
                return None

    def write_text(self, name: str, text: str) -> None:
        """Replace a small file in one step."""
        with self._told("written to"):
            if self._remote is not None:
                self._remote.pipe_file(f"{self._root}/{name}", text.encode())
                return
            path = self._local / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, text)

    @contextlib.contextmanager
    def spool(self) -> Iterator[Path]:
        """A local folder for files that are not finished; what a killed export left there is removed."""
        if self._remote is not None:
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

    def put(self, finished: Path, name: str) -> None:
        """Move a finished file of the spool to its name, in one step."""
        with self._told("written to"):
            if self._remote is not None:
                self._remote.put_file(str(finished), f"{self._root}/{name}")
                finished.unlink()
                return
            path = self._local / name
            path.parent.mkdir(parents=True, exist_ok=True)
            finished.replace(path)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with self._told("written to"), contextlib.suppress(FileNotFoundError):
            if self._remote is not None:
                self._remote.rm_file(f"{self._root}/{name}")
            else:
                (self._local / name).unlink()

    def _open(self) -> tuple[Any, str]:
        import fsspec  # noqa: PLC0415 - only for URLs

        try:
            remote, root = fsspec.core.url_to_fs(self.place)
        except ImportError as error:
            if self.place.startswith("s3:"):
                raise MissingExtraError(f"Writing to {self.place}", "aws") from error
            raise FolderError(f"{self.place}: {error}. Install that package to fix this.") from error
        except read_errors() as error:
            raise FolderError(f"{self.place}: cannot be used: {reason_of(error)}") from error
        return remote, str(root)

    @contextlib.contextmanager
    def _told(self, done: str) -> Iterator[None]:
        try:
            yield
        except read_errors() as error:
            raise FolderError(f"{self.place}: cannot be {done}: {reason_of(error)}") from error
