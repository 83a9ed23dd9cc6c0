"""What a report is made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MISPLACED_REVIEWS: Final = "misplaced_reviews"
MISCATEGORISED_PRODUCTS: Final = "miscategorised_products"
DECLINING_PRODUCTS: Final = "declining_products"


def _beside_the_page() -> dict[str, tuple[str, ...]]:
    kinds = (MISPLACED_REVIEWS, MISCATEGORISED_PRODUCTS, DECLINING_PRODUCTS)
    return {kind: (f"{kind}.csv", f"{kind}.parquet") for kind in kinds}


@dataclass(frozen=True)
class StageTime:
    """A stage of the run: its title, its seconds, and whether it was fresh and so not run again."""

    title: str
    seconds: float
    fresh: bool = False


@dataclass(frozen=True)
class ReportInputs:
    """The artefacts that a report shows. A part that is None is said to be missing, never hidden.

    Attributes:
        prepared: folder that `prepare` wrote; its `summary.json` is read.
        evaluation: folder with `evaluation.json`, the model on held-out products.
        model: folder with the model's `card.json`.
        misplaced_reviews: folder with `findings.parquet` and `summary.json`.
        miscategorised_products: folder with `findings.parquet` and `summary.json`.
        declining_products: folder with `findings.parquet` and `summary.json`.
        sample: folder of a sample of these reviews, with `representativeness.json` and `summary.json`.
        graph: folder of an analysis of the graph of these reviews.
        registry: a workspace whose registered models are compared.
        tuning: the folder of the studies that `tune` left.
        title: heading of the page.
        made_at: when it was made, ISO 8601; now when None, left out when empty.
        stages: what the run did, in order.
        links: by kind of finding, where the files with all findings lie, relative to the page.
    """

    prepared: Path | None = None
    evaluation: Path | None = None
    model: Path | None = None
    misplaced_reviews: Path | None = None
    miscategorised_products: Path | None = None
    declining_products: Path | None = None
    sample: Path | None = None
    graph: Path | None = None
    registry: Path | None = None
    tuning: Path | None = None
    title: str = "Shelfcheck report"
    made_at: str | None = None
    stages: tuple[StageTime, ...] = ()
    links: Mapping[str, tuple[str, ...]] = field(default_factory=_beside_the_page)
