"""Whether a sample stands for the reviews it was drawn from: categories, stars, length, months.

Each distribution of the sample is laid beside that of the population, with its distance and with what simple
random samples of the same size give. A sample is called representative unless one of its distances is further
than chance: its p-value is below 5 % divided by the number of distances (Bonferroni).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from shelfcheck.sampling.distances import (
    SIMULATIONS,
    Judged,
    chi_squared,
    judge,
    kolmogorov_smirnov,
    random_counts,
    total_variation,
    wasserstein,
)
from shelfcheck.schema import PRODUCT_CATEGORY, REVIEW_MONTH, STAR_RATING

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from shelfcheck.sampling.distances import DistanceFunction

BODY_LENGTH: Final = "body_length"
UNKNOWN: Final = "unknown"
LEVEL: Final = 0.05
CLOSER: Final = "closer than chance"
AS_CHANCE: Final = "as close as chance"
FURTHER: Final = "further than chance"
_BINS: Final = 512  # of lengths, equally many reviews in each: simulating thousands would take long
_CLASSES: Final = 10  # of lengths, in the table


@dataclass(frozen=True)
class Distance:
    """One distance of the sample from the population.

    Attributes:
        what: `product_category`, `star_rating`, `body_length`, `review_month`.
        measure: `total_variation`, `chi_squared` (by the sample's size), `kolmogorov_smirnov`, `wasserstein`.
        unit: `share` (0..1), `ratio` or `characters`.
        judged: the distance and what chance gives.
        verdict: `closer than chance`, `as close as chance`, `further than chance`.
        weighted: the same, each review counted by its weight.
        weighted_verdict: see `verdict`.
    """

    what: str
    measure: str
    unit: str
    judged: Judged
    verdict: str
    weighted: Judged
    weighted_verdict: str


@dataclass(frozen=True)
class ShareRow:
    """A value's share in population and sample.

    Attributes:
        what: as in `Distance`.
        value: as text; lengths as `low to high` characters.
        population_reviews: with this value.
        population_share: 0..1.
        sample_reviews: with this value.
        sample_share: 0..1.
        weighted_share: the same, each review counted by its weight.
        low: from here to `high` lie the shares of 95 % of simple random samples of this size.
        high: see `low`.
    """

    what: str
    value: str
    population_reviews: int
    population_share: float
    sample_reviews: int
    sample_share: float
    weighted_share: float
    low: float
    high: float


@dataclass(frozen=True)
class Representativeness:
    """The comparison.

    Attributes:
        population: reviews that could be drawn.
        sample: reviews drawn.
        simulations: simple random samples that chance was judged by.
        representative: whether no distance is further than chance.
        representative_weighted: the same, each review counted by its weight.
        verdict: the same in words.
        distances: every distance.
        shares: every value; months by year.
    """

    population: int
    sample: int
    simulations: int
    representative: bool
    representative_weighted: bool
    verdict: str
    distances: tuple[Distance, ...]
    shares: tuple[ShareRow, ...]

    def to_json(self) -> str:
        """As indented JSON."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Representativeness:
        """Read what `to_json` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            values["distances"] = tuple(
                Distance(**(one | {name: Judged(**one[name]) for name in ("judged", "weighted")}))
                for one in values["distances"]
            )
            values["shares"] = tuple(ShareRow(**one) for one in values["shares"])
            return cls(**values)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no comparison of a sample: {error}") from error


def compare(
    population: Mapping[str, Counter[Any]],
    sample: Mapping[str, Counter[Any]],
    weighted: Mapping[str, Counter[Any]],
    seed: int,
) -> Representativeness:
    """Lay a sample's distributions beside the population's.

    Args:
        population: `Counts.distributions` of the reviews that could be drawn.
        sample: the same of the sample.
        weighted: the same, each review of the sample counted by its weight.
        seed: of the simulation.
    """
    generator = np.random.default_rng(seed)
    rows = sample[PRODUCT_CATEGORY].total()
    found: list[tuple[str, str, str, Judged, Judged]] = []
    shares: list[ShareRow] = []

    def add(what: str, measure: str, unit: str, function: DistanceFunction, counts: _Counts) -> None:
        simulated = random_counts(counts.population, rows, generator)
        judged = judge(function, counts.sample, counts.population, simulated)
        again = judge(function, counts.weighted, counts.population, simulated)
        found.append((what, measure, unit, judged, again))

    for what in (PRODUCT_CATEGORY, STAR_RATING, REVIEW_MONTH):
        names = _ordered(what, population[what])
        counts = _Counts.of(names, population[what], sample[what], weighted[what])
        add(what, "total_variation", "share", total_variation, counts)
        if what == PRODUCT_CATEGORY:
            add(what, "chi_squared", "ratio", chi_squared, counts)
        if what == REVIEW_MONTH:
            years = [None if month is None else month[:4] for month in names]
            starts = np.array([i for i, year in enumerate(years) if i == 0 or year != years[i - 1]])
            names, counts = [years[i] for i in starts], counts.merged(starts)
        shares += _rows(what, [UNKNOWN if name is None else str(name) for name in names], counts)
    lengths = _ordered(BODY_LENGTH, population[BODY_LENGTH])
    counts = _Counts.of(lengths, population[BODY_LENGTH], sample[BODY_LENGTH], weighted[BODY_LENGTH])
    bins = _bins(counts.population, _BINS)
    fine = counts.merged(bins)
    at = np.add.reduceat(np.array(lengths, np.float64) * counts.population, bins) / fine.population
    add(BODY_LENGTH, "kolmogorov_smirnov", "share", kolmogorov_smirnov, fine)
    add(BODY_LENGTH, "wasserstein", "characters", partial(wasserstein, at=at), fine)
    classes = _bins(counts.population, _CLASSES)
    ends = [*(classes[1:] - 1), len(lengths) - 1]
    names = [f"{lengths[a]} to {lengths[b]}" for a, b in zip(classes, ends, strict=True)]
    shares += _rows(BODY_LENGTH, names, counts.merged(classes))
    distances = tuple(
        Distance(
            what, measure, unit, judged, _verdict(judged, len(found)), again, _verdict(again, len(found))
        )
        for what, measure, unit, judged, again in found
    )
    far = [one.what for one in distances if one.verdict == FURTHER]
    far_weighted = [one.what for one in distances if one.weighted_verdict == FURTHER]
    return Representativeness(
        population=population[PRODUCT_CATEGORY].total(),
        sample=rows,
        simulations=SIMULATIONS,
        representative=not far,
        representative_weighted=not far_weighted,
        verdict=_sentence(far, far_weighted),
        distances=distances,
        shares=tuple(shares),
    )


class _Counts(NamedTuple):
    """Counts of the same values in population and sample, each (n_values,)."""

    population: NDArray[np.int64]
    sample: NDArray[np.int64]
    weighted: NDArray[np.float64]

    @classmethod
    def of(cls, names: list[Any], *counts: Counter[Any]) -> _Counts:
        population, sample, weighted = ([one[name] for name in names] for one in counts)
        return cls(np.array(population, np.int64), np.array(sample, np.int64), np.array(weighted, np.float64))

    def merged(self, starts: NDArray[np.int64]) -> _Counts:
        """Neighbouring values made one, from each start to before the next."""
        return _Counts(*(np.add.reduceat(one, starts) for one in self))


def _verdict(judged: Judged, distances: int) -> str:
    if judged.p_value < LEVEL / distances:
        return FURTHER
    return CLOSER if judged.closer_than >= 1 - LEVEL else AS_CHANCE


def _sentence(far: list[str], far_weighted: list[str]) -> str:
    if not far:
        return (
            "The sample is representative: its categories, stars, months and lengths lie no further from "
            "those of all reviews than those of simple random samples of its size."
        )
    if not far_weighted:
        return (
            f"The sample is representative when its reviews are weighed by sample_weight. Unweighted, its "
            f"{_listed(far)} lies further from that of all reviews than chance would put it, because small "
            "strata give at least one review."
        )
    return (
        f"The sample is not representative: its {_listed(far_weighted)} lies further from that of all "
        "reviews than chance would put it, also when its reviews are weighed by sample_weight. "
        "A larger --fraction helps, or fewer columns in --by."
    )


def _listed(names: list[str]) -> str:
    return "distribution by " + " and by ".join(name.replace("_", " ") for name in dict.fromkeys(names))


def _ordered(what: str, counts: Counter[Any]) -> list[Any]:
    """Values: categories by size, others by themselves, unknown last."""
    if what == PRODUCT_CATEGORY:
        return sorted(counts, key=lambda value: (-counts[value], value is None, value))
    return sorted(counts, key=lambda value: (value is None, value))


def _bins(counts: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Starts of at most so many classes of neighbouring values with about equally many reviews each."""
    before = np.cumsum(counts) - counts
    classes = before * most // counts.sum()
    starts: NDArray[np.int64] = np.flatnonzero(np.diff(classes, prepend=-1))
    return starts


def _rows(what: str, names: list[str], counts: _Counts) -> list[ShareRow]:
    from scipy.stats import hypergeom  # noqa: PLC0415 - heavy

    total, size, weight = (one.sum() for one in counts)
    low, high = (hypergeom.ppf(q, int(total), counts.population, int(size)) / size for q in (0.025, 0.975))
    return [
        ShareRow(
            what=what,
            value=name,
            population_reviews=int(counts.population[i]),
            population_share=float(counts.population[i] / total),
            sample_reviews=int(counts.sample[i]),
            sample_share=float(counts.sample[i] / size),
            weighted_share=float(counts.weighted[i] / weight),
            low=float(low[i]),
            high=float(high[i]),
        )
        for i, name in enumerate(names)
    ]
