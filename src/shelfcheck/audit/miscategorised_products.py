"""Products that stand in a wrong category: their reviews together speak of another one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from shelfcheck.audit.evidence import Texts, explain_reviews
from shelfcheck.audit.judged import NO_CATEGORY_LEARNED, NO_PRODUCT, Judged
from shelfcheck.audit.mixture import Posterior
from shelfcheck.audit.output import SAMPLES, TERMS, write_findings
from shelfcheck.audit.pooling import BY, DECIDED, SCALED, Pooled
from shelfcheck.audit.ranking import HALVES, Ranker
from shelfcheck.audit.room import room_in
from shelfcheck.models.blocks import blocks, taken, where
from shelfcheck.progress import NullProgress
from shelfcheck.schema import PRODUCT_ID, PRODUCT_TITLE, REVIEW_BODY, REVIEW_HEADLINE, REVIEW_ID

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from shelfcheck.audit.pooling import Sums
    from shelfcheck.config import Settings
    from shelfcheck.progress import Progress

KIND: Final = "miscategorised_products"
SCHEMA: Final = pa.schema(
    [
        ("rank", pa.int64()),
        ("score", pa.float64()),
        (PRODUCT_ID, pa.string()),
        (PRODUCT_TITLE, pa.string()),
        ("assigned_category", pa.string()),
        ("suggested_category", pa.string()),
        ("reviews", pa.int64()),
        ("reviews_for_suggested", pa.int64()),
        ("reviews_for_assigned", pa.int64()),
        ("reviews_undecided", pa.int64()),
        ("words", TERMS),
        ("sample_reviews", SAMPLES),
    ]
)
_SAMPLE_REVIEWS: Final = 3  # a finding
_EXPLAINED: Final = 2000  # sample reviews that are explained, those of the first findings
_WORDS: Final = 8
# From so many reviews on, their mean log odds rank better than what is learned from all products, most
# of which have one review.
_SEVERAL: Final = 3
_BLOCK: Final = 1 << 17  # products whose features are made at a time
_SAMPLE: Final = 40_000  # simulated faults, and at most as many products, that the ranker learns from


@dataclass(frozen=True)
class ProductScores:
    """Every judged product with the probability that its category is wrong.

    Attributes:
        score: float64 (m), calibrated probability that the assignment is wrong.
        raw: float64 (m), log odds before calibration: orders equal scores.
        suggested: int16 (m), best other category.
        tells: bool (m), whether the reviews together name one category rather than any other.
        share: estimated share of miscategorised products.
    """

    score: npt.NDArray[np.float64]
    raw: npt.NDArray[np.float64]
    suggested: npt.NDArray[np.int16]
    tells: npt.NDArray[np.bool_]
    share: float


def miscategorised_products(
    prepared_dir: str | Path,
    oof_dir: str | Path,
    out_dir: str | Path,
    settings: Settings,
    progress: Progress | None = None,
    *,
    spans: Iterable[tuple[int, int, Sums]] | None = None,
) -> dict[str, Any]:
    """Find miscategorised products; write `findings.parquet`, `findings.csv` and `summary.json`.

    Memory: at most 8 bytes a review, 50 bytes a product, a constant for their sums, and the sample reviews'
    texts. 16 K bytes a product of K categories lie in files in `out_dir` until the end.

    Args:
        prepared_dir: output of `prepare`; texts of the sample reviews are read from it.
        oof_dir: output of `out_of_fold`.
        out_dir: folder to fill.
        settings: `audit` and `run.seed` are read.
        progress: told how far it is.
        spans: sums of all products, see `Pooled.gather`; made here when None.

    Returns:
        Counts for the manifest.

    Raises:
        WorkspaceError: an input is missing or incomplete.
    """
    progress = progress or NullProgress()
    judged = Judged.open(oof_dir)
    with room_in(Path(out_dir) / ".room") as room:
        pooled = Pooled.gather(judged, room, spans)
        found = score_products(pooled, settings.run.seed)
        order = np.lexsort((pooled.product, -found.raw, -found.score))
        order = order[(found.score[order] >= settings.audit.min_score) & found.tells[order]]
        order = order[: settings.audit.max_findings]
        table = _table(judged, pooled, found, order, prepared_dir, progress)
        known = sum(int((judged.product[block] >= 0).sum()) for block in blocks(judged.n_reviews))
        summary = {
            "kind": KIND,
            "findings": table.num_rows,
            "candidates": len(pooled.product),
            "cannot_tell": int((~found.tells).sum()),
            "skipped": {
                NO_CATEGORY_LEARNED: judged.n_products - len(pooled.product),
                f"reviews_{NO_PRODUCT}": judged.n_reviews - known,
            },
            "expected_faults": round(float(found.score[order].sum()), 2),
            "estimated_share": round(found.share, 5),
        }
    write_findings(table, summary, Path(out_dir))
    return {name: summary[name] for name in ("findings", "candidates", "cannot_tell", "expected_faults")}


def score_products(pooled: Pooled, seed: int = 0) -> ProductScores:
    """Judge every product.

    Args:
        pooled: what the reviews say together.
        seed: of the simulated faults.
    """
    m = len(pooled.product)
    rng = np.random.default_rng(seed)
    moved, category = simulate_categories(pooled, min(_SAMPLE, 2 * m), rng)
    half = pooled.fold % HALVES
    ranker = None
    if len(moved):
        faults, _ = pooled.features(moved, category, own=False)
        sample = np.arange(m) if m <= _SAMPLE else np.sort(rng.choice(m, _SAMPLE, replace=False))
        features, _ = pooled.features(sample, pooled.assigned[sample], own=True)
        ranker = Ranker.fit(features, half[sample], faults, half[moved], scaled=SCALED, by=BY)
    raw, score = np.full(m, -np.inf), np.zeros(m)
    suggested, tells = np.empty(m, np.int16), np.empty(m, np.bool_)
    for block in blocks(m, _BLOCK):
        at, assigned = np.arange(block.start, block.stop), pooled.assigned[block]
        features, suggested[block] = pooled.features(at, assigned, own=True)
        tells[block] = pooled.logs[block].max(axis=1) >= np.log(DECIDED)
        if ranker is not None:
            several = pooled.reviews[block] >= _SEVERAL
            raw[block] = np.where(several, pooled.regret(at, assigned), ranker.score(features, half[block]))
    if ranker is None:
        return ProductScores(score, raw, suggested, tells, 0.0)
    simulated = ranker.score(faults, half[moved])
    for many in (False, True):
        here = where(m, lambda block, s=many: (pooled.reviews[block] >= _SEVERAL) == s)  # type: ignore[misc]
        there = (pooled.reviews[moved] >= _SEVERAL) == many
        if many:
            simulated[there] = pooled.regret(moved[there], category[there])
        own = taken(raw, here)
        own.sort()
        posterior = Posterior.of_sorted(own, np.sort(simulated[there]))
        for block in blocks(len(here)):
            score[here[block]] = posterior(raw[here[block]])
    return ProductScores(score, raw, suggested, tells, float(score.mean()))


def simulate_categories(
    pooled: Pooled, n: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Put products in the category of another product; (places, categories), at most `n` of each."""
    m = len(pooled.product)
    moved, source = (rng.integers(0, m, n) if m else np.empty(0, np.int64) for _ in range(2))
    for _ in range(20):
        same = np.flatnonzero(pooled.assigned[moved] == pooled.assigned[source])
        if len(same) == 0:
            break
        source[same] = rng.integers(0, m, len(same))
    other = pooled.assigned[moved] != pooled.assigned[source]
    return moved[other], pooled.assigned[source[other]]


def _table(  # noqa: PLR0917 - all that a row is made of
    judged: Judged,
    pooled: Pooled,
    found: ProductScores,
    order: npt.NDArray[np.int64],
    prepared_dir: str | Path,
    progress: Progress,
) -> pa.Table:
    names = pa.array(judged.categories, pa.string())
    assigned, suggested = pooled.assigned[order], found.suggested[order]
    finding, rows, chances = _samples(judged, pooled.product[order], suggested)
    texts = Texts.read(judged, rows, prepared_dir, progress)
    words = explain_reviews(
        judged,
        texts,
        rows,
        names.take(pa.array(suggested[finding])),
        names.take(pa.array(assigned[finding])),
        progress,
        limit=_EXPLAINED,
    )
    first = np.searchsorted(finding, np.arange(len(order) + 1)).astype(np.int32)
    samples = pa.StructArray.from_arrays(
        [
            texts.table[REVIEW_ID].combine_chunks(),
            texts.table[REVIEW_HEADLINE].combine_chunks(),
            texts.table[REVIEW_BODY].combine_chunks(),
            pa.array(chances, pa.float32()),
        ],
        names=["review_id", "headline", "body", "p_suggested"],
    )
    for_suggested = pooled.votes[order, suggested].astype(np.int64)
    for_assigned = pooled.votes[order, assigned].astype(np.int64)
    undecided = (pooled.reviews[order] - pooled.votes[order].sum(axis=1)).astype(np.int64)
    columns = {
        "rank": np.arange(1, len(order) + 1),
        "score": found.score[order],
        PRODUCT_ID: judged.product_ids.take(pa.array(pooled.product[order])),
        PRODUCT_TITLE: texts.table[PRODUCT_TITLE].combine_chunks().take(pa.array(first[:-1])),
        "assigned_category": names.take(pa.array(assigned)),
        "suggested_category": names.take(pa.array(suggested)),
        "reviews": pooled.reviews[order],
        "reviews_for_suggested": for_suggested,
        "reviews_for_assigned": for_assigned,
        "reviews_undecided": undecided,
        "words": _pooled_words(words, finding, len(order)),
        "sample_reviews": pa.ListArray.from_arrays(pa.array(first), samples).cast(SAMPLES),
    }
    return pa.table([pa.array(columns[field.name], field.type) for field in SCHEMA], SCHEMA)


def _samples(
    judged: Judged, products: npt.NDArray[np.int32], suggested: npt.NDArray[np.int16]
) -> tuple[npt.NDArray[np.integer[Any]], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """The reviews that speak most for the suggestion: finding, row and probability, by finding."""
    place = np.full(judged.n_products + 1, -1, np.int32)  # the last for reviews without a product
    place[products] = np.arange(len(products))

    def wanted(block: slice) -> npt.NDArray[np.bool_]:
        found: npt.NDArray[np.bool_] = (place[judged.product[block]] >= 0) & (judged.assigned[block] >= 0)
        return found

    rows = where(judged.n_reviews, wanted).astype(np.int64)
    finding = place[judged.product[rows]]
    chance = np.concatenate(
        [
            np.exp(judged.log_p[part, suggested[place[judged.product[part]]]].astype(np.float32))
            for part in judged.chunks(rows)
        ]
        or [np.empty(0, np.float32)]
    )
    order = np.lexsort((rows, -chance, finding))
    finding, rows, chance = finding[order], rows[order], chance[order]
    begin = np.searchsorted(finding, np.arange(len(products)))
    first = np.arange(len(finding)) - begin[finding] < _SAMPLE_REVIEWS
    return finding[first], rows[first], chance[first]


def _pooled_words(words: pa.Array, finding: npt.NDArray[np.integer[Any]], n: int) -> pa.Array:
    """Weights of a word summed over a finding's sample reviews, the strongest words of each."""
    totals: list[dict[str, float]] = [{} for _ in range(n)]
    for at, terms in zip(finding[:_EXPLAINED].tolist(), words.slice(0, _EXPLAINED).to_pylist(), strict=True):
        for one in terms:
            totals[at][one["term"]] = totals[at].get(one["term"], 0.0) + one["weight"]
    ranked = [sorted(total.items(), key=lambda item: (-item[1], item[0]))[:_WORDS] for total in totals]
    return pa.array([[{"term": term, "weight": w} for term, w in one] for one in ranked], TERMS)
