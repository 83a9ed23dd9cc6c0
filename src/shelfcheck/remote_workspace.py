"""A workspace in an object store: the store holds the truth, a mirror on the local disk what is worked with.

    <store>/<artefact>/manifest.json            names the folder that holds, and its files with their SHA-256
    <store>/<artefact>/<fingerprint>-<id>/...   the files; no two publications share a folder
    <store>/.lease                              who works here, and until when

What reads goes to the store for the manifest and fetches the files that the mirror lacks. What is published
is uploaded into a folder of its own, then named by one conditional write of the manifest: a store has no
rename, and needs none. What is finished but not yet uploaded stays in the mirror and is gone on with. The
mirror may be removed at any time; it stands below SHELFCHECK_CACHE_DIR, or the user's cache folder.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fnmatch
import logging
import os
import shutil
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Final

from shelfcheck.errors import WorkspaceError
from shelfcheck.stores import AbsentError, ChangedError, StoreError, open_store
from shelfcheck.stores.lease import Lease
from shelfcheck.stores.leftovers import LEFT_FOR_DEAD, leftovers
from shelfcheck.stores.loose import LooseFiles
from shelfcheck.stores.mirror import identity, in_mirror, mirror_of, stamp_of
from shelfcheck.stores.tops import Tops
from shelfcheck.stores.transfer import CONNECTIONS, StoredFile, describe, download, stands, upload
from shelfcheck.urls import is_store
from shelfcheck.workspace import (
    MANIFEST,
    Manifest,
    Workspace,
    copy_atomically,
    manifest_text,
    parse_manifest,
    write_atomically,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from shelfcheck.stores import Entry

logger = logging.getLogger("shelfcheck.stores")

_PENDING: Final = ".pending"
_TIMES: Final = 5  # that an artefact is asked for again which is replaced while it is fetched


def open_workspace(place: str | Path | Workspace) -> Workspace:
    """The workspace at a path or a URL.

    Raises:
        MissingExtraError: the packages that speak to the object store are not installed.
        StoreError: it is in no object store that can be written to, or that cannot be used.
    """
    if isinstance(place, Workspace):
        return place
    return RemoteWorkspace(str(place)) if "://" in str(place) else Workspace(place)


class RemoteWorkspace(Workspace):
    """A workspace in an object store.

    Args:
        url: its folder there.
        mirror: its folder on the local disk, chosen by the URL when None.
    """

    def __init__(self, url: str, mirror: Path | None = None) -> None:
        if not is_store(url):
            raise StoreError(
                f"{url}: cannot be a workspace. Name a local folder, or an s3://, gs:// or az:// URL."
            )
        super().__init__(mirror or mirror_of(url))
        self._top = mirror is None
        self.place = url.rstrip("/")
        self._store = open_store(url)
        self._loose = LooseFiles(self._store, self.root)
        self._lease: Lease | None = None
        self._seen: dict[str, tuple[Manifest | None, str | None]] = {}
        self._looked = False  # whether `_seen` and `_tops` tell all that stands
        self._tops = Tops(self._store)

    # Reading

    def manifest(self, artefact: str) -> Manifest | None:
        """The manifest of an artefact, as the store has it."""
        if (self._looked or self._lease is not None) and artefact in self._seen:
            return self._seen[artefact][0]
        if self._looked:
            self._seen[artefact] = (None, None)
            return None
        return self._asked(artefact)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Look once what stands, and answer from that."""
        self._look()
        try:
            yield
        finally:
            self._forget()

    def _asked(self, artefact: str) -> Manifest | None:
        """The manifest that the store has now."""
        name = f"{artefact}/{MANIFEST}"
        found = self._store.get(name)
        manifest = None
        if found is not None:
            manifest = parse_manifest(found.data.decode(errors="replace"), self._store.where(name))
        self._seen[artefact] = (manifest, None if found is None else found.tag)
        return manifest

    def path(self, artefact: str, *, made_by: str, only: Sequence[str] = ()) -> Path:
        """The folder of a published artefact in the mirror, with what was missing there."""
        for _ in range(_TIMES):
            manifest = self.manifest(artefact)
            if manifest is None:
                raise WorkspaceError(f"{self.place}: no {artefact} here yet. Make it with: {made_by}")
            try:
                return self._fetched(manifest, only)
            except AbsentError as error:
                now = self._asked(artefact)
                if now is not None and now.folder == manifest.folder:
                    raise WorkspaceError(
                        f"{error} The manifest names it. Make {artefact} again with: {made_by} --force"
                    ) from error
            except FileNotFoundError:  # the mirror was removed under our hands
                continue
        raise WorkspaceError(f"{self.place}: {artefact} is replaced again and again. Try later.")

    def holds(self, manifest: Manifest) -> bool:
        """Whether the folder that a manifest names is in the store."""
        return bool(manifest.folder)  # a manifest is written after all that it names

    def names(self, folder: str) -> list[str]:
        """The folders in a folder of the store, sorted."""
        found = self._store.listing(f"{folder}/")
        return sorted({name.split("/")[folder.count("/") + 1] for name in found if name.count("/") > 1})

    def child(self, name: str) -> Workspace:
        """A folder of the workspace as one of its own, with its own lease."""
        made = RemoteWorkspace(f"{self.place}/{name}", self.root / name)
        made.told = self.told
        return made

    def _fetched(self, manifest: Manifest, only: Sequence[str]) -> Path:
        folder = self.root / manifest.artefact / manifest.folder
        prefix = f"{manifest.artefact}/{manifest.folder}/"
        stamp = stamp_of(manifest.created)
        files = [
            one
            for one in self._files(manifest, prefix)
            if not only or any(fnmatch.fnmatch(one.path, pattern) for pattern in only)
        ]
        with self._in_mirror():
            folder.mkdir(parents=True, exist_ok=True)
            missing = [one for one in files if not stands(folder / one.path, one, stamp)]
            if missing:
                label = f"Fetching {manifest.artefact}"
                download(self._store, prefix, missing, folder, self.told, label, stamp=stamp)
            write_atomically(folder.parent / MANIFEST, manifest_text(manifest))
            self._clear_older(manifest.artefact, folder.name)
        return folder

    def _files(self, manifest: Manifest, prefix: str) -> list[StoredFile]:
        if manifest.files:
            return [StoredFile(**one) for one in manifest.files]
        # Copied here from a local disk: the listing knows the files, though no checksums.
        found = self._store.listing(prefix)
        if not found:
            raise AbsentError(f"{self._store.where(prefix)}: nothing is there.")
        return [StoredFile(name.removeprefix(prefix), entry.size) for name, entry in found.items()]

    # Writing

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the mirror and the workspace for writing; clears what killed runs left behind.

        Raises:
            WorkspaceError: another process or machine holds it, or the mirror cannot be made.
        """
        with self._in_mirror():
            self.root.mkdir(parents=True, exist_ok=True)
        with super().locked():
            (self.root / "url").write_text(f"{self.place}\n", encoding="utf-8")
            with Lease(open_store(self.place), identity(self.root / ".mirror")) as lease:
                self._lease = lease
                self._forget()
                try:
                    if self._top:
                        self._tidy(self._look())
                    yield
                except FileNotFoundError as error:
                    if (self.root / ".mirror").exists():
                        raise
                    raise WorkspaceError(
                        f"{self.root}: the mirror of {self.place} was removed while it was in use. "
                        "Nothing is lost: run the same command again."
                    ) from error
                finally:
                    self._lease = None
                    self._forget()

    def publish(self, written: Path, manifest: Manifest) -> Path:
        """Upload a written folder, then name it in the manifest by one conditional write.

        Raises:
            WorkspaceError: another writer was first, or the lease was lost.
            StoreError: the store cannot be asked, or refuses; what was written waits in the mirror.
        """
        self._discard(manifest.artefact)
        folder = f"{manifest.fingerprint[:12]}-{uuid.uuid4().hex[:8]}"
        made = replace(manifest, folder=folder, files=[asdict(one) for one in describe(written)])
        target = self.root / manifest.artefact / folder
        with self._in_mirror():
            for one in made.files:
                os.utime(written / one["path"], ns=(stamp_of(made.created), stamp_of(made.created)))
            record = self._pending(manifest.artefact)
            record.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(record, manifest_text(made))
            target.parent.mkdir(parents=True, exist_ok=True)
            written.rename(target)
        self._upload(made, set())
        return target

    def resume(self, artefact: str, fingerprint: str) -> Manifest | None:
        """Upload and publish what a killed or failed run had finished, if it is what is wanted now."""
        record = self._pending(artefact)
        try:
            made = parse_manifest(record.read_text(encoding="utf-8"), str(record))
        except (OSError, WorkspaceError):
            return None
        folder = self.root / artefact / made.folder
        files = [StoredFile(**one) for one in made.files]
        whole = all(stands(folder / one.path, one, stamp_of(made.created)) for one in files)
        if made.fingerprint != fingerprint or not whole:
            self._discard(artefact)
            return None
        there = self._store.listing(f"{artefact}/{made.folder}/")
        self._upload(made, {name.removeprefix(f"{artefact}/{made.folder}/") for name in there})
        return made

    def show(self, artefact: str, name: str, top: str, *, anew: bool) -> None:
        """Put a copy of an artefact's file at the top, if it is not the one that is there."""
        manifest = self.manifest(artefact)
        if manifest is None:
            return
        digest = next((one["sha256"] for one in manifest.files if one["path"] == name), None)
        known = digest is not None and self._tops.digest(top) == digest
        if top in self._tops and (known or (digest is None and not anew)):
            return
        file = self.path(artefact, made_by="shelfcheck run", only=(name,)) / name
        with self._in_mirror():
            copy_atomically(file, self.root / top)
        self._held()
        self._tops.put(file, top, digest or "")

    def withdraw(self, top: str) -> None:
        """Remove a file at the top, here and in the store."""
        super().withdraw(top)
        self._tops.remove(top)

    # Files that are no artefact's

    def file(self, name: str) -> Path:
        """A file that is no artefact's, as it stands in the store now; it may not be there."""
        with self._in_mirror():
            return self._loose.file(name)

    def stamp(self, name: str) -> object:
        """What changes when a file of the store does."""
        found = self._store.get(name)
        return None if found is None else found.tag

    def write(self, name: str, text: str) -> None:
        """Replace a file, here and in the store."""
        self._held()
        with self._in_mirror():
            super().write(name, text)
        self._loose.wrote(name)

    def wrote(self, name: str) -> None:
        """Put what was written to a file into the store, if nobody else has meanwhile."""
        self._held()
        self._loose.wrote(name)

    def fetch(self, folder: str, only: Sequence[str] = (), *, ours: bool = False, anew: bool = False) -> Path:
        """Make a folder of the mirror what it is in the store; arguments as for a local one."""
        with self._in_mirror():
            return self._loose.fetch(folder, only, ours=ours, anew=anew)

    def keep(self, folder: str, last: str | None = None) -> None:
        """Make a folder of the store what it is in the mirror; arguments as for a local one."""
        self._held()
        self._loose.keep(folder, last, self.told)

    # How

    def _upload(self, made: Manifest, there: set[str]) -> None:
        """Upload what is not there yet, name the folder, and remove what it takes the place of."""
        home = self.root / made.artefact / made.folder
        prefix = f"{made.artefact}/{made.folder}/"
        if made.artefact not in self._seen:
            self._asked(made.artefact)
        before, tag = self._seen[made.artefact]
        names = [one["path"] for one in made.files if one["path"] not in there]
        upload(
            self._store,
            [(home / name, f"{prefix}{name}") for name in names],
            self.told,
            f"Uploading {made.artefact}",
            {f"{prefix}{name}": held for name, held in _held_already(made, before).items()},
        )
        self._held()
        try:
            name = f"{made.artefact}/{MANIFEST}"
            tag = self._store.put(name, manifest_text(made).encode(), tag)
        except ChangedError as error:
            self._asked(made.artefact)
            self._discard(made.artefact)
            raise WorkspaceError(
                f"{self.place}: another shelfcheck has published {made.artefact} meanwhile, and it holds. "
                "Run the same command again to go on from there."
            ) from error
        self._seen[made.artefact] = (made, tag)
        with self._in_mirror():
            write_atomically(home.parent / MANIFEST, manifest_text(made))
        self._clear_older(made.artefact, made.folder)
        if before is not None or there:
            self._supersede(made)
        self._pending(made.artefact).unlink(missing_ok=True)

    def _supersede(self, made: Manifest) -> None:
        """Remove what the store has of earlier folders of an artefact."""
        keep = (f"{made.artefact}/{made.folder}/", f"{made.artefact}/{MANIFEST}")
        found = self._store.listing(f"{made.artefact}/")
        self._store.delete([name for name in found if not name.startswith(keep)])

    def _discard(self, artefact: str) -> None:
        """Forget what was written, and not yet published: of other inputs or settings, or damaged."""
        record = self._pending(artefact)
        try:
            made = parse_manifest(record.read_text(encoding="utf-8"), str(record))
        except FileNotFoundError:
            return
        except (OSError, WorkspaceError):
            record.unlink(missing_ok=True)
            return
        self._store.delete(list(self._store.listing(f"{artefact}/{made.folder}/")))
        shutil.rmtree(self.root / artefact / made.folder, ignore_errors=True)
        record.unlink(missing_ok=True)

    def _pending(self, artefact: str) -> Path:
        return self.root / _PENDING / f"{artefact.replace('/', '%2F')}.json"

    def _clear_older(self, artefact: str, folder: str) -> None:
        """Remove what the mirror has of earlier folders of an artefact, but for what waits to be uploaded."""
        keep = {folder}
        with contextlib.suppress(OSError, WorkspaceError):
            record = self._pending(artefact)
            keep.add(parse_manifest(record.read_text(encoding="utf-8"), str(record)).folder)
        with contextlib.suppress(FileNotFoundError):
            for other in (self.root / artefact).iterdir():
                if other.is_dir() and other.name not in keep:
                    shutil.rmtree(other, ignore_errors=True)

    def _look(self) -> dict[str, Entry]:
        """Learn what stands in the store: every object, every manifest, what is at the top."""
        found = self._store.listing()
        self._tops.look(found)
        suffix = f"/{MANIFEST}"
        names = [name.removesuffix(suffix) for name in found if name.endswith(suffix)]
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(self._asked, names))
        self._looked = True
        return found

    def _forget(self) -> None:
        self._looked = False
        self._tops.forget()
        self._seen.clear()

    def _tidy(self, found: dict[str, Entry]) -> None:
        """Remove what killed runs left in the store."""
        now = dt.datetime.now(dt.UTC)
        pending: list[str] = []
        for record in (self.root / _PENDING).glob("*.json"):
            made = parse_manifest(record.read_text(encoding="utf-8"), str(record))
            holds = self.manifest(made.artefact)
            if holds is not None and holds.folder == made.folder:  # killed when all but tidying was done
                self._supersede(made)
                record.unlink()
            else:
                pending.append(f"{made.artefact}/{made.folder}/")
        self._store.delete(leftovers(found, self._folder_of, LEFT_FOR_DEAD))

        def unfinished(name: str, begun: dt.datetime) -> bool:
            return name.startswith(tuple(pending)) or now - begun > LEFT_FOR_DEAD

        try:
            self._store.end_unfinished(unfinished)
        except StoreError as error:  # may be forbidden; the bucket's life cycle may do it, too
            logger.info("%s: unfinished uploads were not looked for: %s", self.place, error)

    def _folder_of(self, artefact: str) -> str | None:
        manifest = self.manifest(artefact)
        return None if manifest is None else manifest.folder

    def _held(self) -> None:
        if self._lease is not None:
            self._lease.check()

    def _in_mirror(self) -> AbstractContextManager[None]:
        """Say of the disk's errors that they are the mirror's."""
        return in_mirror(self.root, self.place)


def _held_already(made: Manifest, before: Manifest | None) -> dict[str, str]:
    """Of files of a publication, by their paths: the object of the one before that has the same bytes.

    None where the same is made again: that is how one replaces what was damaged in the store.
    """
    if before is None or before.fingerprint == made.fingerprint:
        return {}
    folder = f"{before.artefact}/{before.folder}"
    held = {(one["sha256"], one["bytes"]): f"{folder}/{one['path']}" for one in before.files if one["sha256"]}
    found = {one["path"]: held.get((one["sha256"], one["bytes"])) for one in made.files}
    return {path: there for path, there in found.items() if there is not None}
