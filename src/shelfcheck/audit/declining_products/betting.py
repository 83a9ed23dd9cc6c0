"""Bets against "nothing changed": evidence that holds however often it is looked at.

If the reviews of a product are exchangeable, the place of each among those before it is uniform and
independent of the places before (conformal prediction; Vovk, Gammerman and Shafer, Algorithmic Learning in
a Random World, 2nd ed. 2022, ch. 8). A bet on "worse than before" multiplies its wealth by f(p), where f
has mean 1: wealth grows only by luck, and whatever the distribution of stars or language is. A change may
come at any time, so the wealth is spread over starting points in advance: the mixture form of the Shiryaev-
Roberts procedure (Volkhonskiy et al., "Inductive conformal martingales for change-point detection", COPA
2017; Shin, Ramdas and Rinaldo, "E-detectors", 2022).

By Ville's inequality the wealth ever passes 1/a with a chance of at most a, over any number of looks, so 1
/ wealth at its highest is a p-value that may be looked at after every review.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from shelfcheck.audit.declining_products.histories import Histories

    Floats = npt.NDArray[np.float64]

# Of the families of bets tried (docs/log.md) these found most planted declines. Two bet on a few very bad
# places, as language gives them; three on the worst 15, 30 or 45 %, as stars do where many have equally few.
_BETA: Final = (0.6, 0.8)  # theta of 0.05 + 0.95 theta p^(theta - 1)
_STEPS: Final = (0.15, 0.3, 0.45)  # places below are bet on, _ODDS to 1
_ODDS: Final = 4.0
_BINS: Final = 4096
BURN_IN: Final = 10  # reviews that are only compared with
SPREAD: Final = 25.0  # reviews after which half of the wealth has been laid out
BURST: Final = 3.0  # reviews of one day that count in full, or twice as many as on the days before


@dataclass(frozen=True)
class Evidence:
    """What bets on one series of values came to.

    Attributes:
        p: float32 (n), place of each review among those before it, small where worse.
        log_bet: float32 (n, bets), log gain of each bet at each review.
        log_m: float32 (n), log wealth.
    """

    p: npt.NDArray[np.float32]
    log_bet: npt.NDArray[np.float32]
    log_m: npt.NDArray[np.float32]


def bet(
    histories: Histories,
    values: npt.NDArray[np.float32],
    *,
    worse: bool = True,
    threads: int = 1,
    products: tuple[int, int] | None = None,
) -> Evidence:
    """Bet that the values of each product go up (`worse`) or down.

    Args:
        histories: the reviews.
        values: badness of each (n), float32.
        worse: the direction.
        threads: worker threads; the result does not depend on it.
        products: bet on these alone: the first, and the one after the last.
    """
    from shelfcheck.audit.declining_products.kernels import evidence, sequential_ranks  # noqa: PLC0415 - Numba

    begin, end = products or (0, histories.n_products)
    a, b = int(histories.starts[begin]), int(histories.starts[end])
    starts, day = histories.starts[begin : end + 1] - a, np.ascontiguousarray(histories.day[a:b])
    n, m = b - a, end - begin
    p, log_m = np.empty(n, np.float32), np.empty(n, np.float32)
    table = bets()
    log_bet = np.empty((n, len(table)), np.float32)
    signed = np.ascontiguousarray(values[a:b]) if worse else -values[a:b]
    # Another number than the one that broke ties in the values themselves.
    u = ((histories.u[a:b].astype(np.float64) * 4096) % 1.0).astype(np.float32)

    def work(part: tuple[int, int]) -> None:
        first, last = part
        sequential_ranks(starts, first, last, signed, u, p)
        evidence(starts, first, last, day, p, table, BURN_IN, SPREAD, BURST, log_bet, log_m)

    # Parts of about as many reviews each: some products have a thousand times as many as others.
    aims = np.linspace(0, n, 4 * threads + 1)[1:-1]
    cuts = np.unique(np.concatenate([[0], np.searchsorted(starts, aims), [m]]))
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True)))
    return Evidence(p, log_bet, log_m)


def bets() -> Floats:
    """Log gain of each bet in equal bins of p, (bets, bins); the mean of the gains is 1."""
    p = (np.arange(_BINS) + 0.5) / _BINS
    gains = [0.05 + 0.95 * theta * p ** (theta - 1) for theta in _BETA]
    gains += [np.where(p < at, _ODDS, 1.0) for at in _STEPS]
    found: Floats = np.log([gain / gain.mean() for gain in gains])
    return found


def highest(log_m: npt.NDArray[np.float32], starts: npt.NDArray[np.int64]) -> Floats:
    """The highest log wealth that each product ever had (m)."""
    if len(starts) == 1:
        return np.empty(0)
    found: Floats = np.maximum.reduceat(log_m, starts[:-1]).astype(np.float64)
    return found


def false_discovery_rates(p: Floats) -> Floats:
    """Benjamini and Hochberg's adjusted p-values (JRSS B, 1995), (n)."""
    n = len(p)
    order = np.argsort(p, kind="stable")
    adjusted = np.minimum.accumulate((p[order] * n / np.arange(1, n + 1))[::-1])[::-1]
    found = np.empty(n)
    found[order] = np.minimum(adjusted, 1.0)
    return found
