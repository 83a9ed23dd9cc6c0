"""Amazon Customer Reviews: TSV as published (no quoting), and Parquet, Hive-partitioned or not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from shelfcheck import schema
from shelfcheck.sources import parquet
from shelfcheck.sources.base import Chunk
from shelfcheck.sources.delimited import split
from shelfcheck.sources.files import PARQUET_MAGIC, Block, UnreadableError, head, line_blocks, open_stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shelfcheck.sources.base import Source
    from shelfcheck.sources.checks import Rejects

COLUMNS: Final = tuple(schema.REVIEW_SCHEMA.names)
_PUBLISHED: Final = re.compile(
    r"amazon_reviews_(?P<marketplace>[a-z]{2}|multilingual_[A-Z]{2})_(?P<category>\w+?)_v\d+_\d+"
)
_HIVE: Final = re.compile(r"(?:^|/)(\w+)=([^/]*)(?=/)")
_BOM: Final = b"\xef\xbb\xbf"


def hive_values(path: str) -> dict[str, str]:
    """Values that a Hive-partitioned path names, e.g. {'product_category': 'Books', 'year': '2015'}."""
    return {
        key: unquote(value) for key, value in _HIVE.findall(path) if value != "__HIVE_DEFAULT_PARTITION__"
    }


def name_values(path: str) -> dict[str, str]:
    """Category and marketplace that a published file's name gives."""
    match = _PUBLISHED.search(path.rsplit("/", 1)[-1])
    if not match:
        return {}
    values = {schema.PRODUCT_CATEGORY: match["category"]}
    if len(match["marketplace"]) == 2:
        values[schema.MARKETPLACE] = match["marketplace"].upper()
    return values


def looks_like(columns: Sequence[str]) -> bool:
    """Whether columns are those of the Amazon Customer Reviews: the body, or most of the others."""
    known = len(set(columns) & set(COLUMNS))
    return known >= 8 or (known >= 3 and schema.REVIEW_BODY in columns)


def header_names(line: bytes) -> list[str]:
    """Column names of a header line."""
    return line.removeprefix(_BOM).rstrip(b"\r\n").decode("utf-8", "replace").split("\t")


def headerless(fields: Sequence[str]) -> bool:
    """Whether a first line's fields are already a review in the published order."""
    return len(fields) == len(COLUMNS) and fields[7] in set("12345") and fields[8].isdecimal()


def mapping(path: str, columns: Sequence[str], category: str | None) -> dict[str, str]:
    """Canonical name -> column of the file (the same names).

    Raises:
        UnreadableError: the body or, where the path names none either, the category is missing.
    """
    found = {name: name for name in COLUMNS if name in columns}
    missing = [] if schema.REVIEW_BODY in found else [schema.REVIEW_BODY]
    if schema.PRODUCT_CATEGORY not in found and category is None:
        missing.append(schema.PRODUCT_CATEGORY)
    if missing:
        raise UnreadableError(
            f"{path}: the column {' and '.join(missing)} is missing; there are: {', '.join(columns)}. "
            f"Name the file's own columns under [source.columns] in shelfcheck.toml and pass --format table"
            + (", or set source.category." if schema.PRODUCT_CATEGORY in missing else "."),
            "missing_column",
        )
    return found


def read(source: Source, rejects: Rejects, batch_rows: int) -> Iterator[Chunk]:
    """Raw rows of a file, TSV or Parquet."""
    if head(source.path, 4) == PARQUET_MAGIC:
        names = mapping(source.path, parquet.column_names(source.path), source.category)
        yield from parquet.chunks(
            source.path, names, rejects, batch_rows, source.size, row_groups=source.row_groups
        )
    else:
        yield from _read_tsv(source, rejects)


def _read_tsv(source: Source, rejects: Rejects) -> Iterator[Chunk]:
    with open_stream(source.path) as stream:
        header, crlf = b"", False
        names: dict[str, str] = {}
        width, wanted = 0, []
        for block in line_blocks(stream, rejects):
            if not names:
                end = block.data.index(b"\n") + 1
                line = block.data[:end]
                crlf = line.endswith(b"\r\n")
                columns = header_names(line)
                if headerless(columns):
                    columns = list(COLUMNS)
                else:
                    header = line.removeprefix(_BOM).replace(b"\r\n", b"\n")
                    block = Block(block.data[end:], block.first_line + 1)  # noqa: PLW2901
                names = mapping(source.path, columns, source.category)
                width, wanted = len(columns), [columns.index(name) for name in names]
            if crlf:
                block = block._replace(data=block.data.replace(b"\r\n", b"\n"))  # noqa: PLW2901
            fields = split(block, b"\t", width, wanted, rejects, header)
            yield Chunk(
                dict(zip(names, fields.columns, strict=True)), fields.lines, stream.position, clean=True
            )
