"""The most frequent words of reviews, by name: hashed n-grams have none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from shelfcheck.models.ngrams import field_tokens
from shelfcheck.prepare.read import count_prepared, iter_prepared
from shelfcheck.schema import REVIEW_BODY, REVIEW_TOKENS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shelfcheck.config import TextSettings

_BATCH_ROWS: Final = 16_384
_MOST_BATCHES: Final = 16  # evenly spread over the reviews: enough to know the frequent words


def frequent_words(source: Path | pa.Table, text: TextSettings, most: int) -> tuple[str, ...]:
    """The words that stand most often in review bodies, most frequent first, ties by name.

    They are counted in at most a quarter of a million reviews, spread evenly over the source.

    Args:
        source: prepared reviews, a folder; or a table of prepared or canonical reviews.
        text: how tokens are made, where the table has none.
        most: how many words at most.
    """
    counted: list[pa.Table] = []
    for tokens in _token_strings(source, text):
        words = pc.list_flatten(pc.split_pattern(tokens, " "))
        counts = pc.value_counts(words.filter(pc.not_equal(words, "")))
        counted.append(pa.table({"word": counts.field(0), "n": counts.field(1)}))
    if not counted:
        return ()
    summed = pa.concat_tables(counted).group_by("word").aggregate([("n", "sum")])
    ranked = summed.sort_by([("n_sum", "descending"), ("word", "ascending")])
    return tuple(ranked.column("word").slice(0, most).to_pylist())


def _token_strings(source: Path | pa.Table, text: TextSettings) -> Iterator[pa.Array]:
    if isinstance(source, Path):
        step = max(1, count_prepared(source) // (_BATCH_ROWS * _MOST_BATCHES))
        for place, batch in enumerate(iter_prepared(source, [REVIEW_TOKENS], _BATCH_ROWS)):
            if place % step == 0:
                yield batch.column(REVIEW_TOKENS).drop_null()
        return
    step = max(1, source.num_rows // (_BATCH_ROWS * _MOST_BATCHES))
    for place, first in enumerate(range(0, source.num_rows, _BATCH_ROWS)):
        if place % step == 0:
            yield field_tokens(source.slice(first, _BATCH_ROWS), [REVIEW_BODY], text, 1)[0].drop_null()
