"""A slope and a shift for each class, found by the likelihood of held-out reviews.

Vector scaling (Guo et al., On Calibration of Modern Neural Networks, ICML 2017), with a normal prior that
draws slopes to a common one and shifts to none: how often a class comes among the held reviews depends on a
few products with many reviews, and free shifts would learn just that. The weights of the reviews are not
rescaled, so that they say how much evidence there is against the prior.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from scipy.optimize import minimize

from shelfcheck.models.calibration import MOST_REVIEWS

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

_SLOPE_SD: Final = 0.25  # of the log of a class's slope against the common one
_SHIFT_SD: Final = 0.5  # nats
_ENOUGH: Final = 50  # reviews; below, margins are left alone


class VectorScaling(NamedTuple):
    """What a margin is multiplied by, and what is then added to it; (classes) each."""

    slopes: Floats
    shifts: Floats


def fit_vector_scaling(
    margins: Floats, labels: npt.NDArray[np.int16], weights: npt.NDArray[np.float64] | None = None
) -> VectorScaling:
    """Find slopes and shifts whose softmax makes the labels likeliest.

    Args:
        margins: float32 (n, classes).
        labels: int16 (n), 0..classes-1.
        weights: how much evidence each review is, (n,); 1 when None.
    """
    n, classes = margins.shape
    if n < _ENOUGH:
        return VectorScaling(np.ones(classes, np.float32), np.zeros(classes, np.float32))
    if n > MOST_REVIEWS:  # reviews are shuffled: any stride is a fair sample
        step = -(-n // MOST_REVIEWS)
        margins, labels = margins[::step], labels[::step]
        weights = None if weights is None else weights[::step]
        n = len(labels)
    w = np.ones(n) if weights is None else weights
    m = margins.astype(np.float64)
    own = np.zeros((n, classes))
    own[np.arange(n), labels] = 1

    def loss(point: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        common, spread, shift = point[0], point[1 : classes + 1], point[classes + 1 :]
        slope = np.exp(common + spread)
        z = m * slope + shift
        z -= z.max(axis=1, keepdims=True)
        p = np.exp(z)
        total = p.sum(axis=1, keepdims=True)
        p /= total
        nll = w @ (np.log(total[:, 0]) - (z * own).sum(axis=1))
        error = w[:, None] * (p - own)
        by_slope = (error * m).sum(axis=0) * slope
        drawn = (spread @ spread) / (2 * _SLOPE_SD**2) + (shift @ shift) / (2 * _SHIFT_SD**2)
        gradient = np.concatenate(
            [[by_slope.sum()], by_slope + spread / _SLOPE_SD**2, error.sum(axis=0) + shift / _SHIFT_SD**2]
        )
        return float(nll + drawn) / n, gradient / n

    found = minimize(loss, np.zeros(2 * classes + 1), jac=True, method="L-BFGS-B").x
    slopes = np.exp(found[0] + found[1 : classes + 1]).astype(np.float32)
    return VectorScaling(slopes, found[classes + 1 :].astype(np.float32))
