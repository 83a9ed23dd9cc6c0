"""How many reviews there are, from metadata alone: no review is read.

A workspace and a folder of prepared reviews are answered by the listing that `prepare` left; Parquet files by
their footers. Local paths and URLs alike.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from shelfcheck.errors import SourceError, UsageError, WorkspaceError
from shelfcheck.listing import LISTING_FILE, UNKNOWN_MONTH, Listing
from shelfcheck.urls import is_store, is_url, local_path
from shelfcheck.workspace import MANIFEST, Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREPARED: Final = "prepared"
_REVIEWS: Final = "reviews"


@dataclass(frozen=True)
class Count:
    """How many reviews a place holds.

    Attributes:
        place: the path or URL that was counted.
        rows: reviews.
        bytes: of the Parquet files that hold them.
        files: number of these files.
        months: 'YYYY-MM' or `unknown` -> reviews, in order; None where months were not asked for.
        used: what told it: the listing's path, or `footers of N Parquet files`.
        other_files: files of other forms in the folder, which were not counted.
        seconds: how long it took.
    """

    place: str
    rows: int
    bytes: int
    files: int
    months: dict[str, int] | None
    used: str
    other_files: int
    seconds: float


def count(place: str | Path, *, by: Literal["month"] | None = None) -> Count:
    """Count reviews from metadata.

    Args:
        place: a workspace, a folder that `prepare` wrote, a Parquet file or a folder of them; path or URL.
        by: also count by month. Parquet files tell months where `review_month=YYYY-MM` stands in the path, or
            where each row group's dates are of one month.

    Raises:
        SourceError: nothing is there, or nothing that tells its rows.
        UsageError: the files do not tell months.
        WorkspaceError: the workspace has no prepared reviews, or its listing is damaged.
    """
    started = time.perf_counter()
    name = str(place)
    found = _in_store(name) if is_url(name) else _on_disk(name)
    if found.listing is not None:
        files = found.listing.files()
        return Count(
            place=name,
            rows=found.listing.rows,
            bytes=found.listing.bytes,
            files=len(files),
            months=found.listing.rows_by_month() if by == "month" else None,
            used=found.place,
            other_files=0,
            seconds=time.perf_counter() - started,
        )
    from shelfcheck.sources.footers import find_footers  # noqa: PLC0415 - loads pyarrow

    footers, others = find_footers(found.place)
    months = _by_month(name, {footer.path: footer.months for footer in footers}) if by == "month" else None
    return Count(
        place=name,
        rows=sum(footer.rows for footer in footers),
        bytes=sum(footer.bytes for footer in footers),
        files=len(footers),
        months=months,
        used=f"footers of {len(footers):,} Parquet file{'s' if len(footers) != 1 else ''}",
        other_files=others,
        seconds=time.perf_counter() - started,
    )


class _Found(NamedTuple):
    """What counts a place: its listing and where it stands, or else where its Parquet files are."""

    listing: Listing | None
    place: str


def _on_disk(name: str) -> _Found:
    root = Path(local_path(name))
    if not root.is_dir():
        return _Found(None, name)
    # A workspace, or in it the folder `prepared` with its manifest, or in that the one that holds.
    for workspace, artefact in ((Workspace(root), _PREPARED), (Workspace(root.parent), root.name)):
        manifest = workspace.manifest(artefact)
        if manifest is not None and manifest.artefact == _PREPARED:
            root = workspace.path(artefact, made_by="shelfcheck prepare SOURCE...")
            break
    file = root / LISTING_FILE
    if file.is_file():
        return _Found(Listing.from_json(file.read_text(encoding="utf-8"), str(file)), str(file))
    return _Found(None, str(root / _REVIEWS if (root / _REVIEWS).is_dir() else root))


def _in_store(url: str) -> _Found:
    if url.lower().endswith((".parquet", ".pq")):
        return _Found(None, url)
    shown = url.rstrip("/")
    listing, *manifests = _get(url, [LISTING_FILE, f"{_PREPARED}/{MANIFEST}", MANIFEST])
    if listing is None:
        for manifest, home in zip(manifests, (f"{_PREPARED}/", ""), strict=True):
            folder = None if manifest is None else _prepared_folder(manifest, f"{shown}/{home}{MANIFEST}")
            if folder is not None:
                shown = f"{shown}/{home}{folder}"
                listing = _get(url, [f"{home}{folder}/{LISTING_FILE}"])[0]
                if listing is None:
                    return _Found(None, f"{shown}/{_REVIEWS}")
                break
    if listing is None:
        return _Found(None, url)
    shown = f"{shown}/{LISTING_FILE}"
    return _Found(Listing.from_json(listing.decode(errors="replace"), shown), shown)


def _get(url: str, names: list[str]) -> list[bytes | None]:
    """Whole small files of an object store, asked for at a time; None for those that are not there."""
    if is_store(url):
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

        from shelfcheck.stores import open_store  # noqa: PLC0415 - an extra, and slow to load

        store = open_store(url)
        with ThreadPoolExecutor(len(names)) as pool:
            found = list(pool.map(store.get, names))
        return [None if one is None else one.data for one in found]
    return [_at_url(f"{url.rstrip('/')}/{name}") for name in names]


def _at_url(url: str) -> bytes | None:
    from shelfcheck.sources.files import open_files, read_errors, reason_of  # noqa: PLC0415 - loads numpy

    fs, inner = open_files(url)
    try:
        return bytes(fs.cat_file(inner))
    except FileNotFoundError:
        return None
    except read_errors() as error:
        raise SourceError(f"{url}: cannot be read: {reason_of(error)}") from error


def _prepared_folder(manifest: bytes, where: str) -> str | None:
    """The folder that a manifest names, if it is one of prepared reviews."""
    try:
        values = json.loads(manifest)
        return str(values["folder"]) if values["artefact"] == _PREPARED else None
    except (ValueError, KeyError, TypeError) as error:
        raise WorkspaceError(f"{where}: unreadable manifest ({type(error).__name__}: {error}).") from error


def _by_month(name: str, files: Mapping[str, Mapping[str | None, int] | None]) -> dict[str, int]:
    months: Counter[str] = Counter()
    for path, rows in files.items():
        if rows is None:
            raise UsageError(
                f"{path}: metadata do not tell its months. Count without --by, or prepare the reviews first: "
                f"shelfcheck prepare {name} --workspace W"
            )
        months.update({UNKNOWN_MONTH if month is None else month: n for month, n in rows.items()})
    return {month: months[month] for month in sorted(months)}  # `unknown` sorts behind all digits
