"""Moves files between a local folder and a store: side by side, retried, checked by size and SHA-256."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import threading
import uuid
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from shelfcheck.stores.errors import StoreError
from shelfcheck.stores.store import PART_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from shelfcheck.progress import Progress
    from shelfcheck.stores.store import Store

CONNECTIONS: Final = 8  # files or parts that are under way at a time; 16 MiB of memory each
_TIMES: Final = 3  # that a file is fetched again whose checksum is not the one recorded


@dataclass(frozen=True)
class StoredFile:
    """A file of an artefact: its path relative to the folder, its bytes, its SHA-256 ("" where unknown)."""

    path: str
    bytes: int
    sha256: str = ""


def describe(folder: Path) -> list[StoredFile]:
    """Every file below a folder, with its checksum."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:  # hashing lets other threads run
        hashes = list(pool.map(lambda name: sha256_of(folder / name), names))
    return [
        StoredFile(name, (folder / name).stat().st_size, digest)
        for name, digest in zip(names, hashes, strict=True)
    ]


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stands(path: Path, file: StoredFile, stamp: int) -> bool:
    """Whether a file of the mirror is the one that was stored.

    What was checked has `stamp` as its time and is not read again; whatever writes to it changes that.
    """
    try:
        found = path.stat()
    except OSError:
        return False
    if found.st_size != file.bytes:
        return False
    if found.st_mtime_ns == stamp:
        return True
    if file.sha256 and sha256_of(path) != file.sha256:
        return False
    os.utime(path, ns=(stamp, stamp))
    return True


def upload(
    store: Store,
    files: Sequence[tuple[Path, str]],
    progress: Progress | None = None,
    label: str = "Uploading",
    there: Mapping[str, str] | None = None,
) -> None:
    """Upload files, each under its name in the store.

    Args:
        store: where to.
        files: what, and under which name.
        progress: told the bytes.
        label: what progress shows.
        there: of names, others under which the store holds the same bytes; these it copies by itself.

    Raises:
        StoreError: the store cannot be asked, or refuses.
    """
    held = there or {}
    jobs = [
        job
        for file, name in files
        for job in (
            store.copy_jobs(held[name], file, name) if name in held else store.upload_jobs(file, name)
        )
    ]
    if progress is not None:
        progress.start(label, sum(file.stat().st_size for file, _ in files), "bytes")
    _side_by_side(store, jobs, progress)
    if progress is not None:
        progress.finish()


def download(  # noqa: PLR0917 - what is fetched from where to where
    store: Store,
    prefix: str,
    files: Iterable[StoredFile],
    folder: Path,
    progress: Progress | None = None,
    label: str = "Fetching",
    *,
    stamp: int | None = None,
) -> None:
    """Fetch files; each is in its place whole and checked, or not at all.

    Args:
        store: where from.
        prefix: of their names there, ending with `/`, or empty.
        files: what, with what is known of them.
        folder: where to.
        progress: told the bytes.
        label: what progress shows.
        stamp: modification time that a checked file gets, in nanoseconds since 1970.

    Raises:
        AbsentError: one is not there.
        StoreError: the store cannot be asked, or a file is damaged there.
    """
    wanted = list(files)
    if progress is not None:
        progress.start(label, sum(one.bytes for one in wanted), "bytes")
    jobs: list[Callable[[], int]] = []
    fetching = [_Fetch(store, prefix, one, folder, stamp) for one in wanted]
    try:
        for fetch in fetching:
            jobs += fetch.jobs()
        _side_by_side(store, jobs, progress)
    finally:
        for fetch in fetching:
            fetch.clear()
    if progress is not None:
        progress.finish()


class _Fetch:
    """A file that is fetched in parts into a temporary one, checked and renamed by the last job."""

    def __init__(self, store: Store, prefix: str, file: StoredFile, folder: Path, stamp: int | None) -> None:
        self._store, self._name, self._file, self._stamp = store, f"{prefix}{file.path}", file, stamp
        self._target = folder / file.path
        self._aside = self._target.with_name(f".{self._target.name}.{uuid.uuid4().hex[:8]}.tmp")
        self._left = max(1, -(-file.bytes // PART_BYTES))
        self._lock = threading.Lock()

    def jobs(self) -> list[Callable[[], int]]:
        starts = range(0, max(1, self._file.bytes), PART_BYTES)
        return [functools.partial(self._take, start) for start in starts]

    def _take(self, start: int) -> int:
        end = min(start + PART_BYTES, self._file.bytes)
        data = self._store.read(self._name, start, end)
        self._write(start, data)
        with self._lock:
            self._left -= 1
            last = self._left == 0
        if last:
            self._finish()
        return len(data)

    def _write(self, start: int, data: bytes) -> None:
        self._target.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._aside, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            at = 0
            while at < len(data):
                at += os.pwrite(handle, data[at:] if at else data, start + at)
        finally:
            os.close(handle)

    def _finish(self) -> None:
        for _ in range(_TIMES):
            if not self._file.sha256 or sha256_of(self._aside) == self._file.sha256:
                if self._stamp is not None:
                    os.utime(self._aside, ns=(self._stamp, self._stamp))
                self._aside.replace(self._target)
                return
            for start in range(0, self._file.bytes, PART_BYTES):
                end = min(start + PART_BYTES, self._file.bytes)
                self._write(start, self._store.read(self._name, start, end))
        raise StoreError(
            f"{self._store.where(self._name)}: damaged: its SHA-256 is not the one in the manifest. "
            "Make the artefact again with --force, or restore the object."
        )

    def clear(self) -> None:
        self._aside.unlink(missing_ok=True)


def _side_by_side(store: Store, jobs: Sequence[Callable[[], int]], progress: Progress | None) -> None:
    """Run jobs in threads, and give up all of them when one fails or Ctrl-C comes."""
    before = store.retrying.retries
    lock = threading.Lock()

    def counted(job: Callable[[], int]) -> None:
        n = job()
        again = store.retrying.retries - before
        with lock:
            if progress is not None:
                progress.advance(n, **({"retries": again} if again else {}))

    store.retrying.stop.clear()
    pool = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="shelfcheck-store")
    try:
        waiting: set[Any] = {pool.submit(counted, job) for job in jobs}
        done, _ = wait(waiting, return_when=FIRST_EXCEPTION)
        for one in done:
            one.result()
    except BaseException:
        store.retrying.stop.set()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        with contextlib.suppress(RuntimeError):
            store.retrying.stop.clear()
