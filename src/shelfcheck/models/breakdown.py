"""What an evaluation tells beyond its figures: their intervals, and where the model is good and where not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from shelfcheck.errors import UsageError
from shelfcheck.models.blocks import taken
from shelfcheck.models.intervals import intervals
from shelfcheck.models.ngrams import row_keys
from shelfcheck.models.slices import STANDARD, grouping, kept, needed, slices
from shelfcheck.prepare.read import iter_prepared
from shelfcheck.schema import PREPARED_SCHEMA, REVIEW_ID

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from shelfcheck.models.evaluation import Evaluation
    from shelfcheck.models.judged import Judged
    from shelfcheck.models.slices import Grouping

_NOWHERE: Final = 0xFFFFFFFF


def with_details(
    found: Evaluation, judged: Judged, groups: Mapping[str, Grouping], seed: int = 0
) -> Evaluation:
    """Add intervals and slices to an evaluation.

    Args:
        found: the evaluation.
        judged: the reviews that it judged, (n).
        groups: property (one of STANDARD or a column's name) -> grouping of the same reviews.
        seed: of the resamples.
    """
    return replace(
        found,
        intervals=found.intervals or intervals(judged, seed=seed),
        slices=found.slices | slices(judged, groups, seed=seed),
    )


def prepared_groups(
    prepared_dir: str | Path, keys: npt.NDArray[np.uint64], names: Sequence[str] = STANDARD
) -> dict[str, Grouping]:
    """Some prepared reviews by properties, in one pass over the prepared reviews.

    Memory: some 30 bytes a review that is wanted, and what the properties take, twice for one of them.

    Args:
        prepared_dir: output of `prepare`.
        keys: `row_keys` of the ids of the reviews wanted, (n).
        names: properties: of STANDARD, or columns of prepared reviews.

    Returns:
        Property -> grouping of the reviews (n); one that is no longer there counts as one without text, date
        and stars.

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
    order = np.argsort(keys, kind="stable").astype(np.uint32)
    ranked = taken(keys, order)
    pieces: dict[str, list[pa.Array]] = {name: [kept(name, _no_rows(wanted[name]))] for name in names}
    source = np.full(len(keys), _NOWHERE, np.uint32)  # where each review stands among those met
    met = 0
    for batch in iter_prepared(prepared_dir, [REVIEW_ID, *(name for name in stored if name != REVIEW_ID)]):
        own = row_keys(batch.column(0))
        at = np.minimum(np.searchsorted(ranked, own), max(len(ranked) - 1, 0))
        here = np.flatnonzero(ranked[at] == own) if len(ranked) else np.zeros(0, np.int64)
        rows = batch.take(pa.array(here))
        for name, column in wanted.items():
            pieces[name].append(kept(name, rows.column(column)))
        source[order[at[here]]] = met + np.arange(len(here))
        met += len(here)
    del order, ranked
    chosen = pa.array(source, mask=source == _NOWHERE)
    return {name: grouping(name, pa.concat_arrays(pieces.pop(name)).take(chosen)) for name in wanted}


def _no_rows(column: str) -> pa.Array:
    return pa.array([], PREPARED_SCHEMA.field(column).type)
