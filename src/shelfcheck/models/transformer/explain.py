"""Which words carried a prediction of the `transformer` model: ask it without each word, and with it alone.

This is an approximation. A word's weight is the mean of what the log odds lose when it is left out of the
text (occlusion: Li, Monroe, Jurafsky, Understanding Neural Networks through Representation Erasure, 2016) and
of what they gain when it stands alone instead of nothing: the last and the first term of its Shapley value
(Shapley 1953). The first alone gives words that say the same next to nothing, for they cover for each other.
The network is not additive, so the weights need not add up to the log odds; `rest` is the difference.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from shelfcheck.models.base import Explanation, Term
from shelfcheck.models.transformer.texts import joined, separator
from shelfcheck.schema import REVIEW_BODY, REVIEW_HEADLINE

if TYPE_CHECKING:
    from shelfcheck.models.transformer.model import TransformerModel

_WORD: Final = re.compile(r"\w+(?:['’]\w+)*")


def explain(
    model: TransformerModel,
    headline: str | None,
    body: str | None,
    category: str | None = None,
    against: str | None = None,
    *,
    k: int = 10,
) -> Explanation:
    """What each word adds to the log odds of one class against another, approximately.

    Every distinct word of the part that the encoder reads is left out wherever it stands, in headline and
    body, in lower or upper case. Two predictions a word, computed together.

    Args:
        model: a `transformer` model.
        headline: raw headline; may be None.
        body: raw body; may be None.
        category: the class to explain; the predicted one when None.
        against: what it is compared with; the likeliest other when None.
        k: most terms to return; those that speak against `category` come last, and only if they are
            among the k largest by size.

    Returns:
        Terms are lower-case words. `rest` is the log odds less all words' weights, listed or not.

    Raises:
        KeyError: the model does not know a class.
    """
    raw = {REVIEW_HEADLINE: headline, REVIEW_BODY: body}
    between = separator(model.tokenizer)
    whole = joined([[raw[field]] for field in model.settings.fields], between)[0]
    # Left out of the whole text, the mark between the fields stays where it is.
    read = _read_part(model, whole)
    mark = between.strip()
    spans = [
        (match.start(), match.end(), match.group().lower())
        for start, end in _between(read, mark)
        for match in _WORD.finditer(read, start, end)
    ]
    words = list(dict.fromkeys(word for _, _, word in spans))
    without = [_without(read, [span[:2] for span in spans if span[2] == word]) for word in words]
    first = {word: read[start:end] for start, end, word in reversed(spans)}  # in the customer's letters
    texts = [read, "", *without, *(first[word] for word in words)]
    z = model.logits([texts], len(texts), threads=1)
    place = {name: i for i, name in enumerate(model.categories)}
    chosen = int(z[0].argmax()) if category is None else place[category]
    other = _runner_up(z[0], chosen) if against is None else place[against]
    odds = model.calibration.scale * (z[:, chosen] - z[:, other]).astype(np.float64)
    lost, gained = odds[0] - odds[2 : 2 + len(words)], odds[2 + len(words) :] - odds[1]
    weights = dict(zip(words, ((lost + gained) / 2).tolist(), strict=True))
    strongest = sorted(weights.items(), key=lambda item: (-abs(item[1]), item[0]))[:k]
    return Explanation(
        category=model.categories[chosen],
        against=model.categories[other],
        terms=[Term(*item) for item in sorted(strongest, key=lambda item: (-item[1], item[0]))],
        rest=float(odds[0] - sum(weights.values())),
        log_odds=float(odds[0]),
    )


def _read_part(model: TransformerModel, text: str) -> str:
    """The beginning of a text that the encoder reads: what follows could not matter, and would if left in."""
    if not model.tokenizer.is_fast:
        return text  # it cannot tell where it stopped
    tokens = model.tokenizer(
        text, truncation=True, max_length=model.settings.max_tokens, return_offsets_mapping=True
    )
    return text[: max((end for _, end in tokens["offset_mapping"]), default=0)]


def _between(text: str, mark: str) -> list[tuple[int, int]]:
    """Where the fields lie in a text: all but the marks between them."""
    found, start = [], 0
    while mark and (at := text.find(mark, start)) >= 0:
        found.append((start, at))
        start = at + len(mark)
    return [*found, (start, len(text))]


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    for start, end in reversed(spans):
        text = text[:start] + text[end:]
    return text


def _runner_up(z: np.ndarray, chosen: int) -> int:
    order = np.argsort(-z, kind="stable")
    return int(order[0] if order[0] != chosen else order[1])
