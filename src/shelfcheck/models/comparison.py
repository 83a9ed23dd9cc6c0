"""Whether one model is better than another, by what both said of the same reviews.

Two models err on much the same reviews, so the difference of their accuracies is far surer than either
accuracy: it is taken review by review. Products are what is independent, so both the interval (products
resampled, see `intervals`) and the test go by product. The test is a sign-flip permutation test: were the
two models equally good, either might have been the better one on any product, so each product's
difference in right reviews gets a random sign (Edgington and Onghena, Randomization Tests, 2007). The
p-value is (1 + draws at least as far from 0) / (1 + draws) (Phipson and Smyth, Permutation p-values
should never be zero, 2010).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelfcheck.errors import UsageError
from shelfcheck.models.intervals import (
    MOST_GROUPS,
    RESAMPLES,
    Interval,
    effective,
    expanded_tail,
    interval,
    macro_f1,
    resampled,
    sums,
)
from shelfcheck.models.judged import Judged
from shelfcheck.schema import REVIEW_ID

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

FLIPS: Final = 9999
_DRAWS: Final = 4_000_000  # signs at a time


@dataclass(frozen=True)
class Comparison:
    """How much better one model is than another on the same reviews.

    Attributes:
        one: name of the one model.
        other: name of the other.
        reviews: reviews that both judged.
        products: of how many products.
        accuracy: of the one model and of the other, 0..1.
        difference: accuracy of the one less that of the other, -1..1, with its interval.
        macro_f1: likewise, of macro F1.
        only_one: reviews that only the one has right.
        only_other: reviews that only the other has right.
        p_value: chance of a difference in accuracy at least as large if both were equally good.
    """

    one: str
    other: str
    reviews: int
    products: int
    accuracy: tuple[float, float]
    difference: Interval
    macro_f1: Interval
    only_one: int
    only_other: int
    p_value: float

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Comparison:
        """Read what `to_json` gave."""
        read = {name: Interval.from_json(values[name]) for name in ("difference", "macro_f1")}
        return cls(**{**values, **read, "accuracy": tuple(values["accuracy"])})

    def text(self) -> str:
        """As a person reads it."""
        verdict = "differ" if self.p_value < 0.05 else "may be equally good"
        return (
            f"{self.one} against {self.other}, on {self.reviews:,} reviews of {self.products:,} products "
            f"that both judged: accuracy {self.accuracy[0]:.4f} against {self.accuracy[1]:.4f}, difference "
            f"{_points(self.difference)}, p = {self.p_value:.4f} (they {verdict}). "
            f"Macro F1: difference {_points(self.macro_f1)}. "
            f"Right in {self.one} alone: {self.only_one:,}; in {self.other} alone: {self.only_other:,}."
        )


def _points(difference: Interval) -> str:
    return (
        f"{difference.estimate * 100:+.2f} points [{difference.low * 100:+.2f}, {difference.high * 100:+.2f}]"
    )


def aligned(one: pa.Table, other: pa.Table) -> tuple[Judged, Judged]:
    """The reviews that both tables hold with the same assigned class, in the same order.

    Args:
        one: rows of HELD_OUT_SCHEMA.
        other: likewise.

    Raises:
        UsageError: there are none.
    """
    at = pc.index_in(one.column(REVIEW_ID), value_set=other.column(REVIEW_ID).combine_chunks())
    one = one.filter(pc.is_valid(at))
    other = other.take(at.drop_null())
    same = pc.equal(one.column("label"), other.column("label"))
    one, other = one.filter(same), other.filter(same)
    if one.num_rows == 0:
        raise UsageError(
            "The two models judged no review in common with the same label, so they cannot be compared. "
            "Judge both on the same reviews with: shelfcheck evaluate --data FILE --against VERSION"
        )
    return Judged.of_table(one), Judged.of_table(other)


def compare(
    one: Judged,
    other: Judged,
    names: tuple[str, str] = ("the one", "the other"),
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compare two models by the reviews that both judged.

    Args:
        one: reviews as the one model judged them, (n).
        other: the same reviews in the same order, as the other did, with the same assigned classes.
        names: what the two are called.
        resamples: draws of products for the intervals.
        seed: of all draws.
    """
    cluster, groups, products = one.clusters(MOST_GROUPS)
    parts = {"reviews": sums(cluster, np.zeros(len(cluster), np.int64), (groups, 1))}
    for name, judged in (("one", one), ("other", other)):
        k, hit = len(judged.categories), judged.hit
        parts[f"support {name}"] = sums(cluster, judged.label, (groups, k))
        parts[f"given {name}"] = sums(cluster, judged.predicted, (groups, k))
        parts[f"right {name}"] = sums(cluster, judged.label, (groups, k), where=hit)
    n = len(cluster)
    right = int(one.hit.sum()), int(other.hit.sum())
    accuracy = right[0] / n, right[1] / n
    difference = (right[0] - right[1]) / n
    whole = {name: np.asarray(part.sum(axis=0)).reshape(1, -1) for name, part in parts.items()}
    f1 = float(_difference(whole, "f1")[0])
    if groups > 1:
        drawn = resampled(parts, resamples, seed)
        tail = expanded_tail(effective(np.bincount(cluster, minlength=groups)))
        of_accuracy = interval(difference, _difference(drawn, "accuracy"), tail)
        of_f1 = interval(f1, _difference(drawn, "f1"), tail)
    else:
        of_accuracy, of_f1 = Interval(difference, -1.0, 1.0), Interval(f1, -1.0, 1.0)
    by_product = np.bincount(one.clusters(n)[0], weights=one.hit.astype(np.int8) - other.hit.astype(np.int8))
    return Comparison(
        one=names[0],
        other=names[1],
        reviews=n,
        products=products,
        accuracy=accuracy,
        difference=of_accuracy,
        macro_f1=of_f1,
        only_one=int((one.hit & ~other.hit).sum()),
        only_other=int((other.hit & ~one.hit).sum()),
        p_value=sign_flip(by_product, seed=seed),
    )


def sign_flip(differences: npt.NDArray[Any], *, flips: int = FLIPS, seed: int = 0) -> float:
    """Two-sided p-value of the sum of whole numbers, under random signs of each.

    Numbers of the same size are drawn together: the sum of m random signs is 2 binomial(m, 1/2) - m.
    """
    sizes, times = np.unique(np.abs(differences[differences != 0]).astype(np.int64), return_counts=True)
    observed = abs(int(differences.sum()))
    random = np.random.default_rng(seed)
    as_far = 0
    step = max(1, _DRAWS // max(len(sizes), 1))
    for start in range(0, flips, step):
        draws = min(step, flips - start)
        signs = 2 * random.binomial(times, 0.5, (draws, len(sizes))) - times
        as_far += int((np.abs(signs @ sizes) >= observed).sum())
    return (1 + as_far) / (1 + flips)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number (Holm, A simple sequentially rejective procedure, 1979)."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, at in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = largest
    return adjusted


def _difference(totals: dict[str, npt.NDArray[np.float64]], measure: str) -> npt.NDArray[np.float64]:
    """The one less the other, (resamples,)."""
    one, other = (
        macro_f1(totals[f"support {name}"], totals[f"given {name}"], totals[f"right {name}"])
        if measure == "f1"
        else totals[f"right {name}"].sum(axis=1) / totals["reviews"][:, 0]
        for name in ("one", "other")
    )
    return one - other
