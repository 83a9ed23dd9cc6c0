"""Which strata a sample has, and how many rows it draws from each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shelfcheck.errors import NotEnoughDataError
from shelfcheck.sampling.allocation import allocate
from shelfcheck.sampling.distributions import strata_columns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shelfcheck.config import SampleSettings


@dataclass(frozen=True)
class Stratum:
    """Reviews that share what the sample is stratified by.

    Attributes:
        values: one for each column of `SamplePlan.by`; None where unknown.
        rows: reviews.
        target: reviews to draw.
    """

    values: tuple[Any, ...]
    rows: int
    target: int

    @property
    def weight(self) -> float:
        """How many reviews a drawn one stands for."""
        return self.rows / self.target


@dataclass(frozen=True)
class SamplePlan:
    """What a sample will hold.

    Attributes:
        by: columns that make the strata.
        fraction: asked for.
        rows: reviews that may be drawn.
        target: reviews to draw, in all.
        proportional: rows * fraction, rounded: the target without the rule of one row a stratum.
        strata: in the order of their values, unknown ones last.
        dropped: categories under the smallest share -> reviews, which are not drawn from.
    """

    by: tuple[str, ...]
    fraction: float
    rows: int
    target: int
    proportional: int
    strata: tuple[Stratum, ...]
    dropped: dict[str, int]

    @property
    def forced(self) -> int:
        """Reviews drawn beyond the proportional number, because every stratum gets one."""
        return self.target - self.proportional


def rare_categories(categories: Mapping[str | None, int], least: float) -> dict[str | None, int]:
    """Categories with a smaller share of all reviews than `least`, and their reviews."""
    total = sum(categories.values())
    rare = {name: n for name, n in categories.items() if n < least * total}
    return dict(sorted(rare.items(), key=lambda item: (item[0] is None, item[0])))


def plan(counts: Mapping[tuple[Any, ...], int], settings: SampleSettings) -> SamplePlan:
    """Decide the targets.

    Args:
        counts: values of `strata_columns(settings.by)` -> reviews.
        settings: what is asked for.

    Raises:
        NotEnoughDataError: no review may be drawn.
    """
    columns = strata_columns(settings.by)
    categories: Counter[str | None] = Counter()
    for key, n in counts.items():
        categories[key[1]] += n
    rare = rare_categories(categories, settings.min_category_share)
    at = [columns.index(name) for name in settings.by]
    sizes: Counter[tuple[Any, ...]] = Counter()
    for key, n in counts.items():
        if key[1] not in rare:
            sizes[tuple(key[i] for i in at)] += n
    return _plan(sizes, settings, {str(name): n for name, n in rare.items()})


def plan_months(months: Mapping[str | None, int], settings: SampleSettings) -> SamplePlan:
    """Decide the targets where the months are the strata and no category is dropped; raises as `plan`."""
    return _plan(Counter({(month,): n for month, n in months.items()}), settings, {})


def _plan(sizes: Counter[tuple[Any, ...]], settings: SampleSettings, dropped: dict[str, int]) -> SamplePlan:
    rows = sizes.total()
    if rows == 0:
        raise NotEnoughDataError(
            "There are no reviews to sample from"
            + (f": {len(dropped)} categories are under sample.min_category_share." if dropped else ".")
        )
    ordered = sorted(sizes.items(), key=lambda item: [(value is None, value) for value in item[0]])
    targets = allocate([n for _, n in ordered], settings.fraction)
    strata = tuple(Stratum(key, n, target) for (key, n), target in zip(ordered, targets, strict=True))
    return SamplePlan(
        by=tuple(settings.by),
        fraction=settings.fraction,
        rows=rows,
        target=sum(targets),
        proportional=allocate([rows], settings.fraction)[0],
        strata=strata,
        dropped=dropped,
    )
