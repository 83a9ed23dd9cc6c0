"""Do two groups of reviews differ in language by more than chance? A permutation test by product.

Reviews of one product speak of the same things, so that two groups with other products differ even if nothing
changed: shuffling single reviews would find a shift everywhere. What may change places is therefore bound:

- reviews of a product that stands in both groups change places within the product alone;
- a product that stands in one group moves whole, and changes places with products of similar size (within a
  factor of two in reviews), so that the groups keep their sizes.

Under the hypothesis that the language hangs neither on the group nor on which products were sold when, all
these arrangements are equally likely. A review without a product id counts as a product of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    import numpy.typing as npt

    from shelfcheck.language.sparse import Reviews

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

_CHUNK: Final = 25  # shuffles a task; fixed, so that sums are added up in one order whatever the threads
_NEAR_TOP: Final = 10  # times k terms may come to the top
_SEEDS: Final = 1 << 31  # what the generator takes
_TIE: Final = 1e-12  # rounding of a divergence
_NO_MOVE: Final = 1e-7  # a standard deviation of shares that is rounding alone; one word in a million is more


@dataclass(frozen=True)
class Shift:
    """What the test found.

    Attributes:
        divergence: Jensen-Shannon divergence of the groups, bits.
        divergence_expected: its mean over the shuffles: what chance gives at these sizes.
        divergence_sd: its standard deviation over the shuffles.
        overlap: per cent of the top terms that the groups share.
        overlap_expected: its mean over the shuffles.
        p_divergence: share of arrangements at least as far apart; None where nothing can change places.
        p_overlap: share of arrangements that share as few top terms or fewer; None likewise.
        z: of each term, float64 (n_terms): the difference of its shares (b less a) from the shuffles' mean,
            in their standard deviations; 0 where it never moves.
    """

    divergence: float
    divergence_expected: float
    divergence_sd: float
    overlap: float
    overlap_expected: float
    p_divergence: float | None
    p_overlap: float | None
    z: Floats


def units(products: Ints, in_b: Bools, *, by_product: bool = True) -> tuple[Ints, Bools, Ints]:
    """What changes places with what.

    Args:
        products: product number of each review, (n).
        in_b: whether it stands in the second group, (n).
        by_product: False lets every review change places with every other.

    Returns:
        The unit of each review, int64 (n); whether each unit stands in the second group, bool (n_units);
        bounds of the segments of units that may change places, int64 (n_segments + 1).
    """
    n = len(products)
    if not by_product:
        return np.arange(n), in_b.copy(), np.array([0, n])
    _, product, size = np.unique(products, return_inverse=True, return_counts=True)
    of_b = np.bincount(product, weights=in_b, minlength=len(size)).astype(np.int64)
    in_both = (of_b > 0) & (of_b < size)
    # Segments: a product of both groups is one, of its reviews; then one for each power of two in size.
    stratum = np.floor(np.log2(np.maximum(size, 1))).astype(np.int64)
    segment_of_product = np.where(in_both, np.arange(len(size)), len(size) + stratum)
    unit_of_product = np.full(len(size), -1, np.int64)
    loose = np.flatnonzero(in_both[product])  # reviews that are units
    whole = np.flatnonzero(~in_both)  # products that are units
    segment = np.concatenate([segment_of_product[product[loose]], segment_of_product[whole]])
    order = np.argsort(segment, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    unit = np.empty(n, np.int64)
    unit[loose] = place[: len(loose)]
    unit_of_product[whole] = place[len(loose) :]
    rest = np.flatnonzero(~in_both[product])
    unit[rest] = unit_of_product[product[rest]]
    label = np.zeros(len(order), bool)
    label[unit] = in_b
    starts = np.flatnonzero(np.diff(segment[order], prepend=-1))
    return unit, label, np.append(starts, len(order)).astype(np.int64)


def permutation_test(
    reviews: Reviews,
    in_b: Bools,
    weight: Floats,
    k: int,
    *,
    permutations: int,
    seed: int = 0,
    by_product: bool = True,
    pool: ThreadPoolExecutor | None = None,
) -> Shift:
    """Compare two groups of reviews with shuffles of them.

    Args:
        reviews: of both groups, (n).
        in_b: whether each stands in the second, (n).
        weight: of each term, (n_terms), > 0: the top terms have the largest counts x weight.
        k: how many terms are at the top.
        permutations: how many shuffles.
        seed: of the shuffles; the same whatever the threads.
        by_product: False shuffles single reviews.
        pool: threads to use.

    The p-values count the arrangement as it is, too: (1 + as extreme) / (1 + permutations) (Phipson and
    Smyth, Statistical Applications in Genetics and Molecular Biology 9, 2010).
    """
    from shelfcheck.language import kernels  # noqa: PLC0415 - loads Numba

    unit, label, segment = units(reviews.product, in_b, by_product=by_product)
    a, b = reviews.total(np.flatnonzero(~in_b)), reviews.total(np.flatnonzero(in_b))
    near_top = np.sort(np.argsort(-(a + b) * weight, kind="stable")[: _NEAR_TOP * k])
    n_log_n = _n_log_n(1 << 16)
    close = np.ascontiguousarray(weight[near_top])
    found = kernels.divergence(a, b, n_log_n)
    shared = kernels.shared_top(a[near_top], b[near_top], close, k)

    def chunk(first: int) -> tuple[Floats, Floats, Floats, Floats]:
        size = min(_CHUNK, permutations - first)
        out = np.empty(size), np.empty(size), np.zeros(reviews.terms), np.zeros(reviews.terms)
        kernels.permute(
            reviews.indptr, reviews.ids, reviews.times, unit, label, segment,
            close, near_top, k, n_log_n, (seed + first) % _SEEDS, *out,
        )  # fmt: skip
        return out

    starts = range(0, permutations, _CHUNK)
    parts = list((map if pool is None else pool.map)(chunk, starts))
    divergences, overlaps = (np.concatenate([part[i] for part in parts]) for i in range(2))
    sums, squares = (np.sum([part[i] for part in parts], axis=0) for i in (2, 3))
    moves = bool((np.add.reduceat(label, segment[:-1]) % np.diff(segment) != 0).any())
    return Shift(
        divergence=float(found),
        divergence_expected=float(divergences.mean()),
        divergence_sd=float(divergences.std(ddof=1)),
        overlap=float(shared),
        overlap_expected=float(overlaps.mean()),
        p_divergence=_p(divergences >= found - _TIE) if moves else None,
        p_overlap=_p(overlaps <= shared + _TIE) if moves else None,
        z=_z(a, b, sums / permutations, squares / permutations),
    )


def _p(as_extreme: Bools) -> float:
    return float((1 + as_extreme.sum()) / (1 + len(as_extreme)))


def _z(a: Ints, b: Ints, mean: Floats, square: Floats) -> Floats:
    observed = b / max(1, b.sum()) - a / max(1, a.sum())
    sd = np.sqrt(np.maximum(square - mean**2, 0.0))
    z: Floats = np.divide(observed - mean, sd, out=np.zeros_like(sd), where=sd > _NO_MOVE)
    return z


def _n_log_n(n: int) -> Floats:
    values = np.arange(n, dtype=np.float64)
    values[1:] *= np.log(values[1:])
    return values
