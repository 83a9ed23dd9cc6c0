"""Batches of any reviews that carry labels: prepared ones, Parquet files with more columns, raw sources."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck.errors import SourceError
from shelfcheck.models.encode import ROW_SCHEMA
from shelfcheck.models.slices import needed
from shelfcheck.prepare.read import count_prepared, iter_prepared
from shelfcheck.schema import (
    PREPARED_SCHEMA,
    PRODUCT_CATEGORY,
    REVIEW_BODY,
    REVIEW_DATE,
    REVIEW_HEADLINE,
    REVIEW_SCHEMA,
    REVIEW_TOKENS,
    STAR_RATING,
)
from shelfcheck.sources import find_sources
from shelfcheck.sources.categories import normalise

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shelfcheck.config import LabelName, SourceSettings
    from shelfcheck.progress import Progress

    Batch = tuple[pa.Table, int]

_BATCH_ROWS: Final = 1 << 16
_READ: Final = (*ROW_SCHEMA.names, REVIEW_HEADLINE, REVIEW_BODY)
LABEL_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "product_category": (PRODUCT_CATEGORY,),
    "star_rating": (STAR_RATING,),
    "product_category_year": (PRODUCT_CATEGORY, REVIEW_DATE),
    "product_category_star_rating": (PRODUCT_CATEGORY, STAR_RATING),
}
"""What a label is made of."""


def labelled_batches(
    specs: Sequence[str],
    settings: SourceSettings,
    label: LabelName,
    by: Sequence[str],
    progress: Progress,
) -> Iterator[Batch]:
    """Batches of reviews, in bounded memory.

    Args:
        specs: files, folders, globs or URLs. A folder that `prepare` wrote, and Parquet files with the
            canonical columns, are read as they are, with any other column and with the tokens that they
            hold; everything else is read as `prepare` reads it.
        settings: the form of raw files; with `columns`, Parquet files too are read as raw ones.
        label: what the reviews must have.
        by: further columns wanted.
        progress: told how far it is.

    Yields:
        Reviews, and how many rows beside them were broken.

    Raises:
        SourceError: there is nothing to read, or a column is missing.
    """
    for spec in specs:
        path = Path(spec)
        if (path / "reviews").is_dir():
            _require(spec, PREPARED_SCHEMA.names, label, by)
            progress.start("Judging", count_prepared(path))
            names = list(dict.fromkeys([*_READ, REVIEW_TOKENS, *map(needed, by)]))
            for batch in iter_prepared(path, names, _BATCH_ROWS):
                yield pa.Table.from_batches([batch]), 0
                progress.advance(batch.num_rows)
            continue
        files = [] if settings.columns else _canonical_parquet(path)
        if files:
            for file in files:
                _require(str(file), pq.read_schema(file).names, label, by)
            progress.start("Judging", sum(pq.read_metadata(file).num_rows for file in files))
            for file in files:
                yield from _stored(file, by, progress)
        else:
            _require(spec, REVIEW_SCHEMA.names, label, by)
            sources = find_sources([spec], settings)
            progress.start("Judging", sum(source.size for source in sources), unit="bytes")
            for source in sources:
                for read in source.batches(_BATCH_ROWS):
                    yield pa.Table.from_batches([read.reviews]), read.rejected.num_rows
                    progress.advance(read.bytes_read, rows=read.reviews.num_rows)


def _canonical_parquet(path: Path) -> list[Path]:
    """The Parquet files at a path, if all have canonical texts."""
    if path.is_file():
        files = [path] if path.suffix == ".parquet" else []
    else:
        files = sorted(path.rglob("*.parquet")) if path.is_dir() else []
    try:
        own = all({REVIEW_BODY, REVIEW_TOKENS} & set(pq.read_schema(file).names) for file in files)
    except (OSError, pa.ArrowException):
        return []  # the readers of raw files say what is wrong with it
    return files if own else []


def _require(spec: str, names: Sequence[str], label: LabelName, by: Sequence[str]) -> None:
    missing = [name for name in LABEL_COLUMNS[label] if name not in names]
    if missing:
        raise SourceError(
            f"{spec}: has no column {missing[0]}, which the label {label} is made of; there are: "
            f"{', '.join(names)}. Name the column that holds it: [source] columns = "
            f'{{ {missing[0]} = "..." }} in shelfcheck.toml.'
        )
    unknown = [name for name in by if needed(name) not in names]
    if unknown:
        raise SourceError(
            f"{spec}: has no column {unknown[0]} to slice by; there are: {', '.join(names)}. "
            "Columns beside those of a review can be had from Parquet files with canonical names."
        )


def _stored(file: Path, by: Sequence[str], progress: Progress) -> Iterator[Batch]:
    with pq.ParquetFile(file) as parquet:
        names = parquet.schema_arrow.names
        wanted = dict.fromkeys([*_READ, REVIEW_TOKENS, *map(needed, by)])
        for batch in parquet.iter_batches(_BATCH_ROWS, columns=[name for name in wanted if name in names]):
            yield _as_reviews(pa.Table.from_batches([batch]), file), 0
            progress.advance(batch.num_rows)


def _as_reviews(table: pa.Table, file: Path) -> pa.Table:
    """Canonical types, and one spelling of categories."""
    for at, name in enumerate(table.schema.names):
        column = table.column(at)
        try:
            if name == PRODUCT_CATEGORY:
                column = normalise(column)
            if name in PREPARED_SCHEMA.names:
                column = column.cast(PREPARED_SCHEMA.field(name).type)
        except pa.ArrowException as error:
            raise SourceError(
                f"{file}: column {name} is {table.schema.field(at).type}, must be "
                f"{PREPARED_SCHEMA.field(name).type} ({error}). Prepare the file first: shelfcheck prepare"
            ) from error
        table = table.set_column(at, name, column)
    return table
