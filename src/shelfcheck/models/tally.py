"""What an evaluation needs of each review, gathered batch by batch: 5 bytes a review, and sums by product."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from shelfcheck.models.blocks import blocks
from shelfcheck.models.measures import BINS, BinSums, bin_of

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

_LEAST = 1e-12  # of a probability whose logarithm is taken
_PRODUCTS = 1 << 16  # looked at at a time


class Tally:
    """Judged reviews. Of a review, the confidence and whether it was right are kept; all else is summed.

    Args:
        classes: number of classes, k.
        folder: where sums by product lie, as files that are mapped into memory; in memory when None. For
            many products: they take 16 k bytes each.
    """

    def __init__(self, classes: int, folder: Path | None = None) -> None:
        self.classes = classes
        self.confusion = np.zeros((classes, classes), np.int64)
        """Reviews; row = assigned, column = predicted class."""
        self.bins = BinSums()
        """Top probabilities."""
        self.bins_before: BinSums | None = None
        """Top probabilities before calibration; None where not known."""
        self._confidence: list[Floats] = []
        self._hit: list[npt.NDArray[np.bool_]] = []
        self._log_own = 0.0  # sum of the log probabilities of the assigned classes
        self._by_bin = np.zeros((3, classes * BINS))  # reviews, summed probability, hits
        self._folder = folder
        self._pooled = np.zeros((0, classes))  # (products, k) summed log probabilities
        self._votes = np.zeros((0, classes), np.int64)  # (products, k) reviews by assigned class

    def reserve(self, products: int) -> None:
        """Make room for the products 0..products-1, at once rather than as they come."""
        if products > len(self._pooled):
            self._pooled = self._grown("pooled.f64", self._pooled, products)
            self._votes = self._grown("votes.i64", self._votes, products)

    def add(
        self,
        labels: npt.NDArray[np.integer],
        probabilities: Floats,
        uncalibrated: Floats | None = None,
        products: npt.NDArray[np.integer] | None = None,
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
        confidence, hit = probabilities[at, predicted], predicted == label
        own = probabilities[at, label]
        self._confidence.append(confidence)
        self._hit.append(hit)
        self._log_own += float(np.log(np.maximum(own, _LEAST)).sum(dtype=np.float64))
        self.confusion += np.bincount(label * k + predicted, minlength=k * k).reshape(k, k)
        self.bins.add(confidence, hit)
        if uncalibrated is not None:
            first = uncalibrated.argmax(axis=1)
            self.bins_before = self.bins_before or BinSums()
            self.bins_before.add(uncalibrated[at, first], first == label)
        cells = (bin_of(probabilities) + np.arange(k) * BINS).ravel()
        self._by_bin[0] += np.bincount(cells, minlength=k * BINS)
        self._by_bin[1] += np.bincount(cells, weights=probabilities.ravel(), minlength=k * BINS)
        self._by_bin[2] += np.bincount(bin_of(own) + label * BINS, minlength=k * BINS)
        if products is not None:
            self._add_products(label, probabilities, products)

    def _add_products(
        self, label: npt.NDArray[np.int64], probabilities: Floats, products: npt.NDArray[np.integer]
    ) -> None:
        known = products >= 0
        if not known.any():
            return
        most = int(products.max()) + 1
        if most > len(self._pooled):
            self.reserve(max(most, 2 * len(self._pooled)))  # doubles, so that growing costs little
        codes, product = np.unique(products[known], return_inverse=True)
        logs = np.log(np.maximum(probabilities[known], _LEAST))
        pooled = np.empty((len(codes), self.classes))
        for i in range(self.classes):
            pooled[:, i] = np.bincount(product, weights=logs[:, i], minlength=len(codes))
        self._pooled[codes] += pooled
        votes = np.bincount(product * self.classes + label[known], minlength=len(codes) * self.classes)
        self._votes[codes] += votes.reshape(-1, self.classes)

    def _grown(self, name: str, sums: npt.NDArray[Any], products: int) -> npt.NDArray[Any]:
        shape = (products, self.classes)
        if self._folder is None:
            grown = np.zeros(shape, sums.dtype)
        else:
            path = self._folder / name
            path.unlink(missing_ok=True)  # what was mapped stays until it is copied
            grown = np.memmap(path, sums.dtype, "w+", shape=shape)
        for block in blocks(len(sums), _PRODUCTS):
            grown[block] = sums[block]
        return grown

    @property
    def reviews(self) -> int:
        """Reviews added."""
        return int(self.confusion.sum())

    @property
    def confidence(self) -> Floats:
        """Probability of the predicted class, (n)."""
        return np.concatenate(self._confidence)

    @property
    def hit(self) -> npt.NDArray[np.bool_]:
        """Whether the assigned class was predicted, (n)."""
        return np.concatenate(self._hit)

    def nll(self) -> float:
        """Mean negative log likelihood of the assigned classes, nats."""
        return -self._log_own / self.reviews

    def classwise_error(self) -> float:
        """Mean over classes of the calibration error of each class's probability, 0..1."""
        _, confident, hits = self._by_bin
        return float(np.abs(confident - hits).sum() / self.reviews / self.classes)

    def by_product(self) -> tuple[int, float | None]:
        """Products, and the share whose most frequent class has the largest summed log probability."""
        products = right = 0
        for block in blocks(len(self._votes), _PRODUCTS):
            votes = self._votes[block]
            judged = votes.any(axis=1)
            products += int(judged.sum())
            right += int((self._pooled[block][judged].argmax(axis=1) == votes[judged].argmax(axis=1)).sum())
        return products, right / products if products else None
