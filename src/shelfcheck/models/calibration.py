"""Calibration: make a probability of .8 right 8 times in 10, on products that were not learned from.

Temperature scaling (Guo et al., On Calibration of Modern Neural Networks, ICML 2017): all logits are
multiplied by one number, found by the likelihood of held-out reviews. The order of the categories
does not change.

Reviews of one product err together, and a few products have thousands of reviews, so each review is
weighted by 1 / sqrt(reviews of its product): a product with 10,000 reviews counts as 100, not as 10,000.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

_LEAST: Final = 0.05
_MOST: Final = 20.0
_STEPS: Final = 30
MOST_REVIEWS: Final = 50_000  # more do not change one number
_ENOUGH: Final = 50  # reviews; below, the logits are left alone


@dataclass(frozen=True)
class Calibration:
    """How logits become probabilities.

    Attributes:
        scale: what the logits are multiplied by (the inverse of the temperature).
        reviews: reviews it was found on; 0 where there were too few.
        nll_before: mean negative log likelihood of these, in nats, without scaling.
        nll_after: the same with scaling.
    """

    scale: float = 1.0
    reviews: int = 0
    nll_before: float = 0.0
    nll_after: float = 0.0

    @classmethod
    def fit(
        cls, logits: Floats, labels: npt.NDArray[np.int16], weights: npt.NDArray[np.float64] | None = None
    ) -> Calibration:
        """Find the scale.

        Args:
            logits: float32 (n, classes).
            labels: int16 (n), 0..classes-1.
            weights: how much each review counts, (n,); all the same when None.
        """
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
        scale, before = 1.0, 0.0
        for step in range(_STEPS):
            odds = np.exp(z * scale)
            total = odds.sum(axis=1)
            mean = (odds * z).sum(axis=1) / total
            spread = (odds * z * z).sum(axis=1) / total - mean * mean
            after = float(w @ (np.log(total) - own * scale))
            if step == 0:
                before = after
            slope, curve = (
                float(w @ (mean - own)),
                float(w @ spread),
            )  # the likelihood is concave in the scale
            better = float(np.clip(scale - slope / max(curve, 1e-12), scale / 2, scale * 2))
            if abs(better - scale) < 1e-6 * scale:
                break
            scale = float(np.clip(better, _LEAST, _MOST))
        return cls(scale=scale, reviews=n, nll_before=before, nll_after=after)

    def log_probabilities(self, logits: Floats) -> Floats:
        """Calibrated log probabilities, float32 (n, classes)."""
        z = logits * np.float32(self.scale)
        z -= z.max(axis=1, keepdims=True)
        z -= np.log(np.exp(z).sum(axis=1, keepdims=True))
        return z

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "method": "temperature",
            "scale": self.scale,
            "reviews": self.reviews,
            "nll_before": self.nll_before,
            "nll_after": self.nll_after,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Calibration:
        """Read what `to_json` gave."""
        return cls(**{name: values[name] for name in ("scale", "reviews", "nll_before", "nll_after")})


def product_weights(products: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """1 / sqrt(reviews of the product) for each review. (n,) codes of products -> (n,)."""
    counts = np.bincount(products)
    weights: npt.NDArray[np.float64] = 1.0 / np.sqrt(counts[products])
    return weights
