"""An evaluation as text for the terminal and `evaluation.txt`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shelfcheck.models.evaluation import Evaluation
    from shelfcheck.models.intervals import Interval
    from shelfcheck.models.measures import AtPrecision, Scores
    from shelfcheck.models.slices import Slice

_SPLITS: Final = {
    "product": "Product split: the model learned from no review of these products.",
    "time": "Time split: reviews from {split_date} on; the model learned from earlier ones, some of them of "
    "the same products.",
    "row": "Row split: other reviews of the same products were learned from, which flatters. The product "
    "split tells how new products fare.",
    "data": "Reviews of {data}, all of them.",
    "data_held_out": "Reviews of {data} that the model's own split holds out ({model_split}).",
}


def split_sentence(notes: Mapping[str, Any]) -> str:
    """What the split means for the figures, in a sentence or two; empty where it is not known."""
    kind = str(notes.get("split", ""))
    if kind not in _SPLITS:
        return ""
    known = {"split_date": "the split's date", "data": "the data", "model_split": "by product"}
    told = _SPLITS[kind].format_map(known | {key: value for key, value in notes.items() if value is not None})
    seen = notes.get("reviews_of_products_learned_from")
    if seen:
        told += (
            f" {seen:,} of them are of products that stand among this workspace's training reviews, which "
            "flatters; --held-out leaves them out."
        )
    return told


def text(found: Evaluation) -> str:
    """A report laid out as scikit-learn's `classification_report`, and what is around it."""
    width = max([len("weighted avg"), *(len(name) for name in found.categories)])
    lines = _heading(found)
    lines += [f"{'':>{width}}  precision    recall  f1-score   support", ""]

    def line(name: str, one: Scores) -> str:
        return f"{name:>{width}}  {one.precision:9.3f} {one.recall:9.3f} {one.f1:9.3f} {one.support:9d}"

    lines += [line(name, one) for name, one in found.report.items()]
    lines += ["", f"{'accuracy':>{width}}  {'':9} {'':9} {found.accuracy:9.3f} {found.reviews:9d}"]
    lines += [line("macro avg", found.macro), line("weighted avg", found.weighted), ""]
    before = "" if found.ece_uncalibrated is None else f" ({found.ece_uncalibrated:.3f} before calibration)"
    lines.append(f"Expected calibration error {found.ece:.3f}{before}, log loss {found.nll:.3f}.")
    lines += [_reached(one) for one in found.at_precision]
    if found.product_accuracy is not None:
        lines.append(
            f"Products, by all their reviews: {found.product_accuracy:.1%} of {found.products:,} right."
        )
    lines += _bounds(found.intervals)
    if found.comparison is not None:
        lines += ["", found.comparison.text()]
    for name, some in found.slices.items():
        lines += ["", *_sliced(name, some)]
    return "\n".join(lines) + "\n"


def _heading(found: Evaluation) -> list[str]:
    lines = []
    if found.notes.get("label"):
        lines.append(f"Label {found.notes['label']}, {found.reviews:,} reviews.")
    sentence = split_sentence(found.notes)
    if sentence:
        lines.append(sentence)
    unknown = found.notes.get("reviews_of_unknown_categories")
    if unknown:
        lines.append(f"{unknown:,} more are of classes that the model does not know, or have none.")
    return [*lines, ""] if lines else []


def _reached(one: AtPrecision) -> str:
    if one.coverage == 0:
        return f"At no confidence are {one.precision:.0%} of predictions right."
    return (
        f"{one.precision:.0%} are right among the {one.coverage:.0%} of reviews with a confidence of "
        f"{one.confidence:.2f} or more."
    )


def _bounds(intervals: Mapping[str, Interval]) -> list[str]:
    if not intervals:
        return []
    names = {
        "accuracy": "accuracy",
        "macro_f1": "macro F1",
        "ece": "calibration error",
        "coverage_at_95": "coverage at 95 % precision",
    }
    told = [f"{names.get(name, name)} {one.text()}" for name, one in intervals.items()]
    return ["", "With 95 % intervals over products: " + "; ".join(told) + "."]


def _sliced(name: str, some: tuple[Slice, ...]) -> list[str]:
    title = f"By {name.replace('_', ' ')}"
    width = max([len(title), *(len(one.value) for one in some)])
    lines = [f"{title:<{width}}  accuracy  95 % interval   confidence   reviews  products"]
    lines += [
        f"{one.value:<{width}}  {one.accuracy.estimate:8.3f}  [{one.accuracy.low:.3f}, "
        f"{one.accuracy.high:.3f}]  {one.confidence:10.3f} {one.reviews:9d} {one.products:9d}"
        for one in some
    ]
    return lines
