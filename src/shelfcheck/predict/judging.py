"""Judge models on any reviews that carry labels, in one pass: what was never seen, or what they held out.

Per review some 50 bytes are kept (class, confidence, product, what it is sliced by); the texts and the
probabilities are not.
"""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelfcheck.config import TextSettings
from shelfcheck.errors import NotEnoughDataError, UsageError
from shelfcheck.models import split
from shelfcheck.models.breakdown import with_details
from shelfcheck.models.calibration import Calibration
from shelfcheck.models.encode import ROW_SCHEMA
from shelfcheck.models.evaluation import summarise
from shelfcheck.models.judged import HELD_OUT_SCHEMA, Judged, judged_rows
from shelfcheck.models.labels import label_values
from shelfcheck.models.ngrams import field_tokens, thread_count
from shelfcheck.models.slices import STANDARD, grouping, kept, needed
from shelfcheck.models.tally import Tally
from shelfcheck.schema import PRODUCT_ID, REVIEW_BODY, REVIEW_DATE, REVIEW_ID, REVIEW_TOKENS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from shelfcheck.config import LabelName
    from shelfcheck.models.base import Model
    from shelfcheck.models.evaluation import Evaluation

_MOST_NAMED: Final = 20  # classes that the model does not know


@dataclass(frozen=True)
class DataJudged:
    """A model's judgement of some data.

    Attributes:
        evaluation: report, intervals and slices; `notes` say what was judged and what could not be.
        table: the reviews that could be judged, rows of HELD_OUT_SCHEMA.
    """

    evaluation: Evaluation
    table: pa.Table


@dataclass(frozen=True)
class _Batch:
    """Reviews, their ids, classes and products, (n) each."""

    reviews: pa.Table
    ids: pa.Array
    classes: pa.Array
    product: npt.NDArray[np.int64]


@dataclass
class _Candidate:
    """A model and what it said so far."""

    model: Model
    tally: Tally
    rows: list[pa.RecordBatch] = field(default_factory=list)  # of HELD_OUT_SCHEMA; -1 without a product
    columns: dict[str, list[pa.Array]] = field(default_factory=dict)
    unknown: Counter[str] = field(default_factory=Counter)
    unlabelled: int = 0
    seconds: float = 0.0


def judge_data(
    models: Sequence[Model],
    batches: Iterable[tuple[pa.Table, int]],
    *,
    data: str,
    by: Sequence[str] = (),
    held_out: bool = False,
    encoded_rows: Iterable[pa.Table] | None = None,
    threads: int = 0,
    seed: int = 0,
) -> list[DataJudged]:
    """Judge models on the same reviews.

    Args:
        models: trained models of one label.
        batches: reviews and numbers of broken rows; see `labelled_data`.
        data: what the reviews are called in the evaluation's text.
        by: columns to slice by beside length, year and stars.
        held_out: judge only what the first model's own split holds out, by its card.
        encoded_rows: batches of rows of ROW_SCHEMA that the first model learned from, to tell how many of the
            reviews are of products that it has met.
        threads: worker threads.
        seed: of the resamples.

    Raises:
        NotEnoughDataError: no review has a class that the models know.
        UsageError: the models predict different labels, or the first does not tell its split.
    """
    cards = [model.card() for model in models]
    labels: set[LabelName] = {card.get("label") or "product_category" for card in cards}
    if len(labels) > 1:
        raise UsageError(
            f"The models predict different labels, {' and '.join(sorted(labels))}: no comparison."
        )
    label = labels.pop()
    facts: dict[str, Any] = cards[0].get("split") or {}
    if held_out and not facts:
        raise UsageError("The model's card does not say how its reviews were split. Train it again.")
    text = _text_of(cards)
    names = tuple(dict.fromkeys([*STANDARD, *by]))
    candidates = [_Candidate(model, Tally(len(model.categories))) for model in models]
    codes: dict[str, int] = {}
    broken = rows_before = left_out = 0
    for read, rejected in batches:
        broken += rejected
        rows = _rows(read, rows_before)
        rows_before += read.num_rows
        reviews = read
        if held_out:
            inside = pa.array(is_held_out(rows, facts, _body_tokens(reviews, cards[0], threads)))
            left_out += rows.num_rows - pc.sum(inside).as_py() if rows.num_rows else 0
            rows, reviews = rows.filter(inside), reviews.filter(inside)
        if rows.num_rows == 0:
            continue
        if text is not None and REVIEW_TOKENS not in reviews.schema.names:
            made = field_tokens(reviews, [REVIEW_BODY], text, thread_count(threads))
            reviews = reviews.append_column(REVIEW_TOKENS, made[0])
        ids, classes = rows.column(REVIEW_ID).combine_chunks(), label_values(rows, label).combine_chunks()
        batch = _Batch(reviews, ids, classes, _codes(rows, codes))
        for candidate in candidates:
            _add(candidate, batch, names, threads)
    met = _met(codes, encoded_rows, facts) if encoded_rows is not None and facts and not held_out else None
    notes = {
        "split": "data_held_out" if held_out else "data",
        "data": data,
        "model_split": None if not facts else f"by {facts['by']}",
        "label": label,
        "rows_broken": broken,
        "reviews_left_out_by_split": left_out,
    }
    return [_finish(candidate, notes, met, seed) for candidate in candidates]


def is_held_out(
    rows: pa.Table, facts: Mapping[str, Any], tokens: pa.Array | None = None
) -> npt.NDArray[np.bool_]:
    """Whether a model's split holds reviews out.

    Args:
        rows: product id, review id and date, (n).
        facts: `split` of the model's card.
        tokens: of the bodies, (n); reviews without a product are split by them.

    Returns:
        bool (n).
    """
    if facts["by"] == "time":
        first = pa.scalar(dt.date.fromisoformat(facts["date"]), pa.date32())
        after = pc.greater_equal(rows.column(REVIEW_DATE), first).fill_null(False)  # noqa: FBT003
        later: npt.NDArray[np.bool_] = after.to_numpy()
        return later
    ids = rows.column(REVIEW_ID)
    keys = ids if facts["by"] == "row" else rows.column(PRODUCT_ID)
    return split.is_test(split.buckets(keys, ids, texts=tokens), facts["test_share"])


def _body_tokens(reviews: pa.Table, card: Mapping[str, Any], threads: int) -> pa.Array | None:
    """Tokens of the bodies as the model was trained on them; None where all reviews have products."""
    names = reviews.schema.names
    if PRODUCT_ID in names and reviews.column(PRODUCT_ID).null_count == 0:
        return None
    text = TextSettings.model_validate(card.get("text") or {})
    return field_tokens(reviews, [REVIEW_BODY], text, thread_count(threads))[0]


def _text_of(cards: Sequence[Mapping[str, Any]]) -> TextSettings | None:
    """How tokens are made, if all models want the same: then they are made once."""
    texts = [card.get("text") for card in cards]
    return TextSettings.model_validate(texts[0]) if texts[0] and texts.count(texts[0]) == len(texts) else None


def _rows(reviews: pa.Table, before: int) -> pa.Table:
    """Rows of ROW_SCHEMA; a review without an id gets its place."""
    n = reviews.num_rows
    columns = [
        reviews.column(one.name).cast(one.type)
        if one.name in reviews.schema.names
        else pa.chunked_array([pa.nulls(n, one.type)])
        for one in ROW_SCHEMA
    ]
    rows = pa.table(columns, schema=ROW_SCHEMA)
    if rows.column(REVIEW_ID).null_count:
        places = pa.array([f"row {before + at + 1}" for at in range(n)], pa.string())
        rows = rows.set_column(0, ROW_SCHEMA.field(0), pc.coalesce(rows.column(REVIEW_ID), places))
    return rows


def _codes(rows: pa.Table, codes: dict[str, int]) -> npt.NDArray[np.int64]:
    """A number for each review's product, the same in every batch; -1 where it has none. (n)."""
    coded = rows.column(PRODUCT_ID).combine_chunks().dictionary_encode()
    own = np.array(
        [codes.setdefault(name, len(codes)) for name in coded.dictionary.to_pylist()] + [-1], np.int64
    )
    product: npt.NDArray[np.int64] = own[coded.indices.fill_null(len(own) - 1).to_numpy()]
    return product


def _add(candidate: _Candidate, batch: _Batch, names: Sequence[str], threads: int) -> None:
    model = candidate.model
    place = pc.index_in(batch.classes, value_set=pa.array(model.categories, pa.string()))
    has_class = pc.is_valid(batch.classes)
    for one in pc.value_counts(batch.classes.filter(pc.and_(pc.is_null(place), has_class))):
        candidate.unknown[one["values"].as_py()] += one["counts"].as_py()
    candidate.unlabelled += batch.classes.null_count
    mask = pc.and_(pc.is_valid(place), has_class)
    known = mask.to_numpy(zero_copy_only=False)
    if not known.any():
        return
    labels = place.filter(mask).to_numpy().astype(np.int64)
    own = batch.reviews.filter(mask)
    started = time.perf_counter()
    logits = model.logits_batch(own, threads)
    candidate.seconds += time.perf_counter() - started
    probabilities = np.exp(model.calibration.log_probabilities(logits))
    before = np.exp(Calibration().log_probabilities(logits))
    product = batch.product[known]
    candidate.tally.add(labels, probabilities, before, product)
    ids = batch.ids.filter(mask)
    candidate.rows.append(judged_rows(ids, product, labels, probabilities, model.categories))
    for name in names:
        if needed(name) in own.schema.names:
            candidate.columns.setdefault(name, []).append(kept(name, own.column(needed(name))))


def _finish(
    candidate: _Candidate, notes: Mapping[str, Any], met: npt.NDArray[np.bool_] | None, seed: int
) -> DataJudged:
    tally, model = candidate.tally, candidate.model
    if not tally.reviews:
        known = ", ".join(model.categories[:5])
        raise NotEnoughDataError(
            f"{notes['data']}: no review has a class that the model knows ({known}, ...); "
            f"{sum(candidate.unknown.values()):,} have others, {candidate.unlabelled:,} have none, "
            f"{notes['reviews_left_out_by_split']:,} are left out by the split."
        )
    table = pa.Table.from_batches(candidate.rows, schema=HELD_OUT_SCHEMA)
    codes = table.column("product").to_numpy()
    # Reviews without a product count as products of their own, beyond the known codes.
    product, alone = codes.copy(), codes < 0
    product[alone] = product.max(initial=-1) + 1 + np.arange(int(alone.sum()))
    table = table.set_column(table.schema.get_field_index("product"), "product", pa.array(product))
    more = {
        "reviews_of_unknown_categories": sum(candidate.unknown.values()),
        "unknown_categories": dict(candidate.unknown.most_common(_MOST_NAMED)),
        "reviews_without_label": candidate.unlabelled,
        "reviews_per_second": round(tally.reviews / max(candidate.seconds, 1e-9)),
    }
    if met is not None:
        more["reviews_of_products_learned_from"] = int(met[codes[~alone]].sum())
    found = replace(summarise(tally, model.categories), notes=dict(notes) | more)
    groups = {name: grouping(name, pa.concat_arrays(some)) for name, some in candidate.columns.items()}
    return DataJudged(with_details(found, Judged.of_table(table), groups, seed), table)


def _met(
    codes: Mapping[str, int], encoded_rows: Iterable[pa.Table], facts: Mapping[str, Any]
) -> npt.NDArray[np.bool_]:
    """Whether each product stands among those that were learned from, by its code. (products,)."""
    named = pa.array(list(codes), pa.string())
    found = np.zeros(len(codes), np.bool_)
    for rows in encoded_rows:
        learned = rows.filter(pa.array(~is_held_out(rows, facts)))
        at = pc.index_in(pc.unique(learned.column(PRODUCT_ID)), value_set=named)
        found[at.drop_null().to_numpy()] = True
    return found
