"""Writes the sampled reviews to one Parquet file whose bytes are always the same: by month, then by md5."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck.sampling.cutoffs import in_stratum, strata_table
from shelfcheck.sampling.reviews import HASH, relation
from shelfcheck.sampling.scan import Query
from shelfcheck.schema import (
    MARKETPLACE,
    PREPARED_SCHEMA,
    PRODUCT_CATEGORY,
    REVIEW_ID,
    REVIEW_MONTH,
    SAMPLE_WEIGHT,
    STAR_RATING,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from shelfcheck.sampling.cutoffs import Cutoff
    from shelfcheck.sampling.reviews import Batch
    from shelfcheck.sampling.scan import Scan
    from shelfcheck.sampling.strata import SamplePlan

SAMPLE_SCHEMA: Final = PREPARED_SCHEMA.append(pa.field(SAMPLE_WEIGHT, pa.float64()))
_ROW_GROUP_ROWS: Final = 65_536
_REPEATING: Final = [MARKETPLACE, PRODUCT_CATEGORY, STAR_RATING, REVIEW_MONTH, SAMPLE_WEIGHT]


def draw(
    scan: Scan,
    batches: Sequence[Batch],
    plan: SamplePlan,
    cutoffs: Sequence[Cutoff],
    out: Path,
    *,
    salt: str,
) -> int:
    """Write the reviews up to each stratum's cut-off.

    Args:
        scan: reads the reviews, and sorts the sampled rows of each batch.
        batches: the reviews, by month.
        plan: strata and targets.
        cutoffs: of each stratum.
        out: the file to write, SAMPLE_SCHEMA: by month, unknown last, then by md5 and id.
        salt: put before each id.

    Returns:
        The rows written.
    """
    numbers = range(len(plan.strata))
    strata = strata_table(
        plan,
        numbers,
        last_hash=[cutoff.hash for cutoff in cutoffs],
        last_id=[cutoff.review_id for cutoff in cutoffs],
        weight=[stratum.weight for stratum in plan.strata],
    )
    excess = {i: cutoffs[i] for i in numbers if cutoffs[i].excess}
    columns = ", ".join(f"r.{name}" for name in PREPARED_SCHEMA.names)
    condition, without = in_stratum(plan.by), tuple(plan.dropped)

    def sql(batch: Batch) -> str:
        reviews = relation(batch, PREPARED_SCHEMA.names, hashed=True, without=without)
        return f"""
            SELECT {columns}, s.weight AS {SAMPLE_WEIGHT}, s.stratum
            FROM {reviews} r JOIN strata s ON {condition}
            WHERE r.{HASH} < s.last_hash OR (r.{HASH} = s.last_hash AND r.{REVIEW_ID} <= s.last_id)
            ORDER BY r.{REVIEW_MONTH} NULLS LAST, r.{HASH}, r.{REVIEW_ID}
        """  # noqa: S608 - our own names

    with _Writer(out) as writer:
        for rows in scan(batches, Query(sql, {"salt": salt}, {"strata": strata}), "Writing the sample"):
            table = pa.Table.from_batches([rows])
            if excess:
                table = table.filter(pa.array(_within(table, excess)))
            writer.write(table.select(SAMPLE_SCHEMA.names).cast(SAMPLE_SCHEMA))
    return writer.rows


def _within(table: pa.Table, excess: dict[int, Cutoff]) -> NDArray[np.bool_]:
    """Which rows stay where an id stands several times: of its last id, a stratum gives up the excess."""
    stay = np.ones(table.num_rows, np.bool_)
    ids = table[REVIEW_ID].to_pylist()
    for row, stratum in enumerate(table["stratum"].to_pylist()):
        cutoff = excess.get(stratum)
        if cutoff is not None and cutoff.excess and ids[row] == cutoff.review_id:
            stay[row] = False
            excess[stratum] = cutoff._replace(excess=cutoff.excess - 1)
    return stay


class _Writer:
    """Row groups of one size, whatever batches the rows come in."""

    def __init__(self, path: Path) -> None:
        self._writer = pq.ParquetWriter(
            path,
            SAMPLE_SCHEMA,
            compression="zstd",
            use_dictionary=_REPEATING,
            write_statistics=[REVIEW_MONTH],
        )
        self._waiting: list[pa.Table] = []
        self._n_waiting = 0
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._n_waiting:
            self._flush(self._n_waiting)
        self._writer.close()

    def write(self, rows: pa.Table) -> None:
        """Append rows."""
        self._waiting.append(rows)
        self._n_waiting += rows.num_rows
        self.rows += rows.num_rows
        while self._n_waiting >= _ROW_GROUP_ROWS:
            self._flush(_ROW_GROUP_ROWS)

    def _flush(self, rows: int) -> None:
        whole = pa.concat_tables(self._waiting).combine_chunks()  # pages are cut at chunks
        self._writer.write_table(whole.slice(0, rows), row_group_size=rows)
        self._waiting = [whole.slice(rows)]
        self._n_waiting = whole.num_rows - rows
