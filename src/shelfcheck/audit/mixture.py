"""From "how much does it look like a simulated fault" to "how probably is it one".

What an audit reads is a mixture of faults and of rows that are in order, and nobody says which is
which; but faults can be simulated. Let r be the density of a row's features among simulated faults
over that among the rows as they are. Then P(fault | row) = share * r(row), and the share of faults can
be no larger than the smallest ratio of the two tails, (rows beyond t) / (simulated beyond t), over all
thresholds t. That bound, with an allowance for chance, is the estimate: the best-bin estimate of Garg,
Wu, Smola, Balakrishnan & Lipton, "Mixture Proportion Estimation and PU Learning: A Modern Approach",
NeurIPS 2021, eq. 1; on learning from positive and unlabelled rows see Elkan & Noto, KDD 2008.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_BINS: Final = 60
_FARTHEST: Final = 0.7  # simulated faults that are stronger than real ones must not set the share to nothing
_MOST: Final = 0.995  # no score is nearer to certainty than that


@dataclass(frozen=True)
class Posterior:
    """Raw scores to probabilities of a fault.

    Attributes:
        share: estimated share of faults among the rows.
        at: raw scores, ascending (m).
        probability: of a fault at each, never falling (m).
    """

    share: float
    at: Floats
    probability: Floats

    @classmethod
    def fit(cls, rows: Floats, simulated: Floats) -> Posterior:
        """Learn from raw scores (larger means more like a fault) of the rows and of simulated faults."""
        return cls.of_sorted(np.sort(rows), np.sort(simulated))

    @classmethod
    def of_sorted(cls, rows: Floats, simulated: Floats) -> Posterior:
        """The same of scores that ascend; nothing as long as the rows is made beside them."""
        if len(rows) == 0 or len(simulated) == 0:
            return cls(0.0, np.zeros(1), np.zeros(1))
        share = _share(rows, simulated)
        # Bins hold as many simulated faults each, finer towards the top, where the findings are.
        places = np.unique(np.concatenate([np.linspace(0, 0.9, _BINS), np.linspace(0.9, 0.998, _BINS // 3)]))
        # The rows' own quantiles part the few that are next to faults from the many that are far from any.
        tops = quantiles(rows, np.array([0.5, 0.7, 0.8, 0.9, 0.94, 0.97, 0.985, 0.99]))
        edges = np.unique(np.concatenate([np.quantile(simulated, places), tops]))
        edges = np.concatenate([[-np.inf], edges, [np.inf]])
        n = np.diff(np.searchsorted(rows, edges)).astype(np.float64)
        s = np.diff(np.searchsorted(simulated, edges)).astype(np.float64)
        keep = n + s > 0
        n, s = n[keep], s[keep]
        middle = np.array([_middle(rows, simulated, lo, hi) for lo, hi in _pairs(edges, keep)])
        expected = share * s / len(simulated)  # faults in the bin, as a share of all rows
        # A bin without rows still holds its part of the expected faults: pooled bins add up to
        # (expected faults) / (rows) only if the weight times the ratio is what is expected.
        weight = np.maximum(n, 1e-3)
        probability = np.clip(_rising(expected * len(rows) / weight, weight), 0.0, _MOST)
        return cls(share, middle, probability)

    def __call__(self, raw: Floats) -> Floats:
        """Probability of a fault of each raw score."""
        return np.interp(raw, self.at, self.probability)


def quantiles(ascending: Floats, shares: Floats) -> Floats:
    """`np.quantile` of values that ascend, to the bit, without a copy of them."""
    at = (len(ascending) - 1) * shares
    low = np.floor(at).astype(np.int64)
    part = at - low
    below, above = ascending[low], ascending[np.minimum(low + 1, len(ascending) - 1)]
    step = above - below
    found: Floats = np.where(part >= 0.5, above - step * (1 - part), below + step * part)
    return found


def _share(rows: Floats, simulated: Floats) -> float:
    """Smallest upper bound of the share of faults over all thresholds, allowing for chance."""
    cuts = np.quantile(simulated, np.linspace(0.0, _FARTHEST, 100))
    beyond = len(rows) - np.searchsorted(rows, cuts).astype(np.float64)
    tail = (len(simulated) - np.searchsorted(simulated, cuts)) / len(simulated)
    # Poisson slack on the rows beyond, in place of the paper's uniform bound, which is loose.
    bound = (beyond + 2 * np.sqrt(beyond + 1)) / (tail * len(rows))
    best = int(np.argmin(bound))
    # One row more than seen: in a small shop no row may lie beyond, and a share of nothing finds nothing.
    return float(np.clip((beyond[best] + 1) / (tail[best] * len(rows)), 0.0, 0.5))


def _pairs(edges: Floats, keep: npt.NDArray[np.bool_]) -> list[tuple[float, float]]:
    return [(float(edges[i]), float(edges[i + 1])) for i in np.flatnonzero(keep)]


def _middle(rows: Floats, simulated: Floats, low: float, high: float) -> float:
    """Median of the rows in a bin, or of the simulated where no row is in it."""
    for values in (rows, simulated):
        first, last = np.searchsorted(values, [low, high])
        if last > first:
            return float(values[(first + last - 1) // 2])
    return max(low, -1e9)


def _rising(values: Floats, weights: Floats) -> Floats:
    """Isotonic regression: the nearest sequence that never falls, in weighted squares (pool adjacent)."""
    blocks: list[tuple[float, float, int]] = []  # mean, weight, bins
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        mean, mass, bins = value, weight, 1
        while blocks and blocks[-1][0] >= mean:
            before, more, earlier = blocks.pop()
            mean = (before * more + mean * mass) / (more + mass)
            mass, bins = mass + more, bins + earlier
        blocks.append((mean, mass, bins))
    return np.repeat([mean for mean, _, _ in blocks], [bins for _, _, bins in blocks])
