"""The demo: generated reviews through the main job, and how many planted faults it found."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow.compute as pc
import pyarrow.parquet as pq

from shelfcheck.schema import PRODUCT_ID, REVIEW_ID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_DECLINING: Final = "declining_products"
# Kind of finding: (kind of planted fault, what names its subject).
PLANTED: Final = {
    "misplaced_reviews": ("misplaced_review", REVIEW_ID),
    "miscategorised_products": ("miscategorised_product", PRODUCT_ID),
    _DECLINING: ("declining_product", PRODUCT_ID),
}


@dataclass(frozen=True)
class Score:
    """How well a ranked list found what was planted.

    Attributes:
        kind: the kind of finding.
        planted: faults that stand in the prepared reviews.
        found: planted faults among the findings.
        findings: length of the list.
        average_precision: mean over planted faults of the precision at their rank; those that are
            not listed count 0. 0..1.
        precision_at_planted: share of planted faults among the first `planted` findings. 0..1.
        suggested_right: share of found faults whose suggested category is the true one; of declining
            products, whose day of change lies between the earliest and the latest that is told. 0..1.
    """

    kind: str
    planted: int
    found: int
    findings: int
    average_precision: float
    precision_at_planted: float
    suggested_right: float


def score(kind: str, findings: Path, truth: Path, prepared: Path) -> Score:
    """Compare a list of findings with the planted truth.

    Args:
        kind: `misplaced_reviews` or `miscategorised_products`.
        findings: its `findings.parquet`.
        truth: `truth.parquet`, as `generate` writes it.
        prepared: folder of the prepared reviews: faults that were filtered out are not counted.
    """
    from shelfcheck.prepare.read import iter_prepared  # noqa: PLC0415 - only here

    fault, subject = PLANTED[kind]
    rows = pq.read_table(truth, columns=["kind", subject, "true_category", "detail"])
    rows = rows.filter(pc.field("kind") == fault)
    kept: set[str] = set()
    for batch in iter_prepared(prepared, [subject]):
        kept.update(batch.column(subject).unique().to_pylist())
    true = {row[subject]: row for row in rows.to_pylist() if row[subject] in kept}
    if kind == _DECLINING:
        listed = pq.read_table(findings, columns=[subject, "direction", "since_earliest", "since_latest"])
        listed = listed.filter(pc.field("direction") == "worse")
    else:
        listed = pq.read_table(findings, columns=[subject, "suggested_category"])
    names: Sequence[str] = listed[subject].to_pylist()
    hits = precision = right = at_planted = 0.0
    for rank, row in enumerate(listed.to_pylist(), start=1):
        name = row[subject]
        if name in true:
            hits += 1
            precision += hits / rank
            right += _right(row, true[name])
            at_planted += rank <= len(true)
    planted = max(len(true), 1)
    return Score(
        kind=kind,
        planted=len(true),
        found=int(hits),
        findings=len(names),
        average_precision=precision / planted,
        precision_at_planted=at_planted / planted,
        suggested_right=right / max(hits, 1),
    )


def _right(finding: dict[str, Any], planted: dict[str, Any]) -> bool:
    """Whether a found fault is what was planted: its category, or its day."""
    if "since_earliest" in finding:
        began = dt.date.fromisoformat(planted["detail"].removeprefix("since "))
        return bool(finding["since_earliest"] <= began <= finding["since_latest"])
    return bool(finding["suggested_category"] == planted["true_category"])
