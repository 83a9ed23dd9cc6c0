"""Prepared reviews as SQL sees them: in batches of whole months, with their month and the md5 of their id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from shelfcheck.schema import PREPARED_SCHEMA, PRODUCT_CATEGORY, REVIEW_ID, REVIEW_MONTH, SAMPLE_WEIGHT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from shelfcheck.listing import Listing

BATCH_ROWS: Final = 1_000_000
HASH: Final = "id_md5"


class Batch(NamedTuple):
    """Consecutive months, whole; large ones stand alone.

    Attributes:
        files: Parquet files of reviews.
        rows: in all of them.
        by_month: whether the month stands in the path; in the file otherwise.
    """

    files: tuple[Path, ...]
    rows: int
    by_month: bool = True


def batches(prepared_dir: Path, listing: Listing, rows: int = BATCH_ROWS) -> Iterator[Batch]:
    """Group the months of prepared reviews, in their order, into batches of at most `rows` where they fit."""
    files: list[Path] = []
    waiting = 0
    for month in listing.months.values():
        size = sum(file.rows for file in month)
        if files and waiting + size > rows:
            yield Batch(tuple(files), waiting)
            files, waiting = [], 0
        files += [prepared_dir / file.path for file in month]
        waiting += size
    if files:
        yield Batch(tuple(files), waiting)


def relation(
    batch: Batch, columns: Sequence[str], *, hashed: bool = False, without: Iterable[str] = ()
) -> str:
    """A subquery over files of prepared reviews.

    Args:
        batch: the files.
        columns: of PREPARED_SCHEMA; of a sample, `sample_weight` too.
        without: categories whose reviews are left out.
        hashed: add `id_md5`, the md5 of `$salt` and the review's id in hex, whose order is that of sampling.
    """
    unknown = set(columns) - {*PREPARED_SCHEMA.names, SAMPLE_WEIGHT}
    if unknown:
        raise ValueError(f"no such columns: {sorted(unknown)}")
    names = ", ".join(columns)
    paths = ", ".join(_quoted(str(file)) for file in batch.files)
    out = ", ".join(_quoted(name) for name in without)
    where = f" WHERE {PRODUCT_CATEGORY} NOT IN ({out})" if out else ""
    hive = "hive_partitioning = false"
    if batch.by_month:
        hive = f"hive_partitioning = true, hive_types = {{'{REVIEW_MONTH}': VARCHAR}}"
    key = f", md5(concat($salt, {REVIEW_ID})) AS {HASH}" if hashed else ""
    return f"(SELECT {names}{key} FROM read_parquet([{paths}], {hive}){where})"  # noqa: S608 - quoted


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
