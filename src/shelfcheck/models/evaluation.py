"""How good predictions are: report by category, confusion, calibration error, accuracy at coverage."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shelfcheck.models.blocks import numbered
from shelfcheck.models.comparison import Comparison
from shelfcheck.models.intervals import Interval
from shelfcheck.models.measures import (
    AtPrecision,
    Bin,
    Coverage,
    Scores,
    calibration_error,
    coverages,
    scores,
)
from shelfcheck.models.slices import Slice
from shelfcheck.models.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]
    Labels = npt.NDArray[np.int16]

_COVERAGES: Final = tuple(range(5, 101, 5))  # per cent
_PRECISIONS: Final = (0.80, 0.90, 0.95)


@dataclass(frozen=True)
class Evaluation:
    """How good predictions are on reviews that the model did not learn from.

    Attributes:
        categories: in the order of the confusion matrix.
        reviews: number of reviews judged.
        accuracy: share of reviews whose category is predicted, 0..1.
        report: scores of each category.
        macro: plain mean over categories with support.
        weighted: mean over categories weighted by support.
        confusion: reviews; row = assigned, column = predicted.
        ece: expected calibration error: mean |confidence - accuracy| over `BINS` equal-width bins of the
            top probability, weighted by reviews (Guo et al., ICML 2017), 0..1.
        ece_uncalibrated: the same before calibration; None where not known.
        classwise_ece: mean over categories of the calibration error of each category's probability
            (Kull et al., NeurIPS 2019), 0..1.
        nll: mean negative log likelihood, nats.
        reliability: bins that hold reviews.
        coverage: accuracy of the most confident share, every 5 %.
        at_precision: coverage that can be reached at 80, 90 and 95 % accuracy.
        products: products judged by the mean log probability of their reviews; 0 where not known.
        product_accuracy: share of them whose category is predicted; None where not known.
        intervals: 95 % bootstrap intervals over products of `accuracy`, `macro_f1`, `ece` and
            `coverage_at_95`; empty where there are fewer than two products.
        slices: accuracy by a property of the review, e.g. `year`; the slices of a property hold every
            review once.
        comparison: with another model on the same reviews, if one was named.
        notes: what was judged and how: `split`, `label`, `reviews_of_unknown_categories` and the like.
    """

    categories: tuple[str, ...]
    reviews: int
    accuracy: float
    report: dict[str, Scores]
    macro: Scores
    weighted: Scores
    confusion: tuple[tuple[int, ...], ...]
    ece: float
    ece_uncalibrated: float | None
    classwise_ece: float
    nll: float
    reliability: tuple[Bin, ...] = ()
    coverage: tuple[Coverage, ...] = ()
    at_precision: tuple[AtPrecision, ...] = ()
    products: int = 0
    product_accuracy: float | None = None
    intervals: dict[str, Interval] = field(default_factory=dict)
    slices: dict[str, tuple[Slice, ...]] = field(default_factory=dict)
    comparison: Comparison | None = None
    notes: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """As a JSON object."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Evaluation:
        """Read what `to_json` gave.

        Raises:
            ValueError: it is not an evaluation.
        """
        values = json.loads(text)
        try:
            values["report"] = {name: Scores(**one) for name, one in values["report"].items()}
            values["macro"] = Scores(**values["macro"])
            values["weighted"] = Scores(**values["weighted"])
            values["categories"] = tuple(values["categories"])
            values["confusion"] = tuple(tuple(row) for row in values["confusion"])
            values["reliability"] = tuple(Bin(**one) for one in values["reliability"])
            values["coverage"] = tuple(Coverage(**one) for one in values["coverage"])
            values["at_precision"] = tuple(AtPrecision(**one) for one in values["at_precision"])
            values["intervals"] = {
                name: Interval.from_json(one) for name, one in values.get("intervals", {}).items()
            }
            values["slices"] = {
                name: tuple(Slice.from_json(one) for one in some)
                for name, some in values.get("slices", {}).items()
            }
            if values.get("comparison") is not None:
                values["comparison"] = Comparison.from_json(values["comparison"])
            return cls(**values)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not an evaluation: {error}") from error

    def text(self) -> str:
        """A report for the terminal, laid out as scikit-learn's `classification_report`."""
        from shelfcheck.models.evaluation_text import text  # noqa: PLC0415 - it imports this module's classes

        return text(self)


def evaluate(
    labels: Labels,
    probabilities: Floats,
    categories: Sequence[str],
    *,
    uncalibrated: Floats | None = None,
    products: npt.NDArray[np.int64] | None = None,
) -> Evaluation:
    """Judge probabilities by the assigned categories.

    Args:
        labels: int16 (n), index of the assigned category.
        probabilities: float32 (n, categories).
        categories: names, in the order of the columns.
        uncalibrated: probabilities before calibration, for comparison.
        products: code of each review's product (n), -1 where it has none; adds accuracy by product.

    Raises:
        ValueError: there are no reviews, or shapes differ.
    """
    n, k = probabilities.shape
    if n == 0 or len(labels) != n or len(categories) != k:
        raise ValueError(
            f"{len(labels)} labels, {probabilities.shape} probabilities, {len(categories)} categories"
        )
    tally = Tally(k)
    tally.add(labels, probabilities, uncalibrated, None if products is None else numbered(products)[0])
    return summarise(tally, categories)


def summarise(tally: Tally, categories: Sequence[str]) -> Evaluation:
    """The evaluation of the reviews that a tally holds.

    Args:
        tally: reviews as judged.
        categories: names of the classes, in order.

    Raises:
        ValueError: it holds none.
    """
    n = tally.reviews
    if n == 0:
        raise ValueError("no reviews were judged")
    report, macro, weighted = scores(tally.confusion, categories)
    bins = tally.bins.reliability()
    coverage, at_precision = coverages(tally.confidence, tally.hit, _COVERAGES, _PRECISIONS)
    before = tally.bins_before
    judged, product_accuracy = tally.by_product()
    return Evaluation(
        categories=tuple(categories),
        reviews=n,
        accuracy=float(np.trace(tally.confusion) / n),
        report=report,
        macro=macro,
        weighted=weighted,
        confusion=tuple(tuple(row) for row in tally.confusion.tolist()),
        ece=calibration_error(bins),
        ece_uncalibrated=None if before is None else calibration_error(before.reliability()),
        classwise_ece=tally.classwise_error(),
        nll=tally.nll(),
        reliability=bins,
        coverage=coverage,
        at_precision=at_precision,
        products=judged,
        product_accuracy=product_accuracy,
    )
