"""What the reviews of one product say together of its category.

Reviews of one product are not independent witnesses: what one gets wrong, the next gets wrong too. Their
log probabilities are summed and divided by the root of their number, so that n reviews count as
root n independent ones, and never as more than 4: a model that does not know a product's words errs
on all its reviews alike, and a product with thousands of them would be the surest error of all.
Features as in `agreement`, with the pooled probabilities R(c) for p(c | text).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shelfcheck.audit.agreement import one_hot_sum
from shelfcheck.audit.room import Room
from shelfcheck.models.blocks import where

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from shelfcheck.audit.judged import Judged

    Floats = npt.NDArray[np.float32]

FEATURES: Final = (
    "pooled_log_odds",  # of the best other against the assigned
    "surprise_in_category",  # -log sum_c R(c) C(a,c) / pi(c)
    "usual_best_other",  # log C(a, b)
    "log_reviews",  # of at most 10
    "log_assigned",  # log share of the products assigned to a
    "log_best_other",
    "mean_assigned",  # mean over the reviews of p(a | text)
    "mean_best_other",
    "usual_assigned",  # C(a, a)
)
SCALED: Final = (0, 1, 2, 4, 5, 6, 7, 8)
BY: Final = FEATURES.index("log_reviews")
DECIDED: Final = 0.5  # a review speaks for a category that it gives at least this probability

_CATEGORY_PRIOR: Final = 5.0
_MOST_WITNESSES: Final = 4.0
_COLUMNS_AT_ONCE: Final = 1 << 27  # bytes
_MOST_REVIEWS: Final = 10  # more do not change how the features are weighed


@dataclass(frozen=True)
class Pooled:
    """Products with at least one judged review.

    Memory: 20 bytes a product; 16 K more of K categories, in files where that is much.

    Attributes:
        product: int32 (m), product codes.
        assigned: int32 (m), the category that most of its reviews carry.
        fold: int32 (m), of the product.
        reviews: int32 (m).
        logs: float32 (m, K), pooled log probabilities, sum to one.
        mean: float32 (m, K), mean probabilities.
        mean_logs: float32 (m, K), mean log probabilities.
        mean_top: float32 (m), mean log probability of each review's likeliest category.
        votes: float32 (m, K), reviews that give a category at least DECIDED.
        usual_sum: float32 (K, K), sum of R over the products assigned to each category.
        usual_n: int64 (K).
        pi: float32 (K), mean of R.
    """

    product: npt.NDArray[np.int32]
    assigned: npt.NDArray[np.int32]
    fold: npt.NDArray[np.int32]
    reviews: npt.NDArray[np.int32]
    logs: Floats
    mean: Floats
    mean_logs: Floats
    mean_top: Floats
    votes: Floats
    usual_sum: Floats
    usual_n: npt.NDArray[np.int64]
    pi: Floats

    @classmethod
    def gather(
        cls,
        judged: Judged,
        room: Room | None = None,
        spans: Iterable[tuple[int, int, Sums]] | None = None,
    ) -> Pooled:
        """Read the log probabilities in chunks, once for as many products as fit into memory at a time.

        Args:
            judged: out-of-fold judgements.
            room: for what is held of every product.
            spans: first product, the one after the last, and their sums, in order; made here when None.
        """
        room = room or Room()
        k, most = len(judged.categories), judged.n_products
        logs, mean, mean_logs, votes = (room.array((most, k), np.float32) for _ in range(4))
        product, assigned, fold, reviews = (np.empty(most, np.int32) for _ in range(4))
        top = np.empty(most, np.float32)
        if spans is None:
            learned = judged.learned(with_product=True)
            cuts = room.spans(most, 40 * k)
            spans = (
                (first, last, Sums.gather(judged, judged.chunks(learned), first, last))
                for first, last in cuts
            )
        m = 0  # products so far
        for first, _, sums in spans:
            live = np.flatnonzero(sums.given.sum(axis=1) > 0)
            here = slice(m, m + len(live))
            m += len(live)
            n = sums.given[live].sum(axis=1)
            root = np.minimum(np.sqrt(n), _MOST_WITNESSES)
            product[here] = live + first
            assigned[here] = sums.given[live].argmax(axis=1)
            fold[here], reviews[here] = sums.fold[live], n
            logs[here] = _normalised(sums.logs[live] * (root / n)[:, None].astype(np.float32))
            mean[here] = sums.p[live] / n[:, None].astype(np.float32)
            mean_logs[here] = sums.logs[live] / n[:, None].astype(np.float32)
            votes[here] = sums.votes[live]
            top[here] = sums.top[live] / n.astype(np.float32)
            del sums
        usual_sum = _sum_by_category(logs[:m], assigned[:m], k)
        return cls(
            product=product[:m],
            assigned=assigned[:m],
            fold=fold[:m],
            reviews=reviews[:m],
            logs=logs[:m],
            mean=mean[:m],
            mean_logs=mean_logs[:m],
            mean_top=top[:m],
            votes=votes[:m],
            usual_sum=usual_sum,
            usual_n=np.bincount(assigned[:m], minlength=k),
            pi=((usual_sum.sum(axis=0) + 1e-3) / max(m, 1)).astype(np.float32),
        )

    def regret(self, at: npt.NDArray[Any], assigned: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Mean log odds, over a product's reviews, of the likeliest category against `assigned`, (n)."""
        found: npt.NDArray[np.float64] = (self.mean_top[at] - self.mean_logs[at, assigned]).astype(np.float64)
        return found

    def features(
        self, at: npt.NDArray[Any], assigned: npt.NDArray[Any], *, own: bool
    ) -> tuple[Floats, npt.NDArray[np.int64]]:
        """Features of products placed in categories.

        Args:
            at: products, as places in `product` (n).
            assigned: category of each placing (n).
            own: True when they stand in these categories now; each is then left out of the sums of
                its own category.

        Returns:
            float32 (n, len(FEATURES)) and the best other category (n).
        """
        row = np.arange(len(at))
        logs = self.logs[at]
        pooled = np.exp(logs)
        others = logs.copy()
        others[row, assigned] = -np.inf
        best = others.argmax(axis=1)
        leave = 1 if own else 0
        usual = np.maximum(self.usual_sum[assigned] - leave * pooled, 0) + _CATEGORY_PRIOR * self.pi
        usual /= (self.usual_n[assigned] - leave + _CATEGORY_PRIOR)[:, None]
        share = np.log((self.usual_n + 1.0) / (self.usual_n.sum() + 1.0))
        mean = self.mean[at]
        found = np.stack(
            [
                logs[row, best] - logs[row, assigned],
                -np.log((pooled / self.pi * usual).sum(axis=1) + 1e-9),
                np.log(usual[row, best] + 1e-9),
                np.log(np.minimum(self.reviews[at], _MOST_REVIEWS)),
                share[assigned],
                share[best],
                mean[row, assigned],
                mean[row, best],
                usual[row, assigned],
            ],
            axis=1,
        ).astype(np.float32)
        return found, best


@dataclass(frozen=True)
class Sums:
    """Sums over the reviews of products first..last-1: log p, p, votes, and who carries each category."""

    logs: Floats
    p: Floats
    votes: Floats
    given: npt.NDArray[np.int32]
    top: Floats
    fold: npt.NDArray[np.int32]

    @classmethod
    def gather(cls, judged: Judged, chunks: Iterable[npt.NDArray[Any]], first: int, last: int) -> Sums:
        """Read the log probabilities of the reviews of these products, in chunks of the learned reviews."""
        shape = (last - first, len(judged.categories))
        log_sum, p_sum, votes = (np.zeros(shape, np.float32) for _ in range(3))
        given = np.zeros(shape, np.int32)
        top, fold = np.zeros(last - first, np.float32), np.zeros(last - first, np.int32)
        for chunk in chunks:
            product = judged.product[chunk]
            rows = chunk[(product >= first) & (product < last)]
            if len(rows) == 0:
                continue
            product = judged.product[rows] - first
            logs = judged.rows_of(rows)
            products, place = np.unique(product, return_inverse=True)
            p = np.exp(logs)
            log_sum[products] += one_hot_sum(place, logs, len(products))
            top[products] += np.bincount(place, logs.max(axis=1), len(products)).astype(np.float32)
            p_sum[products] += one_hot_sum(place, p, len(products))
            votes[products] += one_hot_sum(place, (p >= DECIDED).astype(np.float32), len(products))
            np.add.at(given, (product, judged.assigned[rows]), 1)
            fold[product] = judged.fold[rows]
        return cls(log_sum, p_sum, votes, given, top, fold)


def _sum_by_category(logs: Floats, assigned: npt.NDArray[np.int32], k: int) -> Floats:
    """`one_hot_sum(assigned, np.exp(logs), k)`, to the bit, a category at a time and some columns of it."""
    found = np.zeros((k, k), np.float32)
    for category in range(k):
        here = where(len(assigned), lambda block, c=category: assigned[block] == c)  # type: ignore[misc]
        step = max(1, _COLUMNS_AT_ONCE // max(1, 4 * len(here)))
        for first in range(0, k if len(here) else 0, step):
            values = np.exp(np.ascontiguousarray(logs[here, first : first + step]))
            found[category, first : first + step] = np.add.reduceat(values, [0], axis=0)[0]
    return found


def _normalised(logs: Floats) -> Floats:
    logs = logs - logs.max(axis=1, keepdims=True)
    found: Floats = logs - np.log(np.exp(logs).sum(axis=1, keepdims=True))
    return found
