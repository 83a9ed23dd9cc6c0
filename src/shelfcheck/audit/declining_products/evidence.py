"""The findings as a table: what changed, when, by how much, in which words, and reviews to read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelfcheck.audit.declining_products.dating import Span, date_change
from shelfcheck.audit.declining_products.effects import Effect, measure_effect
from shelfcheck.audit.declining_products.judging import seen_apart, seen_from
from shelfcheck.audit.declining_products.themes import new_terms, terms_of, themes
from shelfcheck.audit.output import TERMS
from shelfcheck.models.blocks import blocks
from shelfcheck.prepare.read import count_prepared, iter_prepared
from shelfcheck.schema import (
    PRODUCT_ID,
    PRODUCT_TITLE,
    REVIEW_BODY,
    REVIEW_HEADLINE,
    REVIEW_ID,
    REVIEW_TOKENS,
)

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from shelfcheck.audit.declining_products.badness import Badness
    from shelfcheck.audit.declining_products.histories import Histories
    from shelfcheck.audit.declining_products.judging import Judged
    from shelfcheck.config import AuditSettings
    from shelfcheck.models.encoded import Encoded
    from shelfcheck.progress import Progress

WORSE: Final = "worse"
BETTER: Final = "better"
DATED_SAMPLES: Final = pa.list_(
    pa.struct(
        [
            ("review_id", pa.string()),
            ("date", pa.date32()),
            ("stars", pa.int32()),
            ("headline", pa.string()),
            ("body", pa.string()),
        ]
    )
)
THEMES_TYPE: Final = pa.list_(
    pa.struct(
        [
            ("term", pa.string()),  # the theme's terms, joined by ", "
            ("weight", pa.float32()),
            ("reviews_since", pa.int32()),
            ("reviews_before", pa.int32()),
        ]
    )
)
TIMELINE: Final = pa.list_(
    pa.struct([("date", pa.date32()), ("reviews", pa.int32()), ("stars", pa.float32()), ("low", pa.int32())])
)
SCHEMA: Final = pa.schema(
    [
        ("rank", pa.int64()),
        ("score", pa.float64()),
        ("direction", pa.string()),
        (PRODUCT_ID, pa.string()),
        (PRODUCT_TITLE, pa.string()),
        ("assigned_category", pa.string()),
        ("seen_in", pa.string()),
        ("since", pa.date32()),
        ("since_earliest", pa.date32()),
        ("since_latest", pa.date32()),
        ("until", pa.date32()),
        ("seen", pa.date32()),
        ("seen_in_stars", pa.date32()),
        ("seen_in_language", pa.date32()),
        ("reviews", pa.int64()),
        ("reviews_before", pa.int64()),
        ("reviews_since", pa.int64()),
        ("stars_before", pa.float32()),
        ("stars_since", pa.float32()),
        ("stars_change", pa.float32()),
        ("stars_change_low", pa.float32()),
        ("stars_change_high", pa.float32()),
        ("low_share_before", pa.float32()),
        ("low_share_since", pa.float32()),
        ("category_change", pa.float32()),
        ("language_change", pa.float32()),
        ("stars_by_design", pa.bool_()),
        ("p_value", pa.float64()),
        ("words", TERMS),
        ("themes", THEMES_TYPE),
        ("samples_before", DATED_SAMPLES),
        ("samples_since", DATED_SAMPLES),
        ("timeline", TIMELINE),
    ]
)
_EXPLAINED: Final = 200  # findings that get words and samples; those after them have none
_LOOKED_AT: Final = 400  # reviews on each side of the change
_SAMPLES_SINCE: Final = 3
_SAMPLES_BEFORE: Final = 2
_POINTS: Final = 40  # of a timeline
_EVEN: Final = 0.97  # share of the largest entropy from which stars are taken to be sampled evenly
_PRAISE: Final = 4  # stars of praise, at least
_COMPLAINT: Final = 3  # stars of a complaint, at most
_TEXTS: Final = (REVIEW_ID, PRODUCT_TITLE, REVIEW_HEADLINE, REVIEW_BODY, REVIEW_TOKENS)


@dataclass(frozen=True)
class _Finding:
    product: int
    judged: Judged
    span: Span
    effect: Effect


def findings_table(  # noqa: PLR0917 - all that a row is made of
    histories: Histories,
    badness: Badness,
    judged: tuple[Judged, Judged],
    encoded: Encoded,
    prepared_dir: str | Path,
    settings: AuditSettings,
    progress: Progress,
) -> pa.Table:
    """Products listed at the false discovery rate that is set, the surest first.

    Args:
        histories: the reviews.
        badness: their values.
        judged: every product for worse, and for better.
        encoded: all reviews.
        prepared_dir: output of `prepare`, for the texts.
        settings: `declining.max_false_share` and `max_findings` are read.
        progress: told the texts read and the findings explained.
    """
    listed = [
        (float(one.p[product]), -float(one.wealth[product]), product, one)
        for one in judged
        for product in np.flatnonzero(one.q <= settings.declining.max_false_share).tolist()
    ]
    listed.sort(key=lambda item: (item[0], item[1], item[2], not item[3].worse))
    found = []
    for _, _, product, one in listed[: settings.max_findings]:
        span = date_change(one, badness, histories, product)
        found.append(_Finding(product, one, span, measure_effect(histories, badness, product, span)))
    texts = _Texts.read(histories, found[:_EXPLAINED], encoded, prepared_dir, progress)
    even = _sampled_evenly(encoded)
    progress.start("Collecting words", len(found), "findings")
    rows = []
    for rank, finding in enumerate(found, start=1):
        row = _row(histories, finding, encoded, even)
        if rank <= _EXPLAINED:
            row |= _told(histories, badness, finding, texts)
        rows.append({"rank": rank} | row)
        progress.advance(1)
    progress.finish()
    return pa.Table.from_pylist(rows, SCHEMA)


def _row(histories: Histories, finding: _Finding, encoded: Encoded, even: set[int]) -> dict[str, Any]:
    product, judged, span, effect = finding.product, finding.judged, finding.span, finding.effect
    category = int(histories.category[product])

    def day(place: int) -> np.datetime64 | None:
        return None if place < 0 else _date(histories.day[place])

    begun = span.since
    stars_alarm, language_alarm = seen_apart(judged, histories, product, begun)
    seen = [name for name, at in (("stars", stars_alarm), ("language", language_alarm)) if at >= 0]
    return {
        "score": 1.0 - float(judged.q[product]),
        "direction": WORSE if judged.worse else BETTER,
        PRODUCT_ID: histories.product_ids[product].as_py(),
        "assigned_category": encoded.categories[category] if category >= 0 else None,
        "seen_in": " and ".join(seen) or "stars and language together",
        "since": day(begun),
        # Between the last review before it and the first since.
        "since_earliest": day(span.earliest - 1),
        "since_latest": day(span.latest),
        "until": day(span.end) if span.over else None,
        "seen": day(seen_from(judged, histories, product, begun)),
        "seen_in_stars": day(stars_alarm),
        "seen_in_language": day(language_alarm),
        "reviews": int(histories.starts[product + 1] - histories.starts[product]),
        "reviews_before": len(effect.before),
        "reviews_since": len(effect.since),
        "stars_before": effect.stars_before,
        "stars_since": effect.stars_since,
        "stars_change": effect.change,
        "stars_change_low": effect.change_low,
        "stars_change_high": effect.change_high,
        "low_share_before": effect.low_before,
        "low_share_since": effect.low_since,
        "category_change": effect.category_change,
        "language_change": effect.language_change,
        "stars_by_design": category in even,
        "p_value": float(judged.p[product]),
        "timeline": _timeline(histories, product),
    }


@dataclass(frozen=True)
class _Texts:
    """Texts of the findings' reviews: by place in the histories, the row of the table; and terms."""

    table: pa.Table
    at: dict[int, int]
    terms: dict[int, set[str]]
    background: dict[int, Counter[str]]  # by category: reviews that hold a term

    @classmethod
    def read(
        cls,
        histories: Histories,
        found: list[_Finding],
        encoded: Encoded,
        prepared_dir: str | Path,
        progress: Progress,
    ) -> _Texts:
        places = sorted({int(i) for one in found for part in _near(one.effect) for i in part})
        ids = encoded.review_ids(histories.row[places])
        kept = []
        if places:
            progress.start("Reading the findings' texts", count_prepared(prepared_dir))
            for batch in iter_prepared(prepared_dir, _TEXTS):
                progress.advance(batch.num_rows)
                kept.append(batch.filter(pc.is_in(batch[REVIEW_ID], value_set=ids)))
            progress.finish()
        if not kept:
            return cls(pa.table({name: pa.array([], pa.string()) for name in _TEXTS}), {}, {}, {})
        table = pa.Table.from_batches(kept).combine_chunks()
        at = pc.index_in(ids, value_set=table[REVIEW_ID].combine_chunks()).to_pylist()
        tokens = table[REVIEW_TOKENS].to_pylist()
        terms = {place: terms_of(tokens[i]) for place, i in zip(places, at, strict=True)}
        background: dict[int, Counter[str]] = {}
        category = histories.category[histories.product_of(np.array(places))]
        for place, c in zip(places, category.tolist(), strict=True):
            background.setdefault(c, Counter()).update(terms[place])
        return cls(table, dict(zip(places, at, strict=True)), terms, background)


def _near(effect: Effect) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The reviews that are looked at: the last before a change, of those since it one in every so many."""
    step = -(-len(effect.since) // _LOOKED_AT)
    return effect.before[-_LOOKED_AT:], effect.since[::step]


def _told(histories: Histories, badness: Badness, finding: _Finding, texts: _Texts) -> dict[str, Any]:
    before, since = _near(finding.effect)
    worse = finding.judged.worse
    background = texts.background[int(histories.category[finding.product])]
    stars = histories.stars
    telling = stars[since] <= _COMPLAINT if worse else stars[since] >= _PRAISE
    if finding.span.by_language:  # the stars do not tell which reviews complain
        level = np.median(badness.language[before])
        telling = badness.language[since] > level if worse else badness.language[since] < level
    now = [texts.terms[int(i)] for i in since[telling]]
    then = [texts.terms[int(i)] for i in before]
    terms = new_terms(now, then, background)
    levels = badness.language if finding.span.by_language else badness.both
    typical = np.abs(levels[before] - np.median(levels[before]))
    spoken = since[telling] if telling.any() else since
    named = {one.term for one in terms}
    # Much of what came up in few words; then the worst, or best.
    tells = np.array(
        [len(named & texts.terms[i]) / np.sqrt(10 + len(texts.terms[i])) for i in spoken.tolist()]
    )
    first = np.lexsort((spoken, (-1 if worse else 1) * levels[spoken], -tells))[:_SAMPLES_SINCE]
    usual = np.lexsort((-before, typical))[:_SAMPLES_BEFORE]
    titles = [texts.table[PRODUCT_TITLE][texts.at[int(i)]].as_py() for i in (*before[-1:], *since[:1])]
    return {
        PRODUCT_TITLE: next((title for title in titles if title), None),
        "words": [{"term": one.term, "weight": one.weight} for one in terms],
        "themes": [
            {
                "term": ", ".join(theme.terms),
                "weight": theme.weight,
                "reviews_since": theme.since,
                "reviews_before": theme.before,
            }
            for theme in themes(terms, now, then)
        ],
        "samples_before": _samples(histories, texts, np.sort(before[usual])),
        "samples_since": _samples(histories, texts, np.sort(spoken[first])),
    }


def _samples(histories: Histories, texts: _Texts, places: npt.NDArray[np.int64]) -> list[dict[str, Any]]:
    table = texts.table
    return [
        {
            "review_id": table[REVIEW_ID][texts.at[i]].as_py(),
            "date": _date(histories.day[i]),
            "stars": int(histories.stars[i]),
            "headline": table[REVIEW_HEADLINE][texts.at[i]].as_py(),
            "body": table[REVIEW_BODY][texts.at[i]].as_py(),
        }
        for i in places.tolist()
    ]


def _timeline(histories: Histories, product: int) -> list[dict[str, Any]]:
    """Means of neighbouring reviews, about as many in each; days are not cut."""
    a, b = int(histories.starts[product]), int(histories.starts[product + 1])
    points = []
    for part in np.array_split(np.arange(a, b), min(_POINTS, max((b - a) // 4, 1))):
        stars = histories.stars[part]
        points.append(
            {
                "date": _date(int(np.median(histories.day[part]))),
                "reviews": len(part),
                "stars": float(stars.mean()),
                "low": int((stars <= 2).sum()),
            }
        )
    return points


def _sampled_evenly(encoded: Encoded) -> set[int]:
    """Categories whose stars are about equally frequent: a sample by stars, whose level says nothing."""
    cells = np.zeros((len(encoded.categories) + 1) * 6, np.int64)
    for block in blocks(encoded.n_rows):
        label, stars = encoded.label[block].astype(np.int64), encoded.stars[block]
        inside = (stars > 0) & (stars <= 5)
        cells += np.bincount((label[inside] + 1) * 6 + stars[inside], minlength=len(cells))
    found = set()
    for c, counts in enumerate(cells.reshape(-1, 6)[1:, 1:]):
        share = counts / max(counts.sum(), 1)
        entropy = -(share[share > 0] * np.log(share[share > 0])).sum() / np.log(5)
        if counts.sum() >= 50 and entropy >= _EVEN:
            found.add(c)
    return found


def _date(day: int) -> Any:
    return np.datetime64(int(day), "D").astype(object)
