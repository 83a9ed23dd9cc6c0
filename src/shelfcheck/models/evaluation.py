"""How good predictions are: report by category, confusion, calibration error, accuracy at coverage."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]
    Labels = npt.NDArray[np.int16]

BINS: Final = 15
_COVERAGES: Final = tuple(range(5, 101, 5))  # per cent
_PRECISIONS: Final = (0.80, 0.90, 0.95)


@dataclass(frozen=True)
class Scores:
    """Precision, recall and F1 (0..1; 0 where undefined) of one category or an average."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Bin:
    """A bin of the reliability diagram: predictions with a top probability in (low, high]."""

    low: float
    high: float
    confidence: float
    accuracy: float
    reviews: int


@dataclass(frozen=True)
class Coverage:
    """The most confident share of the reviews: from which confidence on, and how many are right; 0..1."""

    coverage: float
    accuracy: float
    confidence: float


@dataclass(frozen=True)
class AtPrecision:
    """The largest most-confident share of reviews whose accuracy still reaches `precision`; 0..1."""

    precision: float
    coverage: float
    confidence: float


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
            return cls(**values)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not an evaluation: {error}") from error

    def text(self) -> str:
        """A report for the terminal, laid out as scikit-learn's `classification_report`."""
        width = max([len("weighted avg"), *(len(name) for name in self.categories)])
        lines = [f"{'':>{width}}  precision    recall  f1-score   support", ""]

        def line(name: str, one: Scores) -> str:
            return f"{name:>{width}}  {one.precision:9.3f} {one.recall:9.3f} {one.f1:9.3f} {one.support:9d}"

        lines += [line(name, one) for name, one in self.report.items()]
        lines += ["", f"{'accuracy':>{width}}  {'':9} {'':9} {self.accuracy:9.3f} {self.reviews:9d}"]
        lines += [line("macro avg", self.macro), line("weighted avg", self.weighted), ""]
        before = "" if self.ece_uncalibrated is None else f" ({self.ece_uncalibrated:.3f} before calibration)"
        lines.append(f"Expected calibration error {self.ece:.3f}{before}, log loss {self.nll:.3f}.")
        lines += [_sentence(one) for one in self.at_precision]
        if self.product_accuracy is not None:
            lines.append(
                f"Products, by all their reviews: {self.product_accuracy:.1%} of {self.products:,} right."
            )
        return "\n".join(lines) + "\n"


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
    predicted = probabilities.argmax(axis=1)
    confidence = probabilities[np.arange(n), predicted]
    hit = predicted == labels
    confusion = np.bincount(labels.astype(np.int64) * k + predicted, minlength=k * k).reshape(k, k)
    report, macro, weighted = _scores(confusion, categories)
    bins = reliability(confidence, hit)
    order = np.argsort(-confidence, kind="stable")
    right = np.cumsum(hit[order]) / np.arange(1, n + 1)
    judged, product_accuracy = 0, None
    if products is not None and (products >= 0).any():
        judged, product_accuracy = _by_product(labels, probabilities, products)
    own = probabilities[np.arange(n), labels]
    return Evaluation(
        categories=tuple(categories),
        reviews=n,
        accuracy=float(hit.mean()),
        report=report,
        macro=macro,
        weighted=weighted,
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        ece=calibration_error(bins),
        ece_uncalibrated=None if uncalibrated is None else _top_error(uncalibrated, labels),
        classwise_ece=_classwise(probabilities, labels),
        nll=float(-np.log(np.maximum(own, 1e-12)).mean()),
        reliability=bins,
        coverage=tuple(_covered(right, confidence[order], percent) for percent in _COVERAGES),
        at_precision=tuple(_at_precision(right, confidence[order], one) for one in _PRECISIONS),
        products=judged,
        product_accuracy=product_accuracy,
    )


def _sentence(one: AtPrecision) -> str:
    if one.coverage == 0:
        return f"At no confidence are {one.precision:.0%} of predictions right."
    return (
        f"{one.precision:.0%} are right among the {one.coverage:.0%} of reviews with a confidence of "
        f"{one.confidence:.2f} or more."
    )


def reliability(confidence: Floats, hit: npt.NDArray[np.bool_], bins: int = BINS) -> tuple[Bin, ...]:
    """The reliability diagram: equal-width bins of the confidence; empty bins are left out."""
    where = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(where, minlength=bins)
    confident = np.bincount(where, weights=confidence, minlength=bins)
    hits = np.bincount(where, weights=hit, minlength=bins)
    return tuple(
        Bin(
            i / bins,
            (i + 1) / bins,
            float(confident[i] / counts[i]),
            float(hits[i] / counts[i]),
            int(counts[i]),
        )
        for i in range(bins)
        if counts[i]
    )


def calibration_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error: mean |confidence - accuracy| over bins, weighted by reviews, 0..1."""
    total = sum(one.reviews for one in bins)
    return sum(one.reviews * abs(one.confidence - one.accuracy) for one in bins) / total


def _top_error(probabilities: Floats, labels: Labels) -> float:
    predicted = probabilities.argmax(axis=1)
    confidence = probabilities[np.arange(len(labels)), predicted]
    return calibration_error(reliability(confidence, predicted == labels))


def _classwise(probabilities: Floats, labels: Labels) -> float:
    k = probabilities.shape[1]
    return float(
        np.mean([calibration_error(reliability(probabilities[:, i], labels == i)) for i in range(k)])
    )


def _scores(
    confusion: npt.NDArray[np.int64], categories: Sequence[str]
) -> tuple[dict[str, Scores], Scores, Scores]:
    right = np.diag(confusion).astype(float)
    support, given = confusion.sum(axis=1), confusion.sum(axis=0)
    precision = np.divide(right, given, out=np.zeros(len(right)), where=given > 0)
    recall = np.divide(right, support, out=np.zeros(len(right)), where=support > 0)
    both = support + given
    f1 = np.divide(2 * right, both, out=np.zeros(len(right)), where=both > 0)
    report = {
        name: Scores(float(precision[i]), float(recall[i]), float(f1[i]), int(support[i]))
        for i, name in enumerate(categories)
    }

    def average(weights: npt.NDArray[np.float64]) -> Scores:
        p, r, f = (float(np.average(column, weights=weights)) for column in (precision, recall, f1))
        return Scores(p, r, f, int(support.sum()))

    return report, average((support > 0).astype(float)), average(support.astype(float))


def _covered(right: npt.NDArray[np.float64], confidence: Floats, percent: int) -> Coverage:
    last = max(1, len(right) * percent // 100) - 1
    return Coverage(percent / 100, float(right[last]), float(confidence[last]))


def _at_precision(right: npt.NDArray[np.float64], confidence: Floats, precision: float) -> AtPrecision:
    reached = np.flatnonzero(right >= precision)
    if len(reached) == 0:
        return AtPrecision(precision, 0.0, 1.0)
    last = reached[-1]
    return AtPrecision(precision, float((last + 1) / len(right)), float(confidence[last]))


def _by_product(labels: Labels, probabilities: Floats, products: npt.NDArray[np.int64]) -> tuple[int, float]:
    """Products by the summed log probability of their reviews; the truth is their most frequent category."""
    known = products >= 0
    codes, product = np.unique(products[known], return_inverse=True)
    k = probabilities.shape[1]
    logs = np.log(np.maximum(probabilities[known], 1e-12))
    pooled = np.stack(
        [np.bincount(product, weights=logs[:, i], minlength=len(codes)) for i in range(k)], axis=1
    )
    votes = np.bincount(product * k + labels[known], minlength=len(codes) * k).reshape(-1, k)
    return len(codes), float((pooled.argmax(axis=1) == votes.argmax(axis=1)).mean())
