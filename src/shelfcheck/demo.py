"""The demo: generated reviews through the main job, and how many planted faults it found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow.compute as pc
import pyarrow.parquet as pq

from shelfcheck.schema import PRODUCT_ID, REVIEW_ID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Kind of finding: (kind of planted fault, what names its subject).
PLANTED: Final = {
    "misplaced_reviews": ("misplaced_review", REVIEW_ID),
    "miscategorised_products": ("miscategorised_product", PRODUCT_ID),
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
        suggested_right: share of found faults whose suggested category is the true one. 0..1.
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
    rows = pq.read_table(truth, columns=["kind", subject, "true_category"]).filter(pc.field("kind") == fault)
    kept: set[str] = set()
    for batch in iter_prepared(prepared, [subject]):
        kept.update(batch.column(subject).unique().to_pylist())
    true = {
        name: category
        for name, category in zip(rows[subject].to_pylist(), rows["true_category"].to_pylist(), strict=True)
        if name in kept
    }
    listed = pq.read_table(findings, columns=[subject, "suggested_category"])
    names: Sequence[str] = listed[subject].to_pylist()
    suggested: Sequence[str] = listed["suggested_category"].to_pylist()
    hits = precision = right = at_planted = 0.0
    for rank, (name, category) in enumerate(zip(names, suggested, strict=True), start=1):
        if name in true:
            hits += 1
            precision += hits / rank
            right += category == true[name]
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
