"""Is a product's change more than chance, in which direction, and where is it seen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from shelfcheck.audit.declining_products.betting import (
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
# Share of the wealth that is bet on language alone, the rest on stars and language. Nothing of it for
# "better": texts of a new fault, in words of no other product, complain less than their stars would say.
_LANGUAGE: Final = 0.2


@dataclass(frozen=True)
class Judged:
    """Every product in one direction; arrays (m).

    Attributes:
        worse: the direction.
        both: bets on stars and language together.
        language: bets on language alone.
        stars: bets on stars alone; they are told, and decide nothing.
        wealth: highest log wealth, of those that decide.
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

    @property
    def decides(self) -> npt.NDArray[np.float32]:
        """Float32 (n), the log wealth that decides."""
        return wealth_of(self.both, self.language if self.worse else None)

    def by_language(self, first: int, last: int) -> bool:
        """Whether language alone gave the stronger evidence, of the reviews at first..last-1."""
        both = float(self.both.log_m[first:last].max()) + np.log(1 - _LANGUAGE)
        language = float(self.language.log_m[first:last].max()) + np.log(_LANGUAGE)
        return self.worse and bool(language > both)


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
    wealth = highest(wealth_of(both, language if worse else None), histories.starts)
    p = np.exp(-np.maximum(wealth, 0.0))
    return Judged(worse, both, language, stars, wealth, p, p)


def seen_from(judged: Judged, histories: Histories, product: int, since: int) -> int:
    """The first review from `since` on at which the chance stood at ALARM or below; -1 where there is none.

    All places are those in the histories.
    """
    return _first(judged.decides, histories, product, since)


def seen_apart(judged: Judged, histories: Histories, product: int, since: int) -> tuple[int, int]:
    """The same for stars alone and for language alone, each with all the chance to err: -1 where never."""
    return (
        _first(judged.stars.log_m, histories, product, since),
        _first(judged.language.log_m, histories, product, since),
    )


def wealth_of(both: Evidence, language: Evidence | None) -> npt.NDArray[np.float32]:
    """The better of the two log wealths, each by its share; that of `both` where language has none, (n).

    Its highest value passes 1/a with a chance of at most (1 - _LANGUAGE) a + _LANGUAGE a = a, however the two
    depend on each other.
    """
    if language is None:
        return both.log_m
    found: npt.NDArray[np.float32] = np.maximum(
        both.log_m + np.float32(np.log(1 - _LANGUAGE)), language.log_m + np.float32(np.log(_LANGUAGE))
    )
    return found


def _first(log_m: npt.NDArray[np.float32], histories: Histories, product: int, since: int) -> int:
    over = np.flatnonzero(log_m[since : int(histories.starts[product + 1])] >= -np.log(ALARM))
    return since + int(over[0]) if len(over) else -1
