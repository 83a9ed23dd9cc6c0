"""Calibration: make a probability of .8 right 8 times in 10, on products that were not learned from.

Temperature scaling (Guo et al., On Calibration of Modern Neural Networks, ICML 2017) with an allowance
for wrong labels: an assigned category is the true one with probability 1 - noise, and any category
otherwise. Two numbers are found by the likelihood of held-out reviews: the scale that all logits are
multiplied by, and the noise. The order of the categories does not change.

The allowance matters because finding wrong labels is what the model is for. Without it, a single
miscategorised product with many reviews, each of them confidently "wrong", flattens every probability.

Reviews of one product err together, and a few products have thousands of reviews, so each review is
weighted by 1 / sqrt(reviews of its product): a product with 10,000 reviews counts as 100, not as 10,000.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

_BOUNDS: Final = ((0.05, 20.0), (0.0, 0.9))  # of scale and noise
_FIRST_NOISE: Final = 0.02
MOST_REVIEWS: Final = 50_000  # more do not change one number
_ENOUGH: Final = 50  # reviews; below, the logits are left alone


@dataclass(frozen=True)
class Calibration:
    """How logits become probabilities.

    Attributes:
        scale: what the logits are multiplied by (the inverse of the temperature).
        noise: probability that an assigned category is any category rather than the true one, 0..1.
        reviews: reviews these were found on; 0 where there were too few.
        nll_before: mean negative log likelihood of these, in nats, without calibration.
        nll_after: the same with it.
    """

    scale: float = 1.0
    noise: float = 0.0
    reviews: int = 0
    nll_before: float = 0.0
    nll_after: float = 0.0

    @classmethod
    def fit(
        cls, logits: Floats, labels: npt.NDArray[np.int16], weights: npt.NDArray[np.float64] | None = None
    ) -> Calibration:
        """Find scale and noise by maximum likelihood.

        Args:
            logits: float32 (n, classes).
            labels: int16 (n), 0..classes-1.
            weights: how much each review counts, (n,); all the same when None.
        """
        from scipy.optimize import minimize  # noqa: PLC0415 - loads slowly, and serving does not need it

        n = len(labels)
        if n < _ENOUGH:
            return cls(reviews=0)
        if n > MOST_REVIEWS:  # encoded reviews are shuffled: any stride is a fair sample
            step = -(-n // MOST_REVIEWS)
            logits, labels, n = logits[::step], labels[::step], len(labels[::step])
            weights = None if weights is None else weights[::step]
        w = np.ones(n) if weights is None else weights
        w = w / w.sum()
        z = (logits - logits.max(axis=1, keepdims=True)).astype(np.float64)
        own = z[np.arange(n), labels]
        any_category = 1 / z.shape[1]

        def nll(point: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
            scale, noise = point
            odds = np.exp(z * scale)
            total = odds.sum(axis=1)
            mean = np.einsum("ij,ij->i", odds, z) / total
            right = np.exp(own * scale) / total
            chance = (1 - noise) * right + noise * any_category
            slope_scale = (w * (1 - noise) * right / chance) @ (mean - own)
            slope_noise = (w / chance) @ (right - any_category)
            return float(-(w @ np.log(chance))), np.array([slope_scale, slope_noise])

        before = nll(np.array([1.0, 0.0]))[0]
        found = minimize(nll, [1.0, _FIRST_NOISE], jac=True, method="L-BFGS-B", bounds=_BOUNDS)
        return cls(float(found.x[0]), float(found.x[1]), n, before, float(found.fun))

    def log_probabilities(self, logits: Floats) -> Floats:
        """Log probability that each category is the *assigned* one, float32 (n, classes)."""
        return self.as_assigned(self.log_probabilities_of_truth(logits))

    def as_assigned(self, logs: Floats) -> Floats:
        """From log probabilities of the true category to those of the assigned one, float32 (n, classes)."""
        if self.noise == 0:
            return logs
        clean = logs + np.float32(np.log1p(-self.noise))
        mixed: Floats = np.logaddexp(clean, np.float32(np.log(self.noise / logs.shape[1])))
        return mixed

    def log_probabilities_of_truth(self, logits: Floats) -> Floats:
        """Log probability that each category is the *true* one, whatever is assigned; as above.

        Differences between two categories are `scale` times those of the logits, exactly.
        """
        z = logits * np.float32(self.scale)
        z -= z.max(axis=1, keepdims=True)
        z -= np.log(np.exp(z).sum(axis=1, keepdims=True))
        return z

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"method": "temperature and label noise", **asdict(self)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Calibration:
        """Read what `to_json` gave."""
        return cls(**{field.name: values[field.name] for field in fields(cls)})


def product_weights(products: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """1 / sqrt(reviews of the product) for each review. (n,) codes of products -> (n,)."""
    counts = np.bincount(products)
    weights: npt.NDArray[np.float64] = 1.0 / np.sqrt(counts[products])
    return weights
