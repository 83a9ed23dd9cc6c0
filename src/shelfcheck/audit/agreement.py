"""How a review agrees with a category and with the other reviews of a product.

All features are functions of calibrated out-of-fold probabilities p(c | text) alone. In the formulas
a is the assigned category, b the best other one, pi(c) the mean of p(c | text) over all reviews,
C(a, c) its mean over the reviews assigned to a (what genuine reviews of a look like: natural confusion
of categories is in it), and q(c) its mean over the *other* reviews of the product, shrunk towards
C(a, ·) by one review's worth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from shelfcheck.audit.room import Room
from shelfcheck.models.blocks import counted

if TYPE_CHECKING:
    import numpy.typing as npt

    from shelfcheck.audit.judged import Judged

    Floats = npt.NDArray[np.float32]

FEATURES: Final = (
    "log_p_assigned",
    "p_best_other",
    "surprise_in_category",  # -log sum_c p(c|x) C(a,c) / pi(c): against the usual confusion of a
    "surprise_on_product",  # -log sum_c p(c|x) q(c) / pi(c): against the product's other reviews
    "product_assigned",  # q(a)
    "product_best_other",  # q(b)
    "usual_best_other",  # C(a, b)
    "usual_assigned",  # C(a, a)
    "product_hits",  # share of the others whose likeliest category is their assigned one, shrunk
    "product_log_p",  # mean log p(assigned) of the others, shrunk
    "log_others",  # log(1 + number of other reviews), of at most _MOST_OTHERS
    "entropy",  # of p(c|x), nats: a text that tells nothing is flat
    "log_assigned",  # log pi(a)
    "log_best_other",  # log pi(b)
)
SCALED: Final = (2, 3, 4, 5, 8)  # features whose weight depends on how many other reviews there are
BY: Final = FEATURES.index("log_others")

# Log odds that a product belongs in one given other category, before its reviews are read.
_PRODUCT_PRIOR: Final = -5.0
_ONLY_REVIEW: Final = 0.5  # either the product's only review is wrong, or the product
_PRIOR_REVIEWS: Final = 1.0
# Thirty reviews tell what a product is as well as thirty thousand do, and products with thousands are so few
# that their number of reviews gives them away one by one: what is learned from it then holds for no other.
_MOST_OTHERS: Final = 30.0
_CATEGORY_PRIOR: Final = 10.0


class Placed(NamedTuple):
    """Reviews placed on products.

    Attributes:
        features: float32 (n, len(FEATURES)).
        best: int64 (n), the best other category.
        explained: float32 (n), probability that the product, by its other reviews, belongs in another
            category, if the review fits that one too: then the review is in order, the product is not.
            A product's only review cannot tell which of the two is wrong, and half is given to each.
        others: float32 (n), other reviews of the product; 0 without a product.
    """

    features: Floats
    best: npt.NDArray[np.int64]
    explained: Floats
    others: Floats


class Gathered(NamedTuple):
    """Sums over the reviews of some products, as `Agreement` has them of all."""

    product_sum: Floats
    product_n: npt.NDArray[np.int32]
    product_hits: Floats
    product_log_p: Floats

    @classmethod
    def empty(cls, judged: Judged, room: Room) -> Gathered:
        """Of all products, nothing yet."""
        n = judged.n_products
        product_sum = room.array((n, len(judged.categories)), np.float32)
        return cls(product_sum, np.zeros(n, np.int32), np.zeros(n, np.float32), np.zeros(n, np.float32))

    def of(self, first: int, last: int) -> Gathered:
        """Views of the products from `first` to before `last`."""
        here = slice(first, last)
        return Gathered(
            self.product_sum[here], self.product_n[here], self.product_hits[here], self.product_log_p[here]
        )

    def add(
        self, product: npt.NDArray[np.integer[Any]], a: npt.NDArray[np.int64], logs: Floats, p: Floats
    ) -> None:
        """Add reviews, of products as places in the arrays, with their categories, log p and p."""
        if len(a) == 0:
            return
        products, place, n = np.unique(product, return_inverse=True, return_counts=True)
        self.product_sum[products] += one_hot_sum(place, p, len(products))
        self.product_n[products] += n.astype(np.int32)
        hit, own = logs.argmax(axis=1) == a, logs[np.arange(len(a)), a]
        self.product_hits[products] += np.bincount(place, hit, len(products)).astype(np.float32)
        self.product_log_p[products] += np.bincount(place, own, len(products)).astype(np.float32)


@dataclass(frozen=True)
class Agreement:
    """Sums over the judged reviews of each product and each category.

    Memory: 12 bytes a product; 4 K more, in a file where that is much.

    Attributes:
        pi: float32 (K).
        category_sum: float32 (K, K), sum of p over the reviews assigned to each category.
        category_n: int64 (K).
        product_sum: float32 (P, K), sum of p over the product's reviews.
        product_n: int32 (P).
        product_hits: float32 (P), reviews whose likeliest category is their assigned one.
        product_log_p: float32 (P), sum of log p(assigned).
    """

    pi: Floats
    category_sum: Floats
    category_n: npt.NDArray[np.int64]
    product_sum: Floats
    product_n: npt.NDArray[np.integer[Any]]
    product_hits: Floats
    product_log_p: Floats

    @classmethod
    def gather(cls, judged: Judged, room: Room | None = None) -> Agreement:
        """Read the log probabilities in chunks, once for as many products as fit into memory at a time."""
        room = room or Room()
        k = len(judged.categories)
        gathered = Gathered.empty(judged, room)
        category_sum = np.zeros((k, k), np.float64)
        learned = judged.learned()
        for first, last in room.spans(judged.n_products, 4 * k):
            in_file = isinstance(gathered.product_sum, np.memmap)
            own = gathered.of(first, last)
            sums = own._replace(product_sum=np.zeros((last - first, k), np.float32)) if in_file else own
            for rows in judged.chunks(learned):
                product = judged.product[rows]
                here = (product >= first) & (product < last)
                if first == 0:  # every review counts for its category, whatever its product
                    logs = judged.rows_of(rows)
                    a = judged.assigned[rows].astype(np.int64)
                    p = np.exp(logs)
                    np.add(category_sum, one_hot_sum(a, p, k), out=category_sum)
                    logs, p, a = logs[here], p[here], a[here]
                else:
                    logs, a = judged.rows_of(rows[here]), judged.assigned[rows[here]].astype(np.int64)
                    p = np.exp(logs)
                sums.add(product[here] - first, a, logs, p)
            if in_file:
                own.product_sum[:] = sums.product_sum
        return cls.of(judged, category_sum, gathered)

    @classmethod
    def of(cls, judged: Judged, category_sum: npt.NDArray[np.float64], gathered: Gathered) -> Agreement:
        """What was gathered, completed.

        Args:
            judged: the reviews.
            category_sum: float64 (K, K), sum of p over the reviews assigned to each category.
            gathered: sums of all products.
        """
        category_n = counted(judged.assigned, len(judged.categories))
        pi = (category_sum.sum(axis=0) + 1e-3) / max(category_n.sum(), 1)
        return cls(
            pi=pi.astype(np.float32),
            category_sum=category_sum.astype(np.float32),
            category_n=category_n,
            **gathered._asdict(),
        )

    def usual(self) -> Floats:
        """C(a, c), float32 (K, K), shrunk towards pi where a category is small."""
        shrunk = self.category_sum + _CATEGORY_PRIOR * self.pi
        found: Floats = (shrunk / (self.category_n[:, None] + _CATEGORY_PRIOR)).astype(np.float32)
        return found

    def features(
        self,
        logs: Floats,
        assigned: npt.NDArray[np.int64],
        product: npt.NDArray[np.int64],
        leave: Floats,
    ) -> Placed:
        """Features of reviews placed on products.

        Args:
            logs: log probabilities (n, K).
            assigned: category of each placing (n).
            product: product of each placing (n), -1 for none.
            leave: log probabilities of a review of each product (n, K) that is left out of the
                product's sums: the review itself where it stands there, else the one that it
                takes the place of.
        """
        at = np.arange(len(logs))
        on = product >= 0
        j = product
        p = np.exp(logs)
        log_a = logs[at, assigned]
        others = logs.copy()
        others[at, assigned] = -np.inf
        best = others.argmax(axis=1)
        usual = self.usual()[assigned]  # (n, K)
        n = np.zeros(len(logs), np.float32)
        total = np.zeros_like(p)
        hits, log_others = n.copy(), n.copy()
        n[on] = self.product_n[j[on]] - 1
        total[on] = self.product_sum[j[on]] - np.exp(leave[on])
        hits[on] = self.product_hits[j[on]] - (leave.argmax(axis=1) == assigned)[on]
        log_others[on] = self.product_log_p[j[on]] - leave[at, assigned][on]
        q = (np.maximum(total, 0) + _PRIOR_REVIEWS * usual) / (n + _PRIOR_REVIEWS)[:, None]
        likelihood = p / self.pi  # p(x|c) up to a factor of x
        found = np.stack(
            [
                log_a,
                p[at, best],
                -np.log((likelihood * usual).sum(axis=1) + 1e-9),
                -np.log((likelihood * q).sum(axis=1) + 1e-9),
                q[at, assigned],
                q[at, best],
                usual[at, best],
                usual[at, assigned],
                (hits + 1) / (n + 1.2),
                (log_others - 1) / (n + 1),
                np.log1p(np.clip(n, 0, _MOST_OTHERS)),
                -(p * logs).sum(axis=1),
                np.log(self.pi[assigned]),
                np.log(self.pi[best]),
            ],
            axis=1,
        ).astype(np.float32)
        # n others count as root n independent witnesses, and 0.02 keeps one of them from being decisive.
        total = np.maximum(total, 0) + 0.02
        of_assigned = total[at, assigned]
        total[at, assigned] = 0
        theme = total.argmax(axis=1)
        odds = np.log(total[at, theme] / of_assigned) * np.sqrt(n) + _PRODUCT_PRIOR
        fits = (n > 0) & (p[at, theme] >= p[at, best] / 2)
        explained = np.where(fits, 1 / (1 + np.exp(-np.clip(odds, -30, 30))), 0)
        explained[on & (n == 0)] = _ONLY_REVIEW
        return Placed(found, best, explained.astype(np.float32), n)


def one_hot_sum(code: npt.NDArray[np.int64], values: Floats, n: int) -> Floats:
    """Sum of the rows of `values` (m, K) by code, float32 (n, K)."""
    order = np.argsort(code, kind="stable")
    ordered = code[order]
    found = np.zeros((n, values.shape[1]), np.float32)
    if len(order):
        first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        found[ordered[first]] = np.add.reduceat(values[order], first, axis=0)
    return found
