"""Rank suspects by simulated faults: learn what a fault looks like by making some.

Rows as they are stand against faults that are simulated from the same rows (a review put on another
product, a product put in another category). The classifier between the two orders the rows; `mixture`
turns its output into a probability. It is cross-fitted by product, so that no row is scored by
weights that it helped to choose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shelfcheck.audit.additive import Basis, fit_logistic

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

HALVES: Final = 2
_KNOTS: Final = 8


@dataclass(frozen=True)
class Ranker:
    """Additive models of rows against simulated faults, one for each half of the products."""

    basis: Basis
    weights: tuple[Floats, ...]  # of half h, learned on the other half

    @classmethod
    def fit(
        cls,
        rows: Floats,
        row_half: npt.NDArray[np.integer[Any]],
        faults: Floats,
        fault_half: npt.NDArray[np.integer[Any]],
        *,
        scaled: tuple[int, ...] = (),
        by: int = -1,
    ) -> Ranker:
        """Learn.

        Args:
            rows: features of rows as they are (n, p).
            row_half: 0 or 1, by product (n).
            faults: features of simulated faults (m, p).
            fault_half: 0 or 1, by the product they were put on (m).
            scaled: features whose effect may depend on feature `by`.
            by: that feature.
        """
        basis = Basis.fit(np.concatenate([rows, faults]), _KNOTS, scaled, by)
        row_columns, fault_columns = basis(rows), basis(faults)
        weights = []
        for half in range(HALVES):
            a, b = row_half != half, fault_half != half
            if not a.any() or not b.any():  # a handful of products, all in one half
                a, b = np.ones_like(a), np.ones_like(b)
            columns = np.concatenate([row_columns[a], fault_columns[b]])
            target = np.repeat(np.array([0, 1], np.float32), [a.sum(), b.sum()])
            weight = np.repeat(np.array([1, a.sum() / b.sum()], np.float32), [a.sum(), b.sum()])
            weights.append(fit_logistic(columns, target, weight))
        return cls(basis, tuple(weights))

    def score(self, features: Floats, half: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.float64]:
        """Log odds of fault against row, before any prior, float64 (n)."""
        columns = self.basis(features)
        both = np.stack([columns @ one for one in self.weights], axis=1)  # (n, halves)
        found: npt.NDArray[np.float64] = both[np.arange(len(half)), half].astype(np.float64)
        return found
