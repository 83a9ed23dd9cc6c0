"""What an audit shows beside a score: the texts, and the words that carried the suggestion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelfcheck.audit.output import TERMS
from shelfcheck.errors import WorkspaceError
from shelfcheck.models.linear import LinearModel
from shelfcheck.prepare.read import count_prepared, iter_prepared
from shelfcheck.schema import (
    PRODUCT_ID,
    PRODUCT_TITLE,
    REVIEW_BODY,
    REVIEW_DATE,
    REVIEW_HEADLINE,
    REVIEW_ID,
    REVIEW_SCHEMA,
    STAR_RATING,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from shelfcheck.audit.judged import Judged
    from shelfcheck.progress import Progress

EXPLAINED: Final = 2000  # findings of one kind that get words; the rest of the list has none
WORDS: Final = 8  # a finding
_COLUMNS: Final = (
    REVIEW_ID,
    PRODUCT_ID,
    PRODUCT_TITLE,
    STAR_RATING,
    REVIEW_DATE,
    REVIEW_HEADLINE,
    REVIEW_BODY,
)
_SCHEMA: Final = pa.schema([REVIEW_SCHEMA.field(name) for name in _COLUMNS])


@dataclass(frozen=True)
class Texts:
    """The prepared reviews of some rows, in the order asked for."""

    table: pa.Table

    @classmethod
    def read(
        cls, judged: Judged, rows: npt.NDArray[np.integer[Any]], prepared_dir: str | Path, progress: Progress
    ) -> Texts:
        """Stream the prepared reviews and keep those of `rows`; memory is that of the rows kept.

        Raises:
            WorkspaceError: a judged review is not among the prepared ones.
        """
        wanted = judged.review_ids(rows)
        progress.start("Reading the findings' texts", count_prepared(prepared_dir))
        kept = []
        distinct = wanted.unique()
        for batch in iter_prepared(prepared_dir, _COLUMNS):
            progress.advance(batch.num_rows)
            kept.append(batch.filter(pc.is_in(batch[REVIEW_ID], value_set=distinct)))
        progress.finish()
        table = pa.Table.from_batches(kept, schema=_SCHEMA).combine_chunks()
        place = pc.index_in(wanted, value_set=table[REVIEW_ID].combine_chunks())
        if place.null_count:
            raise WorkspaceError(
                f"{prepared_dir}: review {wanted.filter(place.is_null())[0]} was judged but is not here. "
                "Predictions and reviews are of different runs; run the audit again."
            )
        return cls(table.take(place))

    def column(self, field: pa.Field) -> pa.ChunkedArray | pa.Array:
        """One column, or nulls where there is none of that name."""
        if field.name in self.table.column_names:
            return self.table[field.name].cast(field.type)
        return pa.nulls(self.table.num_rows, field.type)


def explain_reviews(  # noqa: PLR0917 - each is a column of the finding
    judged: Judged,
    texts: Texts,
    rows: npt.NDArray[np.integer[Any]],
    suggested: pa.Array,
    assigned: pa.Array,
    progress: Progress,
    *,
    limit: int = EXPLAINED,
) -> pa.Array:
    """Words that speak for the suggested against the assigned category, by the fold's own model.

    Args:
        judged: out-of-fold judgements; its folder holds the fold models.
        texts: the reviews of `rows`.
        rows: rows of the predictions, best finding first (n).
        suggested: category that each is explained for (n).
        assigned: category that it is compared with (n).
        progress: told the findings explained.
        limit: findings that are explained; those after it get no words.

    Returns:
        TERMS (n), strongest first, only words that speak for the suggestion.
    """
    limit = min(limit, len(rows))
    found: list[list[dict[str, object]]] = [[] for _ in range(len(rows))]
    progress.start("Collecting words", limit, "findings")
    heads, bodies = (texts.table[name].slice(0, limit).to_pylist() for name in (REVIEW_HEADLINE, REVIEW_BODY))
    names, against = suggested.slice(0, limit).to_pylist(), assigned.slice(0, limit).to_pylist()
    for fold in np.unique(judged.fold[rows[:limit]]).tolist():
        here = np.flatnonzero(judged.fold[rows[:limit]] == fold).tolist()
        model = LinearModel.load(judged.folder / f"fold-{fold}")
        words = _explain(model, *([column[i] for i in here] for column in (heads, bodies, names, against)))
        for i, terms in zip(here, words, strict=True):
            found[i] = terms
        progress.advance(len(here))
    progress.finish()
    return pa.array(found, TERMS)


def _explain(
    model: LinearModel,
    heads: Sequence[str | None],
    bodies: Sequence[str | None],
    names: Sequence[str],
    against: Sequence[str],
) -> list[list[dict[str, object]]]:
    from shelfcheck.models.explain import explain_many  # noqa: PLC0415 - loads Numba

    explained = explain_many(model, heads, bodies, names, against, k=WORDS)
    return [
        [{"term": term, "weight": weight} for term, weight in one.terms if weight > 0] for one in explained
    ]
