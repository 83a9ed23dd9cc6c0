"""Reviews that sit on a wrong product: their text speaks of another category than the product's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from shelfcheck.audit.agreement import BY, SCALED, Agreement
from shelfcheck.audit.evidence import Texts, explain_reviews
from shelfcheck.audit.judged import NO_CATEGORY_LEARNED, Judged
from shelfcheck.audit.mixture import Posterior
from shelfcheck.audit.output import TERMS, write_findings
from shelfcheck.audit.ranking import HALVES, Ranker
from shelfcheck.audit.room import Room, room_in
from shelfcheck.models.blocks import blocks, taken, where
from shelfcheck.models.encoded import NO_PRODUCT
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
    from collections.abc import Iterator

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
        row: uint32 (n), row of the predictions.
        score: float64 (n), calibrated probability that the assignment is wrong.
        raw: float64 (n), log odds against the same review on other products: orders equal scores.
        suggested: int16 (n), best other category.
        p_assigned: float32 (n), from the text alone.
        p_suggested: float32 (n), from the text alone.
        tells: bool (n), whether the text names one category rather than any other.
        share: estimated share of misplaced reviews.
    """

    row: npt.NDArray[np.uint32]
    score: npt.NDArray[np.float64]
    raw: npt.NDArray[np.float64]
    suggested: npt.NDArray[np.int16]
    p_assigned: npt.NDArray[np.float32]
    p_suggested: npt.NDArray[np.float32]
    tells: npt.NDArray[np.bool_]
    share: float

    def best(self, least: float, most: int) -> npt.NDArray[np.int64]:
        """Places of the reviews that tell and score at least so much, best first, at most so many."""
        found = where(len(self.row), lambda block: (self.score[block] >= least) & self.tells[block])
        score = taken(self.score, found)
        if len(found) > most:  # none that scores less than the last of these can be among them
            enough = score >= np.partition(score, -most)[-most]
            found, score = found[enough], score[enough]
        order = np.lexsort((self.row[found], -self.raw[found], -score))[:most]
        return found[order].astype(np.int64)


class JudgedPart(NamedTuple):
    """Judgements of some reviews (m).

    Attributes:
        raw: float64, as `ReviewScores.raw`.
        in_order: float32, probability that not the product is what is wrong.
        stratum: int8, which products are alike in how many reviews they have.
        suggested: int16, best other category.
        chances: float32 (2, m), of the assigned and of the suggested category.
        tells: bool, whether the text names one category rather than any other.
    """

    raw: npt.NDArray[np.float64]
    in_order: npt.NDArray[np.float32]
    stratum: npt.NDArray[np.int8]
    suggested: npt.NDArray[np.int16]
    chances: npt.NDArray[np.float32]
    tells: npt.NDArray[np.bool_]


class Workers(Protocol):
    """Does what is done of every review elsewhere than in this process, with the same result."""

    def agreement(self, judged: Judged, room: Room) -> Agreement:
        """See `Agreement.gather`."""

    def judge(self, agreement: Agreement, ranker: Ranker | None) -> Iterator[JudgedPart]:
        """See `judge`; of all reviews whose category was learned, in order."""


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
    *,
    workers: Workers | None = None,
) -> dict[str, Any]:
    """Find misplaced reviews; write `findings.parquet`, `findings.csv` and `summary.json`.

    Memory: at most 12 bytes a review and 12 bytes a product, the findings' texts, and 64 k rows of log
    probabilities. What is held of every review beside lies in files in `out_dir` until the end, 35 bytes a
    review and 4 K bytes a product of K categories.

    Args:
        prepared_dir: output of `prepare`; texts of the findings are read from it.
        oof_dir: output of `out_of_fold`.
        out_dir: folder to fill.
        settings: `audit` and `run.seed` are read.
        progress: told the reviews judged.
        workers: do what is done of every review; this process when None.

    Returns:
        Counts for the manifest.

    Raises:
        WorkspaceError: an input is missing or incomplete.
    """
    progress = progress or NullProgress()
    judged = Judged.open(oof_dir)
    with room_in(Path(out_dir) / ".room") as room:
        agreement = workers.agreement(judged, room) if workers else Agreement.gather(judged, room)
        found = score_reviews(judged, agreement, settings.run.seed, progress, room, workers=workers)
        order = found.best(settings.audit.min_score, settings.audit.max_findings)
        table = _table(judged, agreement, found, order, prepared_dir, progress)
        summary = {
            "kind": KIND,
            "findings": table.num_rows,
            "candidates": len(found.row),
            "cannot_tell": len(found.tells) - int(found.tells.sum()),
            "skipped": {NO_CATEGORY_LEARNED: judged.n_reviews - len(found.row)},
            "judged_without_product": len(found.row) - int(agreement.product_n.sum()),
            "expected_faults": round(float(found.score[order].sum()), 2),
            "estimated_share": round(found.share, 5),
        }
    write_findings(table, summary, Path(out_dir))
    return {name: summary[name] for name in ("findings", "candidates", "cannot_tell", "expected_faults")}


def score_reviews(
    judged: Judged,
    agreement: Agreement,
    seed: int = 0,
    progress: Progress | None = None,
    room: Room | None = None,
    *,
    workers: Workers | None = None,
) -> ReviewScores:
    """Judge every review whose category was learned.

    Args:
        judged: out-of-fold judgements.
        agreement: their sums.
        seed: of the simulated faults.
        progress: told the reviews judged.
        room: for what is held of every review.
        workers: judge them; this process when None.
    """
    progress, room = progress or NullProgress(), room or Room()
    rows = judged.learned()
    n = len(rows)
    progress.start("Judging reviews", len(rows))
    rng = np.random.default_rng(seed)
    ranker, simulated = _learn(judged, agreement, rows, rng)
    raw, score = room.array(n, np.float64), room.array(n, np.float64)
    stratum, suggested = room.array(n, np.int8), room.array(n, np.int16)
    in_order, chances = room.array(n, np.float32), room.array((2, n), np.float32)
    tells = room.array(n, np.bool_)
    done = 0
    parts: Iterator[JudgedPart]
    if workers is None:
        parts = (judge(judged, agreement, ranker, part) for part in judged.chunks(rows))
    else:
        parts = workers.judge(agreement, ranker)
    for part in parts:
        here = slice(done, done + len(part.raw))
        raw[here], in_order[here], stratum[here] = part.raw, part.in_order, part.stratum
        suggested[here], chances[:, here], tells[here] = part.suggested, part.chances, part.tells
        done = here.stop
        progress.advance(len(part.raw))
    progress.finish()
    posteriors = {}
    for one in range(len(_STRATA) + 1) if ranker is not None else ():
        own = _raw_of(raw, stratum, one)
        if len(own):
            posteriors[one] = Posterior.of_sorted(own, np.sort(simulated.raw[simulated.stratum == one]))
        del own
    for block in blocks(n):
        for one, posterior in posteriors.items():
            here = np.flatnonzero(stratum[block] == one) + block.start
            score[here] = posterior(raw[here])
        score[block] *= in_order[block]  # of a product in the wrong category, no review is a finding
    share = float(score.mean()) if n else 0.0
    return ReviewScores(rows, score, raw, suggested, chances[0], chances[1], tells, share)


def judge(judged: Judged, agreement: Agreement, ranker: Ranker | None, rows: npt.NDArray[Any]) -> JudgedPart:
    """Judge some reviews.

    Args:
        judged: out-of-fold judgements.
        agreement: their sums.
        ranker: tells faults from rows as they are; None where there are no faults to learn from.
        rows: which, (m).
    """
    logs = judged.rows_of(rows)
    assigned = judged.assigned[rows].astype(np.int64)
    placed = agreement.features(logs, assigned, judged.product[rows].astype(np.int64), logs)
    raw = np.full(len(rows), -np.inf)
    if ranker is not None:
        raw = ranker.score(placed.features, judged.fold[rows].astype(np.int64) % HALVES)
    at = np.arange(len(rows))
    return JudgedPart(
        raw=raw,
        in_order=1 - placed.explained,
        stratum=_stratum(placed.others).astype(np.int8),
        suggested=placed.best.astype(np.int16),
        chances=np.exp([logs[at, assigned], logs[at, placed.best]]),
        tells=logs.max(axis=1) >= np.log(_TELLS),
    )


def _raw_of(raw: npt.NDArray[np.float64], stratum: npt.NDArray[np.int8], one: int) -> npt.NDArray[np.float64]:
    """Raw scores of the reviews of one stratum, ascending: 8 bytes for each."""
    found = np.empty(len(raw))  # pages that are not written to take no memory
    k = 0
    for block in blocks(len(raw)):
        own = raw[block][stratum[block] == one]
        found[k : k + len(own)] = own
        k += len(own)
    found = found[:k]
    found.sort()
    return found


def _learn(
    judged: Judged, agreement: Agreement, rows: npt.NDArray[np.uint32], rng: np.random.Generator
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


def _placed(judged: Judged, agreement: Agreement, rows: npt.NDArray[Any], places: npt.NDArray[Any]) -> Placed:
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
    judged: Judged, rows: npt.NDArray[Any], n: int, rng: np.random.Generator
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Put reviews in the place of reviews of another category.

    Half of the places are drawn from the products, each alike, half from the reviews (so that a
    product with many reviews receives many): which of the two a shop's faults follow is not known.
    Where a share of the reviews has no product, so has the same share of the places.

    Returns:
        The rows moved and the rows whose places they take; fewer than `n`, or none, when the reviews
        know only one category.
    """
    target = rng.choice(rows, n) if len(rows) else rows
    first = _first_of_products(judged, rows)
    if len(first):
        alike = (judged.product[target] >= 0) & (rng.random(n) < 0.5)
        target = np.where(alike, first[rng.integers(0, len(first), n)], target)
    moved = rng.choice(rows, n) if len(rows) else rows
    for _ in range(20):
        same = np.flatnonzero(judged.assigned[moved] == judged.assigned[target])
        if len(same) == 0:
            break
        moved[same] = rng.choice(rows, len(same))
    other = judged.assigned[moved] != judged.assigned[target]
    return moved[other], target[other]


def _first_of_products(judged: Judged, rows: npt.NDArray[Any]) -> npt.NDArray[np.uint32]:
    """The first of some reviews (ascending) of each product that has one, in the order of the products."""
    first = np.full(judged.n_products, NO_PRODUCT, np.uint32)
    for block in reversed(list(blocks(len(rows)))):
        own = rows[block]
        own = own[judged.product[own] >= 0][::-1]  # of equal places the last is kept: the first review
        first[judged.product[own]] = own
    found: npt.NDArray[np.uint32] = first[first != NO_PRODUCT]
    return found


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
