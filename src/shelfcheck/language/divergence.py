"""How far apart two groups' words are: the Jensen-Shannon divergence of their term frequencies.

It is 0 for equal frequencies and 1 (in bits) where no term is shared; its square root is a distance (Endres
and Schindelin, IEEE Transactions on Information Theory 49, 2003). Computed from samples it is too large, the
more so the smaller they are: two samples of one language are some way apart, too. What chance alone gives
is told by `permutation`, which shuffles reviews between the groups.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


def jensen_shannon(counts_a: npt.ArrayLike, counts_b: npt.ArrayLike) -> Floats:
    """The Jensen-Shannon divergence in bits, 0..1, over the last axis; nan where a group is empty.

    Args:
        counts_a: how often each term stands in a group, (..., n_terms).
        counts_b: the same of the other group.
    """
    a, b = np.asarray(counts_a, np.float64), np.asarray(counts_b, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        p, q = a / a.sum(axis=-1, keepdims=True), b / b.sum(axis=-1, keepdims=True)
    found: Floats = np.maximum(_entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2, 0.0)
    return found


def _entropy(shares: Floats) -> Floats:
    logs = np.log2(np.where(shares > 0, shares, 1.0))
    found: Floats = -(shares * logs).sum(axis=-1)
    return found
