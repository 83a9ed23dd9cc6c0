"""What the reviews of one product say together of its category.

Reviews of one product are not independent witnesses: what one gets wrong, the next gets wrong too. Their
log probabilities are summed and divided by the root of their number, so that n reviews count as
root n independent ones, and never as more than 4: a model that does not know a product's words errs
on all its reviews alike, and a product with thousands of them would be the surest error of all.
Features as in `agreement`, with the pooled probabilities R(c) for p(c | text).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from shelfcheck.audit.agreement import one_hot_sum

if TYPE_CHECKING:
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
_MOST_REVIEWS: Final = 10  # more do not change how the features are weighed


@dataclass(frozen=True)
class Pooled:
    """Products with at least one judged review.

    Memory: 24 K bytes a product.

    Attributes:
        product: int64 (m), product codes.
        assigned: int64 (m), the category that most of its reviews carry.
        fold: int64 (m), of the product.
        reviews: int64 (m).
        logs: float32 (m, K), pooled log probabilities, sum to one.
        mean: float32 (m, K), mean probabilities.
        mean_logs: float32 (m, K), mean log probabilities.
        mean_top: float32 (m), mean log probability of each review's likeliest category.
        votes: float32 (m, K), reviews that give a category at least DECIDED.
        usual_sum: float32 (K, K), sum of R over the products assigned to each category.
        usual_n: int64 (K).
        pi: float32 (K), mean of R.
    """

    product: npt.NDArray[np.int64]
    assigned: npt.NDArray[np.int64]
    fold: npt.NDArray[np.int64]
    reviews: npt.NDArray[np.int64]
    logs: Floats
    mean: Floats
    mean_logs: Floats
    mean_top: Floats
    votes: Floats
    usual_sum: Floats
    usual_n: npt.NDArray[np.int64]
    pi: Floats

    @classmethod
    def gather(cls, judged: Judged) -> Pooled:
        """One pass over the log probabilities, in chunks."""
        k = len(judged.categories)
        shape = (judged.n_products, k)
        log_sum, p_sum, votes = (np.zeros(shape, np.float32) for _ in range(3))
        given = np.zeros(shape, np.int32)  # reviews of the product that carry each category
        top = np.zeros(judged.n_products, np.float32)
        fold = np.zeros(judged.n_products, np.int64)
        for rows in judged.chunks(np.flatnonzero((judged.assigned >= 0) & (judged.product >= 0))):
            logs = judged.rows_of(rows)
            products, place = np.unique(judged.product[rows], return_inverse=True)
            p = np.exp(logs)
            log_sum[products] += one_hot_sum(place, logs, len(products))
            top[products] += np.bincount(place, logs.max(axis=1), len(products)).astype(np.float32)
            p_sum[products] += one_hot_sum(place, p, len(products))
            votes[products] += one_hot_sum(place, (p >= DECIDED).astype(np.float32), len(products))
            np.add.at(given, (judged.product[rows], judged.assigned[rows]), 1)
            fold[judged.product[rows]] = judged.fold[rows]
        n = given.sum(axis=1)
        live = np.flatnonzero(n > 0)
        assigned = given[live].argmax(axis=1)
        n = n[live]
        witnesses = np.minimum(np.sqrt(n), _MOST_WITNESSES)
        logs = _normalised(log_sum[live] * (witnesses / n)[:, None].astype(np.float32))
        pooled = np.exp(logs)
        usual_sum = one_hot_sum(assigned, pooled, k)
        return cls(
            product=live,
            assigned=assigned,
            fold=fold[live],
            reviews=n,
            logs=logs,
            mean=p_sum[live] / n[:, None].astype(np.float32),
            mean_logs=log_sum[live] / n[:, None].astype(np.float32),
            mean_top=top[live] / n.astype(np.float32),
            votes=votes[live],
            usual_sum=usual_sum,
            usual_n=np.bincount(assigned, minlength=k),
            pi=((usual_sum.sum(axis=0) + 1e-3) / max(len(live), 1)).astype(np.float32),
        )

    def regret(self, at: npt.NDArray[np.int64], assigned: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Mean log odds, over a product's reviews, of the likeliest category against `assigned`, (n)."""
        return (self.mean_top[at] - self.mean_logs[at, assigned]).astype(np.float64)

    def features(
        self, at: npt.NDArray[np.int64], assigned: npt.NDArray[np.int64], *, own: bool
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


def _normalised(logs: Floats) -> Floats:
    logs = logs - logs.max(axis=1, keepdims=True)
    found: Floats = logs - np.log(np.exp(logs).sum(axis=1, keepdims=True))
    return found
