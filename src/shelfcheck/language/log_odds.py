"""Which terms tell two groups of reviews apart: weighted log odds with an informative Dirichlet prior.

The method is that of Monroe, Colaresi and Quinn, "Fightin' Words" (Political Analysis 16, 2008), equations
15 to 22. Shares alone put rare words first, and differences of shares put frequent ones first; log odds
divided by their standard error do neither, and the prior draws terms that were seen seldom to no difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


def log_odds(counts_a: npt.ArrayLike, counts_b: npt.ArrayLike, prior: npt.ArrayLike) -> tuple[Floats, Floats]:
    """How much more a group uses each term than another, and how sure that is.

    All arrays have their terms on the last axis and are broadcast over the others, so that one call
    compares many pairs of groups: `log_odds(counts[1:], counts[:-1], prior)`.

    Args:
        counts_a: how often each term stands in the group, (..., n_terms), >= 0.
        counts_b: the same of the other group, (..., n_terms), >= 0.
        prior: pseudo-counts of each term, (..., n_terms), > 0; see `informative_prior`.

    Returns:
        `delta`, the difference of the log odds of each term (above 0: more in a), and `z`, delta divided
        by its standard error, both float64 (..., n_terms). With one term alone both are 0.

    Raises:
        ValueError: a count is negative, a pseudo-count is not above 0, or shapes do not go together.
    """
    a, b, alpha = (np.asarray(values, np.float64) for values in (counts_a, counts_b, prior))
    if (a < 0).any() or (b < 0).any():
        raise ValueError("counts must be >= 0")
    if not (alpha > 0).all():
        raise ValueError("every pseudo-count of the prior must be > 0; add a small one to each term")
    with_a, with_b = a + alpha, b + alpha
    if with_a.shape[-1] == 1:  # the only term has all the mass on both sides
        nothing = np.zeros(np.broadcast_shapes(with_a.shape, with_b.shape))
        return nothing, nothing.copy()
    delta = _log_odds(with_a) - _log_odds(with_b)
    return delta, delta / np.sqrt(1 / with_a + 1 / with_b)


def informative_prior(background: npt.ArrayLike, size: float, least: float = 0.01) -> Floats:
    """Pseudo-counts in the proportions of a background: of all groups together, say.

    Args:
        background: how often each term stands in it, (..., n_terms), >= 0.
        size: sum of the pseudo-counts, in the unit of the counts; the larger, the more a term must have
            been seen to stand out.
        least: pseudo-count of a term that the background lacks.

    Returns:
        Pseudo-counts > 0, float64 (..., n_terms).

    Raises:
        ValueError: `size` or `least` is not above 0, or the background is empty.
    """
    counts = np.asarray(background, np.float64)
    if size <= 0 or least <= 0:
        raise ValueError(f"size == {size}, least == {least}, both must be > 0")
    total = counts.sum(axis=-1, keepdims=True)
    if not (total > 0).all():
        raise ValueError("the background holds no term")
    prior: Floats = np.maximum(size * counts / total, least)
    return prior


def _log_odds(counts: Floats) -> Floats:
    odds: Floats = np.log(counts) - np.log(counts.sum(axis=-1, keepdims=True) - counts)
    return odds
