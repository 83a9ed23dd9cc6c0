"""A small additive logistic regression: piecewise-linear in every feature, fitted by Newton steps.

It has a closed set of parameters, no random choice and no tuning, so that two fits on the same rows
are the same. (n = rows, p = features, q = columns of the basis, about 6 p.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

RIDGE: Final = 1.0
_STEPS: Final = 10
_LONGEST_STEP: Final = 3.0


@dataclass(frozen=True)
class Basis:
    """Ramps between quantiles of each feature; some of them once more, multiplied by one feature.

    Attributes:
        knots: of each feature, ascending.
        scaled: features whose ramps are repeated, multiplied by feature `by`.
        by: the feature that multiplies, or -1 for none.
    """

    knots: tuple[npt.NDArray[np.float32], ...]
    scaled: tuple[int, ...]
    by: int

    @classmethod
    def fit(cls, features: Floats, knots: int, scaled: tuple[int, ...] = (), by: int = -1) -> Basis:
        """Place knots at quantiles of `features` (n, p), from the first to the last hundredth."""
        places = np.linspace(0.01, 0.99, knots)
        found = tuple(
            np.unique(np.quantile(features[:, i], places).astype(np.float32))
            for i in range(features.shape[1])
        )
        return cls(found, scaled, by)

    def __call__(self, features: Floats) -> Floats:
        """Columns of the basis, float32 (n, q); the first is 1."""
        columns: list[Floats] = [np.ones((len(features), 1), np.float32)]
        for i, knots in enumerate(self.knots):
            if len(knots) < 2:
                continue
            ramps = np.clip((features[:, i : i + 1] - knots[:-1]) / np.diff(knots), 0, 1)
            columns.append(ramps)
            if i in self.scaled and self.by >= 0:
                columns.append(ramps * features[:, self.by : self.by + 1])
        return np.concatenate(columns, axis=1, dtype=np.float32)


def fit_logistic(columns: Floats, target: Floats, weight: Floats, ridge: float = RIDGE) -> Floats:
    """Weights of a ridge logistic regression.

    Args:
        columns: (n, q), the first is the constant, which is not shrunk.
        target: (n), 0 or 1.
        weight: (n), how much each row counts.
        ridge: penalty of a squared weight.

    Returns:
        float32 (q).
    """
    beta = np.zeros(columns.shape[1])
    penalty = np.full(columns.shape[1], ridge)
    penalty[0] = 1e-6
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(columns @ beta.astype(np.float32), -30, 30)))
        gradient = columns.T @ (weight * (target - p)) - penalty * beta
        curvature = (columns.T @ (columns * (weight * p * (1 - p))[:, None])).astype(np.float64)
        curvature[np.diag_indices_from(curvature)] += penalty
        step = np.linalg.solve(curvature, gradient)
        largest = float(np.abs(step).max())
        beta += step * min(1.0, _LONGEST_STEP / max(largest, 1e-12))
        if largest < 1e-3:
            break
    return beta.astype(np.float32)
