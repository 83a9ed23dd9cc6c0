"""Tells what a file is from its content and name."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from shelfcheck.sources import amazon2023, parquet, pds, table, ucsd
from shelfcheck.sources.files import MAX_LINE_BYTES, PARQUET_MAGIC, UnreadableError, head
from shelfcheck.sources.jsonlines import first_objects

if TYPE_CHECKING:
    from shelfcheck.config import SourceSettings

_SAMPLE_BYTES: Final = 1 << 18
_ENDINGS: Final = re.compile(
    r"\.(tsv|csv|txt|json|jsonl|ndjson|parquet|pq)?(\.(gz|zst|zstd))?$", re.IGNORECASE
)
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_WHOLE_DOCUMENT: Final = 8 << 20  # a larger JSON document is not looked at as a whole


class Detected(NamedTuple):
    """What a file is.

    Exactly one of three: reviews in a format, product metadata of a format, or neither, and why.
    """

    format: str  # "" for neither
    metadata: bool = False
    why_not: str = ""


def has_data_name(path: str) -> bool:
    """Whether a name ends like a data file's."""
    match = _ENDINGS.search(path.rsplit("/", 1)[-1])
    return bool(match and match[0] and (match[1] or match[3]))


def detect(path: str, settings: SourceSettings, category: str | None = None) -> Detected:
    """Tell a file's format from its first 256 kB, or from `settings.format`.

    Args:
        path: local path or URL.
        settings: a format named there is believed, but a column it needs must be there.
        category: category that the path gives to rows that name none.

    Raises:
        UnreadableError: the file cannot be read as anything, or lacks a column that its format needs.
    """
    sample = head(path, _SAMPLE_BYTES)
    if sample.startswith(_UTF16):
        raise UnreadableError(
            f"{path}: the text is UTF-16, not UTF-8. Convert it with: iconv -f UTF-16 -t UTF-8 IN > OUT"
        )
    is_parquet = sample.startswith(PARQUET_MAGIC)
    if not is_parquet and b"\n" not in sample and len(sample) >= _SAMPLE_BYTES:
        sample = head(path, MAX_LINE_BYTES)  # metadata has long lines
    if is_parquet and settings.format in {"ucsd", "amazon2023"}:
        raise UnreadableError(
            f"{path}: Parquet, while {settings.format} is JSON lines. Pass --format table and map columns."
        )
    columns: list[str] = []
    objects: list[dict[str, Any]] = []
    if is_parquet:
        columns = parquet.column_names(path)
    else:
        objects = first_objects(sample)
        if not objects and sample.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
            return _no_json_lines(path, sample)
    form = settings.format or _format(columns, objects, sample)
    if form in {"ucsd", "amazon2023"}:
        reader = ucsd if form == "ucsd" else amazon2023
        if reader.is_metadata(objects):
            return Detected(form, metadata=True)
        if settings.format and not reader.is_reviews(objects):
            raise UnreadableError(f"{path}: {reader.MISSING}", "missing_column")
        return Detected(form)
    if form == "pds":
        names = columns or pds.header_names(sample.partition(b"\n")[0])
        if is_parquet or not pds.headerless(names):
            pds.mapping(path, names, category)
        return Detected(form)
    if b"\0" in sample[:4096] and not is_parquet:
        raise UnreadableError(f"{path}: binary, and no Parquet, gzip or zstd. Name text or Parquet files.")
    table.check(path, settings, category)
    return Detected("table")


def _format(columns: list[str], objects: list[dict[str, Any]], sample: bytes) -> str:
    if objects:
        for form, reader in (("ucsd", ucsd), ("amazon2023", amazon2023)):
            if reader.is_reviews(objects) or reader.is_metadata(objects):
                return form
        return "table"
    if not columns:
        first = pds.header_names(sample.partition(b"\n")[0])
        if pds.headerless(first):
            return "pds"
        columns = first
    return "pds" if pds.looks_like(columns) else "table"


def _no_json_lines(path: str, sample: bytes) -> Detected:
    if len(sample) < _SAMPLE_BYTES:
        try:
            json.loads(sample)
        except (ValueError, RecursionError):
            pass
        else:
            return Detected("", why_not="one JSON document, not JSON lines")
    raise UnreadableError(
        f"{path}: no line of its beginning is a JSON object. Write one object a line (JSON lines)."
    )
