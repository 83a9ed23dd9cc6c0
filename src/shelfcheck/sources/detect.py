"""Tells what a file is from its content and name."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from shelfcheck.sources import amazon2023, augmented_manifest, fasttext, parquet, pds, table, ucsd
from shelfcheck.sources.files import MAX_LINE_BYTES, PARQUET_MAGIC, UnreadableError, head
from shelfcheck.sources.jsonlines import first_objects

if TYPE_CHECKING:
    from shelfcheck.config import SourceSettings

_LINES: Final = {  # what a form is that is no Parquet
    "ucsd": "JSON lines",
    "amazon2023": "JSON lines",
    "augmented_manifest": "JSON lines",
    "fasttext": "lines of text",
}
LABELLED: Final = frozenset(("augmented_manifest", "fasttext"))
"""Forms of texts with labels, that a label map may go with."""
_SAMPLE_BYTES: Final = 1 << 18
_ENDINGS: Final = re.compile(
    r"\.(tsv|csv|txt|json|jsonl|ndjson|manifest|train|valid|test|parquet|pq)?(\.(gz|zst|zstd))?$",
    re.IGNORECASE,
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
    if is_parquet and settings.format in _LINES:
        raise UnreadableError(
            f"{path}: Parquet, while {settings.format} is {_LINES[settings.format]}. "
            "Pass --format table and map columns."
        )
    columns: list[str] = []
    objects: list[dict[str, Any]] = []
    if is_parquet:
        columns = parquet.column_names(path)
    else:
        objects = first_objects(sample)
        if not objects and sample.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
            return _no_json_lines(path, sample)
    form = settings.format or _format(columns, objects, sample, settings)
    if form in _LINES:
        return _of_lines(path, form, objects, sample, settings)
    if form == "pds":
        names = columns or pds.header_names(sample.partition(b"\n")[0])
        if is_parquet or not pds.headerless(names):
            pds.mapping(path, names, category)
        return Detected(form)
    if b"\0" in sample[:4096] and not is_parquet:
        raise UnreadableError(f"{path}: binary, and no Parquet, gzip or zstd. Name text or Parquet files.")
    table.check(path, settings, category)
    return Detected("table")


def _of_lines(
    path: str, form: str, objects: list[dict[str, Any]], sample: bytes, settings: SourceSettings
) -> Detected:
    if form == "fasttext":
        fasttext.check(path, sample)
    elif form == "augmented_manifest":
        augmented_manifest.check(path, objects, settings)
    else:
        reader = ucsd if form == "ucsd" else amazon2023
        if reader.is_metadata(objects):
            return Detected(form, metadata=True)
        if settings.format and not reader.is_reviews(objects):
            raise UnreadableError(f"{path}: {reader.MISSING}", "missing_column")
    return Detected(form)


def _format(
    columns: list[str], objects: list[dict[str, Any]], sample: bytes, settings: SourceSettings
) -> str:
    if objects:
        for form, reader in (("ucsd", ucsd), ("amazon2023", amazon2023)):
            if reader.is_reviews(objects) or reader.is_metadata(objects):
                return form
        return "augmented_manifest" if augmented_manifest.is_labelled(objects, settings) else "table"
    if not columns:
        if fasttext.looks_like(sample):
            return "fasttext"
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
