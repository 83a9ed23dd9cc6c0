"""Any CSV, TSV, Parquet or JSON lines, with `settings.source.columns` naming what its columns are."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, Final

from shelfcheck import schema
from shelfcheck.sources import parquet
from shelfcheck.sources.base import Chunk
from shelfcheck.sources.delimited import split
from shelfcheck.sources.files import (
    PARQUET_MAGIC,
    Block,
    ByteStream,
    UnreadableError,
    head,
    line_blocks,
    open_stream,
)
from shelfcheck.sources.jsonlines import first_objects, read_block, value_type
from shelfcheck.sources.quoted import Layout, fields, parse_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from shelfcheck.config import SourceSettings
    from shelfcheck.sources.base import Source
    from shelfcheck.sources.checks import Rejects

_SAMPLE_BYTES: Final = 1 << 18
_BOM: Final = b"\xef\xbb\xbf"
_CANONICAL: Final = tuple(schema.REVIEW_SCHEMA.names)
_WORD_ENDS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")
# Names that other exports use; only suggested, never taken for granted.
_OTHER_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    schema.REVIEW_BODY: (
        "text",
        "body",
        "review",
        "review_text",
        "content",
        "comment",
        "comments",
        "message",
    ),
    schema.PRODUCT_CATEGORY: (
        "category",
        "category_name",
        "department",
        "main_category",
        "product_type",
        "class",
    ),
    schema.REVIEW_HEADLINE: ("title", "headline", "summary", "review_title", "subject"),
    schema.STAR_RATING: ("rating", "stars", "score", "overall", "star"),
    schema.PRODUCT_ID: ("asin", "sku", "product", "item_id", "parent_asin"),
    schema.CUSTOMER_ID: ("user_id", "reviewer_id", "user", "customer", "author"),
    schema.REVIEW_DATE: ("date", "time", "timestamp", "created_at", "review_time"),
}


def check(path: str, settings: SourceSettings, category: str | None) -> None:
    """See whether a file's columns can be read as reviews.

    Raises:
        UnreadableError: a column that is needed or mapped is missing (`missing_column`), or
            nothing in the file looks like a review (`no_reviews`).
    """
    sample = head(path, _SAMPLE_BYTES)
    if sample.startswith(PARQUET_MAGIC):
        columns = parquet.column_names(path)
    elif objects := first_objects(sample):
        columns = list(dict.fromkeys(key for item in objects for key in item))
    else:
        columns = _dialect(sample)[1]
    resolve(path, columns, settings, category)


def resolve(
    path: str, columns: Sequence[str], settings: SourceSettings, category: str | None
) -> dict[str, str]:
    """Canonical name -> column of the file: as mapped, else by the canonical name in any case.

    Raises:
        UnreadableError: see `check`.
    """
    unknown = [name for name in settings.columns if name not in _CANONICAL]
    if unknown:
        raise UnreadableError(
            f"source.columns.{unknown[0]}: no such column of a review. Map to: {', '.join(_CANONICAL)}.",
            "missing_column",
        )
    absent = [f"{name} = {column!r}" for name, column in settings.columns.items() if column not in columns]
    if absent:
        raise UnreadableError(
            f"{path}: source.columns maps {', '.join(absent)}, which the file does not have; "
            f"there are: {', '.join(columns)}. Correct [source.columns] in shelfcheck.toml.",
            "missing_column",
        )
    by_name = {_plain(column): column for column in reversed(columns)}
    found = {
        name: settings.columns.get(name) or by_name[name]
        for name in _CANONICAL
        if name in settings.columns or name in by_name
    }
    missing = [] if schema.REVIEW_BODY in found else [schema.REVIEW_BODY]
    if schema.PRODUCT_CATEGORY not in found and category is None:
        missing.append(schema.PRODUCT_CATEGORY)
    if missing:
        suggested = _suggest(columns, [name for name in _CANONICAL if name not in found])
        hopeless = schema.REVIEW_BODY in missing and not settings.columns and not found
        raise UnreadableError(
            _explain(path, columns, missing, suggested), "no_reviews" if hopeless else "missing_column"
        )
    return found


def read(source: Source, rejects: Rejects, batch_rows: int) -> Iterator[Chunk]:
    """Raw rows of a file in any of the table forms."""
    sample = head(source.path, _SAMPLE_BYTES)
    if sample.startswith(PARQUET_MAGIC):
        names = resolve(source.path, parquet.column_names(source.path), source.settings, source.category)
        yield from parquet.chunks(
            source.path, names, rejects, batch_rows, source.size, row_groups=source.row_groups
        )
        return
    objects = first_objects(sample)
    with open_stream(source.path) as stream:
        if objects:
            yield from _read_json(source, objects, stream, rejects)
        else:
            yield from _read_text(source, sample, stream, rejects)


def _read_json(
    source: Source, objects: list[dict[str, Any]], stream: ByteStream, rejects: Rejects
) -> Iterator[Chunk]:
    keys = list(dict.fromkeys(key for item in objects for key in item))
    names = resolve(source.path, keys, source.settings, source.category)
    types = {column: value_type([item.get(column) for item in objects]) for column in names.values()}
    for block in line_blocks(stream, rejects):
        columns, lines = read_block(block, types, rejects)
        yield Chunk({name: columns[column] for name, column in names.items()}, lines, stream.position)


def _read_text(source: Source, sample: bytes, stream: ByteStream, rejects: Rejects) -> Iterator[Chunk]:
    delimiter, columns, quotes = _dialect(sample)
    names = resolve(source.path, columns, source.settings, source.category)
    layout = Layout(delimiter, len(columns), [columns.index(column) for column in names.values()], columns)
    if not quotes:
        header = sample.removeprefix(_BOM).partition(b"\n")[0].rstrip(b"\r") + b"\n"
        for block in _body(line_blocks(stream, rejects), unify=True):
            found = split(block, delimiter, layout.width, layout.wanted, rejects, header)
            yield Chunk(
                dict(zip(names, found.columns, strict=True)), found.lines, stream.position, clean=True
            )
        return
    for found in fields(_body(line_blocks(stream, rejects), unify=False), layout, rejects):
        yield Chunk(dict(zip(names, found.columns, strict=True)), found.lines, stream.position)


def _body(blocks: Iterator[Block], *, unify: bool) -> Iterator[Block]:
    """Blocks after the header line; `unify` makes all line ends line feeds where the header's is CR LF."""
    crlf: bool | None = None
    for block in blocks:
        data, line = block
        if crlf is None:
            end = data.index(b"\n") + 1
            crlf = data[:end].endswith(b"\r\n")
            data, line = data[end:], line + 1
        yield Block(data.replace(b"\r\n", b"\n") if crlf and unify else data, line)


def _dialect(sample: bytes) -> tuple[bytes, list[str], bool]:
    """Delimiter, column names, and whether quotes have a meaning.

    In tab-separated text quotes are literal, unless its beginning has quoted fields and reads
    without an error with them.
    """
    text = sample.removeprefix(_BOM)
    header = text.partition(b"\n")[0].rstrip(b"\r").decode("utf-8", "replace")
    bare = re.sub(r'"[^"]*"', "", header)
    delimiter = max("\t,;|", key=bare.count)  # on a tie the first: a lone column has no delimiter
    columns = parse_line(header, delimiter) or header.split(delimiter)
    if delimiter != "\t":
        return delimiter.encode(), columns, True
    quotes = b'"' in text and _reads_quoted(text, delimiter, len(columns))
    return b"\t", columns if quotes else header.split("\t"), quotes


def _reads_quoted(text: bytes, delimiter: str, width: int) -> bool:
    import csv  # noqa: PLC0415 - only for tab-separated text with quotes

    decoded = text[: text.rfind(b"\n") + 1].decode("utf-8", "replace")
    rows = 0
    try:
        for row in csv.reader(decoded.split("\n"), delimiter=delimiter, strict=True):
            if row and len(row) != width:
                return False
            rows += 1
    except csv.Error as error:  # the sample may end inside of a quoted field
        return rows > 1 and "unexpected end of data" in str(error)
    return True


def _plain(name: str) -> str:
    """`Review Body`, `reviewBody` -> `review_body`."""
    return "_".join(part.lower() for part in _WORD_ENDS.split(name.strip()) if part)


def _suggest(columns: Sequence[str], wanted: Sequence[str]) -> dict[str, str]:
    """A column for each wanted name, where one has a name like it."""
    plain = {_plain(column): column for column in reversed(columns)}
    needed = [name for name in (schema.REVIEW_BODY, schema.PRODUCT_CATEGORY) if name in wanted]
    wanted = [*needed, *(name for name in wanted if name not in needed)]
    suggested: dict[str, str] = {}
    for close in (False, True):  # names that others use, before names that are merely alike
        for name in wanted:
            others = difflib.get_close_matches(name, plain, 3, 0.75) if close else _OTHER_NAMES.get(name, ())
            free = [plain[other] for other in others if plain.get(other) not in {None, *suggested.values()}]
            if free and name not in suggested:
                suggested[name] = free[0]
    return {name: suggested[name] for name in _CANONICAL if name in suggested}


def _explain(path: str, columns: Sequence[str], missing: Sequence[str], suggested: Mapping[str, str]) -> str:
    lines = [
        f"{path}: no column {' and no column '.join(missing)}; there are: {', '.join(columns)[:1000]}.",
        "Say in shelfcheck.toml which they are" + (", for instance:" if suggested else ":"),
        "  [source.columns]",
    ]
    lines += [f'  {name} = "{column}"' for name, column in suggested.items()]
    lines += [f'  {name} = "..."' for name in missing if name not in suggested]
    if schema.PRODUCT_CATEGORY in missing:
        lines.append('or, where all reviews are of one category: source.category = "..."')
    return "\n".join(lines)
