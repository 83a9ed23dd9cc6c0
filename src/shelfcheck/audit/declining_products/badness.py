"""How bad a review is for its product, as numbers that can be compared within the product.

- `stars`: minus the stars, ties broken by a hash of the id.
- `language`: how much the text complains beside other texts of its category with as many stars and about as
  many words; so it is no second count of the stars, sees texts that complain while the stars still stand, and
  does not take a fashion of short reviews for a change.
- `both`: the stars and half the language, a standard deviation of which counts as half a star.

Each is freed of what the category does at that time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from shelfcheck.audit.declining_products.drift import remove_drift
from shelfcheck.schema import STAR_RATING

if TYPE_CHECKING:
    import numpy.typing as npt

    from shelfcheck.audit.declining_products.histories import Histories
    from shelfcheck.models.encode import Encoded

    Floats = npt.NDArray[np.float32]

_ENOUGH: Final = (
    200  # reviews of a category with as many stars; else those of all categories are compared with
)
_LANGUAGE_WEIGHT: Final = 0.5  # stars a standard deviation; docs/log.md has what others found
_LENGTHS: Final = 6  # groups of about equally many texts, by their number of n-grams


@dataclass(frozen=True)
class Badness:
    """Float32 (n) each, in the order of the histories; higher is worse."""

    stars: Floats
    language: Floats
    both: Floats

    @classmethod
    def measure(cls, histories: Histories, encoded: Encoded, complaint: Floats) -> Badness:
        """Measure every review of the histories.

        Args:
            histories: the reviews.
            encoded: all reviews, those compared with.
            complaint: what `complaint_scores` said of them.
        """
        from scipy.special import ndtri  # noqa: PLC0415 - slow to load

        stars = -histories.stars.astype(np.float64)
        share = language_given_stars(histories, encoded, complaint)
        language = remove_drift(histories, ndtri(np.clip(share, 1e-4, 1 - 1e-4)))
        return cls(
            stars=remove_drift(histories, stars + histories.u - 0.5),
            language=language,
            both=(remove_drift(histories, stars) + _LANGUAGE_WEIGHT * language).astype(np.float32),
        )


def language_given_stars(
    histories: Histories, encoded: Encoded, complaint: Floats
) -> npt.NDArray[np.float64]:
    """Share of the texts of its category, stars and length that complain less, 0..1, (n).

    Equal scores (the same two words) are spread at random by a hash of the id.
    """
    stars = encoded.rows().column(STAR_RATING).fill_null(0).to_numpy()
    length = np.diff(encoded.indptr)
    label = encoded.label[histories.row].astype(np.int64)
    share = np.full(len(label), 0.5)
    key = label * 10 + histories.stars
    for one in np.unique(key).tolist():
        here = np.flatnonzero(key == one)
        others = np.flatnonzero((encoded.label == one // 10) & (stars == one % 10))
        if len(others) < _ENOUGH:
            others = np.flatnonzero(stars == one % 10)
        cuts = np.unique(np.quantile(length[others], np.arange(1, _LENGTHS) / _LENGTHS))
        own_group = np.searchsorted(cuts, length[histories.row[here]], side="left")
        group = np.searchsorted(cuts, length[others], side="left")
        for g in np.unique(own_group).tolist():
            rows = here[own_group == g]
            known = np.sort(complaint[others[group == g]])
            own = complaint[histories.row[rows]]
            low = np.searchsorted(known, own, side="left")
            high = np.searchsorted(known, own, side="right")
            share[rows] = (low + histories.u[rows] * (high - low) + 0.5) / (len(known) + 1)
    return share
