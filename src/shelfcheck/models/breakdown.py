"""What an evaluation tells beyond its figures: their intervals, and where the model is good and where not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from shelfcheck.errors import UsageError
from shelfcheck.models.intervals import intervals
from shelfcheck.models.judged import Judged
from shelfcheck.models.ngrams import row_keys
from shelfcheck.models.slices import STANDARD, grouping, kept, needed, slices
from shelfcheck.prepare.read import iter_prepared
from shelfcheck.schema import PREPARED_SCHEMA, REVIEW_ID

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from shelfcheck.models.evaluation import Evaluation


def with_details(
    found: Evaluation, table: pa.Table, columns: Mapping[str, pa.Array], seed: int = 0
) -> Evaluation:
    """Add intervals and slices to an evaluation.

    Args:
        found: the evaluation.
        table: the reviews that it judged, rows of HELD_OUT_SCHEMA, (n).
        columns: property (one of STANDARD or a column's name) -> what `slices.kept` gave of it, (n).
        seed: of the resamples.
    """
    judged = Judged.of_table(table)
    groups = {name: grouping(name, column) for name, column in columns.items()}
    return replace(
        found,
        intervals=found.intervals or intervals(judged, seed=seed),
        slices=found.slices | slices(judged, groups, seed=seed),
    )


def prepared_columns(
    prepared_dir: str | Path, ids: pa.ChunkedArray, names: Sequence[str] = STANDARD
) -> dict[str, pa.Array]:
    """What slices of some prepared reviews are made of, in one pass over the prepared reviews.

    Args:
        prepared_dir: output of `prepare`.
        ids: ids of the reviews wanted, (n).
        names: properties: of STANDARD, or columns of prepared reviews.

    Returns:
        Property -> what `slices.kept` gives (n); a review that is no longer there has null.

    Raises:
        UsageError: prepared reviews have no such column.
    """
    wanted = {name: needed(name) for name in names}
    unknown = [column for column in wanted.values() if column not in PREPARED_SCHEMA.names]
    if unknown:
        raise UsageError(
            f"{unknown[0]}: prepared reviews have no such column to slice by; there are: "
            f"{', '.join(PREPARED_SCHEMA.names)}. Other columns can be had with --data FILE --by COLUMN."
        )
    stored = list(dict.fromkeys(wanted.values()))
    keys = row_keys(ids.combine_chunks())
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    pieces: dict[str, list[pa.Array]] = {name: [kept(name, _no_rows(wanted[name]))] for name in names}
    places = [np.zeros(0, np.int64)]
    for batch in iter_prepared(prepared_dir, [REVIEW_ID, *(name for name in stored if name != REVIEW_ID)]):
        own = row_keys(batch.column(0))
        at = np.minimum(np.searchsorted(ranked, own), max(len(ranked) - 1, 0))
        here = np.flatnonzero(ranked[at] == own) if len(ranked) else np.zeros(0, np.int64)
        rows = batch.take(pa.array(here))
        for name, column in wanted.items():
            pieces[name].append(kept(name, rows.column(column)))
        places.append(order[at[here]])
    place = np.concatenate(places)
    source = np.full(len(keys), -1)
    source[place] = np.arange(len(place))
    chosen = pa.array(source, mask=source < 0)
    return {name: pa.concat_arrays(some).take(chosen) for name, some in pieces.items()}


def _no_rows(column: str) -> pa.Array:
    return pa.array([], PREPARED_SCHEMA.field(column).type)
