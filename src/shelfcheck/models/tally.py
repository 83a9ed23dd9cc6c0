"""What an evaluation needs of each review, gathered batch by batch: some 30 bytes a review."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shelfcheck.models.measures import BINS, bin_of

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]


class Tally:
    """Judged reviews. The probabilities themselves are not kept: only sums by product and by bin are.

    Args:
        classes: number of classes, k.
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self._label: list[npt.NDArray[np.int64]] = []
        self._predicted: list[npt.NDArray[np.int64]] = []
        self._confidence: list[Floats] = []
        self._own: list[Floats] = []
        self._before: list[Floats] = []
        self._before_hit: list[npt.NDArray[np.bool_]] = []
        self._by_bin = np.zeros((3, classes * BINS))  # reviews, summed probability, hits
        self._pooled = np.zeros((0, classes))  # (products, k) summed log probabilities
        self._votes = np.zeros((0, classes), np.int64)  # (products, k) reviews by assigned class

    def add(
        self,
        labels: npt.NDArray[np.integer],
        probabilities: Floats,
        uncalibrated: Floats | None = None,
        products: npt.NDArray[np.int64] | None = None,
    ) -> None:
        """Add reviews.

        Args:
            labels: place of the assigned class (n), 0..k-1.
            probabilities: float32 (n, k).
            uncalibrated: the same before calibration; of every batch or of none.
            products: code of each review's product (n), from 0 on without gaps, -1 where it has none.
        """
        n, k = probabilities.shape
        at = np.arange(n)
        label = labels.astype(np.int64)
        predicted = probabilities.argmax(axis=1)
        own = probabilities[at, label]
        self._label.append(label)
        self._predicted.append(predicted)
        self._confidence.append(probabilities[at, predicted])
        self._own.append(own)
        if uncalibrated is not None:
            first = uncalibrated.argmax(axis=1)
            self._before.append(uncalibrated[at, first])
            self._before_hit.append(first == label)
        cells = (bin_of(probabilities) + np.arange(k) * BINS).ravel()
        self._by_bin[0] += np.bincount(cells, minlength=k * BINS)
        self._by_bin[1] += np.bincount(cells, weights=probabilities.ravel(), minlength=k * BINS)
        self._by_bin[2] += np.bincount(bin_of(own) + label * BINS, minlength=k * BINS)
        if products is not None:
            self._add_products(label, probabilities, products)

    def _add_products(
        self, label: npt.NDArray[np.int64], probabilities: Floats, products: npt.NDArray[np.int64]
    ) -> None:
        known = products >= 0
        if not known.any():
            return
        missing = int(products.max()) + 1 - len(self._pooled)
        if missing > 0:
            room = max(missing, len(self._pooled))  # doubles, so that growing costs little
            self._pooled = np.concatenate([self._pooled, np.zeros((room, self.classes))])
            self._votes = np.concatenate([self._votes, np.zeros((room, self.classes), np.int64)])
        codes, product = np.unique(products[known], return_inverse=True)
        logs = np.log(np.maximum(probabilities[known], 1e-12))
        for i in range(self.classes):
            self._pooled[codes, i] += np.bincount(product, weights=logs[:, i], minlength=len(codes))
        votes = np.bincount(product * self.classes + label[known], minlength=len(codes) * self.classes)
        self._votes[codes] += votes.reshape(-1, self.classes)

    @property
    def reviews(self) -> int:
        """Reviews added."""
        return sum(map(len, self._label))

    @property
    def label(self) -> npt.NDArray[np.int64]:
        """Assigned class of each review, (n)."""
        return np.concatenate(self._label)

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """Predicted class of each review, (n)."""
        return np.concatenate(self._predicted)

    @property
    def confidence(self) -> Floats:
        """Probability of the predicted class, (n)."""
        return np.concatenate(self._confidence)

    @property
    def own(self) -> Floats:
        """Probability of the assigned class, (n)."""
        return np.concatenate(self._own)

    def before(self) -> tuple[Floats, npt.NDArray[np.bool_]] | None:
        """Top probability before calibration and whether it was right, (n) each; None where not known."""
        if not self._before:
            return None
        return np.concatenate(self._before), np.concatenate(self._before_hit)

    def classwise_error(self) -> float:
        """Mean over classes of the calibration error of each class's probability, 0..1."""
        _, confident, hits = self._by_bin
        return float(np.abs(confident - hits).sum() / self.reviews / self.classes)

    def by_product(self) -> tuple[int, float | None]:
        """Products, and the share whose most frequent class has the largest summed log probability."""
        judged = self._votes.sum(axis=1) > 0
        if not judged.any():
            return 0, None
        right = self._pooled[judged].argmax(axis=1) == self._votes[judged].argmax(axis=1)
        return int(judged.sum()), float(right.mean())
