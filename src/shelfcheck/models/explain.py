"""Which words carried a prediction of the `linear` or the `embedding` model, exactly.

In both, the log odds of one category against another are a sum over n-grams plus the difference of the
two biases; nothing is approximated or sampled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from shelfcheck.models.base import Explanation, Term
from shelfcheck.models.ngrams import encode_tokens, field_tokens, term_buckets, terms
from shelfcheck.schema import REVIEW_BODY, REVIEW_HEADLINE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from shelfcheck.models.embedding import EmbeddingModel
    from shelfcheck.models.linear import LinearModel


def explain(
    model: LinearModel | EmbeddingModel,
    headline: str | None,
    body: str | None,
    category: str | None = None,
    against: str | None = None,
    *,
    k: int = 10,
) -> Explanation:
    """The n-grams that speak for one category against another in one text.

    Args:
        model: a `linear` or an `embedding` model.
        headline: raw headline; may be None.
        body: raw body; may be None.
        category: the category to explain; the predicted one when None.
        against: what it is compared with, e.g. the assigned category; the likeliest other when None.
        k: most terms to return; those that speak against `category` come last, and only if they are
            among the k largest by size.

    Raises:
        KeyError: the model does not know a category.
    """
    return explain_many(model, [headline], [body], [category], [against], k=k)[0]


def explain_many(
    model: LinearModel | EmbeddingModel,
    headlines: Sequence[str | None],
    bodies: Sequence[str | None],
    categories: Sequence[str | None],
    against: Sequence[str | None],
    *,
    k: int = 10,
) -> list[Explanation]:
    """`explain` for many texts at once; arguments and result are lists of equal length."""
    from shelfcheck.models.ngram_kernels import ID_BITS, ID_MASK  # noqa: PLC0415 - loads Numba

    table = pa.table(
        {REVIEW_HEADLINE: pa.array(headlines, pa.string()), REVIEW_BODY: pa.array(bodies, pa.string())}
    )
    fields = model.settings.fields
    columns = field_tokens(table, fields, model.text, 1)
    bits, longest, prefixes = model.settings.hash_bits, model.settings.word_ngrams, model.settings.prefixes
    indptr, ids = encode_tokens(columns, fields, bits, word_ngrams=longest, prefixes=prefixes)
    logits = model.logits(indptr, ids, threads=1)
    scale = model.calibration.scale
    place = {name: i for i, name in enumerate(model.categories)}
    found = []
    for row in range(len(bodies)):
        z = logits[row]
        chosen = int(z.argmax()) if categories[row] is None else place[str(categories[row])]
        other = _runner_up(z, chosen) if against[row] is None else place[str(against[row])]
        codes = ids[indptr[row] : indptr[row + 1]]
        features = model.position[codes & np.uint32(ID_MASK)]
        codes, features = codes[features >= 0], features[features >= 0]
        parts = scale * _parts(model, features, codes >> np.uint32(ID_BITS), chosen, other)
        by_bucket = dict(zip((codes & np.uint32(ID_MASK)).tolist(), parts.tolist(), strict=True))
        total: dict[str, float] = {}
        for field, column in zip(fields, columns, strict=True):
            names = terms(column[row].as_py() or "", longest, prefixes)
            for term, weight in _named(names, field, bits, by_bucket):
                total[term] = total.get(term, 0.0) + weight
        log_odds = float(scale * (z[chosen] - z[other]))
        strongest = sorted(total.items(), key=lambda item: (-abs(item[1]), item[0]))[:k]
        ordered = sorted(strongest, key=lambda item: (-item[1], item[0]))
        found.append(
            Explanation(
                category=model.categories[chosen],
                against=model.categories[other],
                terms=[Term(*item) for item in ordered],
                rest=log_odds - float(parts.sum()),
                log_odds=log_odds,
            )
        )
    return found


def _parts(
    model: LinearModel | EmbeddingModel,
    features: npt.NDArray[np.int32],
    counts: npt.NDArray[np.uint32],
    chosen: int,
    other: int,
) -> npt.NDArray[np.float32]:
    """What each known n-gram adds to the logit of one class less that of another, before calibration."""
    from shelfcheck.models.linear import LinearModel  # noqa: PLC0415 - that module imports this one

    if not isinstance(model, LinearModel):
        return model.parts(features, counts, chosen, other)
    from shelfcheck.models.ngram_weights import count_weights  # noqa: PLC0415 - loads Numba

    x = model.idf[features] * count_weights()[counts]
    if len(x):
        x /= np.linalg.norm(x)
    found: npt.NDArray[np.float32] = x * (model.weights[features, chosen] - model.weights[features, other])
    return found


def _runner_up(z: np.ndarray, chosen: int) -> int:
    order = np.argsort(-z, kind="stable")
    return int(order[0] if order[0] != chosen else order[1])


def _named(names: list[str], field: str, bits: int, by_bucket: dict[int, float]) -> list[tuple[str, float]]:
    """Terms of one field with their weights; of terms that share a bucket, the first carries it."""
    if not names:
        return []
    buckets = term_buckets(names, field, bits).tolist()
    pairs = zip(names, buckets, strict=True)
    return [(name, by_bucket.pop(bucket)) for name, bucket in pairs if bucket in by_bucket]
