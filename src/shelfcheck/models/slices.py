"""Where a model is good and where it is not: accuracy by length, year, stars, or any column."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelfcheck.models.blocks import counted, each, numbered, taken
from shelfcheck.models.intervals import (
    MOST_GROUPS,
    RESAMPLES,
    Interval,
    resampled,
    share_interval,
    sums,
)
from shelfcheck.schema import REVIEW_BODY, REVIEW_DATE, REVIEW_TOKENS, STAR_RATING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from shelfcheck.models.judged import Judged

TOKENS: Final = "body_tokens"
CHARACTERS: Final = "body_characters"
YEAR: Final = "year"
STANDARD: Final = (TOKENS, CHARACTERS, YEAR, STAR_RATING)
"""What every evaluation is sliced by, where the reviews have it."""

_NEEDS: Final = {TOKENS: REVIEW_TOKENS, CHARACTERS: REVIEW_BODY, YEAR: REVIEW_DATE}
_EDGES: Final = {TOKENS: (1, 5, 10, 20, 50, 100, 200), CHARACTERS: (1, 50, 100, 200, 500, 1000, 2000)}
_NOT_GIVEN: Final = "not given"
MOST_VALUES: Final = 30  # of a column; the others count as one
_RANGES: Final = 5  # that a column of many numbers is cut into, with about as many reviews each


@dataclass(frozen=True)
class Slice:
    """The reviews that have one value of a property.

    Attributes:
        value: as people read it.
        reviews: how many.
        products: of how many products.
        accuracy: share that is right, 0..1, with its interval; the interval is [0, 1] for one product.
        confidence: mean confidence, which should be near the accuracy.
    """

    value: str
    reviews: int
    products: int
    accuracy: Interval
    confidence: float

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Slice:
        """Read what `to_json` gave."""
        return cls(**{**values, "accuracy": Interval.from_json(values["accuracy"])})


@dataclass(frozen=True)
class Grouping:
    """Reviews by value: the place of each review's value (n) among the names, in the order to show them."""

    codes: npt.NDArray[np.int16]
    names: tuple[str, ...]


def needed(name: str) -> str:
    """The column of reviews that a property is made of."""
    return _NEEDS.get(name, name)


def kept(name: str, column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """What has to be kept of a column to group by a property: a number for a text or a date. (n) -> (n).

    Args:
        name: one of STANDARD, or a column's name.
        column: what `needed` names.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if name == TOKENS:  # joined by one space
        some = pc.greater(pc.binary_length(column), 0)
        count = pc.if_else(some, pc.add(pc.count_substring(column, " "), 1), 0)
        return count.fill_null(0).cast(pa.int32())
    if name == CHARACTERS:
        return pc.utf8_length(column).fill_null(0).cast(pa.int32())
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        return pc.year(column).cast(pa.int32())
    return column


def grouping(name: str, column: pa.ChunkedArray | pa.Array) -> Grouping:
    """Group reviews by a property.

    Args:
        name: one of STANDARD, or a column's name.
        column: what `kept` gave, (n).
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if name in _EDGES:
        return _ranges(column.fill_null(0).to_numpy(), _EDGES[name])
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    is_number = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    if is_number and name != YEAR and pc.count_distinct(column).as_py() > MOST_VALUES:
        return _quantiles(column)
    return _values(column, ordered=is_number, most=None if name == YEAR else MOST_VALUES)


def slices(
    judged: Judged, groups: Mapping[str, Grouping], *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, tuple[Slice, ...]]:
    """Accuracy of each group of reviews, with intervals over products.

    Args:
        judged: reviews as judged, (n).
        groups: property -> grouping of the same reviews.
        resamples: draws of products.
        seed: of the draws.

    Returns:
        Property -> its values that any review has, in order.
    """
    cluster, clusters, _ = judged.clusters(MOST_GROUPS)
    hit = judged.hit
    parts = {}
    for name, group in groups.items():
        shape = (clusters, len(group.names))
        parts[f"reviews {name}"] = sums(cluster, group.codes, shape)
        parts[f"right {name}"] = sums(cluster, group.codes, shape, where=hit)
    drawn = resampled(parts, resamples, seed) if parts and clusters > 1 else None
    found = {}
    for name, group in groups.items():
        of_name = None if drawn is None else (drawn[f"reviews {name}"], drawn[f"right {name}"])
        sizes = parts[f"reviews {name}"]
        some = []
        for code, value in enumerate(group.names):
            inside = group.codes == code
            if not inside.any():
                continue
            accuracy = float(hit[inside].mean())
            own = sizes[:, [code]].data
            bounds = Interval(accuracy, 0.0, 1.0)
            if of_name is not None and len(own) > 1:
                n, right = of_name[0][:, code], of_name[1][:, code]
                samples = np.divide(right, n, out=np.full(len(n), np.nan), where=n > 0)
                bounds = share_interval(accuracy, samples, own)
            confidence = float(judged.confidence[inside].mean(dtype=np.float64))
            products = _products(judged.product[inside])
            some.append(Slice(value, int(inside.sum()), products, bounds, confidence))
        found[name] = tuple(some)
    return found


def _products(product: npt.NDArray[np.integer[Any]]) -> int:
    return numbered(product)[1] + int((product < 0).sum())


def _ranges(numbers: npt.NDArray[np.integer[Any]], edges: tuple[int, ...]) -> Grouping:
    """Whole numbers from 0 on by ranges: 0, edges[0] to edges[1] - 1, and so on."""
    names = ["0", *(f"{low:,} to {high - 1:,}" for low, high in itertools.pairwise(edges))]
    names.append(f"{edges[-1]:,} and more")
    codes = each(numbers, lambda own: np.searchsorted(edges, own, side="right"), np.int16)
    return Grouping(codes, tuple(names))


def _quantiles(column: pa.Array) -> Grouping:
    """Numbers by ranges that hold about the same number of reviews."""
    known = column.is_valid().to_numpy(zero_copy_only=False)
    numbers = column.cast(pa.float64()).fill_null(0.0).to_numpy()
    edges = np.unique(np.quantile(numbers[known], np.linspace(0, 1, _RANGES + 1)))
    last = max(len(edges) - 2, 0)
    codes = each(
        numbers, lambda own: np.clip(np.searchsorted(edges, own, side="right") - 1, 0, last), np.int16
    )
    names = [f"{low:,.6g} to {high:,.6g}" for low, high in itertools.pairwise(edges)]
    codes[~known] = len(names)
    return Grouping(codes, (*names, _NOT_GIVEN))


def _values(column: pa.Array, *, ordered: bool, most: int | None) -> Grouping:
    """Each value by itself, the most frequent ones; numbers in order, others by number of reviews."""
    if pa.types.is_boolean(column.type):
        column = pc.if_else(column, "yes", "no")
    if pa.types.is_nested(column.type):
        column = pa.array([None if value is None else str(value) for value in column.to_pylist()])
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    values = coded.dictionary.to_pylist()
    index = coded.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)
    counts = counted(index, len(values) + 1)[: len(values)]
    order = sorted(range(len(values)), key=lambda at: (-counts[at], str(values[at])))
    shown, others = order[:most], order[len(order[:most]) :]
    if ordered:
        shown.sort(key=values.__getitem__)
    names = [str(values[at]) for at in shown]
    if others:
        names.append(f"{len(others):,} other values")
    names.append(_NOT_GIVEN)
    place = np.full(len(values) + 1, len(names) - 1, np.int16)
    place[others] = len(shown)
    place[shown] = np.arange(len(shown))
    return Grouping(taken(place, index), tuple(names))
