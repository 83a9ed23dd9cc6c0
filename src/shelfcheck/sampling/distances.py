"""How far a sample's distribution lies from the population's, and how far chance alone would put it.

Chance is a simple random sample of the same size, drawn without replacement: its counts over the classes
follow the multivariate hypergeometric law, from which the distances under the null hypothesis are simulated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    DistanceFunction = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]

SIMULATIONS: Final = 1000
_HYPERGEOMETRIC_LIMIT: Final = 1_000_000_000  # of NumPy's generator


def total_variation(sample: NDArray[np.float64], population: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half the sum of absolute differences of shares: the share of rows in the wrong class, 0..1.

    Args:
        sample: counts, (..., n_classes).
        population: counts, (n_classes,).
    """
    distance: NDArray[np.float64] = np.abs(_shares(sample) - _shares(population)).sum(axis=-1) / 2
    return distance


def chi_squared(sample: NDArray[np.float64], population: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson's chi-squared divided by the sample's size: squared differences of shares, over the share.

    A rare class whose share is doubled weighs here, where the total variation hardly sees it. Arguments as
    above; each class must hold some of the population.
    """
    shares = _shares(population)
    distance: NDArray[np.float64] = ((_shares(sample) - shares) ** 2 / shares).sum(axis=-1)
    return distance


def kolmogorov_smirnov(sample: NDArray[np.float64], population: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest difference of the cumulative shares of ordered classes, 0..1. Arguments as above."""
    distance: NDArray[np.float64] = np.abs(_cumulated(sample, population)).max(axis=-1)
    return distance


def wasserstein(
    sample: NDArray[np.float64], population: NDArray[np.float64], at: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How far, on average, values must move to turn one distribution into the other, in units of the values.

    Args:
        sample: counts, (..., n_classes).
        population: counts, (n_classes,).
        at: value of each class, ascending, (n_classes,).
    """
    gaps = np.abs(_cumulated(sample, population)[..., :-1])
    distance: NDArray[np.float64] = gaps @ np.diff(at)
    return distance


def _shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = counts / counts.sum(axis=-1, keepdims=True)
    return shares


def _cumulated(sample: NDArray[np.float64], population: NDArray[np.float64]) -> NDArray[np.float64]:
    difference: NDArray[np.float64] = np.cumsum(_shares(sample) - _shares(population), axis=-1)
    return difference


@dataclass(frozen=True)
class Judged:
    """A distance beside those of simple random samples of the same size.

    Attributes:
        observed: of the sample.
        expected: mean of the simulated.
        low: their 2.5 % quantile.
        high: their 97.5 % quantile.
        p_value: share of simple random samples that lie as far or further, (1 + n) / (1 + simulations).
        closer_than: share of simple random samples that lie further, 0..1.
    """

    observed: float
    expected: float
    low: float
    high: float
    p_value: float
    closer_than: float


def random_counts(
    population: NDArray[np.int64], size: int, generator: np.random.Generator, simulations: int = SIMULATIONS
) -> NDArray[np.int64]:
    """Counts of simple random samples without replacement, (simulations, n_classes)."""
    total = int(population.sum())
    if total < _HYPERGEOMETRIC_LIMIT:
        counts: NDArray[np.int64] = generator.multivariate_hypergeometric(
            population, size, size=simulations, method="marginals"
        )
        return counts
    # Beyond NumPy's range: with replacement, which lies a little further from the population.
    return generator.multinomial(size, population / total, size=simulations)


def judge(
    distance: DistanceFunction,
    sample: NDArray[np.int64] | NDArray[np.float64],
    population: NDArray[np.int64],
    simulated: NDArray[np.int64],
) -> Judged:
    """Compare a sample's distance with those of simulated samples.

    Args:
        distance: as the functions above.
        sample: counts or weights, (n_classes,).
        population: counts, (n_classes,).
        simulated: what `random_counts` gave for the population and the sample's size.
    """
    whole = population.astype(np.float64)
    observed = float(distance(sample.astype(np.float64), whole))
    null = distance(simulated.astype(np.float64), whole)
    # The same counts may give distances that differ in the last bit.
    further = int(np.count_nonzero(null > observed + 1e-12))
    as_far = int(np.count_nonzero(null >= observed - 1e-12))
    low, high = np.quantile(null, [0.025, 0.975])
    return Judged(
        observed=observed,
        expected=float(null.mean()),
        low=float(low),
        high=float(high),
        p_value=(1 + as_far) / (1 + len(null)),
        closer_than=further / len(null),
    )
