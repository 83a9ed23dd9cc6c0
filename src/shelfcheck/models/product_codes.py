"""A code for each review's product: the place of its id among all ids, sorted.

Ids are dealt to groups by a hash, so that each group's distinct ids can be told apart in memory; the distinct
ids alone, not the reviews' ids, are sorted together.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shelfcheck.models.blocks import blocks
from shelfcheck.models.encoded import ARRAYS, NO_PRODUCT, PRODUCTS, ROWS
from shelfcheck.models.ngrams import row_keys
from shelfcheck.schema import PRODUCT_ID

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_GROUP_ROWS: Final = 1 << 22
_ROW: Final = "row"
_SCHEMA: Final = pa.schema([(_ROW, pa.uint32()), (PRODUCT_ID, pa.string())])


def code_products(home: Path, rows: int, scratch: Path) -> None:
    """Write `product.u32` and `products.parquet` beside the rows of encoded reviews.

    Args:
        home: folder with `rows/`.
        rows: number of reviews.
        scratch: folder to work in; removed.
    """
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    groups = max(1, -(-rows // _GROUP_ROWS))
    _deal(home, groups, scratch)
    path = home / ARRAYS["product"][0]
    codes = np.memmap(path, np.dtype("<u4"), "w+", shape=(rows,))
    for block in blocks(rows):
        codes[block] = NO_PRODUCT
    distinct = []
    known = 0
    for group in range(groups):
        with pa.memory_map(str(scratch / f"{group}.arrow")) as source, pa.ipc.open_stream(source) as stream:
            table = stream.read_all()
        coded = table.column(PRODUCT_ID).combine_chunks().dictionary_encode()
        coded = coded.chunk(0) if isinstance(coded, pa.ChunkedArray) else coded
        at = table.column(_ROW).to_numpy()
        indices = coded.indices.to_numpy()
        for block in blocks(len(at)):
            codes[at[block]] = indices[block] + known
        distinct.append(coded.dictionary.cast(pa.large_string()))
        known += len(coded.dictionary)
        del table, coded, at, indices
    names = pa.concat_arrays(distinct)
    del distinct
    order = pc.array_sort_indices(names)
    rank = np.empty(known + 1, np.uint32)
    rank[order.to_numpy()] = np.arange(known, dtype=np.uint32)
    rank[known] = NO_PRODUCT
    for block in blocks(rows):
        codes[block] = rank[np.minimum(codes[block], known)]
    codes.flush()
    del codes, rank
    names = names.take(order)
    with pq.ParquetWriter(
        home / PRODUCTS, pa.schema([(PRODUCT_ID, pa.string())]), compression="zstd"
    ) as writer:
        for block in blocks(known):
            piece = names.slice(block.start, block.stop - block.start).cast(pa.string())
            writer.write_table(pa.table({PRODUCT_ID: piece}))
    shutil.rmtree(scratch)


def _deal(home: Path, groups: int, scratch: Path) -> None:
    """Rows and ids of each group into a file of its own; rows without a product into none."""
    sinks = [pa.OSFile(str(scratch / f"{group}.arrow"), "wb") for group in range(groups)]
    streams = [pa.ipc.new_stream(sink, _SCHEMA) for sink in sinks]
    for first, ids in _ids(home):
        rows = pa.array(np.arange(first, first + len(ids), dtype=np.uint32))
        batch = pa.RecordBatch.from_arrays([rows, ids], schema=_SCHEMA)
        if ids.null_count:
            batch = batch.filter(ids.is_valid())
        group = row_keys(batch.column(1)) % np.uint64(groups)
        order = np.argsort(group, kind="stable")
        ends = np.searchsorted(group[order], np.arange(groups + 1, dtype=np.uint64)).tolist()
        for i, stream in enumerate(streams):
            if ends[i + 1] > ends[i]:
                stream.write_batch(batch.take(pa.array(order[ends[i] : ends[i + 1]])))
    for stream, sink in zip(streams, sinks, strict=True):
        stream.close()
        sink.close()


def _ids(home: Path) -> Iterator[tuple[int, pa.Array]]:
    """Product ids of all rows in order, with the first row of each batch."""
    first = 0
    for file in sorted((home / ROWS).glob("*.parquet")):
        with pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(1 << 18, columns=[PRODUCT_ID]):
                yield first, batch.column(0)
                first += batch.num_rows
