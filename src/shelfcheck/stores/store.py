"""One folder of an object store: get, put on a condition, list, delete, ranges; each request retried.

This is what every store can do that fsspec knows. `s3` knows better how to do some of it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import io
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from shelfcheck.errors import MissingExtraError
from shelfcheck.stores.errors import (
    AbsentError,
    ChangedError,
    StoreError,
    is_absent,
    is_changed,
    store_errors,
    told,
)
from shelfcheck.stores.retry import Retrying, attempts_of
from shelfcheck.urls import STORE_EXTRAS, is_store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

PART_BYTES: Final = 16 << 20  # of a part of a large object, up or down
_T = TypeVar("_T")


class _Any:
    """Stands for whatever may be there."""


ANY: Final = _Any()
"""No condition: an object is written whatever is there."""


@dataclass(frozen=True)
class Blob:
    """A small object.

    Attributes:
        data: its bytes.
        tag: changes when the object does.
        age: seconds since it was written, by the store's own clock; None where it does not tell.
    """

    data: bytes
    tag: str
    age: float | None = None


@dataclass(frozen=True)
class Entry:
    """An object in a listing: its bytes, what changes when it does, and when it was written."""

    size: int
    tag: str
    written: dt.datetime


class Store:
    """A bucket, or what stands below a prefix of one. Names are relative to it.

    Attributes:
        url: of the folder, without a `/` at its end.
        root: its path as fsspec knows it: bucket and prefix.
        retrying: sends its requests.
    """

    def __init__(self, url: str, fs: Any, root: str) -> None:
        self.url = url.rstrip("/")
        self.retrying = Retrying()
        self._fs = fs
        self.root = root.rstrip("/")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def where(self, name: str) -> str:
        """The URL of an object."""
        return f"{self.url}/{name}" if name else self.url

    # Small objects

    def get(self, name: str) -> Blob | None:
        """A small object, None where there is none.

        Raises:
            StoreError: the store cannot be asked.
        """
        try:
            return self.asked(name, lambda: self._get(self._path(name)))
        except AbsentError:
            return None

    def put(self, name: str, data: bytes, expected: str | _Any | None = ANY) -> str:
        """Write a small object, whole or not at all.

        Args:
            name: where.
            data: what.
            expected: the tag of the object that it replaces; None where there must be none.

        Returns:
            Its tag.

        Raises:
            ChangedError: what is there is not what was expected.
            StoreError: the store cannot be asked, or refuses.
        """
        try:
            return self.asked(name, lambda: self._put(self._path(name), data, expected))
        except (ChangedError, AbsentError) as error:
            # The answer to a write that was made may have been lost, and the same write sent again.
            found = self.get(name)
            if found is not None and found.data == data:
                return found.tag
            raise ChangedError(f"{self.where(name)}: another process has written it meanwhile.") from error

    def delete(self, names: Sequence[str]) -> None:
        """Remove objects; those that are not there do no harm."""
        for start in range(0, len(names), 1000):  # as many as S3 takes at once
            some = names[start : start + 1000]
            with contextlib.suppress(AbsentError):
                self.asked(some[0], functools.partial(self._delete, [self._path(name) for name in some]))

    def listing(self, prefix: str = "") -> dict[str, Entry]:
        """Every object below a folder, by name, in order.

        Args:
            prefix: a folder, ending with `/`; everything when empty.
        """
        try:
            found = self.asked(prefix, lambda: self._list(prefix))
        except AbsentError:
            return {}
        return dict(sorted(found.items()))

    def check(self) -> None:
        """Make sure that the bucket is there and may be asked, before work is done for it.

        Raises:
            StoreError: it is not, or may not.
        """
        self.get(".shelfcheck")  # of no such object a store says so, of no such bucket something else

    # Large objects

    def read(self, name: str, start: int, end: int) -> bytes:
        """Bytes of an object from `start` up to `end`, all of them.

        Raises:
            AbsentError: there is no such object.
            StoreError: the store cannot be asked.
        """
        if start >= end:
            return b""

        def request() -> bytes:
            data = self._read(self._path(name), start, end)
            if len(data) != end - start:
                raise ConnectionError(f"{len(data):,} bytes came of {end - start:,}")
            return data

        return self.asked(name, request)

    def entry(self, name: str) -> Entry | None:
        """What a listing would say of an object, None where there is none."""
        try:
            return self.asked(name, lambda: self._entry(self._path(name)))
        except AbsentError:
            return None

    def upload_jobs(self, file: Path, name: str) -> list[Callable[[], int]]:
        """What to do, in any order and side by side, to upload a file; each tells the bytes that it sent.

        The object is there when the last of them has returned, not before.
        """

        def whole() -> int:
            self.asked(name, lambda: self._fs.put_file(os.fspath(file), self._path(name)))
            return file.stat().st_size

        return [whole]

    def copy_jobs(self, there: str, file: Path, name: str) -> list[Callable[[], int]]:
        """As `upload_jobs`, of a file that the store holds under another name: it is copied there, not sent.

        Args:
            there: the name that it has; if it is gone by then, the file is uploaded.
            file: the same on the local disk.
            name: the name that it gets.
        """

        def copied() -> int:
            try:
                self.asked(name, lambda: self._copy(self._path(there), self._path(name)))
            except AbsentError:
                for job in self.upload_jobs(file, name):
                    job()
            return file.stat().st_size

        return [copied]

    def end_unfinished(self, is_leftover: Callable[[str, dt.datetime], bool]) -> int:  # noqa: ARG002
        """Give up uploads in parts that were never finished, where `is_leftover` says so; tells how many."""
        return 0  # these stores forget them by themselves: in a week

    def open(self, name: str, block_bytes: int = 8 << 20) -> io.BufferedReader:
        """An object as a file to read from, in ranges that are retried one by one.

        Raises:
            AbsentError: there is no such object.
            StoreError: the store cannot be asked.
        """
        found = self.entry(name)
        if found is None:
            raise AbsentError(f"{self.where(name)}: nothing is there. Check the URL.")
        return io.BufferedReader(_Ranged(self, name, found.size), block_bytes)

    @property
    def files(self) -> Any:
        """The client of the store, each of whose calls is retried and its errors put into words.

        Its paths are those of fsspec, which begin with the bucket; `root` is that of this folder.
        """
        return _Client(self)

    # How

    def asked(self, name: str, request: Callable[[], _T]) -> _T:
        """Send a request as often as it takes, and put what is wrong into words."""
        where = self.where(name)
        try:
            return self.retrying(where, request)
        except StoreError:
            raise
        except store_errors() as error:
            if is_absent(error):
                raise AbsentError(f"{where}: nothing is there. Check the URL.") from error
            if is_changed(error):
                raise ChangedError(f"{where}: another process has written it meanwhile.") from error
            raise told(where, error, attempts_of(error)) from error

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}" if name else self.root

    def _get(self, path: str) -> Blob:
        tag = self._tag(
            path
        )  # before the content: if both change in between, the tag is too old, never too new
        return Blob(bytes(self._fs.cat_file(path)), tag)

    def _tag(self, path: str) -> str:
        self._fs.invalidate_cache()
        return _tag_of(self._fs.info(path))

    def _put(self, path: str, data: bytes, expected: str | _Any | None) -> str:
        # The look is not in one step with the write: beside the lease this is the second guard, not the
        # first. That nothing is there, these stores check in one step themselves.
        if expected is not ANY and self._tag_or_none(path) != expected:
            raise ChangedError(path)
        if expected is None:
            self._fs.pipe_file(path, data, mode="create")
        else:
            self._fs.pipe_file(path, data)
        return self._tag(path)

    def _tag_or_none(self, path: str) -> str | None:
        try:
            return self._tag(path)
        except store_errors() as error:
            if is_absent(error):
                return None
            raise

    def _copy(self, there: str, path: str) -> None:
        self._fs.cp_file(there, path)

    def _delete(self, paths: list[str]) -> None:
        self._fs.rm(paths)

    def _entry(self, path: str) -> Entry:
        self._fs.invalidate_cache()
        info = self._fs.info(path)
        if info.get("type") == "directory":
            raise FileNotFoundError(path)
        return Entry(int(info["size"] or 0), _tag_of(info), _written(info))

    def _list(self, prefix: str) -> dict[str, Entry]:
        self._fs.invalidate_cache()
        found = self._fs.find(self._path(prefix).rstrip("/"), detail=True)
        return {
            path[len(self.root) + 1 :]: Entry(int(info["size"] or 0), _tag_of(info), _written(info))
            for path, info in found.items()
        }

    def _read(self, path: str, start: int, end: int) -> bytes:
        return bytes(self._fs.cat_file(path, start=start, end=end))


class _Client:
    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._store._fs, name)
        return lambda *given, **named: self._store.asked("", functools.partial(call, *given, **named))


class _Ranged(io.RawIOBase):
    """An object as a raw file: each read is one range."""

    def __init__(self, store: Store, name: str, size: int) -> None:
        super().__init__()
        self._store, self._name, self._size, self._at = store, name, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        end = min(self._size, self._at + len(buffer))
        data = self._store.read(self._name, self._at, end)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def open_store(url: str) -> Store:
    """The store of a URL.

    Raises:
        MissingExtraError: the packages that speak its protocol are not installed.
        StoreError: no object store has this protocol, or it cannot be used.
    """
    if not is_store(url):
        raise StoreError(f"{url}: is in no object store. Name an s3://, gs:// or az:// URL, or a local path.")
    scheme = url.partition("://")[0].lower()
    extra = STORE_EXTRAS[scheme]
    bucket = url.partition("://")[2].strip("/")
    if not bucket:
        raise StoreError(f"{url}: names no bucket. Write {scheme}://BUCKET/FOLDER.")
    try:
        if extra == "aws":
            from shelfcheck.stores.s3 import S3Store, filesystem  # noqa: PLC0415 - an extra

            return S3Store(url, filesystem(), bucket)
        import fsspec  # noqa: PLC0415 - only for URLs

        fs, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        raise MissingExtraError(f"Using {url}", extra) from error
    except store_errors() as error:
        raise told(url, error) from error
    return Store(url, fs, root)


def split(url: str) -> tuple[str, str]:
    """The folder and the name of an object's URL.

    Raises:
        StoreError: it names a bucket alone.
    """
    home, _, name = url.rstrip("/").rpartition("/")
    if home.endswith(("/", ":")) or not name:
        raise StoreError(f"{url}: names no object. Write s3://BUCKET/NAME.")
    return home, name


def _tag_of(info: dict[str, Any]) -> str:
    names = ("generation", "etag", "ETag", "mtime", "updated", "LastModified", "last_modified")
    return next((str(info[name]).strip('"') for name in names if info.get(name)), "")


def _written(info: dict[str, Any]) -> dt.datetime:
    for name in ("LastModified", "last_modified", "updated", "mtime", "created"):
        value = info.get(name)
        if isinstance(value, str):
            value = dt.datetime.fromisoformat(value)
        if isinstance(value, dt.datetime):
            return value if value.tzinfo else value.replace(tzinfo=dt.UTC)
    return dt.datetime.now(dt.UTC)
