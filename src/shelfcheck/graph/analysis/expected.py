"""What pairs of categories would have in common, or be confused, if nothing but their sizes counted.

Counts of pairs are compared with quasi-independence (Goodman, "The analysis of cross-classified data",
Journal of the American Statistical Association 63, 1968): what stands on the diagonal is left aside, and the
rest follows from one factor a row and one a column. So a large category, or one that a model likes to
predict, is expected to meet many others, and only what goes beyond that is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_ROUNDS: Final = 1000
_CLOSE: Final = 1e-9  # of the total: margins are met


def quasi_independence(counts: npt.ArrayLike) -> Floats:
    """Expected counts off the diagonal, by iterative proportional fitting to the margins off the diagonal.

    Args:
        counts: how often row i meets column j, (n, n), >= 0; the diagonal is not looked at.

    Returns:
        Expected counts, float64 (n, n), 0 on the diagonal. Their row and column sums are those of `counts`
        wherever that is possible: a category that meets only one other, which in turn meets it alone, is.

    Raises:
        ValueError: the table is not square, or a count is negative.
    """
    observed = np.array(counts, np.float64)
    if observed.ndim != 2 or observed.shape[0] != observed.shape[1]:
        raise ValueError(f"counts of shape {observed.shape}, must be square")
    if (observed < 0).any():
        raise ValueError("counts must be >= 0")
    np.fill_diagonal(observed, 0.0)
    rows, columns = observed.sum(axis=1), observed.sum(axis=0)
    fitted = np.outer(rows > 0, columns > 0).astype(np.float64)
    np.fill_diagonal(fitted, 0.0)
    for _ in range(_ROUNDS):
        fitted *= _ratio(rows, fitted.sum(axis=1))[:, None]
        fitted *= _ratio(columns, fitted.sum(axis=0))[None, :]
        if np.abs(fitted.sum(axis=1) - rows).max(initial=0.0) <= _CLOSE * max(rows.sum(), 1.0):
            break
    return fitted


def more_than(observed: npt.ArrayLike, expected: npt.ArrayLike) -> Floats:
    """Probability of as many or more, where counts are Poisson with the expected mean.

    Sums of rare independent events vary no more than a Poisson count, so that this is on the careful side.
    """
    from scipy import stats  # noqa: PLC0415 - heavy

    found: Floats = stats.poisson.sf(np.asarray(observed) - 1, np.asarray(expected, np.float64))
    return found


def adjusted(p: npt.ArrayLike) -> Floats:
    """P-values for the false discovery rate, by Benjamini and Hochberg; an empty array stays one."""
    from scipy import stats  # noqa: PLC0415 - heavy

    values = np.asarray(p, np.float64)
    if not values.size:
        return values
    found: Floats = stats.false_discovery_control(np.clip(values, 0.0, 1.0))
    return found


def one_way(forth: int, back: int, expected_forth: float, expected_back: float) -> float:
    """Two-sided p-value that the ways of a pair are used as its expected counts say (binomial test).

    Returns:
        1 where the pair was never met, or only one way is possible.
    """
    from scipy import stats  # noqa: PLC0415 - heavy

    both = expected_forth + expected_back
    if not forth + back or expected_forth <= 0 or expected_back <= 0:
        return 1.0
    return float(stats.binomtest(forth, forth + back, expected_forth / both).pvalue)


def _ratio(wanted: Floats, had: Floats) -> Floats:
    return np.divide(wanted, had, out=np.zeros_like(wanted), where=had > 0)
