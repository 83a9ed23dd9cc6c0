"""Reviews that sit on a wrong product: their text speaks of another category than the product's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from shelfcheck.audit.agreement import BY, SCALED, Agreement
from shelfcheck.audit.evidence import Texts, explain_reviews
from shelfcheck.audit.judged import NO_CATEGORY_LEARNED, Judged
from shelfcheck.audit.mixture import Posterior
from shelfcheck.audit.output import TERMS, write_findings
from shelfcheck.audit.ranking import HALVES, Ranker
from shelfcheck.progress import NullProgress
from shelfcheck.schema import (
    P_ASSIGNED,
    PRODUCT_ID,
    PRODUCT_TITLE,
    REVIEW_BODY,
    REVIEW_DATE,
    REVIEW_HEADLINE,
    REVIEW_ID,
    STAR_RATING,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from shelfcheck.audit.agreement import Placed
    from shelfcheck.config import Settings
    from shelfcheck.progress import Progress

KIND: Final = "misplaced_reviews"
SCHEMA: Final = pa.schema(
    [
        ("rank", pa.int64()),
        ("score", pa.float64()),
        (REVIEW_ID, pa.string()),
        (PRODUCT_ID, pa.string()),
        (PRODUCT_TITLE, pa.string()),
        ("assigned_category", pa.string()),
        ("suggested_category", pa.string()),
        (P_ASSIGNED, pa.float32()),
        ("p_suggested", pa.float32()),
        ("product_reviews", pa.int64()),
        ("product_agreeing", pa.int64()),
        ("words", TERMS),
        (STAR_RATING, pa.int32()),
        (REVIEW_DATE, pa.date32()),
        (REVIEW_HEADLINE, pa.string()),
        (REVIEW_BODY, pa.string()),
    ]
)
_TELLS: Final = 0.5  # a text tells when one category has at least this probability
_SAMPLE: Final = 20_000  # simulated faults, and at most twice as many rows, that the ranker learns from
# Other reviews of the product, first of each stratum. Whether faults fall on products alike, or on those
# with many reviews, is not known, so their share is estimated in each stratum by itself.
_STRATA: Final = (1, 3, 10, 100, 1000)


@dataclass(frozen=True)
class ReviewScores:
    """Every judged review with the probability that it is misplaced.

    Attributes:
        row: int64 (n), row of the predictions.
        score: float64 (n), calibrated probability that the assignment is wrong.
        raw: float64 (n), log odds against the same review on other products: orders equal scores.
        suggested: int64 (n), best other category.
        p_assigned: float32 (n), from the text alone.
        p_suggested: float32 (n), from the text alone.
        tells: bool (n), whether the text names one category rather than any other.
        share: estimated share of misplaced reviews.
    """

    row: npt.NDArray[np.int64]
    score: npt.NDArray[np.float64]
    raw: npt.NDArray[np.float64]
    suggested: npt.NDArray[np.int64]
    p_assigned: npt.NDArray[np.float32]
    p_suggested: npt.NDArray[np.float32]
    tells: npt.NDArray[np.bool_]
    share: float


class _Simulated(NamedTuple):
    """Simulated faults: raw score and stratum of each."""

    raw: npt.NDArray[np.float64]
    stratum: npt.NDArray[np.int64]


def misplaced_reviews(
    prepared_dir: str | Path,
    oof_dir: str | Path,
    out_dir: str | Path,
    settings: Settings,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Find misplaced reviews; write `findings.parquet`, `findings.csv` and `summary.json`.

    Memory: about 60 bytes a review and 4 K + 16 bytes a product of K categories, the findings' texts,
    and 64 k rows of log probabilities.

    Args:
        prepared_dir: output of `prepare`; texts of the findings are read from it.
        oof_dir: output of `out_of_fold`.
        out_dir: folder to fill.
        settings: `audit` and `run.seed` are read.
        progress: told the reviews judged.

    Returns:
        Counts for the manifest.

    Raises:
        WorkspaceError: an input is missing or incomplete.
    """
    progress = progress or NullProgress()
    judged = Judged.open(oof_dir)
    agreement = Agreement.gather(judged)
    found = score_reviews(judged, agreement, settings.run.seed, progress)
    order = np.lexsort((found.row, -found.raw, -found.score))
    order = order[(found.score[order] >= settings.audit.min_score) & found.tells[order]]
    order = order[: settings.audit.max_findings]
    table = _table(judged, agreement, found, order, prepared_dir, progress)
    summary = {
        "kind": KIND,
        "findings": table.num_rows,
        "candidates": len(found.row),
        "cannot_tell": int((~found.tells).sum()),
        "skipped": {NO_CATEGORY_LEARNED: int((judged.assigned < 0).sum())},
        "judged_without_product": int(((judged.product < 0) & (judged.assigned >= 0)).sum()),
        "expected_faults": round(float(found.score[order].sum()), 2),
        "estimated_share": round(found.share, 5),
    }
    write_findings(table, summary, Path(out_dir))
    return {name: summary[name] for name in ("findings", "candidates", "cannot_tell", "expected_faults")}


def score_reviews(
    judged: Judged, agreement: Agreement, seed: int = 0, progress: Progress | None = None
) -> ReviewScores:
    """Judge every review whose category was learned.

    Args:
        judged: out-of-fold judgements.
        agreement: their sums.
        seed: of the simulated faults.
        progress: told the reviews judged.
    """
    progress = progress or NullProgress()
    rows = np.flatnonzero(judged.assigned >= 0)
    progress.start("Judging reviews", len(rows))
    rng = np.random.default_rng(seed)
    ranker, simulated = _learn(judged, agreement, rows, rng)
    raw = np.full(len(rows), -np.inf)
    stratum = np.zeros(len(rows), np.int64)
    in_order = np.ones(len(rows))
    suggested = np.empty(len(rows), np.int64)
    chances = np.empty((2, len(rows)), np.float32)
    tells = np.zeros(len(rows), np.bool_)
    done = 0
    for part in judged.chunks(rows):
        here = slice(done, done + len(part))
        logs = judged.rows_of(part)
        assigned = judged.assigned[part].astype(np.int64)
        placed = agreement.features(logs, assigned, judged.product[part].astype(np.int64), logs)
        features, best = placed.features, placed.best
        in_order[here] = 1 - placed.explained
        if ranker is not None:
            raw[here] = ranker.score(features, judged.fold[part].astype(np.int64) % HALVES)
        stratum[here] = _stratum(placed.others)
        suggested[here] = best
        at = np.arange(len(part))
        chances[:, here] = np.exp([logs[at, assigned], logs[at, best]])
        tells[here] = logs.max(axis=1) >= np.log(_TELLS)
        done += len(part)
        progress.advance(len(part))
    progress.finish()
    score = np.zeros(len(rows))
    for one in np.unique(stratum).tolist() if ranker is not None else []:
        here = stratum == one
        score[here] = Posterior.fit(raw[here], simulated.raw[simulated.stratum == one])(raw[here])
    score *= in_order  # where the product is in the wrong category, its reviews are not findings
    share = float(score.mean()) if len(score) else 0.0
    return ReviewScores(rows, score, raw, suggested, chances[0], chances[1], tells, share)


def _learn(
    judged: Judged, agreement: Agreement, rows: npt.NDArray[np.int64], rng: np.random.Generator
) -> tuple[Ranker | None, _Simulated]:
    """Learn from rows against the same texts put on other products."""
    moved, target = simulate_moves(judged, rows, min(_SAMPLE, len(rows)), rng)
    if len(moved) == 0:
        return None, _Simulated(np.empty(0), np.empty(0, np.int64))
    sample = rows if len(rows) <= 2 * _SAMPLE else np.sort(rng.choice(rows, 2 * _SAMPLE, replace=False))
    own = _placed(judged, agreement, sample, sample).features
    faults, _, _, others = _placed(judged, agreement, moved, target)
    half = judged.fold[target].astype(np.int64) % HALVES
    ranker = Ranker.fit(
        own, judged.fold[sample].astype(np.int64) % HALVES, faults, half, scaled=SCALED, by=BY
    )
    return ranker, _Simulated(ranker.score(faults, half), _stratum(others))


def _placed(
    judged: Judged, agreement: Agreement, rows: npt.NDArray[np.int64], places: npt.NDArray[np.int64]
) -> Placed:
    """Reviews, each in the place of another (or in its own)."""
    return agreement.features(
        judged.rows_of(rows),
        judged.assigned[places].astype(np.int64),
        judged.product[places].astype(np.int64),
        judged.rows_of(places),
    )


def _stratum(others: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Which products are alike in how many reviews they have."""
    return np.searchsorted(_STRATA, np.rint(others), side="right")


def simulate_moves(
    judged: Judged, rows: npt.NDArray[np.int64], n: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Put reviews in the place of reviews of another category.

    Half of the places are drawn from the products, each alike, half from the reviews (so that a
    product with many reviews receives many): which of the two a shop's faults follow is not known.
    Where a share of the reviews has no product, so has the same share of the places.

    Returns:
        The rows moved and the rows whose places they take; fewer than `n`, or none, when the reviews
        know only one category.
    """
    target = rng.choice(rows, n) if len(rows) else rows
    on = rows[judged.product[rows] >= 0]
    if len(on):
        _, first = np.unique(judged.product[on], return_index=True)
        alike = (judged.product[target] >= 0) & (rng.random(n) < 0.5)
        target = np.where(alike, on[first][rng.integers(0, len(first), n)], target)
    moved = rng.choice(rows, n) if len(rows) else rows
    for _ in range(20):
        same = np.flatnonzero(judged.assigned[moved] == judged.assigned[target])
        if len(same) == 0:
            break
        moved[same] = rng.choice(rows, len(same))
    other = judged.assigned[moved] != judged.assigned[target]
    return moved[other], target[other]


def _table(  # noqa: PLR0917 - all that a row is made of
    judged: Judged,
    agreement: Agreement,
    found: ReviewScores,
    order: npt.NDArray[np.int64],
    prepared_dir: str | Path,
    progress: Progress,
) -> pa.Table:
    rows = found.row[order]
    product = judged.product[rows].astype(np.int64)
    on = product >= 0
    names = pa.array(judged.categories, pa.string())
    suggested = names.take(pa.array(found.suggested[order]))
    assigned = names.take(pa.array(judged.assigned[rows]))
    texts = Texts.read(judged, rows, prepared_dir, progress)
    hit = found.p_assigned[order] >= found.p_suggested[order]
    if judged.n_products:
        j = np.maximum(product, 0)
        others = np.where(on, agreement.product_n[j] - 1, 0)
        agreeing = np.where(on, agreement.product_hits[j] - hit, 0)
    else:
        others = agreeing = np.zeros(len(rows))
    columns = {
        "rank": pa.array(np.arange(1, len(rows) + 1)),
        "score": pa.array(found.score[order]),
        "assigned_category": assigned,
        "suggested_category": suggested,
        P_ASSIGNED: pa.array(found.p_assigned[order]),
        "p_suggested": pa.array(found.p_suggested[order]),
        "product_reviews": pa.array(others.astype(np.int64)),
        "product_agreeing": pa.array(np.maximum(agreeing, 0).astype(np.int64)),
        "words": explain_reviews(judged, texts, rows, suggested, assigned, progress),
    }
    return pa.table({field.name: columns.get(field.name, texts.column(field)) for field in SCHEMA}, SCHEMA)
