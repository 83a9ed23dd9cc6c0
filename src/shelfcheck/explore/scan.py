"""The one scan of prepared reviews: sums and lengths by category and month, and a small key of every review.

A unit of work is a file of one month, or some row groups of a large one. What a unit yields is added up in
the order of the units, so that no result hangs on the number of threads. The keys go to disk; distinct
products, customers and texts are found over them.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shelfcheck import schema
from shelfcheck.explore.kernels import SUMS, add_up, count_characters, count_tokens
from shelfcheck.explore.lengths import Lengths
from shelfcheck.prepare.fingerprint import fingerprints
from shelfcheck.prepare.ordered import ordered_map
from shelfcheck.prepare.read import prepared_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from shelfcheck.progress import Progress

NO_DATE: Final = -1
"""Month of a review without a date; others are counted from the year 0."""

NULLABLE: Final = (
    schema.MARKETPLACE,
    schema.CUSTOMER_ID,
    schema.PRODUCT_ID,
    schema.PRODUCT_PARENT,
    schema.PRODUCT_TITLE,
    schema.STAR_RATING,
    schema.HELPFUL_VOTES,
    schema.TOTAL_VOTES,
    schema.VINE,
    schema.VERIFIED_PURCHASE,
    schema.REVIEW_HEADLINE,
    schema.REVIEW_DATE,
)
"""Columns that may be null; `prepare` leaves no null in the others."""

_READ: Final = (
    *(name for name in NULLABLE if name != schema.REVIEW_DATE),
    schema.PRODUCT_CATEGORY,
    schema.REVIEW_BODY,
    schema.REVIEW_TOKENS,
)

SCANNED: Final = (*_READ, schema.REVIEW_DATE)
"""Columns of prepared reviews that are read; the date is told by the month in the path."""

_UNIT_ROWS: Final = 131_072  # above which a file is more than one unit
_BATCH_ROWS: Final = 32_768

KEY_SCHEMA: Final = pa.schema(
    [
        ("category", pa.int16()),  # place in the list of categories
        ("month", pa.int16()),
        ("stars", pa.int8()),  # 0: unknown
        ("tokens", pa.int32()),
        ("product", pa.uint64()),  # fingerprint of the product id, 0 without one
        ("customer", pa.uint64()),
        ("text", pa.uint64()),  # fingerprint of the body
        ("place", pa.int64()),  # the unit's number * 2^32 + the row in it
    ]
)
"""Fingerprints have 64 bits: that any two of 30 million customers share one has a chance of 2 in 100,000."""


class Unit(NamedTuple):
    """Row groups of a file of prepared reviews, all of one month."""

    number: int
    file: Path
    row_groups: tuple[int, ...]
    rows: int
    month: int


@dataclass
class MonthlyCounts:
    """What was counted of one month, by category.

    Attributes:
        sums: (categories, len(SUMS)) int64.
        missing: (categories, len(NULLABLE)) int64.
        characters: exact lengths of the bodies.
        tokens: exact numbers of tokens.
    """

    sums: NDArray[np.int64]
    missing: NDArray[np.int64]
    characters: Lengths
    tokens: Lengths

    def add(self, other: MonthlyCounts) -> None:
        """Add the counts of more reviews."""
        self.sums += other.sums
        self.missing += other.missing
        self.characters = self.characters + other.characters
        self.tokens = self.tokens + other.tokens


def units(prepared_dir: Path) -> list[Unit]:
    """Prepared reviews in pieces, in the order of reading."""
    found: list[Unit] = []
    for file, month in prepared_files(prepared_dir):
        code = NO_DATE if month is None else int(month[:4]) * 12 + int(month[5:7]) - 1
        metadata = pq.read_metadata(file)
        groups: list[int] = []
        rows = 0
        for group in range(metadata.num_row_groups):
            groups.append(group)
            rows += metadata.row_group(group).num_rows
            if rows >= _UNIT_ROWS or group + 1 == metadata.num_row_groups:
                found.append(Unit(len(found), file, tuple(groups), rows, code))
                groups, rows = [], 0
    return found


def scan(
    todo: Sequence[Unit], categories: Sequence[str], keys: Path, threads: int, progress: Progress
) -> Iterator[tuple[int, MonthlyCounts]]:
    """Read every review once.

    Args:
        todo: what to read, in the order of `units`.
        categories: every category that stands there.
        keys: the file to write keys of KEY_SCHEMA to, one a review.
        threads: that read and count.
        progress: told how many reviews are read.

    Yields:
        Each month and what was counted of it, in the order of the units. The keys are whole after the last.
    """
    codes = {name: code for code, name in enumerate(categories)}
    progress.start("Reading", sum(unit.rows for unit in todo))
    with (
        ThreadPoolExecutor(threads, thread_name_prefix="explore") as pool,
        # Random numbers: neither compression nor dictionaries nor statistics would pay.
        pq.ParquetWriter(
            keys, KEY_SCHEMA, compression="none", use_dictionary=False, write_statistics=False
        ) as writer,
    ):
        month, counts = NO_DATE, None
        for unit, (found, batches) in ordered_map(pool, lambda unit: _count(unit, codes), todo, threads + 1):
            if counts is None or unit.month != month:
                if counts is not None:
                    yield month, counts
                month, counts = unit.month, found
            else:
                counts.add(found)
            writer.write_table(pa.Table.from_batches(batches))
            progress.advance(unit.rows)
        if counts is not None:
            yield month, counts
    progress.finish()


def _count(unit: Unit, codes: Mapping[str, int]) -> tuple[MonthlyCounts, list[pa.RecordBatch]]:
    n = len(codes)
    sums = np.zeros((n, len(SUMS)), np.int64)
    missing = np.zeros((n, len(NULLABLE)), np.int64)
    seen = []
    keys = []
    for first, reviews in _batches(unit):
        category = _category_codes(reviews.column(schema.PRODUCT_CATEGORY), codes)
        characters = count_characters(reviews.column(schema.REVIEW_BODY))
        tokens = count_tokens(reviews.column(schema.REVIEW_TOKENS))
        stars = _numbers(reviews, schema.STAR_RATING)
        add_up(
            category,
            stars,
            _numbers(reviews, schema.HELPFUL_VOTES),
            _numbers(reviews, schema.TOTAL_VOTES),
            _flags(reviews, schema.VERIFIED_PURCHASE),
            _flags(reviews, schema.VINE),
            characters,
            tokens,
            sums,
        )
        for at, name in enumerate(NULLABLE):
            missing[:, at] += _nulls(reviews, name, unit.month, category, n)
        seen.append((category, characters, tokens))
        keys.append(
            pa.RecordBatch.from_arrays(
                [
                    pa.array(category),
                    pa.array(np.full(category.size, unit.month, np.int16)),
                    pa.array(np.clip(stars, 0, 5).astype(np.int8)),
                    pa.array(tokens),
                    pa.array(fingerprint(reviews.column(schema.PRODUCT_ID))),
                    pa.array(fingerprint(reviews.column(schema.CUSTOMER_ID))),
                    pa.array(fingerprint(reviews.column(schema.REVIEW_BODY))),
                    pa.array(np.arange(first, first + category.size, dtype=np.int64) + (unit.number << 32)),
                ],
                schema=KEY_SCHEMA,
            )
        )
    category, characters, tokens = (np.concatenate(parts) for parts in zip(*seen, strict=True))
    counts = MonthlyCounts(
        sums, missing, Lengths.count(category, characters), Lengths.count(category, tokens)
    )
    return counts, keys


def _batches(unit: Unit) -> Iterator[tuple[int, pa.RecordBatch]]:
    first = 0
    # Mapped and not buffered ahead: for the small files of most months, twice as fast.
    with pq.ParquetFile(
        unit.file,
        read_dictionary=[schema.PRODUCT_CATEGORY, schema.MARKETPLACE],
        memory_map=True,
        pre_buffer=False,
    ) as file:
        for batch in file.iter_batches(
            _BATCH_ROWS, row_groups=list(unit.row_groups), columns=list(_READ), use_threads=False
        ):
            yield first, batch
            first += batch.num_rows


def fingerprint(column: pa.Array) -> NDArray[np.uint64]:
    """64 bits that tell a text from others; 0 for null."""
    low, _ = fingerprints([column])
    if column.null_count:
        low[column.is_null().to_numpy(zero_copy_only=False)] = 0
    return low


def _category_codes(column: pa.DictionaryArray, codes: Mapping[str, int]) -> NDArray[np.int16]:
    names = np.array([codes[name] for name in column.dictionary.to_pylist()], np.int16)
    found: NDArray[np.int16] = names[np.asarray(column.indices)]
    return found


def _numbers(reviews: pa.RecordBatch, name: str) -> NDArray[np.int32]:
    return np.array(pc.fill_null(reviews.column(name), -1))


def _flags(reviews: pa.RecordBatch, name: str) -> NDArray[np.int8]:
    return np.array(pc.fill_null(reviews.column(name).cast(pa.int8()), -1))


def _nulls(
    reviews: pa.RecordBatch, name: str, month: int, category: NDArray[np.int16], n: int
) -> NDArray[np.int64]:
    if name == schema.REVIEW_DATE:
        chosen = category if month == NO_DATE else category[:0]
    else:
        column = reviews.column(name)
        if not column.null_count:
            return np.zeros(n, np.int64)
        chosen = category[column.is_null().to_numpy(zero_copy_only=False)]
    return np.bincount(chosen, minlength=n)
