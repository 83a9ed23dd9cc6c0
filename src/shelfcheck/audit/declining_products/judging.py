"""Is a product's change more than chance, in which direction, where is it seen, and when did it begin."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from shelfcheck.audit.declining_products.betting import (
    BURN_IN,
    SPREAD,
    bet,
    false_discovery_rates,
    highest,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from shelfcheck.audit.declining_products.badness import Badness
    from shelfcheck.audit.declining_products.betting import Evidence
    from shelfcheck.audit.declining_products.histories import Histories

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

ALARM: Final = 0.05  # chance that a product which does not change ever gives an alarm
_LANGUAGE: Final = 0.2  # share of the wealth that is bet on language alone, the rest on stars and language
_INTERVAL: Final = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class Judged:
    """Every product in one direction; arrays (m).

    Attributes:
        worse: the direction.
        both: bets on stars and language together.
        language: bets on language alone.
        stars: bets on stars alone; they are told, and decide nothing.
        wealth: highest log wealth, of the two that decide.
        p: chance of so high a wealth without a change, at any look.
        q: smallest false discovery rate at which the product is listed, over both directions.
    """

    worse: bool
    both: Evidence
    language: Evidence
    stars: Evidence
    wealth: Floats
    p: Floats
    q: Floats


def judge(histories: Histories, badness: Badness, threads: int = 1) -> tuple[Judged, Judged]:
    """Judge every product for "worse" and for "better"."""
    judged = [_bets(histories, badness, worse=worse, threads=threads) for worse in (True, False)]
    if histories.n_products:
        q = np.split(false_discovery_rates(np.concatenate([one.p for one in judged])), 2)
        judged = [replace(one, q=part) for one, part in zip(judged, q, strict=True)]
    return judged[0], judged[1]


def _bets(histories: Histories, badness: Badness, *, worse: bool, threads: int) -> Judged:
    both, language, stars = (
        bet(histories, values, worse=worse, threads=threads)
        for values in (badness.both, badness.language, badness.stars)
    )
    wealth = highest(_together(both, language), histories.starts)
    p = np.exp(-np.maximum(wealth, 0.0))
    return Judged(worse, both, language, stars, wealth, p, p)


def seen_from(judged: Judged, histories: Histories, product: int, since: int) -> int:
    """The first review from `since` on at which the chance stood at ALARM or below; -1 where there is none.

    All places are those in the histories.
    """
    return _first(_together(judged.both, judged.language), histories, product, since)


def seen_apart(judged: Judged, histories: Histories, product: int, since: int) -> tuple[int, int]:
    """The same for stars alone and for language alone, each with all the chance to err: -1 where never."""
    return (
        _first(judged.stars.log_m, histories, product, since),
        _first(judged.language.log_m, histories, product, since),
    )


@dataclass(frozen=True)
class Span:
    """When a change began and how long it was seen; places in the histories.

    Attributes:
        since: the median of where it began.
        earliest: its 5 % quantile.
        latest: its 95 % quantile.
        peak: the review after which the evidence was strongest.
        by_language: whether language alone gave the stronger evidence.
    """

    since: int
    earliest: int
    latest: int
    peak: int
    by_language: bool


def date_change(judged: Judged, histories: Histories, product: int) -> Span:
    """Weigh every starting point by what a bet from there on had won when the evidence was strongest."""
    a, b = int(histories.starts[product]), int(histories.starts[product + 1])
    both = judged.both.log_m[a:b].max() + np.log(1 - _LANGUAGE)
    alone = judged.language.log_m[a:b].max() + np.log(_LANGUAGE)
    chosen = judged.language if alone > both else judged.both
    peak = a + int(np.argmax(chosen.log_m[a:b]))
    first = min(a + BURN_IN, peak)
    gains = chosen.log_bet[first : peak + 1].astype(np.float64)
    won = np.cumsum(gains[::-1], axis=0)[::-1]  # (starts, bets): from there to the peak
    steps = np.arange(len(won), dtype=np.float64)
    begun = SPREAD / (steps + SPREAD) - SPREAD / (steps + 1 + SPREAD)
    log_weight = np.log(begun)[:, None] + won
    weight = np.exp(log_weight - log_weight.max()).sum(axis=1)
    share = np.cumsum(weight) / weight.sum()
    earliest, since, latest = (first + int(np.searchsorted(share, q)) for q in _INTERVAL)
    return Span(since, earliest, latest, peak, bool(alone > both))


def _together(both: Evidence, language: Evidence) -> npt.NDArray[np.float32]:
    """The better of the two wealths, each by its share.

    Its highest value passes 1/a with a chance of at most (1 - _LANGUAGE) a + _LANGUAGE a = a, however the two
    depend on each other.
    """
    found: npt.NDArray[np.float32] = np.maximum(
        both.log_m + np.float32(np.log(1 - _LANGUAGE)), language.log_m + np.float32(np.log(_LANGUAGE))
    )
    return found


def _first(log_m: npt.NDArray[np.float32], histories: Histories, product: int, since: int) -> int:
    over = np.flatnonzero(log_m[since : int(histories.starts[product + 1])] >= -np.log(ALARM))
    return since + int(over[0]) if len(over) else -1
