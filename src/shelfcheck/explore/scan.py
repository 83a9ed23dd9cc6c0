"""The one scan of prepared reviews: sums and lengths by category and month, and a small key of every review.

What units of reviews (`prepare.units`) yield is added
up in their order, so that no result hangs on the number of threads. The keys go to disk; distinct products,
customers and texts are found over them.
"""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shelfcheck import schema
from shelfcheck.explore.kernels import SUMS, add_up, count_characters, count_tokens
from shelfcheck.explore.lengths import Lengths
from shelfcheck.ordered import ordered_map
from shelfcheck.prepare.fingerprint import fingerprints
from shelfcheck.prepare.units import NO_DATE, UNIT_ROWS, opened, places, read_part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from shelfcheck.prepare.units import Unit
    from shelfcheck.progress import Progress

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

_KEY_ROWS: Final = 131_072  # of a row group of keys

KEY_SCHEMA: Final = pa.schema(
    [
        ("category", pa.int16()),  # place in the list of categories
        ("month", pa.int16()),
        ("stars", pa.int8()),  # 0: unknown
        ("tokens", pa.int32()),
        ("product", pa.uint64()),  # fingerprint of the product id, 0 without one
        ("customer", pa.uint64()),
        ("text", pa.uint64()),  # fingerprint of the body
        ("place", pa.int64()),  # see `prepare.units`
    ]
)
"""Fingerprints have 64 bits: that any two of 30 million customers share one has a chance of 2 in 100,000."""


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

        def counted() -> Iterator[list[tuple[int, MonthlyCounts]]]:
            waiting: list[pa.RecordBatch] = []
            for unit, (months, keys_found) in ordered_map(
                pool, lambda unit: count_unit(unit, codes), todo, threads + 1
            ):
                yield months
                waiting += keys_found
                if sum(batch.num_rows for batch in waiting) >= _KEY_ROWS:
                    writer.write_table(pa.Table.from_batches(waiting))
                    waiting = []
                progress.advance(unit.rows)
            if waiting:
                writer.write_table(pa.Table.from_batches(waiting))

        yield from add_months(counted())
    progress.finish()


def add_months(
    parts: Iterable[Iterable[tuple[int, MonthlyCounts]]],
) -> Iterator[tuple[int, MonthlyCounts]]:
    """Add up what consecutive pieces hold of one month; months in order."""
    month, counts = NO_DATE, None
    for found_month, found in itertools.chain.from_iterable(parts):
        if counts is not None and found_month == month:
            counts.add(found)
            continue
        if counts is not None:
            yield month, counts
        month, counts = found_month, found
    if counts is not None:
        yield month, counts


def count_unit(
    unit: Unit, codes: Mapping[str, int]
) -> tuple[list[tuple[int, MonthlyCounts]], list[pa.RecordBatch]]:
    """What a unit holds, by month in order, and the keys of its reviews.

    Reviews are counted by group: the place of the month among the unit's, times categories, plus category.
    """
    n = len(codes)
    months = list(dict.fromkeys(part.month for part in unit.parts))
    sums = np.zeros((len(months) * n, len(SUMS)), np.int64)
    missing = np.zeros((len(months) * n, len(NULLABLE)), np.int64)
    seen = []
    keys = []
    for first, reviews, month in _batches(unit, months):
        category = _category_codes(reviews.column(schema.PRODUCT_CATEGORY), codes)
        group = month * n + category
        characters = count_characters(reviews.column(schema.REVIEW_BODY))
        tokens = count_tokens(reviews.column(schema.REVIEW_TOKENS))
        stars = _numbers(reviews, schema.STAR_RATING)
        add_up(
            group,
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
            if name != schema.REVIEW_DATE and (column := reviews.column(name)).null_count:
                nulls = column.is_null().to_numpy(zero_copy_only=False)
                missing[:, at] += np.bincount(group[nulls], minlength=len(missing))
        seen.append((group, characters, tokens))
        keys.append(
            pa.RecordBatch.from_arrays(
                [
                    pa.array(category.astype(np.int16)),
                    pa.array(np.array(months, np.int16)[month]),
                    pa.array(np.clip(stars, 0, 5).astype(np.int8)),
                    pa.array(tokens),
                    pa.array(fingerprint(reviews.column(schema.PRODUCT_ID))),
                    pa.array(fingerprint(reviews.column(schema.CUSTOMER_ID))),
                    pa.array(fingerprint(reviews.column(schema.REVIEW_BODY))),
                    pa.array(places(unit, first, group.size)),
                ],
                schema=KEY_SCHEMA,
            )
        )
    group, characters, tokens = (np.concatenate(parts) for parts in zip(*seen, strict=True))
    lengths = (Lengths.count(group, characters), Lengths.count(group, tokens))
    found = []
    for at, code in enumerate(months):
        own = slice(at * n, (at + 1) * n)
        if code == NO_DATE:
            missing[own, NULLABLE.index(schema.REVIEW_DATE)] = sums[own, 0]
        of_month = (one.of(own.start, own.stop) for one in lengths)
        found.append((code, MonthlyCounts(sums[own], missing[own], *of_month)))
    return found, keys


def _batches(unit: Unit, months: Sequence[int]) -> Iterator[tuple[int, pa.RecordBatch, NDArray[np.int32]]]:
    """Number of the first row, reviews, and the place of their month."""
    if len(unit.parts) > 1:
        tables = [read_part(part, _READ) for part in unit.parts]
        [batch] = pa.concat_tables(tables).combine_chunks().to_batches()
        places = [months.index(part.month) for part in unit.parts]
        yield 0, batch, np.repeat(np.array(places, np.int32), [part.rows for part in unit.parts])
        return
    [part] = unit.parts
    first = 0
    with opened(part) as file:
        for batch in file.iter_batches(
            UNIT_ROWS, row_groups=part.row_groups, columns=list(_READ), use_threads=False
        ):
            yield first, batch, np.zeros(batch.num_rows, np.int32)
            first += batch.num_rows


def fingerprint(column: pa.Array) -> NDArray[np.uint64]:
    """64 bits that tell a text from others; 0 for null."""
    low, _ = fingerprints([column])
    if column.null_count:
        low[column.is_null().to_numpy(zero_copy_only=False)] = 0
    return low


def _category_codes(column: pa.Array, codes: Mapping[str, int]) -> NDArray[np.int32]:
    found = column.dictionary_encode()
    names = np.array([codes[name] for name in found.dictionary.to_pylist()], np.int32)
    places: NDArray[np.int32] = names[np.asarray(found.indices)]
    return places


def _numbers(reviews: pa.RecordBatch, name: str) -> Any:
    return _filled(reviews.column(name))


def _flags(reviews: pa.RecordBatch, name: str) -> Any:
    return _filled(reviews.column(name).cast(pa.int8()))


def _filled(column: pa.Array) -> Any:
    """Numbers; -1 for null."""
    return np.array(pc.fill_null(column, -1) if column.null_count else column)
