"""Encoded reviews, as `encode` lays them on disk: opened memory-mapped, read a block at a time.

The folder holds, in one shuffled order of the reviews, raw little-endian arrays: `indptr.i64` and `ids.u32`
(the n-grams), `label.i16`, `bucket.i16`, `stars.i8`, `day.i32`, `product.u32` and `customer.u64` (what the
review is); the folder `rows/` of Parquet files (ROW_SCHEMA, the ids and categories as text);
`products.parquet` (the products' ids, sorted) and `meta.json`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shelfcheck.config import TextSettings
from shelfcheck.errors import WorkspaceError
from shelfcheck.models.blocks import blocks, counted
from shelfcheck.models.split import NO_DAY
from shelfcheck.schema import PRODUCT_CATEGORY, PRODUCT_ID, REVIEW_DATE, REVIEW_ID, STAR_RATING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

__all__ = ["NO_DAY", "NO_PRODUCT", "ROW_SCHEMA", "Encoded", "first_rows"]

FORMAT: Final = 4
ROW_SCHEMA: Final = pa.schema(
    [
        (REVIEW_ID, pa.string()),
        (PRODUCT_ID, pa.string()),
        (PRODUCT_CATEGORY, pa.string()),
        (STAR_RATING, pa.int32()),
        (REVIEW_DATE, pa.date32()),
    ]
)
NO_PRODUCT: Final = 0xFFFFFFFF
"""Code of a review without a product."""
ROWS: Final = "rows"
PRODUCTS: Final = "products.parquet"
META: Final = "meta.json"
ARRAYS: Final[dict[str, tuple[str, type[np.generic]]]] = {
    "indptr": ("indptr.i64", np.int64),
    "ids": ("ids.u32", np.uint32),
    "label": ("label.i16", np.int16),
    "bucket": ("bucket.i16", np.int16),
    "stars": ("stars.i8", np.int8),
    "day": ("day.i32", np.int32),
    "product": ("product.u32", np.uint32),
    "customer": ("customer.u64", np.uint64),
}
"""File and type of each array of `Encoded`."""


@dataclass(frozen=True)
class Encoded:
    """Encoded reviews, memory-mapped or in memory.

    Attributes:
        folder: where they lie; nowhere when `table` is set.
        indptr: int64 (n + 1), where each review's n-grams begin in `ids`.
        ids: uint32 (nnz), bucket in the low 26 bits, count - 1 in the high 6.
        label: int16 (n), index into `categories`; -1 where the category is null.
        bucket: int16 (n), bucket of the product, 0..999; see `split`.
        stars: int8 (n), 0 where they are not known.
        day: int32 (n), days since 1970, NO_DAY where the date is not known.
        product: uint32 (n), place of the product's id among `product_ids`, or NO_PRODUCT.
        customer: uint64 (n), hash of the customer's id, 0 where it is not known.
        categories: every class, sorted; `labels` makes others than the categories.
        fields: the texts that were read.
        hash_bits: log2 of the number of n-gram buckets.
        text: how tokens were made.
        word_ngrams: most words in an n-gram.
        prefixes: letters of the prefixes that count as terms, too.
        parts: rows of each file of `rows/`.
        table: rows of ROW_SCHEMA, when they are not on disk.
    """

    folder: Path
    indptr: npt.NDArray[np.int64]
    ids: npt.NDArray[np.uint32]
    label: npt.NDArray[np.int16]
    bucket: npt.NDArray[np.int16]
    stars: npt.NDArray[np.int8]
    day: npt.NDArray[np.int32]
    product: npt.NDArray[np.uint32]
    customer: npt.NDArray[np.uint64]
    categories: tuple[str, ...]
    fields: tuple[str, ...]
    hash_bits: int
    text: TextSettings
    word_ngrams: int = 2
    prefixes: tuple[int, ...] = ()
    parts: tuple[int, ...] = ()
    table: pa.Table | None = None

    @classmethod
    def open(cls, folder: str | Path) -> Encoded:
        """Open what `encode` wrote.

        Raises:
            WorkspaceError: it is missing, incomplete or of another version.
        """
        home = Path(folder)
        try:
            meta = json.loads((home / META).read_text(encoding="utf-8"))
            if meta["format"] != FORMAT:
                raise WorkspaceError(
                    f"{home}: encoded reviews of format {meta['format']}, this version reads {FORMAT}. "
                    "Encode again with: shelfcheck train"
                )
            n = meta["rows"]
            lengths = {"indptr": n + 1, "ids": meta["ids"]}
            arrays = {
                name: _mapped(home / file, kind, lengths.get(name, n))
                for name, (file, kind) in ARRAYS.items()
            }
            return cls(
                folder=home,
                **arrays,
                categories=tuple(meta["categories"]),
                fields=tuple(meta["fields"]),
                hash_bits=meta["hash_bits"],
                text=TextSettings.model_validate(meta["text"]),
                word_ngrams=meta["word_ngrams"],
                prefixes=tuple(meta["prefixes"]),
                parts=tuple(meta["parts"]),
            )
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise WorkspaceError(
                f"{home}: no encoded reviews that can be read ({error}). Make them with: shelfcheck train"
            ) from error

    @property
    def n_rows(self) -> int:
        """Number of reviews."""
        return len(self.label)

    @property
    def n_ids(self) -> int:
        """Number of distinct n-grams, summed over the reviews."""
        return len(self.ids)

    @cached_property
    def product_ids(self) -> pa.Array:
        """Id of each product, sorted; string (products)."""
        if self.table is not None:
            known = self.table.column(PRODUCT_ID).combine_chunks().drop_null().unique()
            return known.take(pc.array_sort_indices(known))
        return pq.read_table(self.folder / PRODUCTS).column(PRODUCT_ID).combine_chunks()

    def rows(self) -> pa.Table:
        """Rows of ROW_SCHEMA, in order, all in memory; `batches` needs less."""
        if self.table is not None:
            return self.table
        return pa.concat_tables([pq.read_table(file, schema=ROW_SCHEMA) for file in self._files()])

    def batches(self, columns: Sequence[str] | None = None, batch_rows: int = 1 << 16) -> Iterator[pa.Table]:
        """Rows of ROW_SCHEMA, in order, a batch at a time.

        Args:
            columns: of ROW_SCHEMA; all when None.
            batch_rows: rows of a batch, at most.
        """
        names = list(ROW_SCHEMA.names if columns is None else columns)
        if self.table is not None:
            for first in range(0, self.n_rows, batch_rows):
                yield self.table.select(names).slice(first, batch_rows)
            return
        for file in self._files():
            with pq.ParquetFile(file) as parquet:
                for batch in parquet.iter_batches(batch_rows, columns=names):
                    yield pa.Table.from_batches([batch]).select(names)

    def review_ids(self, rows: npt.NDArray[Any]) -> pa.Array:
        """Ids of some reviews, in the order of `rows`. string (rows)."""
        if self.table is not None:
            return self.table.column(REVIEW_ID).take(pa.array(rows)).combine_chunks()
        order = np.argsort(rows, kind="stable")
        ascending = np.asarray(rows)[order]
        ends = np.cumsum([0, *self.parts])
        cuts = np.searchsorted(ascending, ends)
        pieces = [pa.array([], pa.string())]
        for part, file in enumerate(self._files()):
            own = ascending[cuts[part] : cuts[part + 1]]
            if len(own):
                column = pq.read_table(file, columns=[REVIEW_ID]).column(REVIEW_ID)
                pieces.append(column.take(pa.array(own.astype(np.int64) - ends[part])).combine_chunks())
        back = np.empty(len(order), np.int64)
        back[order] = np.arange(len(order))
        return pa.concat_arrays(pieces).take(pa.array(back))

    def category_counts(self) -> dict[str, int]:
        """Number of reviews of each category."""
        counts = counted(self.label, len(self.categories))
        return dict(zip(self.categories, counts.tolist(), strict=True))

    def product_codes(
        self, rows: npt.NDArray[Any] | None = None, null: int | None = None
    ) -> npt.NDArray[np.int64]:
        """Numbers of the products of reviews, from 0 on in the order of their first reviews. (rows).

        Memory: 5 bytes a review, 4 bytes a product, 8 bytes for each number.

        Args:
            rows: which reviews; all when None.
            null: number of a review without a product; each counts as a product of its own when None.
        """
        first = first_rows(self.product)
        begins = np.zeros(self.n_rows, np.bool_)
        begins[first[first != NO_PRODUCT]] = True
        if null is None:
            for block in blocks(self.n_rows):
                begins[block] |= self.product[block] == NO_PRODUCT
        rank = np.cumsum(begins, dtype=np.uint32)
        del begins
        chosen = np.arange(self.n_rows, dtype=np.uint32) if rows is None else rows
        found = np.empty(len(chosen), np.int64)
        for block in blocks(len(chosen)):
            own = np.asarray(self.product[chosen[block]])
            known = own != NO_PRODUCT
            at = np.array(chosen[block], np.int64)
            at[known] = first[own[known]]
            numbers = rank[at].astype(np.int64) - 1
            if null is not None:
                numbers[~known] = null
            found[block] = numbers
        return found

    def _files(self) -> list[Path]:
        return [part_file(self.folder, part) for part in range(len(self.parts))]


def first_rows(
    product: npt.NDArray[np.uint32], counts: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.uint32]:
    """The first review of each product, uint32 (products); NO_PRODUCT where it has none.

    Args:
        product: code of each review's product, (n).
        counts: which reviews count, (n); all when None.
    """
    most = -1
    for block in blocks(len(product)):
        own = np.asarray(product[block])
        most = max(most, int(own[own != NO_PRODUCT].max(initial=0)) if (own != NO_PRODUCT).any() else -1)
    first = np.full(most + 1, NO_PRODUCT, np.uint32)
    for block in reversed(list(blocks(len(product)))):
        own = np.asarray(product[block])
        some = own != NO_PRODUCT
        if counts is not None:
            some &= counts[block]
        rows = np.flatnonzero(some)[::-1]  # of equal places the last is kept: the first review
        first[own[rows]] = rows + block.start
    return first


def part_file(folder: Path, part: int) -> Path:
    """The file of one part of the rows."""
    return folder / ROWS / f"{part:05d}.parquet"


def _mapped(path: Path, dtype: type[np.generic], n: int) -> Any:
    if path.stat().st_size != n * np.dtype(dtype).itemsize:
        raise ValueError(f"{path.name} has {path.stat().st_size} bytes")
    if n == 0:
        return np.zeros(0, dtype)
    return np.memmap(path, np.dtype(dtype).newbyteorder("<"), "r", shape=(n,))
