"""Expands what the user named (files, folders, globs, URLs) into sources to read."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

from shelfcheck import schema
from shelfcheck.config import SourceFormat
from shelfcheck.errors import SourceError
from shelfcheck.sources import pds
from shelfcheck.sources.base import Source
from shelfcheck.sources.categories import normalise_name
from shelfcheck.sources.detect import LABELLED, detect, has_data_name
from shelfcheck.sources.files import (
    UnreadableError,
    facts,
    open_files,
    read_errors,
    reason_of,
)
from shelfcheck.sources.label_map import LABEL_MAP, beside, read_map
from shelfcheck.sources.metadata import category_of_name, stem
from shelfcheck.urls import is_url, local_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shelfcheck.config import SourceSettings

_SIDECARS: Final = frozenset(
    ("truth.parquet", "manifest.json", "export.partial.json", "sealed.bin", LABEL_MAP)
)
_GLOB: Final = frozenset("*?[")


class Sources(list[Source]):
    """Sources in reading order (by path), and what was left aside.

    Attributes:
        skipped: (path, reason) of files in named folders that hold no reviews.
        metadata: (path, format) of the product metadata files.
    """

    def __init__(self, sources: Sequence[Source] = ()) -> None:
        super().__init__(sources)
        self.skipped: list[tuple[str, str]] = []
        self.metadata: list[tuple[str, str]] = []


@dataclass(frozen=True)
class _Found:
    path: str
    named: bool


def find_sources(specs: Sequence[str | Path], settings: SourceSettings) -> Sources:
    """Find the review files that paths, folders (recursively), globs and URLs stand for.

    A file named twice is read once. Product metadata files are attached to the sources of
    their format, those of the same stem (`meta_Books` to `Books_5`) where there are any. In
    folders, files that hold no reviews are skipped and listed; one that cannot be read becomes
    a source of one rejected row. A file that is named itself must be readable.

    Raises:
        SourceError: nothing there, nothing to read, or a named file that cannot be read.
    """
    if not specs:
        raise SourceError(
            "No source is named. Name review files, folders or globs: shelfcheck prepare SOURCE..."
        )
    found = Sources()
    for item in _expand([str(spec) for spec in specs]):
        _add(found, item, settings)
    if not found or all(source.problem for source in found):
        why = [f"  {source.problem[1]}" for source in found if source.problem]
        why += [f"  {path}: {reason}" for path, reason in found.skipped]
        why += [f"  {path}: product metadata of {form}" for path, form in found.metadata]
        raise SourceError(
            f"No file of reviews in: {', '.join(map(str, specs))}.\n"
            + "\n".join(why[:10])
            + f"\nName files in a known form ({', '.join(get_args(SourceFormat)[:-1])}), "
            "or map columns under [source.columns]."
        )
    _attach(found)
    _attach_label_maps(found, settings)
    return found


def _expand(specs: Sequence[str]) -> list[_Found]:
    files: dict[str, _Found] = {}  # by identity
    for spec in specs:
        for item in _expand_url(spec) if is_url(spec) else _expand_local(spec):
            key = item.path if is_url(item.path) else os.path.realpath(item.path)
            if key not in files or (item.named and not files[key].named):
                files[key] = item
    return sorted(files.values(), key=lambda item: item.path)


def _expand_local(spec: str) -> Iterator[_Found]:
    path = Path(local_path(spec))
    if path.is_dir():
        yield from (_Found(str(file), named=False) for file in _files_below(path))
    elif path.exists():
        yield _Found(str(path), named=True)
    elif _GLOB & set(spec):
        import glob  # noqa: PLC0415 - pathlib has no glob of absolute patterns

        matches = glob.glob(str(path), recursive=True)  # noqa: PTH207
        if not matches:
            raise SourceError(f"{spec}: no file matches. Check the pattern, and quote it for the shell.")
        for match in matches:
            if Path(match).is_dir():
                yield from (_Found(str(file), named=False) for file in _files_below(Path(match)))
            else:
                yield _Found(match, named=False)
    else:
        raise SourceError(f"{spec}: no such file or folder. Check the path.")


def _files_below(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(parent) / name for name in names)


def _expand_url(spec: str) -> Iterator[_Found]:
    try:
        fs, inner = open_files(spec)
        if _GLOB & set(inner) and not spec.startswith(("http:", "https:")):
            paths, named = [path for path in fs.glob(inner) if fs.isfile(path)], False
        elif not spec.startswith(("http:", "https:")) and fs.isdir(inner):
            paths, named = fs.find(inner), False
        else:
            yield _Found(spec, named=True)
            return
    except read_errors() as error:
        raise SourceError(f"{spec}: cannot be listed: {reason_of(error)}") from error
    if not paths:
        raise SourceError(f"{spec}: no file there. Check the URL.")
    for path in paths:
        yield _Found(fs.unstrip_protocol(path), named=named)


def _add(found: Sources, item: _Found, settings: SourceSettings) -> None:
    name = item.path.rsplit("/", 1)[-1]
    if not item.named:
        if name.startswith((".", "_")) or name in _SIDECARS:
            found.skipped.append((item.path, "a sidecar, not reviews"))
            return
        if not has_data_name(name) and not name.startswith("part-"):
            found.skipped.append((item.path, "its name is not that of a data file"))
            return
    hive = pds.hive_values(item.path)
    published = pds.name_values(item.path)
    category = (
        hive.get(schema.PRODUCT_CATEGORY) or settings.category or published.get(schema.PRODUCT_CATEGORY)
    )
    source = Source(
        path=item.path,
        format="",
        size=0,
        fingerprint="",
        settings=settings,
        marketplace=hive.get(schema.MARKETPLACE) or settings.marketplace or published.get(schema.MARKETPLACE),
        named=item.named,
    )
    try:
        size, fingerprint = facts(item.path)
        source = replace(source, size=size, fingerprint=fingerprint)
        detected = detect(item.path, settings, category)
    except SourceError as error:
        if item.named:
            raise
        reason = error.reason if isinstance(error, UnreadableError) else "unreadable_file"
        if reason == "no_reviews":
            found.skipped.append((item.path, str(error).removeprefix(f"{item.path}: ")))
        else:
            found.append(replace(source, problem=(reason, str(error))))
        return
    if detected.metadata:
        found.metadata.append((item.path, detected.format))
    elif not detected.format:
        if item.named:
            raise SourceError(f"{item.path}: {detected.why_not}. Name files that hold reviews.")
        found.skipped.append((item.path, detected.why_not))
    else:
        if detected.format in {"ucsd", "amazon2023"} and category is None:
            category = category_of_name(item.path)
        found.append(replace(source, format=detected.format, category=normalise_name(category)))


def _attach(found: Sources) -> None:
    """Give each source its metadata files; the first that gets one reports its broken rows."""
    reported: set[str] = set()
    for i, source in enumerate(found):
        files = [path for path, form in found.metadata if form == source.format]
        same = [path for path in files if stem(path) == stem(source.path)]
        files = same or files
        if not files:
            continue
        digest = hashlib.sha256(source.fingerprint.encode())
        for path in files:
            digest.update(facts(path).fingerprint.encode())
        found[i] = replace(
            source,
            metadata=tuple(files),
            report_metadata=tuple(path for path in files if path not in reported),
            fingerprint=digest.hexdigest()[:32],
        )
        reported.update(files)


def _attach_label_maps(found: Sources, settings: SourceSettings) -> None:
    """Give each source of labelled texts the map of its labels: the one that is set, or one beside it."""
    known: dict[str, bool] = {}
    versions: dict[str, str] = {}
    for i, source in enumerate(found):
        if source.format not in LABELLED:
            continue
        path = settings.label_map or beside(source.path, known)
        if path is not None:
            if path not in versions:
                versions[path] = facts(path).fingerprint
                read_map(path, versions[path])  # a broken one is told before anything is read
            both = source.fingerprint + versions[path]
            fingerprint = hashlib.sha256(both.encode()).hexdigest()[:32]
            found[i] = replace(source, label_map=path, fingerprint=fingerprint)
