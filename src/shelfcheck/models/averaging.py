"""What several learners bring back from an epoch becomes one set of parameters; knows nothing of Spark.

Each learner starts from the same parameters, meets reviews of its own, and tells what it changed: the rows of
n-grams that it met, and no others. An n-gram's row is averaged over the learners that met it, weighed by how
much its AdaGrad accumulator grew at each (`Rule`). The accumulator grows by the mean of these (`Growth`): the
average has moved as far as one learner, not as all of them, and its next steps are to be as large. And it is
taken somewhat farther than the average goes (`STRETCH`): learners that each met fewer reviews moved less far.

Parameter averaging: McDonald, Hall, Mann, NAACL 2010 (iterative parameter mixing); Zinkevich et al., NIPS
2010.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np

from shelfcheck.models.blocks import blocks

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

Rule = Literal["all", "met", "growth"]
"""By what the changes of an n-gram's row are weighed: `all`: alike, with 0 by learners that did not meet it;
`met`: alike among those that met it; `growth`: by how much its accumulator grew at each."""

Growth = Literal["sum", "mean"]
"""How accumulators grow: by the sum of the learners' growths, or by their mean among those that met it."""

RULE: Final[Rule] = "growth"
GROWTH: Final[Growth] = "mean"
STRETCH: Final = 0.25
"""The move of an n-gram's row is longer than the average by the effective number of its learners,
(Σ growth)² / Σ growth² (Kish 1965), to this power; 0 is the average, by `growth` alone."""

_BLOCK: Final = 1 << 16  # rows that are worked on at a time


class Parameters(NamedTuple):
    """What is learned; see `fitting`.

    Attributes:
        weights: float32 (features, width).
        squares: float32 (features), AdaGrad's accumulators; they only grow.
        bias: float32 (width).
        bias_squares: float32 (width).
    """

    weights: Floats
    squares: Floats
    bias: Floats
    bias_squares: Floats


class Change(NamedTuple):
    """What a learner brings back.

    Attributes:
        features: int64 (k), rows that it changed, ascending.
        weights: float32 (k, width), as they became.
        squares: float32 (k), as they became.
        bias: float32 (width), as it became.
        bias_squares: float32 (width), as they became.
    """

    features: npt.NDArray[np.int64]
    weights: Floats
    squares: Floats
    bias: Floats
    bias_squares: Floats


class Average:
    """Adds changes up, one at a time, so that only one of them need be in memory.

    Sums are made in the order in which changes are added: the same order gives the same bits. One learner's
    change alone becomes the parameters as it is, bit for bit.

    Memory: as much as the parameters, and 16 bytes a feature.

    Args:
        start: the parameters that every learner started from; `finish` changes them.
        rule: how rows are averaged.
        growth: how accumulators grow.
        stretch: power of the effective number of learners by which a row moves farther; 0 for none.
    """

    def __init__(
        self, start: Parameters, rule: Rule = RULE, growth: Growth = GROWTH, stretch: float = STRETCH
    ) -> None:
        self._start, self._rule, self._growth, self._stretch = start, rule, growth, stretch
        features = len(start.squares)
        self._learners = 0
        self._moved = np.zeros_like(start.weights)
        self._shares = np.zeros(features, np.float32)  # what the moves were weighed with, summed
        self._grown = np.zeros(features, np.float32)
        self._grown_squared = np.zeros(features, np.float32)
        self._met = np.zeros(features, np.int32)
        self._bias = np.zeros_like(start.bias)
        self._bias_grown = np.zeros_like(start.bias_squares)
        self._only: Change | None = None

    def add(self, change: Change) -> None:
        """Add what one learner changed."""
        self._only = change if self._learners == 0 else None
        self._learners += 1
        for block in blocks(len(change.features), _BLOCK):
            rows = change.features[block]
            grown = change.squares[block] - self._start.squares[rows]
            moved = change.weights[block] - self._start.weights[rows]
            if self._rule == "growth":
                moved *= grown[:, None]
                self._shares[rows] += grown
            self._moved[rows] += moved
            self._grown[rows] += grown
            self._grown_squared[rows] += grown * grown
            self._met[rows] += 1
        self._bias += change.bias - self._start.bias
        self._bias_grown += change.bias_squares - self._start.bias_squares

    def finish(self) -> Parameters:
        """Change the parameters that all started from to the average, and give them back."""
        start = self._start
        if self._only is not None:  # a mean of one, without its rounding
            only = self._only
            start.weights[only.features] = only.weights
            start.squares[only.features] = only.squares
            start.bias[:] = only.bias
            start.bias_squares[:] = only.bias_squares
            return start
        for block in blocks(len(start.squares), _BLOCK):
            met = self._met[block]
            shares = {"all": np.full(len(met), self._learners), "met": met, "growth": self._shares[block]}[
                self._rule
            ]
            safe = np.where((met > 0) & (shares > 0), shares, 1).astype(np.float32)
            moved = self._moved[block] / safe[:, None]
            grown, squared = self._grown[block], self._grown_squared[block]
            if self._stretch:
                learners = grown * grown / np.where(squared > 0, squared, 1)
                moved *= (np.maximum(learners, 1) ** np.float32(self._stretch))[:, None]
            start.weights[block] += moved
            start.squares[block] += grown if self._growth == "sum" else grown / np.maximum(met, 1)
        if self._learners:
            start.bias[:] += self._bias / np.float32(self._learners)
            grown = self._bias_grown
            start.bias_squares[:] += grown if self._growth == "sum" else grown / np.float32(self._learners)
        return start
