"""How sure a measure is: bootstrap intervals over products.

Reviews of a product err together (one product that the model gets wrong is many reviews that it gets
wrong), so products are resampled, not reviews: the cluster bootstrap (Davison and Hinkley, Bootstrap
Methods and their Application, 1997, 3.8). Every measure is a function of sums over reviews; each product
gives its sums once, as a sparse row, and all resamples are one product of matrices: 1,000 resamples of
60 thousand reviews take about a second.

Percentile intervals of few products are too narrow. The percentiles are therefore taken further out, by
the factor that a t interval has over a normal one (the expanded percentile interval: Hesterberg, What
Teachers Should Know About the Bootstrap, The American Statistician 69, 2015). Products differ in size; the
degrees of freedom come from the effective number of products, (sum n)^2 / sum n^2 (Kish, Survey
Sampling, 1965).

The calibration error is a mean of absolute values: noise only adds to it, and a resample has the noise
of the sample on top. The basic interval, 2 estimate - percentile, takes that off again; where there is
little of it, the percentiles are right. The interval of the calibration error spans both. Macro F1 hangs on
the rarest classes: its degrees of freedom are the harmonic mean of the classes' effective numbers of
products. How often all of these hold the truth was simulated; docs/log.md has the figures.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy import sparse, special

from shelfcheck.models.blocks import blocks, each
from shelfcheck.models.measures import BINS, bin_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from shelfcheck.models.judged import Judged

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.integer[Any]]

RESAMPLES: Final = 1000
LEVEL: Final = 0.95
MOST_GROUPS: Final = 20_000  # products are put together beyond; see Judged.clusters
_STEPS: Final = 200  # of confidence, for the coverage
_WEIGHTS: Final = 4_000_000  # drawn at a time


@dataclass(frozen=True)
class Interval:
    """An estimate and the interval that holds the truth at `LEVEL`; low <= estimate <= high."""

    estimate: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Interval:
        """Read what `to_json` gave."""
        return cls(float(values["estimate"]), float(values["low"]), float(values["high"]))

    def text(self, digits: int = 3) -> str:
        """As a person reads it: `0.887 [0.880, 0.893]`."""
        return f"{self.estimate:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


def intervals(judged: Judged, *, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Interval]:
    """Intervals of `accuracy`, `macro_f1`, `ece` and `coverage_at_95`, all from the same resamples.

    Args:
        judged: reviews as judged.
        resamples: draws of products.
        seed: of the draws.

    Returns:
        Measure -> interval; empty where there are fewer than two products, from which nothing can be
        said about others.
    """
    cluster, groups, products = judged.clusters(MOST_GROUPS)
    if products < 2:
        return {}
    k, hit = len(judged.categories), judged.hit
    parts = {
        "support": sums(cluster, judged.label, (groups, k)),
        "given": sums(cluster, judged.predicted, (groups, k)),
        "right": sums(cluster, judged.label, (groups, k), where=hit),
    }
    bins = each(judged.confidence, bin_of, np.int8)
    parts["gap"] = sums(cluster, bins, (groups, BINS), judged.confidence - hit)
    steps, n_steps = confidence_steps(judged.confidence)
    parts["step_reviews"] = sums(cluster, steps, (groups, n_steps))
    parts["step_right"] = sums(cluster, steps, (groups, n_steps), where=hit)
    whole = {name: np.asarray(part.sum(axis=0)).reshape(1, -1) for name, part in parts.items()}
    drawn = resampled(parts, resamples, seed)
    estimates, samples = _measures(whole), _measures(drawn)
    tail = expanded_tail(effective(np.bincount(cluster, minlength=groups)))
    by_class = [effective(sizes) for sizes in np.split(parts["support"].data, parts["support"].indptr[1:-1])]
    rare = [number for number in by_class if number > 0]
    tails = {"macro_f1": expanded_tail(len(rare) / sum(1 / number for number in rare))}
    return {
        name: interval(
            float(estimate[0]),
            samples[name],
            tails.get(name, tail),
            basic=name == "ece",
            bounds=(0.0, 1.0),
        )
        for name, estimate in estimates.items()
    }


def _measures(totals: Mapping[str, Floats]) -> dict[str, Floats]:
    """Measures of each row of sums, (resamples,)."""
    support, given, right = totals["support"], totals["given"], totals["right"]
    total = support.sum(axis=1)
    return {
        "accuracy": right.sum(axis=1) / total,
        "macro_f1": macro_f1(support, given, right),
        "ece": np.abs(totals["gap"]).sum(axis=1) / total,
        "coverage_at_95": coverage_at(totals["step_reviews"], totals["step_right"], 0.95),
    }


def macro_f1(support: Floats, given: Floats, right: Floats) -> Floats:
    """Mean F1 of the classes that have support. (r, k) assigned, predicted and right reviews -> (r)."""
    both = support + given
    f1 = np.divide(2 * right, both, out=np.zeros_like(right), where=both > 0)
    there = support > 0
    mean: Floats = (f1 * there).sum(axis=1) / there.sum(axis=1)
    return mean


def confidence_steps(confidence: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int16], int]:
    """The step of each review, 0 for the most confident, and the number of steps. (n) -> (n).

    Steps hold about the same number of reviews each; reviews of the same confidence share one.
    """
    edges = np.unique(np.quantile(confidence, np.linspace(0, 1, _STEPS + 1)[1:-1]))
    steps = each(confidence, lambda own: len(edges) - np.searchsorted(edges, own, side="left"), np.int16)
    return steps, len(edges) + 1


def coverage_at(reviews: Floats, right: Floats, precision: float) -> Floats:
    """Largest share of the most confident reviews of which `precision` are right, 0..1. (r, steps) -> (r).

    Between two steps the reviews are taken to be right evenly.
    """
    n, hits = reviews.cumsum(axis=1), right.cumsum(axis=1)
    rows = np.arange(len(n))
    # A step that is empty in a resample reaches what the one before it does.
    reached = (hits >= precision * n - 1e-6) & (n > 0)
    last = np.where(reached.any(axis=1), n.shape[1] - 1 - reached[:, ::-1].argmax(axis=1), -1)
    at = np.maximum(last, 0)
    base_n = np.where(last >= 0, n[rows, at], 0.0)
    base_hits = np.where(last >= 0, hits[rows, at], 0.0)
    following = np.minimum(last + 1, n.shape[1] - 1)
    more, more_hits = reviews[rows, following], right[rows, following]
    spare, spent = base_hits - precision * base_n, precision * more - more_hits
    inside = np.divide(spare, spent, out=np.zeros_like(spare), where=spent > 0)
    inside = np.where((last >= 0) & (last < n.shape[1] - 1), np.clip(inside, 0, 1), 0)
    covered: Floats = (base_n + inside * more) / n[:, -1]
    return covered


def resampled(parts: Mapping[str, sparse.csc_array], resamples: int, seed: int) -> dict[str, Floats]:
    """Column sums of resamples of the rows, the same draws for every part.

    Args:
        parts: sums of each group of products, (groups, columns).
        resamples: draws with replacement of as many groups as there are.
        seed: of the draws.

    Returns:
        (resamples, columns) a part.
    """
    random = np.random.default_rng(seed)
    groups = next(iter(parts.values())).shape[0]
    turned = {name: part.T.tocsr() for name, part in parts.items()}
    found = {name: np.empty((resamples, part.shape[0])) for name, part in turned.items()}
    step = max(1, min(resamples, _WEIGHTS // groups))
    for start in range(0, resamples, step):
        draws = min(step, resamples - start)
        chosen = random.integers(0, groups, (groups, draws), dtype=np.int32).astype(np.int64)
        chosen *= draws
        chosen += np.arange(draws)
        weights = np.bincount(chosen.ravel(), minlength=groups * draws).reshape(groups, draws)
        for name, part in turned.items():
            found[name][start : start + draws] = (part @ weights.astype(np.float64)).T
    return found


def effective(sizes: npt.NDArray[Any]) -> float:
    """The effective number of groups of these numbers of reviews; 0 of none."""
    if len(sizes) == 0:
        return 0.0
    as_float = sizes.astype(np.float64)
    return float(as_float.sum() ** 2 / (as_float**2).sum())


def expanded_tail(groups: float) -> float:
    """The share of resamples left out at either end, for this effective number of groups."""
    least = max(2.0, groups)
    half = (1 - LEVEL) / 2
    t = special.stdtrit(least - 1, half)
    return float(special.ndtr(t * np.sqrt(least / (least - 1))))


def share_interval(estimate: float, samples: Floats, sizes: npt.NDArray[np.integer]) -> Interval:
    """The interval of a share of reviews: percentiles; where all are right or all wrong, the exact one.

    No resample of reviews that are all right holds a wrong one, so the bootstrap would be sure of what it
    cannot know. The exact (Clopper-Pearson) bound for the effective number of products is taken instead.

    Args:
        estimate: the share, 0..1.
        samples: the share in each resample, (r); NaN where it holds none of the reviews.
        sizes: reviews of each product or group.
    """
    if 0 < estimate < 1 and len(sizes) > 1:
        return interval(estimate, samples, expanded_tail(effective(sizes)), bounds=(0.0, 1.0))
    bound = ((1 - LEVEL) / 2) ** (1 / effective(sizes))
    return Interval(estimate, bound, 1.0) if estimate == 1 else Interval(estimate, 0.0, 1 - bound)


def interval(
    estimate: float,
    samples: Floats,
    tail: float,
    *,
    basic: bool = False,
    bounds: tuple[float, float] = (-1.0, 1.0),
) -> Interval:
    """The interval that samples give: percentiles, or the basic interval; never without the estimate.

    Args:
        estimate: the measure on the data.
        samples: the measure on each resample, (r); NaN where it has no value.
        tail: from `expanded_tail`.
        basic: span the percentiles reflected in the estimate too.
        bounds: least and largest value of the measure.
    """
    known = samples[~np.isnan(samples)]
    if len(known) == 0:
        return Interval(estimate, *bounds)
    low, high = np.quantile(known, [tail, 1 - tail]).tolist()
    if basic:
        low, high = min(low, 2 * estimate - high), max(high, 2 * estimate - low)
    return Interval(estimate, max(bounds[0], min(low, estimate)), min(bounds[1], max(high, estimate)))


def sums(
    cluster: Ints,
    column: Ints,
    shape: tuple[int, int],
    values: npt.NDArray[Any] | None = None,
    where: npt.NDArray[np.bool_] | None = None,
) -> sparse.csc_array:
    """Sums over reviews by group of products and column, (groups, columns).

    Args:
        cluster: group of each review, (n).
        column: column of each review, (n).
        shape: groups, columns.
        values: what is summed, (n); ones when None.
        where: which reviews count, (n); all when None.
    """
    total = sparse.csc_array(shape)
    for block in blocks(len(cluster)):
        inside = slice(None) if where is None else where[block]
        own, columns = cluster[block][inside], column[block][inside]
        data = np.ones(len(own)) if values is None else values[block][inside].astype(np.float64)
        total = total + sparse.coo_array((data, (own, columns)), shape=shape).tocsc()
    return total
