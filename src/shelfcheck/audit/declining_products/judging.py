"""Is a product's change more than chance, in which direction, and where is it seen."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
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

ALARM: Final = 0.05  # chance that a product which does not change ever gives an alarm
# Share of the wealth that is bet on language alone, the rest on stars and language. Nothing of it for
# "better": texts of a new fault, in words of no other product, complain less than their stars would say.
_LANGUAGE: Final = 0.2


@dataclass(frozen=True)
class Bets:
    """What bets on the reviews of one product came to.

    Attributes:
        both: on stars and language together.
        language: on language alone.
        stars: on stars alone; they are told, and decide nothing.
        decides: float32 (reviews), the log wealth that decides.
    """

    both: Evidence
    language: Evidence
    stars: Evidence
    decides: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Judged:
    """Every product in one direction; arrays (m).

    Attributes:
        worse: the direction.
        histories: the reviews.
        badness: their values.
        wealth: highest log wealth, of those that decide.
        p: chance of so high a wealth without a change, at any look.
        q: smallest false discovery rate at which the product is listed, over both directions.
    """

    worse: bool
    histories: Histories
    badness: Badness
    wealth: Floats
    p: Floats
    q: Floats
    _last: dict[int, Bets] = field(default_factory=dict, repr=False, compare=False)

    def of(self, product: int) -> Bets:
        """The bets on one product, made again: of all products only the highest wealth is held."""
        if product not in self._last:
            both, language, stars = (
                bet(self.histories, values, worse=self.worse, products=(product, product + 1))
                for values in (self.badness.both, self.badness.language, self.badness.stars)
            )
            self._last.clear()
            decides = wealth_of(both, language if self.worse else None)
            self._last[product] = Bets(both, language, stars, decides)
        return self._last[product]

    def by_language(self, product: int) -> bool:
        """Whether language alone gave the stronger evidence."""
        bets = self.of(product)
        both = float(bets.both.log_m.max()) + np.log(1 - _LANGUAGE)
        language = float(bets.language.log_m.max()) + np.log(_LANGUAGE)
        return self.worse and bool(language > both)


def judge(histories: Histories, badness: Badness, threads: int = 1) -> tuple[Judged, Judged]:
    """Judge every product for "worse" and for "better"."""
    judged = [_bets(histories, badness, worse=worse, threads=threads) for worse in (True, False)]
    if histories.n_products:
        q = np.split(false_discovery_rates(np.concatenate([one.p for one in judged])), 2)
        judged = [replace(one, q=part) for one, part in zip(judged, q, strict=True)]
    return judged[0], judged[1]


def _bets(histories: Histories, badness: Badness, *, worse: bool, threads: int) -> Judged:
    wealth = np.empty(histories.n_products)
    for first, last in histories.spans():
        own = partial(bet, histories, worse=worse, threads=threads, products=(first, last))
        both, language = own(badness.both), own(badness.language) if worse else None
        starts = histories.starts[first : last + 1] - histories.starts[first]
        wealth[first:last] = highest(wealth_of(both, language), starts)
    p = np.exp(-np.maximum(wealth, 0.0))
    return Judged(worse, histories, badness, wealth, p, p)


def seen_from(judged: Judged, histories: Histories, product: int, since: int) -> int:
    """The first review from `since` on at which the chance stood at ALARM or below; -1 where there is none.

    All places are those in the histories.
    """
    return _first(judged.of(product).decides, histories, product, since)


def seen_apart(judged: Judged, histories: Histories, product: int, since: int) -> tuple[int, int]:
    """The same for stars alone and for language alone, each with all the chance to err: -1 where never."""
    bets = judged.of(product)
    return (
        _first(bets.stars.log_m, histories, product, since),
        _first(bets.language.log_m, histories, product, since),
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
    over = np.flatnonzero(log_m[since - int(histories.starts[product]) :] >= -np.log(ALARM))
    return since + int(over[0]) if len(over) else -1
