"""A file wherever it is: written whole or not at all to a path or a URL, or brought here to be read."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from shelfcheck.errors import UsageError
from shelfcheck.stores.store import open_store, split
from shelfcheck.stores.transfer import StoredFile, download, upload
from shelfcheck.urls import is_store, is_url, local_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shelfcheck.progress import Progress
    from shelfcheck.stores.store import Store


@contextlib.contextmanager
def writing_to(place: str | Path, progress: Progress | None = None) -> Iterator[Path]:
    """A local file to write, which becomes `place` when the block ends well, and nothing otherwise.

    Args:
        place: a local path, or a URL of an object store.
        progress: told the bytes uploaded.

    Raises:
        UsageError: a URL that cannot be written to, such as https://.
        StoreError: the store cannot be used; told before the block, so that no work is done for nothing.
    """
    name = str(place)
    if not is_url(name):
        target = Path(local_path(name))
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_name(f".{target.name}.tmp")
        try:
            yield aside
            aside.replace(target)
        finally:
            aside.unlink(missing_ok=True)
        return
    store, last = _store_of(name)
    store.check()
    with tempfile.TemporaryDirectory(prefix="shelfcheck-") as made:
        aside = Path(made) / last
        yield aside
        upload(store, [(aside, last)], progress, f"Uploading {last}")


@contextlib.contextmanager
def folder_to(place: str | Path, progress: Progress | None = None) -> Iterator[Path]:
    """A local folder to write files into, which are uploaded to a URL when the block ends well.

    A local `place` is that folder itself.
    """
    name = str(place)
    if not is_url(name):
        yield Path(local_path(name))
        return
    if not is_store(name):
        raise UsageError(f"{name}: cannot be written to. Name a local path, or an s3://, gs:// or az:// URL.")
    store = open_store(name)
    store.check()
    with tempfile.TemporaryDirectory(prefix="shelfcheck-") as made:
        yield Path(made)
        names = sorted(path.relative_to(made).as_posix() for path in Path(made).rglob("*") if path.is_file())
        upload(store, [(Path(made) / name, name) for name in names], progress, f"Uploading to {name}")


@contextlib.contextmanager
def brought_here(place: str | Path, progress: Progress | None = None) -> Iterator[Path]:
    """A file as a local one: itself, or a copy of what is in a store.

    Raises:
        AbsentError: nothing is there.
    """
    name = str(place)
    if not is_store(name):
        yield Path(local_path(name))
        return
    store, last = _store_of(name)
    found = store.entry(last)
    with tempfile.TemporaryDirectory(prefix="shelfcheck-") as made:
        if found is not None:
            download(store, "", [StoredFile(last, found.size)], Path(made), progress, f"Fetching {last}")
        yield Path(made) / last


def _store_of(url: str) -> tuple[Store, str]:
    if not is_store(url):
        raise UsageError(f"{url}: cannot be written to. Name a local path, or an s3://, gs:// or az:// URL.")
    home, name = split(url)
    return open_store(home), name
